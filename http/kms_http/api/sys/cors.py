"""Pages that may send requests: shown, allowed and refused by operators of the cluster, for all its nodes.

Source: Vault's API page `sys/config/cors`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.insight.cors import Cors, DeleteCors, ReadCors, WriteCors, allowing
from kms_http.fields import Fields, to_bool, to_list, to_str
from kms_http.routing import NODE_ADMIN, Call, Endpoint, Operation, Reply, Route

_NO_CREDENTIALS: Final = (
    "allow_credentials is not supported: no request is known by what a browser adds, tokens are sent by the page"
)


def _to_texts(value: Any) -> list[str]:
    return [to_str(each) for each in to_list(value)]


def _write(call: Call) -> WriteCors:
    sent = call.values
    if sent.get("allow_credentials"):
        raise InvalidRequest(_NO_CREDENTIALS)
    return WriteCors(allowing(sent.get("allowed_origins", ()), sent.get("allowed_headers", ())))


def _show(_: Call, found: Cors | None) -> Reply:
    if found is None:
        return Reply(data={"enabled": False}, mirrored=True)
    return Reply(
        data={
            "allow_credentials": False,
            "allowed_headers": list(found.allowed_headers),
            "allowed_origins": list(found.allowed_origins),
            "enabled": True,
        },
        mirrored=True,
    )


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


_FIELDS: Final = Fields(allowed_origins=_to_texts, allowed_headers=_to_texts, allow_credentials=to_bool)


def _endpoint(build: Any, render: Any, capability: Capability, fields: Fields) -> Endpoint:
    return Endpoint(build, render, capability, fields, NODE_ADMIN, sudo=True, of_node=True)


CORS_ROUTES: Final = (
    Route(
        "sys/config/cors",
        {
            Operation.READ: _endpoint(lambda _: ReadCors(), _show, Capability.READ, Fields()),
            Operation.WRITE: _endpoint(_write, _no_content, Capability.UPDATE, _FIELDS),
            Operation.DELETE: _endpoint(lambda _: DeleteCors(), _no_content, Capability.DELETE, Fields()),
        },
    ),
)
