"""What requests about identities say: fields, mounts, and what is looked for."""

from __future__ import annotations

from typing import Any, Final

from kms_actors.errors import InvalidRequest
from kms_actors.identity.messages import LoginMount, Wanted
from kms_actors.kv import custom_metadata
from kms_http.api.sys.mount_entries import token_mount
from kms_http.fields import Fields, WrongType, to_int, to_list, to_str, type_name
from kms_http.routing import Call

#: Entries of a list that is looked at; fewer may be taken.
_MOST_TEXTS: Final = 10_000
_ONE_QUERY: Final = "query parameter conflict; please supply distinct set of query parameters"
_BOTH: Final = "both 'alias_name' and 'alias_mount_accessor' needs to be set"


def to_pairs(value: Any) -> dict[str, str]:
    """Objects of texts; a text like `name=value`, or a list of them; null as empty."""
    if isinstance(value, dict):
        return {name: _to_text(each) for name, each in value.items()}
    pairs: dict[str, str] = {}
    for number, entry in enumerate([value] if isinstance(value, str) else to_list(value)):
        name, equals, text = to_str(entry).partition("=")
        if not equals:
            raise WrongType(f"invalid key pair at index {number}")
        pairs[name.strip()] = text.strip()
    return pairs


def to_texts(value: Any) -> tuple[str, ...]:
    """Lists, or comma-separated strings, of texts."""
    entries = to_list(value)
    if len(entries) > _MOST_TEXTS:
        raise WrongType(f"expected at most {_MOST_TEXTS} entries")
    return tuple(to_str(entry) for entry in entries)


def custom(call: Call) -> dict[str, str] | None:
    """Return the custom metadata that were sent."""
    sent: dict[str, str] | None = call.values.get("custom_metadata")
    custom_metadata.check(sent or {})
    return sent


def sent_or_captured(call: Call, name: str) -> str | None:
    """Return a field, from the path if it is there."""
    found: str | None = call.captures.get(name, call.values.get(name))
    return found


def mount_of(call: Call, accessor: str) -> LoginMount:
    """Return the login mount of an accessor; raises InvalidRequest."""
    for mount in call.mounts:
        if mount.for_logins and mount.accessor == accessor:
            return LoginMount(accessor, mount.type, mount.path, mount.number)
    if token_mount(call)["accessor"] == accessor:
        return LoginMount(accessor, "token", "auth/token/", None)
    raise InvalidRequest("invalid mount accessor")


def wanted(call: Call) -> Wanted:
    """Return what a lookup asks for; raises InvalidRequest for nothing, and for more than one thing."""
    sent = {name: value for name, value in call.values.items() if value}
    of_alias = "alias_name" in sent or "alias_mount_accessor" in sent
    asked = of_alias + sum(name in sent for name in ("id", "name", "alias_id"))
    if not asked:
        raise InvalidRequest("query parameter not supplied")
    if asked > 1:
        raise InvalidRequest(_ONE_QUERY)
    if of_alias and not ("alias_name" in sent and "alias_mount_accessor" in sent):
        raise InvalidRequest(_BOTH)
    return Wanted(
        id=sent.get("id", ""),
        name=sent.get("name", ""),
        alias_id=sent.get("alias_id", ""),
        accessor=sent.get("alias_mount_accessor", ""),
        alias=sent.get("alias_name", ""),
    )


def limit(call: Call) -> int:
    """Return how many entries of a list are asked for; 0 means all."""
    sent: int = call.values.get("limit", 0)
    return max(0, sent)


LOOKUP: Final = Fields(id=to_str, name=to_str, alias_id=to_str, alias_name=to_str, alias_mount_accessor=to_str)
PAGE: Final = Fields(after=to_str, limit=to_int)


def _to_text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise WrongType(f"expected type 'string', got unconvertible type '{type_name(value)}'")
    return to_str(value)
