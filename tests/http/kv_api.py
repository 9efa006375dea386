"""Requests to KV as the edge makes messages of them, and answers of a controller as it shows them."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from kms_actors.auth.principal import Principal
from kms_actors.errors import InvalidRequest
from kms_actors.messages import Grants
from kms_actors.mounts import Mount
from kms_http.routing import LISTING, METHODS, Call, Operation, Reply, Router
from kms_http.wire.json_codec import dumps, loads
from tests.actors.kv_tenant import Tenant


class Api:
    """Sends requests as the edge does."""

    def __init__(self, tenant: Tenant, router: Router, mount: Mount) -> None:
        self.tenant = tenant
        self.grants = Grants()
        self.principal: Principal | None = None
        self.mount = mount
        self._router = router

    async def reply(self, operation: Operation, path: str, sent: Any = None) -> Reply:
        path += "/" * (operation in LISTING and not path.endswith("/") and path != "")
        _, endpoint, captures = self._router.resolve(path, operation)
        body = sent if isinstance(sent, bytes) else dumps(sent or {})
        values, _ = endpoint.fields.parse(loads(body))
        call = Call(
            operation,
            self.mount.path + path,
            captures,
            values,
            self.mount,
            self.principal,
            self.grants,
            method=METHODS[operation],
            size=len(body),
        )
        message = endpoint.build(call)
        reply = endpoint.render(call, None if message is None else await self.tenant.ask(message))
        if inspect.isawaitable(reply):
            reply = await reply
        assert isinstance(reply, Reply)
        return reply

    async def __call__(self, operation: Operation, path: str, sent: Any = None) -> tuple[int, Any]:
        reply = await self.reply(operation, path, sent)
        return reply.status, None if reply.data is None else json.loads(dumps(reply.data))

    async def refused(self, operation: Operation, path: str, sent: Any = None) -> str:
        with pytest.raises(InvalidRequest) as raised:
            await self.reply(operation, path, sent)
        return str(raised.value)
