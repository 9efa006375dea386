"""Roles of tokens: what somebody may be allowed to make tokens of, instead of what his own token allows.

Source: Vault's API page `auth/token`, and what its reference does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from kms_actors.auth import cidrs
from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.mounts import SYSTEM_LEASE_TTL
from kms_actors.token.naming import MAX_SECONDS, MAX_USES, TokenType, policy_names

#: Names that one list of a role has at most, and characters of one.
MAX_NAMES: Final = 128
MAX_NAME: Final = 512

_SUFFIX: Final = re.compile(r"\w[\w.-]+\w", re.ASCII)
_TYPES: Final = frozenset({*TokenType})


class TokenRole(msgspec.Struct, frozen=True, kw_only=True):
    """What the tokens of a role are like. Durations are in seconds, 0 where nothing is said."""

    name: str
    allowed_policies: tuple[str, ...] = ()
    allowed_policies_glob: tuple[str, ...] = ()
    disallowed_policies: tuple[str, ...] = ()
    disallowed_policies_glob: tuple[str, ...] = ()
    allowed_entity_aliases: tuple[str, ...] = ()
    orphan: bool = False
    path_suffix: str = ""
    renewable: bool = True
    bound_cidrs: tuple[str, ...] = ()
    explicit_max_ttl: int = 0
    no_default_policy: bool = False
    num_uses: int = 0
    period: int = 0
    type: TokenType = TokenType.DEFAULT_SERVICE
    old_names: tuple[str, ...] = ()  # fields that were set by what Vault called them once
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> TokenRole:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "token role")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    @property
    def bounds_policies(self) -> bool:
        """Whether it says which policies its tokens may have."""
        return bool(self.allowed_policies or self.allowed_policies_glob)

    @property
    def forbids_policies(self) -> bool:
        """Whether it says which policies its tokens may not have: they may have all others, then, as in Vault."""
        return bool(self.disallowed_policies or self.disallowed_policies_glob)


class Changed(NamedTuple):
    """A role after a request, and what its sender is told."""

    role: TokenRole
    warnings: tuple[str, ...] = ()


#: Fields that once had names of their own.
RENAMED: Final = ("bound_cidrs", "explicit_max_ttl", "period")


def changed(before: TokenRole, sent: Mapping[str, Any], most: int = SYSTEM_LEASE_TTL) -> Changed:
    """Return the role with what a request says of it; others are left alone.

    Values are converted: seconds, texts, lists of texts. Raises InvalidRequest.
    """
    values: dict[str, Any] = {}
    for name in ("orphan", "renewable", "path_suffix"):
        if name in sent:
            values[name] = sent[name]
    for name in ("allowed_policies", "disallowed_policies", "allowed_policies_glob", "disallowed_policies_glob"):
        if name in sent:
            values[name] = policy_names(_names(name, sent[name]), default=False)
    if "allowed_entity_aliases" in sent:
        aliases = _names("allowed_entity_aliases", sent["allowed_entity_aliases"])
        values["allowed_entity_aliases"] = tuple(sorted({alias.strip().lower() for alias in aliases} - {""}))
    old = set(before.old_names)
    for name in ("bound_cidrs", "explicit_max_ttl", "no_default_policy", "num_uses", "period", "type"):
        if f"token_{name}" in sent:
            values[name] = sent[f"token_{name}"]
            old.discard(name)
        elif name in RENAMED and name in sent:
            values[name] = sent[name]
            old.add(name)
    if "bound_cidrs" in values:
        values["bound_cidrs"] = cidrs.checked("token_bound_cidrs", values["bound_cidrs"])
    if "type" in values:
        values["type"] = _type(values["type"])
    role = msgspec.structs.replace(before, **values, old_names=tuple(sorted(old)))
    return Changed(role, _check(role, most))


def shown(role: TokenRole) -> dict[str, Any]:
    """Return the role as answers have it."""
    old = role.old_names
    data: dict[str, Any] = {
        "allowed_entity_aliases": list(role.allowed_entity_aliases) or None,
        "allowed_policies": list(role.allowed_policies),
        "allowed_policies_glob": list(role.allowed_policies_glob),
        "disallowed_policies": list(role.disallowed_policies),
        "disallowed_policies_glob": list(role.disallowed_policies_glob),
        "explicit_max_ttl": role.explicit_max_ttl if "explicit_max_ttl" in old else 0,
        "name": role.name,
        "orphan": role.orphan,
        "path_suffix": role.path_suffix,
        "period": role.period if "period" in old else 0,
        "renewable": role.renewable,
        "token_explicit_max_ttl": role.explicit_max_ttl,
        "token_no_default_policy": role.no_default_policy,
        "token_period": role.period,
        "token_type": role.type.value,
    }
    if role.bound_cidrs:
        data["token_bound_cidrs"] = list(role.bound_cidrs)
        if "bound_cidrs" in old:
            data["bound_cidrs"] = list(role.bound_cidrs)
    if role.num_uses:
        data["token_num_uses"] = role.num_uses
    return dict(sorted(data.items()))


def _check(role: TokenRole, most: int) -> tuple[str, ...]:
    """Raise InvalidRequest, naming the field, for what cannot be; return what is told of the rest."""
    if role.path_suffix and _SUFFIX.fullmatch(role.path_suffix) is None:
        raise InvalidRequest(
            r"given role path suffix contains invalid characters; must match \w[\w-.]+\w"  # as Vault words it
        )
    if len(role.path_suffix) > MAX_NAME:
        raise InvalidRequest(f"path_suffix is longer than {MAX_NAME} characters")
    for name in ("explicit_max_ttl", "period"):
        if not 0 <= getattr(role, name) <= MAX_SECONDS:
            raise InvalidRequest(f"token_{name} cannot be negative, or longer than {MAX_SECONDS} seconds")
    if role.num_uses < 0:
        raise InvalidRequest("error parsing role fields: 'token_num_uses' cannot be negative")
    if role.num_uses > MAX_USES:
        raise InvalidRequest(f"error parsing role fields: 'token_num_uses' cannot be above {MAX_USES}")
    if role.type is TokenType.BATCH:
        for bad, what in (
            (role.period, "periodic"),
            (not role.orphan, "non-orphan"),
            (role.num_uses, "limited use"),
            (role.renewable, "renewable"),
        ):
            if bad:
                raise InvalidRequest(f"'token_type' cannot be 'batch' when role is set to generate {what} tokens")
    if role.explicit_max_ttl > most:
        text = (
            f"Given explicit max TTL of {role.explicit_max_ttl} is greater than system/mount allowed value of "
            f"{most} seconds; tokens of this role live no longer than that"
        )
        return (text,)
    return ()


def _type(text: str) -> TokenType:
    if text not in _TYPES:
        raise InvalidRequest("invalid 'token_type' value: service, batch, default-service or default-batch")
    return TokenType(text)


def _names(field: str, names: Sequence[str]) -> tuple[str, ...]:
    if len(names) > MAX_NAMES or any(len(name) > MAX_NAME for name in names):
        raise InvalidRequest(f"{field}: at most {MAX_NAMES} names of at most {MAX_NAME} characters")
    return tuple(names)
