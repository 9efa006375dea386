"""What the reference has and this server has not, as it is where nobody has made any.

Lists are empty, and what is removed was not there. Who would make one is told what to use instead.

Source: OpenBao's API pages `sys/workflows` and `sys/external-keys`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.messages import Message
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route
from kms_http.wire.errors import HttpError

_WORKFLOWS: Final = "there are no workflows: scripts of clients do what they would do"
_KEYS: Final = "keys of other systems are not used: Transit imports those that are to be used here"


def _nothing(_: Call) -> None:
    return None


def _none(_: Call, __: None) -> Reply:
    raise NotFound


def _no_workflow(_: Call, __: None) -> Reply:
    raise HttpError(404, "1 error occurred:\n\t* workflow does not exist\n\n")


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _refusing(text: str) -> Callable[[Call], Message]:
    def _refuse(_: Call) -> Message:
        raise InvalidRequest(text)

    return _refuse


_CAPABILITIES: Final = {
    Operation.READ: Capability.READ,
    Operation.LIST: Capability.LIST,
    Operation.WRITE: Capability.UPDATE,
    Operation.PATCH: Capability.PATCH,
    Operation.DELETE: Capability.DELETE,
}


def _answered(render: Any, *operations: Operation) -> dict[Operation, Endpoint]:
    return {
        operation: Endpoint(_nothing, render, _CAPABILITIES[operation], rights=TENANT_ADMIN)
        for operation in operations
    }


def _refused(text: str, *operations: Operation) -> dict[Operation, Endpoint]:
    return {
        operation: Endpoint(_refusing(text), _no_content, _CAPABILITIES[operation], rights=TENANT_ADMIN, refuses=True)
        for operation in operations
    }


_CHANGED: Final = (Operation.READ, Operation.WRITE, Operation.PATCH)
_CONFIGS: Final = "sys/external-keys/configs"

NONE_THERE_ROUTES: Final = (
    Route("sys/workflows/manage", _answered(_none, Operation.LIST)),
    Route(
        "sys/workflows/manage/{path...}",
        {
            **_answered(_none, Operation.READ),
            **_refused(_WORKFLOWS, Operation.WRITE),
            **_answered(_no_content, Operation.DELETE),
        },
    ),
    Route("sys/workflows/execute/{path...}", _answered(_no_workflow, Operation.WRITE)),
    Route("sys/workflows/trace/{path...}", _answered(_no_workflow, Operation.WRITE)),
    Route(_CONFIGS, _answered(_none, Operation.LIST)),
    Route(f"{_CONFIGS}/{{config}}", {**_refused(_KEYS, *_CHANGED), **_answered(_no_content, Operation.DELETE)}),
    Route(f"{_CONFIGS}/{{config}}/keys", _answered(_none, Operation.LIST)),
    Route(
        f"{_CONFIGS}/{{config}}/keys/{{key}}",
        {**_refused(_KEYS, *_CHANGED), **_answered(_no_content, Operation.DELETE)},
    ),
    Route(f"{_CONFIGS}/{{config}}/keys/{{key}}/grants", _refused(_KEYS, Operation.LIST)),
    Route(
        f"{_CONFIGS}/{{config}}/keys/{{key}}/grants/{{mount}}",
        _refused(_KEYS, Operation.WRITE, Operation.DELETE),
    ),
)
