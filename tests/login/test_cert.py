"""Which certificates a role lets in: what leads to whom it trusts, and to nobody else.

Several of these are named after advisories of Vault and OpenBao about logins by certificate.
"""

from __future__ import annotations

import base64
import datetime
import time
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.login import cert_crls, cert_matching
from kms_actors.login.cert import (
    INVALID,
    MAX_CHAIN,
    NO_TLS,
    NOT_MATCHED,
    NOT_SHOWN,
    CertRole,
    written,
)
from kms_actors.login.cert_reading import text_in
from kms_actors.mounts import Mount
from tests.support.certificates import Identity, authority, client, make

ROOT = authority("root")
MIDDLE = authority("middle", ROOT)
TEXT = ObjectIdentifier("1.2.3.4.5")
APP = client(
    "app.example.com",
    MIDDLE,
    units=["eng", "ops"],
    names=[
        x509.DNSName("a.example.com"),
        x509.RFC822Name("a@example.com"),
        x509.UniformResourceIdentifier("spiffe://x/y"),
    ],
    extensions=[(x509.UnrecognizedExtension(TEXT, b"\x0c\x05hello"), False)],
)
LEAF = client("leaf")
MOUNT = Mount("auth/cert/", "cert", 4, "u4", "auth_cert_1")


def role_of(*trusted: Identity, **fields: Any) -> CertRole:
    sent = {"certificate": "".join(each.pem for each in trusted), **fields}
    return written(None, "r", sent, (), MOUNT)[0]


def found(shown: list[Identity], revoked: tuple[int, ...] = (), **roles: CertRole) -> str:
    certificates = cert_matching.read([each.der for each in shown])
    return cert_matching.find(certificates, roles, revoked, time.time())


def refused(shown: list[Identity], role: CertRole, revoked: tuple[int, ...] = ()) -> str:
    with pytest.raises(InvalidRequest) as caught:
        found(shown, revoked, r=role)
    return str(caught.value)


