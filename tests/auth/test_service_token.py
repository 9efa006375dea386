from __future__ import annotations

import hashlib
import hmac
import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth.principal import Access, Capability, Principal, Right
from kms_actors.auth.self_service import is_self_service
from kms_actors.auth.service_token import (
    ServicePrincipal,
    ServiceToken,
    TokenProof,
    is_chosen,
    new_accessor,
    new_service_token,
    proof_digest,
    tenant_of,
    token_hash,
)
from kms_actors.errors import FormatError

LAST = 62**6 - 1


@given(st.integers(0, LAST))
def test_a_token_names_its_tenant(tenant: int) -> None:
    token = new_service_token(tenant)
    assert len(token) == 28
    assert token[4:].isalnum()
    assert token.isascii()
    assert tenant_of(token) == tenant


@pytest.mark.parametrize("tenant", [-1, LAST + 1])
def test_a_tenant_out_of_range_is_refused(tenant: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        new_service_token(tenant)


@pytest.mark.parametrize(
    "token",
    [
        *("", "hvs.", "hvs." + "0" * 23, "hvs." + "0" * 25, "s." + "0" * 26, "HVS." + "0" * 24),
        *(
            "hvs." + "0" * 23 + "-",
            "hvs." + "0" * 24 + "\n",
            " hvs." + "0" * 24,
            "hvs." + "é" * 24,
            "hvs." + "٣" * 24,
        ),
    ],
)
def test_anything_else_names_no_tenant(token: str) -> None:
    assert tenant_of(token) is None


@given(st.text())
def test_any_text_is_no_error(text: str) -> None:
    assert tenant_of(text) is None
    assert len(token_hash(b"k" * 32, f"hvs.{text}")) == 32


def test_random_characters_are_uniform() -> None:
    """Each of the 248 bytes that are used gives each character four times; the rest is thrown away."""
    stream = itertools.cycle(range(256))
    drawn = [new_accessor(lambda n: bytes(next(stream) for _ in range(n))) for _ in range(62)]
    counts = {character: "".join(drawn).count(character) for character in set("".join(drawn))}
    assert len(counts) == 62
    assert max(counts.values()) - min(counts.values()) <= 6
    assert new_service_token(1, lambda n: b"\xff" * (n - 1) + b"\x00")[10:] == "0" * 18


def test_tokens_differ() -> None:
    assert len({new_service_token(5) for _ in range(100)}) == 100


def test_the_hash_is_keyed() -> None:
    expected = hmac.new(b"k" * 32, b"hvs.x", hashlib.sha256).digest()
    assert token_hash(b"k" * 32, "hvs.x") == expected
    assert token_hash(b"l" * 32, "hvs.x") != expected


RECORD = ServiceToken(
    accessor="A" * 24,
    right=Right.DATA,
    policies=("default", "app"),
    display_name="token",
    created=1_800_000_000.5,
    expires_at=1_800_003_600.5,
    creation_ttl=3600,
    renewable=True,
    orphan=False,
    parent="B" * 24,
    path="auth/token/create",
    metadata={"who": "canary"},
)


def test_a_record_is_read_as_it_was_written() -> None:
    assert ServiceToken.decode(RECORD.encode()) == RECORD
    root = ServiceToken.root(5.0)
    assert ServiceToken.decode(root.encode()) == root
    assert (root.policies, root.right, root.expires_at, root.orphan) == (("root",), Right.ROOT, None, True)


#: Written by programs that knew less of a token: it must decode for ever.
FIRST = (
    b'{"accessor":"AAAAAAAAAAAAAAAAAAAAAAAA","right":"data","policies":["default","app"],'
    b'"display_name":"token","created":1800000000.5,"path":"auth/token/create","expires_at":1800003600.5,'
    b'"creation_ttl":3600,"explicit_max_ttl":0,"period":0,"num_uses":0,"renewable":true,"orphan":false,'
    b'"parent":"BBBBBBBBBBBBBBBBBBBBBBBB","metadata":{"who":"canary"},"format":1}'
)
#: What they wrote before mounts were moved, logins showed certificates, and texts were chosen.
UNMOVED = (
    FIRST.removesuffix(b',"format":1}')
    + b',"line":["BBBBBBBBBBBBBBBBBBBBBBBB"],"mount":7,"under":"En0KEw","bound_cidrs":["10.0.0.0/8"],'
    b'"entity_id":"e","role":"r","renewed":1800000001.5,"max_ttl":7200,"not_after":1800009000.5,"indexed":true,"format":1}'
)
#: What they write now.
GOLDEN = UNMOVED.replace(b'"mount":7,', b'"mount":7,"mount_moves":0,').replace(
    b'"indexed":true', b'"certificate":"","indexed":true,"chosen":false'
)
FULL = msgspec.structs.replace(
    RECORD,
    line=("B" * 24,),
    mount=7,
    under="En0KEw",
    bound_cidrs=("10.0.0.0/8",),
    entity_id="e",
    role="r",
    renewed=1_800_000_001.5,
    max_ttl=7200,
    not_after=1_800_009_000.5,
    indexed=True,
)


def test_stored_bytes_stay_readable() -> None:
    assert ServiceToken.decode(FIRST) == RECORD
    assert ServiceToken.decode(UNMOVED) == ServiceToken.decode(GOLDEN) == FULL
    assert FULL.encode() == GOLDEN


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b'{"format":2}', b'{"format":1}'])
def test_what_is_no_record_is_a_format_error(raw: bytes) -> None:
    with pytest.raises(FormatError):
        ServiceToken.decode(raw)


