"""Service tokens: short, opaque, stored. The initial root token and what `auth/token/create` returns.

A token is `hvs.` and 24 base62 characters: six are the tenant's integer, so that any node knows where to look,
eighteen are random (107 bits). The store holds only hashes, under the tenant: its record lies under a keyed one, and
a `TokenProof` under a plain one, which is all that tells a good token from a made-up one while the tenant is sealed.

Who has sudo may choose the text of a token himself, in the one vault that texts without an integer are of. It may be
one that can be guessed, so it has no proof: whoever has a copy of the store could try texts with it.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import re
import string
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from kms_actors.auth.principal import Access, Acl, Principal, Right
from kms_actors.keyring import stored

PREFIX: Final = "hvs."
#: The one policy of wrapping tokens, which no other token has.
RESPONSE_WRAPPING: Final = "response-wrapping"

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: A character for each byte. Those of 248 (4 * 62) and above are thrown away, since they would favour some.
_CHARACTERS: Final = bytes(ord(_ALPHABET[byte % 62]) for byte in range(256))
_THROWN_AWAY: Final = bytes(range(248, 256))
_TENANT_LENGTH: Final = 6
_RANDOM_LENGTH: Final = 18
_ACCESSOR_LENGTH: Final = 24
_TOKEN: Final = re.compile(r"hvs\.([0-9A-Za-z]{6})[0-9A-Za-z]{18}", re.ASCII)
#: Characters of a chosen token: any that print but space and dot. All others have a dot, or are longer biscuits.
MIN_CHOSEN: Final = 20
MAX_CHOSEN: Final = 128
_CHOSEN: Final = re.compile(rf"[!-\-/-~]{{{MIN_CHOSEN},{MAX_CHOSEN}}}", re.ASCII)


class ServiceToken(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a token, beside its hash. Times are in seconds since 1970, durations in seconds."""

    accessor: str
    right: Right
    policies: tuple[str, ...]
    display_name: str
    created: float
    path: str  # of the request that made it: `auth/token/root`, `auth/token/create`
    expires_at: float | None = None
    creation_ttl: int = 0
    explicit_max_ttl: int = 0
    period: int = 0
    num_uses: int = 0
    renewable: bool = False
    orphan: bool = True
    parent: str | None = None  # accessor of the token that made it; revoked with it
    metadata: dict[str, str] | None = None
    line: tuple[str, ...] = ()  # accessors of all its parents, the nearest last
    mount: int | None = None  # number of the login mount that gave it; ends with that
    mount_moves: int = 0  # how often that had been moved; but for batch tokens, it ends with the next move
    under: str = ""  # text of the biscuit that made it, which it never exceeds
    bound_cidrs: tuple[str, ...] = ()
    entity_id: str = ""
    role: str = ""
    renewed: float | None = None
    max_ttl: int = 0  # of a role of logins
    not_after: float | None = None  # when it ends at the latest
    certificate: str = ""  # SHA-256, in hexadecimal, of the one that its login showed
    indexed: bool = False  # whether its accessor has a record; those of older programs get one when they are used
    chosen: bool = False  # whether its text is its maker's: then it has no proof, and may come again
    format: int = stored.FORMAT

    @classmethod
    def root(cls, created: float, random: Callable[[int], bytes] = os.urandom) -> ServiceToken:
        """Return the record of a root token: no end, all policies."""
        return cls(
            accessor=new_accessor(random),
            right=Right.ROOT,
            policies=("root",),
            display_name="root",
            created=created,
            path="auth/token/root",
            indexed=True,
        )

    @classmethod
    def decode(cls, raw: bytes) -> ServiceToken:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "service token record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    @property
    def wraps(self) -> bool:
        """Whether it is a wrapping token."""
        return self.policies == (RESPONSE_WRAPPING,)

    @property
    def moves(self) -> int | None:
        """How often its mount must have been moved, that it is good; None: it does not matter."""
        return self.mount_moves if self.accessor else None  # a batch token has no accessor

    def expired(self, now: float) -> bool:
        """Tell whether the token has ended."""
        return self.expires_at is not None and now >= self.expires_at

    def __repr__(self) -> str:
        return f"<ServiceToken with right {self.right.value}>"


class TokenProof(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token without its tenant's keyring. Times are in seconds since 1970."""

    right: Right
    created: float
    expires_at: float | None = None
    format: int = stored.FORMAT

    @classmethod
    def of(cls, token: ServiceToken) -> TokenProof:
        """Return the proof that belongs to a record.

        What else bounds a token is not known of a sealed tenant. So one that is bounded has no right there.
        """
        bounded = token.line or token.under or token.bound_cidrs or token.num_uses or token.mount is not None
        right = Right.POLICY if bounded else token.right
        return cls(right=right, created=token.created, expires_at=token.expires_at)

    @classmethod
    def decode(cls, raw: bytes) -> TokenProof:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "service token proof")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def principal(self, resource: str) -> ServicePrincipal:
        """Return who bears the token in a sealed tenant, where the rest of its record cannot be read."""
        root = self.right is Right.ROOT
        record = ServiceToken(
            accessor="",
            right=self.right,
            policies=("root",) if root else (),
            display_name="root" if root else "token",
            created=self.created,
            path="auth/token/root" if root else "auth/token/create",
            expires_at=self.expires_at,
        )
        return ServicePrincipal(record, resource)


