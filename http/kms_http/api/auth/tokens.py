"""Tokens that tokens make, and others than the caller's own: looked up, renewed, revoked, listed.

Source: Vault's API page `auth/token`; texts are those of its reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kms_actors.auth import batch_token
from kms_actors.auth.principal import Capability, Principal
from kms_actors.auth.service_token import MAX_CHOSEN
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.token.making import Wanted
from kms_actors.token.messages import (
    CreateToken,
    EndBiscuit,
    EndToken,
    ListAccessors,
    LookUpBiscuit,
    LookUpToken,
    RenewToken,
    TidyTokens,
)
from kms_actors.token.role import MAX_NAME, MAX_NAMES
from kms_actors.token.spec import Issued
from kms_http.api.auth.maker import has_sudo, maker_of
from kms_http.api.auth.replies import auth_reply, refuse_batch, shown, tidying
from kms_http.fields import Fields, WrongType, to_any, to_bool, to_duration, to_int, to_list, to_period, to_str
from kms_http.routing import DATA_RIGHTS, TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route
from kms_http.wire.errors import HttpError

_SECOND: Final = 10**9
#: Entries of a token's metadata, and characters of names and values together.
MAX_METADATA: Final = 64
MAX_METADATA_CHARACTERS: Final = 16_384
#: Characters that a token or an accessor may have.
_MAX_TOKEN: Final = 16_384


def _to_names(value: Any) -> tuple[str, ...]:
    """Lists of names, bounded."""
    names = tuple(to_str(name) for name in to_list(value))
    if len(names) > MAX_NAMES or any(len(name) > MAX_NAME for name in names):
        raise WrongType(f"expected at most {MAX_NAMES} names of at most {MAX_NAME} characters")
    return names


def _to_metadata(value: Any) -> dict[str, str]:
    """Objects of texts, bounded."""
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise WrongType("expected pairs of names and values")
    found = {name: to_str(each) for name, each in value.items()}
    size = sum(len(name) + len(each) for name, each in found.items())
    if len(found) > MAX_METADATA or size > MAX_METADATA_CHARACTERS:
        raise WrongType(f"expected at most {MAX_METADATA} entries of {MAX_METADATA_CHARACTERS} characters together")
    return found


def _to_token(value: Any) -> str:
    """Tokens and accessors."""
    text = to_str(value)
    if len(text) > _MAX_TOKEN:
        raise WrongType(f"expected at most {_MAX_TOKEN} characters")
    return text


# Making.


def _create(call: Call) -> CreateToken:
    sent = call.values
    wanted = Wanted(
        policies=sent.get("policies", ()),
        metadata=sent.get("meta") or None,
        no_parent=sent.get("no_parent", False),
        no_default_policy=sent.get("no_default_policy", False),
        renewable=sent.get("renewable", True),
        ttl=_seconds(sent, "ttl") or _seconds(sent, "lease"),
        explicit_max_ttl=_seconds(sent, "explicit_max_ttl"),
        period=_seconds(sent, "period"),
        num_uses=sent.get("num_uses", 0),
        display_name=sent.get("display_name", ""),
        type=sent.get("type", ""),
        entity_alias=sent.get("entity_alias", ""),
        id=sent.get("id", ""),
        path=call.path,
    )
    return CreateToken(wanted=wanted, maker=maker_of(call), role=call.captures.get("role_name", ""))


def _seconds(sent: Mapping[str, Any], name: str) -> int:
    """Return a duration in seconds; what is less than one counts as one, since 0 means another thing."""
    try:
        nanoseconds = to_duration(sent.get(name))
    except WrongType as wrong:
        raise InvalidRequest(str(wrong)) from None
    seconds = abs(nanoseconds) // _SECOND or int(nanoseconds != 0)
    return seconds if nanoseconds >= 0 else -seconds


def _show_issued(_: Call, issued: Issued) -> Reply:
    return auth_reply(issued)


# Others than one's own.


def _named(call: Call) -> tuple[str, str]:
    """Return which token is meant: by its text, or else, at the paths of accessors, by that."""
    if call.path.endswith("-accessor"):
        accessor = call.values.get("accessor", "")
        if not accessor:
            raise _at_accessors("missing accessor")
        return "", accessor
    token = call.values.get("token", "")
    if not token:
        raise InvalidRequest("missing token ID")
    return token, ""


def _at_accessors(text: str) -> HttpError:
    """Return an error as the paths of accessors have it."""
    return HttpError(400, f"1 error occurred:\n\t* {text}\n\n")


def _is_biscuit(text: str) -> bool:
    """Tell whether a text has the form of no token that a vault gives, and is as long as biscuits are."""
    return len(text) > MAX_CHOSEN and batch_token.tenant_of(text) is None


def _refuse_biscuit(call: Call, why: str) -> None:
    if _is_biscuit(call.values.get("token", "")):
        raise InvalidRequest(why)


def _look_up(call: Call) -> LookUpToken | LookUpBiscuit | None:
    if call.path.endswith("-accessor"):
        return LookUpToken(*_named(call))
    token = call.values.get("token", "") or call.token
    if token == call.token:
        return None
    return LookUpBiscuit(token) if _is_biscuit(token) else LookUpToken(token)


def _show_looked_up(call: Call, found: Principal | None) -> Reply:
    token = call.values.get("token", "")
    if found is not None:
        return Reply(data=shown(found, token, call.now))
    if call.path.endswith("-accessor"):
        raise _at_accessors("invalid accessor")
    if token not in {"", call.token}:
        raise HttpError(403, "bad token")
    assert call.principal is not None
    return Reply(data=shown(call.principal, call.token, call.now))


def _renew(call: Call) -> RenewToken:
    refuse_batch(call.values.get("token", ""), "renewed")
    _refuse_biscuit(call, "biscuits cannot be renewed: they end when they say")
    increment = call.values.get("increment", 0) // _SECOND
    return RenewToken(*_named(call), increment=increment, certificates=call.certificates)


def _show_renewed(call: Call, renewed: Issued | None) -> Reply:
    if renewed is not None:
        return auth_reply(renewed)
    if call.path.endswith("-accessor"):
        raise _at_accessors("invalid accessor")
    raise InvalidRequest("token not found")


def _end(call: Call) -> EndToken | EndBiscuit:
    token = call.values.get("token", "")
    refuse_batch(token, "revoked")
    return EndBiscuit(token) if _is_biscuit(token) else EndToken(*_named(call))


def _leave(call: Call) -> EndToken:
    named = _named(call)
    if not has_sudo(call):
        raise InvalidRequest("root or sudo privileges required to revoke and orphan")
    _refuse_biscuit(call, "a biscuit cannot be revoked without what it has made")
    return EndToken(*named, leave=True)


def _show_ended(call: Call, there: bool | None) -> Reply:
    if there is None:  # a biscuit that nothing was done to: who revokes one must not believe that it is
        raise HttpError(403, "bad token")
    if there or call.path.endswith("/revoke"):
        return Reply(status=204)
    if call.path.endswith("-orphan"):
        raise InvalidRequest("token to revoke not found")
    return Reply(warnings=("No token found with this accessor",))


def _list(call: Call) -> ListAccessors:
    return ListAccessors(call.values.get("after", ""), max(0, call.values.get("limit", 0)))


def _show_list(_: Call, names: list[str]) -> Reply:
    if not names:
        raise NotFound
    return Reply(data={"keys": names})


def _tidy(_: Call) -> TidyTokens:
    return TidyTokens()


_CREATE: Final = Endpoint(
    _create,
    _show_issued,
    Capability.UPDATE,
    Fields(
        id=to_str,
        policies=_to_names,
        meta=_to_metadata,
        no_parent=to_bool,
        no_default_policy=to_bool,
        renewable=to_bool,
        ttl=to_any,
        lease=to_any,
        explicit_max_ttl=to_any,
        period=to_any,
        num_uses=to_int,
        display_name=to_str,
        type=to_str,
        entity_alias=to_str,
    ),
    rights=DATA_RIGHTS,
)
_BY_TEXT: Final = Fields(token=_to_token)
_BY_ACCESSOR: Final = Fields(accessor=_to_token)


def _write(build: Any, render: Any, fields: Fields) -> dict[Operation, Endpoint]:
    return {Operation.WRITE: Endpoint(build, render, Capability.UPDATE, fields, TENANT_ADMIN)}


OTHER_TOKEN_ROUTES: Final = (
    Route("auth/token/create", {Operation.WRITE: _CREATE}),
    Route("auth/token/create-orphan", {Operation.WRITE: msgspec.structs.replace(_CREATE, rights=TENANT_ADMIN)}),
    Route("auth/token/create/{role_name}", {Operation.WRITE: _CREATE}),
    Route(
        "auth/token/lookup",
        {
            **_write(_look_up, _show_looked_up, _BY_TEXT),
            Operation.READ: Endpoint(_look_up, _show_looked_up, Capability.READ, _BY_TEXT, TENANT_ADMIN),
        },
    ),
    Route("auth/token/lookup-accessor", _write(_look_up, _show_looked_up, _BY_ACCESSOR)),
    Route(
        "auth/token/accessors",
        {
            Operation.LIST: Endpoint(
                _list, _show_list, Capability.LIST, Fields(after=to_str, limit=to_int), TENANT_ADMIN, sudo=True
            )
        },
    ),
    Route("auth/token/renew", _write(_renew, _show_renewed, Fields(token=_to_token, increment=to_period))),
    Route(
        "auth/token/renew-accessor", _write(_renew, _show_renewed, Fields(accessor=_to_token, increment=to_period))
    ),
    Route("auth/token/revoke", _write(_end, _show_ended, _BY_TEXT)),
    Route("auth/token/revoke-accessor", _write(_end, _show_ended, _BY_ACCESSOR)),
    Route("auth/token/revoke-orphan", _write(_leave, _show_ended, _BY_TEXT)),
    Route("auth/token/tidy", _write(_tidy, tidying, Fields())),
)
