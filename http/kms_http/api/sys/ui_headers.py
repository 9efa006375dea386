"""Headers of a web console. There is none yet, so there are none, and none can be set.

Source: Vault's API page `sys/config/ui`.
"""

from __future__ import annotations

from typing import Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.messages import Message
from kms_http.routing import SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route

_NO_CONSOLE: Final = "there is no web console that could send headers"


def _nothing(_: Call) -> None:
    return None


def _show_none(_: Call, __: None) -> Reply:
    raise NotFound


def _refuse(_: Call) -> Message:
    raise InvalidRequest(_NO_CONSOLE)


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


HEADER_ROUTES: Final = (
    Route(
        "sys/config/ui/headers",
        {Operation.LIST: Endpoint(_nothing, _show_none, Capability.LIST, rights=SCOPE_ADMIN, sudo=True)},
    ),
    Route(
        "sys/config/ui/headers/{header}",
        {
            Operation.READ: Endpoint(_nothing, _show_none, Capability.READ, rights=SCOPE_ADMIN, sudo=True),
            Operation.WRITE: Endpoint(
                _refuse, _no_content, Capability.UPDATE, rights=SCOPE_ADMIN, sudo=True, refuses=True
            ),
            Operation.DELETE: Endpoint(_nothing, _no_content, Capability.DELETE, rights=SCOPE_ADMIN, sudo=True),
        },
    ),
)