class TestChains:
    def test_what_comes_from_an_authority_of_the_role_is_let_in(self) -> None:
        assert found([APP, MIDDLE], r=role_of(ROOT)) == "r"
        assert found([APP, MIDDLE], r=role_of(MIDDLE)) == "r"
        assert found([APP], r=role_of(MIDDLE)) == "r"
        assert found([APP, MIDDLE, ROOT], r=role_of(ROOT)) == "r"
        assert found([APP, ROOT, LEAF, MIDDLE], r=role_of(ROOT)) == "r"

    def test_without_what_lies_between_nothing_leads_there(self) -> None:
        assert refused([APP], role_of(ROOT)) == INVALID

    def test_an_authority_that_is_shown_along_is_trusted_by_nobody(self) -> None:
        other = authority("root")  # of the same name
        assert refused([client("x", other), other], role_of(ROOT)) == INVALID

    def test_authorities_of_the_system_count_for_nothing(self) -> None:
        assert refused([client("x", authority("public")), authority("public")], role_of(ROOT)) == INVALID

    def test_the_first_role_that_lets_in_is_found(self) -> None:
        elsewhere, named = role_of(authority("other")), role_of(ROOT, allowed_common_names=("x",))
        assert found([APP, MIDDLE], a=elsewhere, b=named, c=role_of(ROOT)) == "c"

    @pytest.mark.parametrize("kind", ["rsa", "ed25519", "p384"])
    def test_keys_of_all_kinds_are_verified(self, kind: str) -> None:
        keys: Mapping[str, Any] = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "p384": ec.generate_private_key(ec.SECP384R1()),
            "ed25519": ed25519.Ed25519PrivateKey.generate(),
        }
        assert found([client("x", ROOT, key=keys[kind])], r=role_of(ROOT)) == "r"

    @pytest.mark.parametrize("field", ["begin", "end"])
    def test_times_are_kept(self, field: str) -> None:
        now = datetime.datetime.now(datetime.UTC)
        hour = datetime.timedelta(hours=1)
        times: dict[str, Any] = {"begin": {"begin": now + hour}, "end": {"begin": now - 2 * hour, "end": now - hour}}[
            field
        ]
        assert "expired or is not yet valid" in refused([client("x", ROOT, **times)], role_of(ROOT))
        old = client("x", **times)
        assert "expired or is not yet valid" in refused([old], role_of(old))
        assert (
            refused([client("x", authority("old", ROOT, **times)), authority("old", ROOT)], role_of(ROOT)) == INVALID
        )

    def test_an_authority_whose_time_is_over_leads_nowhere(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        old = authority("old", begin=now - datetime.timedelta(days=9), end=now - datetime.timedelta(days=1))
        assert refused([client("x", old)], role_of(old)) == INVALID

    def test_certificates_of_servers_are_none_of_clients(self) -> None:
        server = make("x", ROOT, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
        assert "incompatible key usage" in refused([server], role_of(ROOT))
        of_servers = authority("servers", ROOT, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
        assert "incompatible key usage" in refused([client("x", of_servers), of_servers], role_of(ROOT))
        assert refused([server], role_of(authority("other"))) == INVALID
        assert found([make("x", ROOT)], r=role_of(ROOT)) == "r"  # that say nothing of it are

    def test_a_client_signs_for_nobody(self) -> None:
        assert refused([client("admin", APP), APP, MIDDLE], role_of(ROOT)) == INVALID

    def test_lengths_of_paths_are_kept(self) -> None:
        short = authority("short", ROOT, path_length=0)
        below = authority("below", short)
        assert found([client("x", short), short], r=role_of(ROOT)) == "r"
        assert refused([client("x", below), below, short], role_of(ROOT)) == INVALID

    def test_constraints_of_names_are_kept(self) -> None:
        permitted = x509.NameConstraints([x509.DNSName("example.com")], [x509.IPAddress(ip_network("10.0.0.0/8"))])
        bound = authority("bound", ROOT, extensions=[(permitted, True)])
        inside = client("x", bound, names=[x509.DNSName("a.example.com")])
        outside = client("x", bound, names=[x509.DNSName("a.example.org")])
        assert found([inside, bound], r=role_of(ROOT)) == "r"
        assert refused([outside, bound], role_of(ROOT)) == INVALID

    def test_a_critical_extension_that_nobody_understands_leads_nowhere(self) -> None:
        odd = client("x", ROOT, extensions=[(x509.UnrecognizedExtension(TEXT, b"\x05\x00"), True)])
        assert refused([odd], role_of(ROOT)) == INVALID

    def test_what_is_shown_is_bounded(self) -> None:
        assert "at most" in refused([APP, *[MIDDLE] * MAX_CHAIN], role_of(ROOT))
        with pytest.raises(InvalidRequest, match=NOT_SHOWN):
            cert_matching.read([])
        with pytest.raises(InvalidRequest, match=NO_TLS):
            cert_matching.read(None)
        with pytest.raises(InvalidRequest, match="cannot be read"):
            cert_matching.read([b"\x30\x03abc"])

    @pytest.mark.parametrize("name", [b"a leaf", b"its root"])
    def test_what_says_what_is_no_text_is_refused_before_it_is_compared(self, name: bytes) -> None:
        """A fuzzer found it: names are read when they are asked for, and what the library then raised was a 500."""
        der = client("a leaf", authority("its root")).der
        cert_matching.read([der])
        with pytest.raises(InvalidRequest, match="cannot be read"):
            cert_matching.read([der.replace(name, b"\xff" + name[1:])])


class TestTrustedByItself:
    """HCSEC-2024-05, CVE-2025-6037: a certificate that is no authority, and one that looks like it."""

    def test_that_one_is_let_in(self) -> None:
        assert found([LEAF], r=role_of(LEAF)) == "r"
        assert found([APP], r=role_of(APP)) == "r"

    @pytest.mark.parametrize(
        "other",
        [
            client("leaf", key=LEAF.key),
            client("admin", key=LEAF.key, serial=LEAF.certificate.serial_number),
            client("leaf", serial=LEAF.certificate.serial_number),
        ],
        ids=["key", "key and number", "name and number"],
    )
    def test_no_other_is(self, other: Identity) -> None:
        assert refused([other], role_of(LEAF)) == INVALID
        assert refused([other, LEAF], role_of(LEAF)) == INVALID

    def test_it_signs_for_nobody(self) -> None:
        assert refused([client("x", LEAF), LEAF], role_of(LEAF)) == INVALID

    def test_what_it_comes_from_is_trusted_by_nobody(self) -> None:
        assert refused([client("other", MIDDLE), MIDDLE], role_of(APP, MIDDLE)) == INVALID

    def test_its_names_are_looked_at_too(self) -> None:
        assert refused([LEAF], role_of(LEAF, allowed_common_names=("x",))) == INVALID


class TestConstraints:
    @pytest.mark.parametrize(
        ("field", "pattern", "allowed"),
        [
            ("allowed_common_names", "app.example.com", True),
            ("allowed_common_names", "*.example.com", True),
            ("allowed_common_names", "APP.*", False),
            ("allowed_common_names", "a.example.com", False),
            ("allowed_dns_sans", "a.example.com", True),
            ("allowed_dns_sans", "*.com", True),
            ("allowed_dns_sans", "app.example.com", False),
            ("allowed_email_sans", "a@example.com", True),
            ("allowed_email_sans", "b@*", False),
            ("allowed_uri_sans", "spiffe://*/y", True),
            ("allowed_uri_sans", "spiffe://x", False),
            ("allowed_organizational_units", "eng", True),
            ("allowed_organizational_units", "o*", True),
            ("allowed_organizational_units", "x", False),
            ("allowed_names", "a.example.com", True),
            ("allowed_names", "a@example.com", True),
            ("allowed_names", "app*", True),
            ("allowed_names", "spiffe://x/y", False),
            ("required_extensions", "1.2.3.4.5:hello", True),
            ("required_extensions", "1.2.3.4.5:h*", True),
            ("required_extensions", "1.2.3.4.5:x", False),
            ("required_extensions", "1.2.3.4.6:*", False),
            ("required_extensions", "hex:1.2.3.4.5:*", False),
            ("required_extensions", "bad", False),
        ],
    )
    def test_names_and_extensions_are_as_the_role_wants_them(self, field: str, pattern: str, allowed: bool) -> None:
        role = role_of(ROOT, **{field: (pattern,)})
        if allowed:
            assert found([APP, MIDDLE], r=role) == "r"
        else:
            assert refused([APP, MIDDLE], role) == NOT_MATCHED

    def test_all_of_them_hold_together(self) -> None:
        assert found([APP, MIDDLE], r=role_of(ROOT, allowed_dns_sans=("*",), allowed_email_sans=("*",))) == "r"
        assert (
            refused([APP, MIDDLE], role_of(ROOT, allowed_dns_sans=("*",), allowed_email_sans=("x",))) == NOT_MATCHED
        )
        both = ("1.2.3.4.5:hello", "1.2.3.4.6:*")
        assert refused([APP, MIDDLE], role_of(ROOT, required_extensions=both)) == NOT_MATCHED

    def test_a_certificate_without_such_names_is_not_let_in_by_a_pattern_for_all(self) -> None:
        assert refused([LEAF], role_of(LEAF, allowed_dns_sans=("*",))) == INVALID


class TestRevoked:
    def test_neither_the_clients_own_nor_one_on_the_way_counts(self) -> None:
        for each in (APP, MIDDLE):
            assert refused([APP, MIDDLE], role_of(ROOT), (each.certificate.serial_number,)) == NOT_MATCHED
        assert found([APP, MIDDLE], (1, 2), r=role_of(ROOT)) == "r"
        assert refused([LEAF], role_of(LEAF), (LEAF.certificate.serial_number,)) == INVALID

    def test_lists_are_read_in_either_form(self) -> None:
        for encoding in (Encoding.PEM, Encoding.DER):
            read = cert_crls.read(revoking(ROOT, 5, APP.certificate.serial_number).public_bytes(encoding))
            assert read.numbers() == [5, APP.certificate.serial_number]
            assert read.names(5)
            assert not read.names(6)
            assert not read.names(-1)
            assert not read.names(1 << 200)
            assert read.next_update > time.time()

    @given(st.sets(st.integers(1, 2**160 - 1), max_size=30), st.integers(0, 2**160))
    def test_a_search_of_bytes_finds_what_is_there_and_nothing_else(self, numbers: set[int], other: int) -> None:
        raw = b"".join(number.to_bytes(20, "big") for number in sorted(numbers))
        crl = cert_crls.CertCrl(serials=base64.b64encode(raw).decode())
        assert all(map(crl.names, numbers))
        assert crl.names(other) == (other in numbers)
        assert crl.numbers() == sorted(numbers)

    @pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN X509 CRL-----\nAA\n-----END X509 CRL-----"])
    def test_what_is_none_is_refused(self, content: bytes) -> None:
        with pytest.raises(InvalidRequest, match="failed to parse CRL"):
            cert_crls.read(content)

    def test_a_list_is_bounded(self) -> None:
        many = revoking(ROOT, *range(1, cert_crls.MAX_REVOKED + 2)).public_bytes(Encoding.DER)
        with pytest.raises(InvalidRequest, match="at most"):
            cert_crls.read(many)

    def test_one_is_due_once_it_says_that_there_is_another_to_fetch(self) -> None:
        crl = cert_crls.CertCrl(url="https://x", next_update=100.0)
        assert crl.due(100.0)
        assert not crl.due(99.0)
        assert not cert_crls.CertCrl(next_update=100.0).due(200.0)


def revoking(issuer: Identity, *numbers: int) -> x509.CertificateRevocationList:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(now).next_update(now + datetime.timedelta(days=1))
    for number in numbers:
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer.key, hashes.SHA256())


class TestRoles:
    @pytest.mark.parametrize("pem", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
    def test_a_role_needs_a_certificate(self, pem: str) -> None:
        with pytest.raises(InvalidRequest, match="failed to parse certificate"):
            written(None, "r", {"certificate": pem}, (), MOUNT)

    def test_one_of_a_server_is_none(self) -> None:
        server = make("x", usages=[ExtendedKeyUsageOID.SERVER_AUTH])
        with pytest.raises(InvalidRequest, match="nonCA certificates should have TLS client authentication"):
            role_of(server)

    def test_what_a_request_does_not_name_stays(self) -> None:
        first = role_of(ROOT, allowed_dns_sans=("x",), token_policies=("p",))
        second, _ = written(first, "r", {"token_ttl": 60}, (), MOUNT)
        assert (second.certificate, second.allowed_dns_sans) == (first.certificate, ("x",))
        assert (second.parameters.ttl, second.parameters.policies) == (60, ("p",))
        assert second.display_name == "r"

    def test_lists_are_bounded(self) -> None:
        with pytest.raises(InvalidRequest, match="allowed_names: at most 256"):
            role_of(ROOT, allowed_names=("x",) * 257)
        with pytest.raises(InvalidRequest, match="the role takes more than 32768 bytes"):
            role_of(*[ROOT] * 60)

    def test_long_times_are_warned_of(self) -> None:
        _, warnings = written(
            None, "r", {"certificate": ROOT.pem, "token_ttl": 10**8, "token_period": 10**8}, (), MOUNT
        )
        assert [text.split(" of ")[0] for text in warnings] == ["Given ttl", "Given period"]


class TestOutcome:
    def test_metadata_tells_which_certificate_it_was(self) -> None:
        shown = cert_matching.read([APP.der, MIDDLE.der])
        role = role_of(ROOT, allowed_metadata_extensions=("1.2.3.4.5", "1.2.9"), display_name="d")
        outcome = cert_matching.outcome_of(shown, "r", role, alias_metadata=True)
        own = APP.certificate
        key = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex(":")
        issuer = MIDDLE.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex(
            ":"
        )
        assert outcome.metadata == {
            "cert_name": "r",
            "common_name": "app.example.com",
            "serial_number": str(own.serial_number),
            "subject_key_id": key,
            "authority_key_id": issuer,
            "1-2-3-4-5": "hello",
        }
        assert (outcome.alias, outcome.display_name, outcome.alias_metadata) == (
            "app.example.com",
            "d",
            outcome.metadata,
        )
        assert outcome.certificate == own.fingerprint(hashes.SHA256()).hex()
        assert cert_matching.outcome_of(shown, "r", role, alias_metadata=False).alias_metadata == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x0c\x05hello", "hello"),
        (b"\x13\x02hi", "hi"),
        (b"\x16\x02hi", "hi"),
        (b"\x1e\x04\0h\0i", "hi"),
        (b"\x0c\x81\x02hi", "hi"),
        (b"\x0c\x02hi rest", "hi"),
        (b"\x0c\x05hell", None),
        (b"\x04\x02hi", None),
        (b"\x0c\x80hi", None),
        (b"\x0c\x84\0\0\0\x02hi", None),
        (b"\x13\x02h\xff", None),
        (b"\x0c", None),
        (b"", None),
    ],
)
def test_texts_of_extensions_are_read(value: bytes, text: str | None) -> None:
    assert text_in(value) == text


@given(st.binary(max_size=40))
def test_whatever_an_extension_holds_is_a_text_or_none(value: bytes) -> None:
    found = text_in(value)
    assert found is None or isinstance(found, str)
