"""Batch tokens: biscuits that a vault signs itself, and stores nowhere.

`hvb.` and six base62 characters of the tenant's integer, as in service tokens, so that any node knows where to look;
then a biscuit in URL-safe base64. Its authority block says what the record of a service token would, and ends by a
check; the key that signs it is derived from the vault's keyring. Holders narrow it as any biscuit: blocks behind the
first may have checks, which are run as those of other biscuits, and facts that nobody believes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from biscuit_auth import Biscuit, PublicKey, Rule
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.auth import authority, cost, datalog, service_token, wire
from kms_actors.auth.authority import Fact
from kms_actors.auth.checks import BiscuitPrincipal
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import ServiceToken
from kms_actors.auth.wire import TokenRefused
from kms_actors.errors import InvalidRequest

PREFIX: Final = "hvb."
#: What the vault's issuing key is derived by.
LABEL: Final = b"batch token issuer"
#: Of the facts below; another one is refused.
FORMAT: Final = 1
#: Facts in a token: the library takes a thousand, and those of a request come in addition.
MAX_FACTS: Final = 400

_CREATED: Final = "created"
_HEAD: Final = re.compile(r"hvb\.([0-9A-Za-z]{6})", re.ASCII)
_HEAD_LENGTH: Final = len(PREFIX) + 6
#: A public key that verifies nothing here: that of nobody.
_NOBODY: Final = Ed25519PrivateKey.generate().public_key().public_bytes_raw()


class BatchToken(NamedTuple):
    """What a batch token says, and the checks that its holders have added."""

    record: ServiceToken
    checks: BiscuitPrincipal


def tenant_of(token: str) -> int | None:
    """Return the tenant's integer in a batch token; None for anything else."""
    match = _HEAD.match(token)
    return None if match is None else service_token.number_of(match[1])


def split(token: str) -> tuple[str, str]:
    """Return what stands before the biscuit, and the biscuit."""
    place = _HEAD_LENGTH if tenant_of(token) is not None else 0
    return token[:place], token[place:]


