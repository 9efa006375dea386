"""AppRole: roles for machines, and secret ids that they log in with. The rules; `approle_messages` has the requests.

Source: Vault's API page `auth/approle`. Times are nanoseconds since 1970, durations seconds; 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from kms_actors.auth import cidrs
from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.login import pairs
from kms_actors.login.outcome import Outcome
from kms_actors.login.parameters import MAX_SECONDS, MAX_USES, TokenParameters, changed, respelled
from kms_actors.mounts import SYSTEM_LEASE_TTL

FAILED: Final = "invalid role or secret ID"
NO_SECRET_ID: Final = "missing secret_id"  # noqa: S105  # a text
#: Characters of a role id, which names an alias; and of a secret id that somebody chose.
MAX_ROLE_ID: Final = 512
MAX_SECRET_ID: Final = 4096

_SECOND: Final = 10**9
_OWN: Final = ("role_id", "bind_secret_id", "secret_id_num_uses", "secret_id_ttl", "secret_id_bound_cidrs")
_PERIOD: Final = "token_period"
_TRUNCATED: Final = (
    "token_max_ttl is greater than the backend mount's maximum TTL value; "
    "issued tokens' max TTL value will be truncated"
)
_SUBSET: Final = (
    "failed to verify subset relationship between CIDR blocks on the role and CIDR blocks on the secret ID"
)


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """One role."""

    role_id: str
    bind_secret_id: bool = True
    secret_id_num_uses: int = 0
    secret_id_ttl: int = 0
    secret_id_bound_cidrs: tuple[str, ...] = ()
    local_secret_ids: bool = False  # kept and shown: there are no replicas that it could concern
    parameters: TokenParameters = TokenParameters()
    spelled: tuple[str, ...] = ()  # fields of the token that were set by their older names
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> Role:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "role record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def __repr__(self) -> str:
        return "<Role>"


class RoleId(msgspec.Struct, frozen=True, kw_only=True):
    """Which role a role id is of."""

    role: str
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> RoleId:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "role id record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)


class SecretId(msgspec.Struct, frozen=True, kw_only=True):
    """One secret id, which lies under a keyed hash of its text. `uses` are those left; 0: without bound."""

    accessor: str
    created: int
    updated: int
    uses: int = 0
    ttl: int = 0  # as was asked for; it may have been cut for `ends`
    ends: int = 0
    metadata: dict[str, str] = {}
    cidrs: tuple[str, ...] = ()
    token_cidrs: tuple[str, ...] = ()
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> SecretId:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "secret id record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def ended(self, now: int) -> bool:
        """Tell whether it counts no more."""
        return 0 < self.ends <= now

    def __repr__(self) -> str:
        return "<SecretId>"


class SecretIdAccessor(msgspec.Struct, frozen=True, kw_only=True):
    """Where the secret id lies that an accessor names: its keyed hash."""

    hash: bytes
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> SecretIdAccessor:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "secret id accessor record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)


class Written(NamedTuple):
    """A role as a request leaves it, and what its sender is told."""

    role: Role
    warnings: tuple[str, ...]


def write(
    before: Role | None,
    sent: Mapping[str, Any],
    older: tuple[str, ...],
    new_role_id: str,
    longest: int = SYSTEM_LEASE_TTL,
    *,
    alone: bool = False,
) -> Written:
    """Return a role with what a request says: converted fields of a role, and `token_…` fields.

    `older` are those fields of the token that came by older names; `new_role_id` is what a new role has; `longest` is
    the most seconds a token of the mount lives; `alone` says that the request is for the path of one field. Raises
    InvalidRequest, naming the field.
    """
    role = before or Role(role_id=new_role_id)
    after = changed(role.parameters, sent, adjust_type=True)
    warnings = after.warnings
    if after.parameters.period > longest and _PERIOD in (sent if alone else older):
        raise InvalidRequest("period is greater than the backend's maximum lease TTL")
    if after.parameters.max_ttl > longest and not alone:
        warnings += (_TRUNCATED,)
    if "local_secret_ids" in sent:
        if before is not None:
            raise InvalidRequest("local_secret_ids can only be modified during role creation")
        role = msgspec.structs.replace(role, local_secret_ids=sent["local_secret_ids"])
    role = msgspec.structs.replace(
        role,
        **{name: sent[name] for name in _OWN if name in sent},
        parameters=after.parameters,
        spelled=respelled(role.spelled, sent, older),
    )
    _check(role)
    return Written(role, warnings)


def _check(role: Role) -> None:
    if not 0 < len(role.role_id) <= MAX_ROLE_ID:
        raise InvalidRequest("invalid role_id supplied, or failed to generate a role_id")
    cidrs.check_blocks("secret_id_bound_cidrs", role.secret_id_bound_cidrs)
    if role.secret_id_num_uses < 0:
        raise InvalidRequest("secret_id_num_uses cannot be negative")
    if role.secret_id_num_uses > MAX_USES or role.secret_id_ttl > MAX_SECONDS:
        raise InvalidRequest(f"secret_id_num_uses is at most {MAX_USES}, secret_id_ttl at most {MAX_SECONDS} seconds")
    if not (role.bind_secret_id or role.secret_id_bound_cidrs or role.parameters.bound_cidrs):
        raise InvalidRequest("at least one constraint should be enabled on the role")


def make_secret_id(role: Role, sent: Mapping[str, Any], accessor: str, now: int, most: int) -> SecretId:
    """Return a secret id that a request for one asks for; no longer than `most` seconds. Raises InvalidRequest.

    Of `sent`, `num_uses` and `ttl` are what the role says where they are absent; `metadata` is a text of pairs.
    """
    if not role.bind_secret_id:
        raise InvalidRequest("bind_secret_id is not set on the role")
    blocks, of_token = sent.get("cidr_list", ()), sent.get("token_bound_cidrs", ())
    for field, inner, outer in (
        ("cidr_list", blocks, role.secret_id_bound_cidrs),
        ("token_bound_cidrs", of_token, role.parameters.bound_cidrs),
    ):
        cidrs.check_blocks(field, inner)
        if not cidrs.within(inner, outer):
            raise InvalidRequest(_SUBSET)
    uses, ttl = sent.get("num_uses", role.secret_id_num_uses), sent.get("ttl", role.secret_id_ttl)
    if uses < 0:
        raise InvalidRequest("num_uses cannot be negative")
    if uses > MAX_USES or (role.secret_id_num_uses and not 0 < uses <= role.secret_id_num_uses):
        raise InvalidRequest("num_uses cannot be higher than the role's secret_id_num_uses")
    if ttl > MAX_SECONDS or (role.secret_id_ttl and not 0 < ttl <= role.secret_id_ttl):
        raise InvalidRequest("ttl cannot be longer than the role's secret_id_ttl")
    return SecretId(
        accessor=accessor,
        created=now,
        updated=now,
        uses=uses,
        ttl=ttl,
        ends=now + min(ttl, most) * _SECOND if ttl else 0,
        metadata=pairs.parse("metadata", sent.get("metadata", "")),
        cidrs=blocks,
        token_cidrs=of_token,
    )


def used(secret_id: SecretId, now: int) -> SecretId | None:
    """Return what is left of a secret id after a login; None: nothing. One without a bound is left as it is."""
    if not secret_id.uses:
        return secret_id
    if secret_id.uses == 1:
        return None
    return msgspec.structs.replace(secret_id, uses=secret_id.uses - 1, updated=now)


def proved(name: str, role: Role, secret_id: SecretId | None, client_ip: str) -> Outcome:
    """Return what a login with the right ids proves; raises InvalidRequest for an address that may not."""
    metadata = {"role_name": name}
    parameters = role.parameters
    if secret_id is not None:
        if not cidrs.within(secret_id.cidrs, role.secret_id_bound_cidrs):
            raise InvalidRequest(_SUBSET)  # those of the role were changed meanwhile
        if secret_id.cidrs and not cidrs.contains(secret_id.cidrs, client_ip):
            raise InvalidRequest("source address unauthorized by CIDR restrictions on the secret ID")
        metadata = {**secret_id.metadata, **metadata}
        if secret_id.token_cidrs:
            blocks = cidrs.checked("token_bound_cidrs", secret_id.token_cidrs)
            parameters = msgspec.structs.replace(parameters, bound_cidrs=blocks)
    if role.secret_id_bound_cidrs and not cidrs.contains(role.secret_id_bound_cidrs, client_ip):
        raise InvalidRequest("source address unauthorized by CIDR restrictions on the role")
    again = 0 if secret_id is None else None if secret_id.uses else secret_id.ends
    return Outcome(alias=role.role_id, metadata=metadata, alias_metadata=metadata, parameters=parameters, again=again)
