"""What roles and users of all methods say about the tokens of their logins: the `token_…` fields.

Source: "Common token arguments" in Vault's API pages of auth methods, and what its reference does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from kms_actors.auth import cidrs
from kms_actors.errors import InvalidRequest

DEFAULT: Final = "default"
SERVICE: Final = "service"
BATCH: Final = "batch"
DEFAULT_SERVICE: Final = "default-service"
DEFAULT_BATCH: Final = "default-batch"

#: Policies that a role names at most, and characters of one's name.
MAX_POLICIES: Final = 128
MAX_POLICY_NAME: Final = 512
#: Seconds: what Go's durations hold.
MAX_SECONDS: Final = (1 << 63) // 10**9
MAX_USES: Final = 1 << 31

_LIKE_SERVICE: Final = frozenset({DEFAULT, SERVICE})
_BATCH_KIND: Final = "'token_type' cannot be 'batch' or 'default_batch' when set to generate"


class TokenParameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a role says of tokens. Durations are in seconds; 0 where the mount's holds, or there is none."""

    ttl: int = 0
    max_ttl: int = 0
    explicit_max_ttl: int = 0
    period: int = 0
    num_uses: int = 0
    policies: tuple[str, ...] = ()  # as they were sent
    bound_cidrs: tuple[str, ...] = ()
    no_default_policy: bool = False
    strictly_bind_ip: bool = False
    type: str = DEFAULT  # `default`, `service` or `batch`


class Changed(NamedTuple):
    """Parameters after a request, and what its sender is told."""

    parameters: TokenParameters
    warnings: tuple[str, ...] = ()


def changed(before: TokenParameters, sent: Mapping[str, Any], *, adjust_type: bool = False) -> Changed:
    """Return parameters with those that a request has of `token_ttl` and so on; others are left alone.

    Values are converted: seconds, texts, tuples of texts. With `adjust_type`, a type that is a mount's default is put
    right with a warning, as AppRole does. Raises InvalidRequest.
    """
    values: dict[str, Any] = {
        name: sent[f"token_{name}"] for name in TokenParameters.__struct_fields__ if f"token_{name}" in sent
    }
    warnings: tuple[str, ...] = ()
    if "policies" in values:
        values["policies"] = checked_policies("token_policies", values["policies"])
    if "bound_cidrs" in values:
        values["bound_cidrs"] = cidrs.checked("token_bound_cidrs", values["bound_cidrs"])
    if "type" in values:
        values["type"], warnings = _type(values["type"], adjust_type)
    parameters = msgspec.structs.replace(before, **values)
    check(parameters)
    return Changed(parameters, warnings)


def respelled(before: tuple[str, ...], sent: Mapping[str, Any], older: tuple[str, ...]) -> tuple[str, ...]:
    """Return which fields are shown by an older name, too: those last set by it, as `older` has them of a request."""
    return tuple(sorted({name for name in before if name not in sent}.union(older)))


def check(parameters: TokenParameters) -> None:
    """Raise InvalidRequest, naming the field, for what cannot be together, or at all."""
    for name in ("ttl", "max_ttl", "explicit_max_ttl", "period"):
        if not 0 <= getattr(parameters, name) <= MAX_SECONDS:
            raise InvalidRequest(f"'token_{name}' cannot be negative, or longer than {MAX_SECONDS} seconds")
    if parameters.num_uses < 0:
        raise InvalidRequest("'token_num_uses' cannot be negative")
    if parameters.num_uses > MAX_USES:
        raise InvalidRequest(f"'token_num_uses' cannot be above {MAX_USES}")
    if parameters.max_ttl and parameters.ttl > parameters.max_ttl:
        raise InvalidRequest("'token_ttl' cannot be greater than 'token_max_ttl'")
    if parameters.type == BATCH:
        if parameters.period:
            raise InvalidRequest(f"{_BATCH_KIND} periodic tokens")
        if parameters.num_uses:
            raise InvalidRequest(f"{_BATCH_KIND} tokens with limited use count")


def checked_policies(field: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return names as they are kept: without space around them. Raises InvalidRequest for too many, or too long."""
    kept = tuple(name for name in (name.strip() for name in names) if name)
    if len(kept) > MAX_POLICIES or any(len(name) > MAX_POLICY_NAME for name in kept):
        raise InvalidRequest(f"{field}: at most {MAX_POLICIES} names of at most {MAX_POLICY_NAME} characters")
    return kept


def shown(parameters: TokenParameters) -> dict[str, Any]:
    """Return the fields as answers have them."""
    found = {f"token_{name}": getattr(parameters, name) for name in parameters.__struct_fields__}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def kind_of(parameters: TokenParameters, of_mount: str) -> str:
    """Return what a login gives, `service` or `batch`, where the mount has this `token_type`; empty is its default.

    What a mount says without `default-` holds whatever a role says.
    """
    if of_mount in {SERVICE, BATCH}:
        return of_mount
    if parameters.type != DEFAULT:
        return parameters.type
    return BATCH if of_mount == DEFAULT_BATCH else SERVICE


def _type(text: str, adjust: bool) -> tuple[str, tuple[str, ...]]:
    """Return a type as it is kept: one that says `default` of a role has nobody to say it for."""
    if text in _LIKE_SERVICE or text == BATCH:
        return text, ()
    if not text:
        return DEFAULT, ()
    if adjust and text in {DEFAULT_SERVICE, DEFAULT_BATCH}:
        meant = text.removeprefix("default-")
        return meant, (f"{text} has no useful meaning; adjusting to {meant}",)
    raise InvalidRequest("invalid 'token_type' value")
