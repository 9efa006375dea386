"""Headers that the console's answers have beside its own: of the cluster, and so its operator's alone.

To a vault's token there are none, as in one of Vault's namespaces below the root.

Source: Vault's API page `sys/config/ui`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability, Right
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.insight import console_headers
from kms_actors.insight.console_headers import ConsoleHeaders, ReadConsoleHeaders, WriteConsoleHeader
from kms_http.fields import Fields, to_bool, to_list, to_str
from kms_http.routing import SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route

_OF_THE_CLUSTER: Final = "headers of the console are the cluster's: its operator sets them"


def _to_texts(value: Any) -> list[str]:
    return [to_str(each) for each in to_list(value)]


def _of_cluster(call: Call) -> bool:
    return call.principal is not None and call.principal.right is Right.OPERATOR


def _read(call: Call) -> ReadConsoleHeaders | None:
    return ReadConsoleHeaders() if _of_cluster(call) else None


def _write(call: Call) -> WriteConsoleHeader:
    if not _of_cluster(call):
        raise InvalidRequest(_OF_THE_CLUSTER)
    return console_headers.checked(call.captures["header"], call.values.get("values", ()))


def _delete(call: Call) -> WriteConsoleHeader | None:
    return WriteConsoleHeader(console_headers.canonical(call.captures["header"])) if _of_cluster(call) else None


def _show_names(_: Call, found: ConsoleHeaders | None) -> Reply:
    if found is None or not found.headers:
        raise NotFound
    return Reply(data={"keys": list(found.headers)})


def _show(call: Call, found: ConsoleHeaders | None) -> Reply:
    values = found.headers.get(console_headers.canonical(call.captures["header"])) if found is not None else None
    if values is None:
        raise NotFound
    if call.values.get("multivalue"):
        return Reply(data={"values": list(values)})
    return Reply(data={"value": values[0]})


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _endpoint(build: Any, render: Any, capability: Capability, fields: Fields = Fields()) -> Endpoint:  # noqa: B008
    return Endpoint(build, render, capability, fields, SCOPE_ADMIN, sudo=True)


HEADER_ROUTES: Final = (
    Route("sys/config/ui/headers", {Operation.LIST: _endpoint(_read, _show_names, Capability.LIST)}),
    Route(
        "sys/config/ui/headers/{header}",
        {
            Operation.READ: _endpoint(_read, _show, Capability.READ, Fields(multivalue=to_bool)),
            Operation.WRITE: _endpoint(_write, _no_content, Capability.UPDATE, Fields(values=_to_texts)),
            Operation.DELETE: _endpoint(_delete, _no_content, Capability.DELETE),
        },
    ),
)
