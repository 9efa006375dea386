"""Fields that roles and users of all login methods share: those of the tokens that they give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_http.fields import Converter, to_bool, to_int, to_list, to_period, to_str

_SECOND: Final = 10**9


def to_seconds(value: Any) -> int:
    """Durations, cut to whole seconds, never negative."""
    return to_period(value) // _SECOND


def to_names(value: Any) -> tuple[str, ...]:
    """Lists, or comma-separated strings, of texts; empty ones are none."""
    return tuple(name for name in (to_str(entry).strip() for entry in to_list(value)) if name)


#: The `token_…` fields; `kms_actors.login.parameters.changed` takes them from a request's values.
TOKEN_FIELDS: Final[Mapping[str, Converter]] = {
    "token_ttl": to_seconds,
    "token_max_ttl": to_seconds,
    "token_explicit_max_ttl": to_seconds,
    "token_period": to_seconds,
    "token_num_uses": to_int,
    "token_policies": to_names,
    "token_bound_cidrs": to_names,
    "token_no_default_policy": to_bool,
    "token_strictly_bind_ip": to_bool,
    "token_type": to_str,
}
