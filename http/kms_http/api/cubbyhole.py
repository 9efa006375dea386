"""What a token keeps for itself: a KV without versions, which nobody else sees and which ends with the token.

Only tokens that are stored have one (see decision 40).

Source: Vault's API page `cubbyhole`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_actors.auth.principal import Capability
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.cubbyhole.messages import DeleteEntry, ListEntries, ReadEntry, Unwrap, Unwrapped, WriteEntry
from kms_actors.errors import InvalidRequest
from kms_actors.exact_json import RawJson
from kms_actors.kv import documents
from kms_http.api.kv.requests import MOST_BODY
from kms_http.fields import Everything
from kms_http.routing import EXISTENCE, Call, Endpoint, Operation, Reply, Route

#: Where wrapping tokens were unwrapped before there was `sys/wrapping/unwrap`.
_RESPONSE: Final = "response"
_DEPRECATED: Final = (
    "Reading from 'cubbyhole/response' is deprecated. Please use sys/wrapping/unwrap to unwrap responses, as it "
    "provides additional security checks and other benefits."
)
_NONE: Final = "cubbyhole operations are only supported by 'service' type tokens"


def _bearer(call: Call) -> ServicePrincipal:
    if not isinstance(call.principal, ServicePrincipal) or call.principal.batch:
        raise InvalidRequest(_NONE)
    return call.principal


def _place(call: Call) -> tuple[str, str, str]:
    """Return whose cubbyhole it is, the path, and the token if its uses are counted."""
    bearer, path = _bearer(call), call.captures["path"]
    if not path and call.operation is not Operation.LIST:
        raise InvalidRequest("missing path")
    return bearer.accessor, path, call.token if bearer.record.num_uses else ""


def _read(call: Call) -> ReadEntry | Unwrap:
    accessor, path, counted = _place(call)
    if path == _RESPONSE and _bearer(call).record.wraps:
        return Unwrap(call.token)
    return ReadEntry(accessor, path, counted)


def _show(call: Call, found: bytes | Unwrapped) -> Reply:
    if isinstance(found, Unwrapped):
        return Reply(data={"response": found.answer.decode()}, warnings=(_DEPRECATED,))
    return Reply(data=RawJson(found))


def _list(call: Call) -> ListEntries:
    accessor, path, counted = _place(call)
    folder = path.removesuffix("/")
    return ListEntries(accessor, f"{folder}/" if folder else "", counted)


def _show_names(_: Call, names: list[str]) -> Reply:
    return Reply(data={"keys": names})


def _write(call: Call) -> WriteEntry:
    accessor, path, counted = _place(call)
    if call.size > MOST_BODY:
        raise documents.too_large()
    if not call.values:
        raise InvalidRequest("missing data fields")
    return WriteEntry(accessor, path, counted, documents.pack(call.values), call.grants)


def _delete(call: Call) -> DeleteEntry:
    return DeleteEntry(*_place(call))


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


_OPERATIONS: Final[Mapping[Operation, Endpoint]] = {
    Operation.READ: Endpoint(_read, _show, Capability.READ, own_use=True),
    Operation.LIST: Endpoint(_list, _show_names, Capability.LIST, own_use=True),
    Operation.WRITE: Endpoint(_write, _no_content, EXISTENCE, Everything(), own_use=True),
    Operation.DELETE: Endpoint(_delete, _no_content, Capability.DELETE, own_use=True),
}

CUBBYHOLE_ROUTES: Final = (Route("cubbyhole/{path...}", _OPERATIONS),)