def test_the_principal_of_a_record() -> None:
    principal: Principal = ServicePrincipal(RECORD, "vault_1")
    assert (principal.resource, principal.right, principal.policies) == ("vault_1", Right.DATA, ("default", "app"))
    assert (principal.accessor, principal.display_name) == ("A" * 24, "token")
    assert (principal.issued_at, principal.expires_at) == (1_800_000_000, 1_800_003_600.5)
    assert (principal.metadata, principal.revocation_ids) == ({"who": "canary"}, ())


def test_a_service_token_allows_everything_until_it_ends() -> None:
    def use(time: float) -> Access:
        return Access(operation=Capability.SUDO, path="x", mount="", method="GET", client_ip="", time=time)

    assert ServicePrincipal(RECORD, "v").allows(use(1_800_003_600.4))
    assert not ServicePrincipal(RECORD, "v").allows(use(1_800_003_600.5))
    assert ServicePrincipal(ServiceToken.root(0.0), "v").allows(use(9e9))


def test_no_repr_shows_what_a_record_holds() -> None:
    shown = repr((RECORD, ServicePrincipal(RECORD, "v")))
    assert "canary" not in shown
    assert "A" * 24 not in shown


@pytest.mark.parametrize(
    ("path", "free"),
    [
        ("auth/token/lookup-self", True),
        ("sys/internal/ui/mounts", True),
        ("sys/internal/ui/mounts/secret/app/x", True),
        ("sys/capabilities-self", True),
        ("sys/internal/ui/mountsx", False),
        ("auth/token/lookup-self/", False),
        ("auth/token/create", False),
        ("sys/seal", False),
        ("secret/data/auth/token/lookup-self", False),
        ("", False),
    ],
)
def test_self_service_paths_are_few(path: str, free: bool) -> None:
    assert is_self_service(path) is free


class TestProof:
    #: Written by format 1: it must decode for ever.
    GOLDEN = b'{"right":"root","created":1795503611.5,"expires_at":null,"format":1}'

    def test_stored_bytes_stay_readable(self) -> None:
        proof = TokenProof(right=Right.ROOT, created=1_795_503_611.5)
        assert proof.encode() == self.GOLDEN
        assert TokenProof.decode(self.GOLDEN) == proof

    @pytest.mark.parametrize("raw", [b"", b"{}", GOLDEN.replace(b'"format":1', b'"format":2'), b"\xff"])
    def test_other_bytes_are_format_errors(self, raw: bytes) -> None:
        with pytest.raises(FormatError):
            TokenProof.decode(raw)

    def test_says_of_a_token_what_its_record_does(self) -> None:
        record = ServiceToken.root(5.0)
        bearer = TokenProof.of(record).principal("vault_a")
        own = ServicePrincipal(record, "vault_a")
        for name in ("right", "policies", "display_name", "issued_at", "expires_at", "resource"):
            assert getattr(bearer, name) == getattr(own, name)

    @pytest.mark.parametrize(
        "bound",
        [
            {"line": ("B" * 24,)},
            {"mount": 7},
            {"under": "En0KEw"},
            {"bound_cidrs": ("10.0.0.0/8",)},
            {"num_uses": 3},
        ],
    )
    def test_gives_no_right_to_what_is_bounded_by_more_than_it_says(self, bound: dict[str, object]) -> None:
        record = msgspec.structs.replace(ServiceToken.root(5.0), **bound)
        bearer = TokenProof.of(record).principal("vault_a")
        assert (bearer.right, bearer.acl) == (Right.POLICY, None)

    def test_digests_tell_tokens_apart_and_are_for_proofs_alone(self) -> None:
        tokens = [new_service_token(7) for _ in range(8)]
        digests = {proof_digest(token) for token in tokens}
        assert len(digests) == 8
        assert all(len(digest) == 32 for digest in digests)
        assert hashlib.sha256(tokens[0].encode()).digest() not in digests


def test_no_other_token_is_taken_for_a_chosen_one() -> None:
    assert is_chosen("a-text-of-ones-own/+=~!")
    for token in (new_service_token(7), "hvb.000007" + "a" * 100, "a.b.c" * 5, "x" * 129, "x" * 19, "x y" * 10, ""):
        assert not is_chosen(token)
        assert tenant_of("a-text-of-ones-own/+=~!") is None
