"""Fields that roles and users of all login methods share: those of the tokens that they give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kms_actors.login.parameters import TokenParameters, shown
from kms_http.fields import Converter, Fields, WrongType, silent_null, to_bool, to_int, to_list, to_period, to_str

_SECOND: Final = 10**9
#: Entries of a list, and characters of it as one text.
_MOST: Final = 1024
_LONGEST_LIST: Final = 128 * 1024


@silent_null
def to_seconds(value: Any) -> int:
    """Durations, cut to whole seconds, never negative. What is below a second is one: none would bound nothing."""
    nanoseconds = to_period(value)
    return nanoseconds // _SECOND or int(nanoseconds > 0)


def to_names(value: Any) -> tuple[str, ...]:
    """Lists, or comma-separated strings, of texts. More than any field takes is not cut.

    Empty ones are kept: a list that bounds something would bound nothing without them.
    """
    if (isinstance(value, str) and len(value) > _LONGEST_LIST) or (isinstance(value, list) and len(value) > _MOST):
        raise WrongType(f"expected at most {_MOST} entries in {_LONGEST_LIST} characters")
    return tuple(to_str(entry).strip() for entry in to_list(value))


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

_POLICIES: Final = "policies"

#: Of lists.
PAGES: Final = Fields(after=to_str, limit=to_int)


class Sent(NamedTuple):
    """The `token_…` fields of a request, and those that came by an older name alone or too."""

    values: dict[str, Any]
    older: tuple[str, ...] = ()


def older_fields(older: Mapping[str, str]) -> dict[str, Converter]:
    """Return the converters of older names, by what the fields are called now."""
    return {name: TOKEN_FIELDS[now] for name, now in older.items()}


def token_values(values: Mapping[str, Any], older: Mapping[str, str]) -> Sent:
    """Return the `token_…` fields that were sent, by any of their names; the newer one counts where both were."""
    sent = {now: _as_older(name, values[name]) for name, now in older.items() if name in values}
    spelled = tuple(sent)
    sent |= {name: value for name, value in values.items() if name in TOKEN_FIELDS}
    return Sent(sent, spelled)


def _as_older(name: str, value: Any) -> Any:
    """Return a value that came by an older name: names of policies are kept in order then, each once."""
    return tuple(sorted({each.lower() for each in value} - {""})) if name == _POLICIES else value


def shown_parameters(
    parameters: TokenParameters, spelled: tuple[str, ...] = (), older: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the `token_…` fields as answers have them, with those by older names that were set by these."""
    fields = shown(parameters)
    return fields | {name: fields[now] for name, now in (older or {}).items() if now in spelled and fields[now]}