def public_key(seed: bytes) -> bytes:
    """Return the public key of an issuing key: 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def build(seed: bytes, public: bytes, tenant: int, record: ServiceToken) -> str:
    """Return a batch token that says what `record` does, signed by an issuing key: its seed, and its public key.

    Raises:
        InvalidRequest: it would be longer than a server takes.

    """
    facts = _told(record)
    assert record.expires_at is not None  # no batch token is without end
    return _signed(_head(tenant), authority.payload(facts, int(record.expires_at)), seed, public)


def has_room(ends: int) -> bool:
    """Tell whether a template has room for a token that ends then, in seconds since 1970."""
    return authority.EARLIEST <= ends <= authority.LATEST


class Template:
    """Batch tokens of one record that differ in when they are made, and so in when they end."""

    __slots__ = ("_block", "_head", "_ttl")

    def __init__(self, tenant: int, record: ServiceToken) -> None:
        """Raise InvalidRequest for what no token says."""
        self._head: Final = _head(tenant)
        self._ttl: Final = record.creation_ttl
        self._block: Final = authority.Template(_told(record), _CREATED)

    def build(self, seed: bytes, public: bytes, created: int) -> str:
        """Return one that is made at `created`, in seconds since 1970; see `build`. It holds no key."""
        return _signed(self._head, self._block.payload(created, created + self._ttl), seed, public)


def _told(record: ServiceToken) -> list[Fact]:
    facts = list(_facts(record))
    if len(facts) > MAX_FACTS:
        raise InvalidRequest("a batch token with so many policies, metadata and addresses cannot be made")
    return facts


def _head(tenant: int) -> str:
    return PREFIX + service_token.base62(tenant)


def _signed(head: str, block: bytes, seed: bytes, public: bytes) -> str:
    text = head + wire.encode(authority.sign(block, seed, public))
    if len(text) > wire.MAX_TOKEN_LENGTH:
        raise InvalidRequest("a batch token that says so much cannot be made: it would be longer than servers take")
    return text


def is_signed_by(token: str, key: bytes | None) -> bool:
    """Tell whether an issuing key has signed a token. It takes as long where there is no key (None)."""
    try:
        datalog.contained("", partial(_verified, token, key or _NOBODY))
    except TokenRefused:
        return False
    return key is not None


def read(token: str, key: bytes, vault_id: str, service: str) -> BatchToken:
    """Return what a token of this vault says, which the issuing key of this public key has signed.

    Raises:
        TokenRefused: it has not, or what is said is nothing that a vault says.

    """
    return datalog.contained("token cannot be read", lambda: _read(token, key, vault_id, service))


def _verified(token: str, key: bytes) -> tuple[wire.Token, Biscuit]:
    if len(token) > wire.MAX_TOKEN_LENGTH:
        raise TokenRefused("token is too long")
    raw = wire.decode(split(token)[1])
    parsed = wire.parse(raw)
    if any(block.signer is not None for block in parsed.blocks):
        raise TokenRefused("a batch token with the block of another")
    return parsed, Biscuit.from_bytes(raw, PublicKey(f"ed25519/{key.hex()}"))


def _read(token: str, key: bytes, vault_id: str, service: str) -> BatchToken:
    parsed, biscuit = _verified(token, key)
    cost.require_cheap(parsed, issuers=1)
    record = _Claims(biscuit).record()
    checks = BiscuitPrincipal(
        biscuit,
        vault_id,
        record.right,
        None,
        service,
        revocation_ids=biscuit.revocation_ids,
        policies=record.policies,
        issuers=1,
    )
    return BatchToken(record, checks)


def _facts(record: ServiceToken) -> Iterator[Fact]:
    """Yield the facts of a token: a name, and strings or integers."""
    yield "batch_token", (FORMAT,)
    yield "right", (record.right.value,)
    yield "display_name", (record.display_name,)
    yield "path", (record.path,)
    yield _CREATED, (int(record.created),)
    yield "ttl", (record.creation_ttl,)
    for policy in record.policies:
        yield "policy", (policy,)
    for name, value in (record.metadata or {}).items():
        yield "metadata", (name, value)
    for block in record.bound_cidrs:
        yield "bound_cidr", (block,)
    for number, accessor in enumerate(record.line):
        yield "parent", (number, accessor)
    for name in ("entity_id", "role", "under"):
        if value := getattr(record, name):
            yield name, (value,)
    if record.mount is not None:
        yield "mount_number", (record.mount,)


class _Claims:
    """The facts of the authority block: of no other does an authorizer know."""

    def __init__(self, biscuit: Biscuit) -> None:
        self._authorizer = datalog.authorizer("allow if true").build(biscuit)

    def record(self) -> ServiceToken:
        if self._one("batch_token") != FORMAT:
            raise TokenRefused("a batch token of another format")
        right = Right(self._text("right"))
        if right not in (Right.POLICY, Right.DATA):
            raise TokenRefused("a batch token of another right")
        line = tuple(str(accessor) for _, accessor in sorted(self._all("parent", 2)))
        under, created, ttl = self._text("under"), self._number(_CREATED), self._number("ttl")
        return ServiceToken(
            accessor="",
            right=right,
            policies=tuple(sorted(str(name) for (name,) in self._all("policy"))),
            display_name=self._text("display_name"),
            created=float(created),
            path=self._text("path"),
            expires_at=float(created + ttl),
            creation_ttl=ttl,
            orphan=not line and not under,
            parent=line[-1] if line else None,
            metadata={str(name): str(value) for name, value in self._all("metadata", 2)} or None,
            line=line,
            mount=self._number("mount_number") if self._all("mount_number") else None,
            under=under,
            bound_cidrs=tuple(str(block) for (block,) in self._all("bound_cidr")),
            entity_id=self._text("entity_id"),
            role=self._text("role"),
            indexed=True,
        )

    def _text(self, name: str) -> str:
        value = self._one(name)
        return "" if value is None else str(value)

    def _number(self, name: str) -> int:
        value = self._one(name)
        if not isinstance(value, int):
            raise TokenRefused("a batch token without a number")
        return value

    def _one(self, name: str) -> Any:
        found = self._all(name)
        if len(found) > 1:
            raise TokenRefused("a batch token that says something twice")
        return found[0][0] if found else None

    def _all(self, name: str, arity: int = 1) -> list[tuple[Any, ...]]:
        terms = ", ".join(f"$x{place}" for place in range(arity))
        return [tuple(fact.terms) for fact in self._authorizer.query(Rule(f"found({terms}) <- {name}({terms})"))]
