"""Whether a certificate that a client has shown is one that a role lets in.

OpenSSL verifies (RFC 5280): signatures, times, lengths of paths, constraints of names. Beside that, each certificate
on the way must be one that clients may use, and each that others come from must say that it is an authority. Who is
trusted is the role's alone: neither the system's authorities nor those of another role.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from kms_actors.errors import InvalidRequest
from kms_actors.login.cert import INVALID, MAX_CHAIN, MAX_CHAIN_BYTES, NO_TLS, NOT_MATCHED, NOT_SHOWN, CertRole
from kms_actors.login.cert_reading import (
    alternative_names,
    certificates_in,
    common_name,
    der,
    is_authority,
    issuer_key_id,
    key_id,
    organizational_units,
    read_shown,
    serves_clients,
    texts_of_extensions,
)
from kms_actors.login.glob import any_matches, matches
from kms_actors.login.outcome import Outcome
from kms_actors.untrusted import untrusted

_EXPIRED: Final = "failed to verify client's certificate: x509: certificate has expired or is not yet valid"
_USAGE: Final = "failed to verify client's certificate: x509: certificate specifies an incompatible key usage"
_BROKEN_HASHES: Final = (hashes.MD5, hashes.SHA1)
_OBJECT: Final = re.compile(r"[0-2](\.[0-9]+)+")


class Shown(NamedTuple):
    """What a client has shown: its own certificate, which it has proved to have the key of, and others with it."""

    own: x509.Certificate
    others: tuple[x509.Certificate, ...]

    @property
    def fingerprint(self) -> str:
        """What tells its own certificate from all others."""
        return hashlib.sha256(der(self.own)).hexdigest()


def read(certificates: Sequence[bytes] | None) -> Shown:
    """Read what a client has shown. Raises InvalidRequest."""
    if certificates is None:
        raise InvalidRequest(NO_TLS)
    if not certificates:
        raise InvalidRequest(NOT_SHOWN)
    if len(certificates) > MAX_CHAIN or sum(map(len, certificates)) > MAX_CHAIN_BYTES:
        raise InvalidRequest(f"at most {MAX_CHAIN} certificates of {MAX_CHAIN_BYTES} bytes together may be shown")
    own, *others = (read_shown(each) for each in certificates)
    return Shown(own, tuple(others))


def find(shown: Shown, roles: Mapping[str, CertRole], revoked: Container[int], now: float) -> str:
    """Return the name of the first role that lets a client in. Raises InvalidRequest.

    `revoked` are numbers of certificates that count for nothing, `now` is in seconds since 1970.
    """
    at = datetime.fromtimestamp(now, UTC)
    if not shown.own.not_valid_before_utc <= at <= shown.own.not_valid_after_utc:
        raise InvalidRequest(_EXPIRED)
    why = INVALID
    for name, role in roles.items():
        trusted = certificates_in(role.certificate)
        chain = _chain(shown, trusted, at)
        if chain is None:
            continue
        if not all(map(serves_clients, chain)):
            why = _USAGE if why == INVALID else why
            continue
        if not any(each.serial_number in revoked for each in chain) and _allows(role, shown.own):
            return name
        if is_authority(trusted[0]):
            why = NOT_MATCHED
    raise InvalidRequest(why)


def outcome_of(shown: Shown, name: str, role: CertRole, *, alias_metadata: bool) -> Outcome:
    """Return what a login has proved. Raises InvalidRequest where the certificate names nobody."""
    own = shown.own
    alias = common_name(own)
    if not alias:
        raise InvalidRequest("the client's certificate has no common name")
    metadata = {
        "cert_name": name,
        "common_name": alias,
        "serial_number": str(own.serial_number),
        "subject_key_id": key_id(own),
        "authority_key_id": issuer_key_id(own),
    }
    if role.allowed_metadata_extensions:
        texts = texts_of_extensions(own)
        for identifier in role.allowed_metadata_extensions:
            if identifier in texts:
                metadata[identifier.replace(".", "-")] = texts[identifier] or ""
    return Outcome(
        alias=alias,
        display_name=role.display_name,
        metadata=metadata,
        alias_metadata=metadata if alias_metadata else {},
        parameters=role.parameters,
        role=name,
        certificate=shown.fingerprint,
    )


def _chain(shown: Shown, trusted: Sequence[x509.Certificate], at: datetime) -> list[x509.Certificate] | None:
    """Return the way from a client's certificate to what a role trusts; None if there is none."""
    if not is_authority(trusted[0]):
        # It is trusted by itself: no other of the same key, name or number is.
        return [shown.own] if der(trusted[0]) == der(shown.own) else None
    if not _may_lead(shown, trusted):
        return None
    from OpenSSL import crypto  # noqa: PLC0415 - memory and time of those who log in so

    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(at.replace(tzinfo=None))
    with untrusted("the client's certificate cannot be read"):  # OpenSSL takes less than the library of before
        for each in trusted:
            store.add_cert(crypto.X509.from_cryptography(each))
        own, *others = (crypto.X509.from_cryptography(each) for each in (shown.own, *shown.others))
        context = crypto.X509StoreContext(store, own, others)
    try:
        found = [each.to_cryptography() for each in context.get_verified_chain()]
    except crypto.X509StoreContextError:
        return None
    return found if _holds(found, trusted) else None


def _may_lead(shown: Shown, trusted: Sequence[x509.Certificate]) -> bool:
    """Tell whether a way is worth looking for: most roles of a search trust others."""
    issuers = {shown.own.issuer, *(other.issuer for other in shown.others)}
    return any(each.subject in issuers or each == shown.own for each in trusted)


def _holds(chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]) -> bool:
    """Tell whether a verified way ends at what is trusted, and by nothing that is weak."""
    if chain[-1] not in trusted or not all(map(is_authority, chain[1:])):
        return False
    return not any(isinstance(each.signature_hash_algorithm, _BROKEN_HASHES) for each in chain[:-1])


def _allows(role: CertRole, own: x509.Certificate) -> bool:
    """Tell whether a certificate meets all that a role wants of its names and extensions."""
    name = common_name(own)
    dns, email, uris = (
        alternative_names(own, kind) for kind in (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier)
    )
    wanted = (
        (role.allowed_names, [name, *dns, *email]),
        (role.allowed_common_names, [name]),
        (role.allowed_dns_sans, dns),
        (role.allowed_email_sans, email),
        (role.allowed_uri_sans, uris),
        (role.allowed_organizational_units, organizational_units(own)),
    )
    for patterns, names in wanted:
        if patterns and not any(any_matches(patterns, each) for each in names):
            return False
    return not role.required_extensions or _has_extensions(role.required_extensions, own)


def _has_extensions(required: Sequence[str], own: x509.Certificate) -> bool:
    texts = texts_of_extensions(own)
    for entry in required:
        identifier, colon, pattern = entry.partition(":")
        text = texts.get(identifier) if _OBJECT.fullmatch(identifier) else None
        if not colon or text is None or not matches(pattern, text):
            return False
    return True