class Checks(Protocol):
    """What holders have added to a batch token."""

    @property
    def narrowed(self) -> bool: ...

    @property
    def expires_at(self) -> float | None: ...

    def allows(self, access: Access) -> bool: ...


class ServicePrincipal:
    """The bearer of a service token, in the vault `resource`. Implements `Principal`.

    `acl` is what its policies give, for a token that has no right by itself; `under` is who made it, where it must
    never do more than that one. `identity_policies` are those of its entity, and `entity` is that one's id, with the
    stamp of what it gives. `spent` tells that this was the last of its uses. `checks` are those of a batch
    token, which says itself what is the record here, and is stored nowhere.
    """

    __slots__ = ("acl", "checks", "entity", "identity_policies", "record", "resource", "spent", "under")

    revocation_ids: Final[tuple[str, ...]] = ()

    def __init__(
        self,
        record: ServiceToken,
        resource: str,
        acl: Acl | None = None,
        under: Principal | None = None,
        *,
        identity_policies: tuple[str, ...] = (),
        entity: tuple[str, bytes] = ("", b""),
        spent: bool = False,
        checks: Checks | None = None,
    ) -> None:
        self.record: Final = record
        self.resource: Final = resource
        self.acl: Final = acl
        self.under: Final = under
        self.identity_policies: Final = identity_policies
        self.entity: Final = entity
        self.spent: Final = spent
        self.checks: Final = checks

    @property
    def batch(self) -> bool:
        """Whether it is a batch token."""
        return self.checks is not None

    @property
    def narrowed(self) -> bool:
        return self.checks is not None and self.checks.narrowed

    @property
    def right(self) -> Right:
        return self.record.right

    @property
    def policies(self) -> tuple[str, ...]:
        return self.record.policies

    @property
    def accessor(self) -> str:
        return self.record.accessor

    @property
    def display_name(self) -> str:
        return self.record.display_name

    @property
    def metadata(self) -> dict[str, str] | None:
        return self.record.metadata

    @property
    def issued_at(self) -> int:
        return int(self.record.created)

    @property
    def expires_at(self) -> float | None:
        ends = self.record.expires_at
        earlier = None if self.checks is None else self.checks.expires_at
        return ends if earlier is None else earlier if ends is None else min(ends, earlier)

    def allows(self, access: Access) -> bool:
        """Tell whether the token still lives, and what its holders have added to a batch token."""
        return not self.record.expired(access.time) and (self.checks is None or self.checks.allows(access))

    def made_by(self, under: Principal) -> ServicePrincipal:
        """Return the same bearer, who never does more than `under`."""
        return ServicePrincipal(
            self.record,
            self.resource,
            self.acl,
            under,
            identity_policies=self.identity_policies,
            entity=self.entity,
            spent=self.spent,
            checks=self.checks,
        )

    def __repr__(self) -> str:
        return f"<ServicePrincipal of {self.resource} with right {self.right.value}>"


def new_service_token(tenant: int, random: Callable[[int], bytes] = os.urandom) -> str:
    """Return a new token of the tenant with this integer (0 … 62⁶ - 1)."""
    return PREFIX + base62(tenant) + _random_text(_RANDOM_LENGTH, random)


def new_accessor(random: Callable[[int], bytes] = os.urandom) -> str:
    """Return a new accessor: 24 base62 characters that name a token without giving it."""
    return _random_text(_ACCESSOR_LENGTH, random)


def tenant_of(token: str) -> int | None:
    """Return the tenant's integer in a service token; None for anything else."""
    match = _TOKEN.fullmatch(token)
    return None if match is None else number_of(match[1])


def is_chosen(token: str) -> bool:
    """Tell whether somebody may have chosen this as a token's text."""
    return len(token) <= MAX_CHOSEN and _CHOSEN.fullmatch(token) is not None


@functools.lru_cache(maxsize=1024)
def number_of(text: str) -> int:
    """Return the integer that base62 characters stand for."""
    number = 0
    for character in text:
        number = number * 62 + _ALPHABET.index(character)
    return number


def token_hash(key: bytes, token: str) -> bytes:
    """Return what a token is stored and found under: HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, token.encode(), "sha256")


def proof_digest(token: str) -> bytes:
    """Return what a token's proof is stored under: SHA-256, 32 bytes. No key: 107 random bits are not guessed."""
    return hashlib.sha256(b"clever-kms service token\0" + token.encode()).digest()


@functools.lru_cache(maxsize=1024)
def base62(tenant: int) -> str:
    """Return a tenant's integer as six characters."""
    if not 0 <= tenant < 62**_TENANT_LENGTH:
        raise ValueError("tenant integer out of range")
    return "".join(_ALPHABET[tenant // 62**place % 62] for place in reversed(range(_TENANT_LENGTH)))


def _random_text(length: int, random: Callable[[int], bytes]) -> str:
    """Return uniform base62."""
    text = b""
    while len(text) < length:
        text += random(length).translate(_CHARACTERS, _THROWN_AWAY)
    return text[:length].decode()
