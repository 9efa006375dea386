"""Sends requests to a Transit mount as the edge does, without a server."""

from __future__ import annotations

import hashlib
import inspect
import json
from typing import Any

import pytest

from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.errors import InvalidRequest
from kms_actors.messages import Grants
from kms_actors.store.api import Transaction
from kms_actors.transit.records import KeyPolicy, VersionRecord
from kms_http.api.transit.routes import ROUTES
from kms_http.routing import Call, Endpoint, Operation, Reply, Router
from kms_http.wire.json_codec import (
    dumps,
    loads,
)
from tests.actors.transit_tenant import MOUNT, Tenant

ROUTER = Router(ROUTES)
READ, LIST, WRITE, PATCH, DELETE, SCAN = Operation
FOX = "dGhlIHF1aWNrIGJyb3duIGZveA=="  # the quick brown fox


def call_of(operation: Operation, path: str, sent: Any, grants: Grants) -> tuple[Endpoint, Call]:
    """Return the endpoint of a request, and the call it is given."""
    _, endpoint, captures = ROUTER.resolve(path + "/" * (operation is LIST), operation)
    body = dumps(sent or {})
    fields = None if endpoint.read is None else endpoint.read(body)
    values, _ = endpoint.fields.parse(loads(body) if fields is None else fields)
    return endpoint, Call(operation, f"transit/{path}", captures, values, MOUNT, None, grants)


class Api:
    """A tenant behind the routes; `grants` are those of the next requests."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.grants = Grants()

    async def reply(self, operation: Operation, path: str, sent: Any = None) -> Reply:
        """Return the reply before it is written."""
        endpoint, call = call_of(operation, path, sent, self.grants)
        message = endpoint.build(call)
        assert message is not None
        reply = endpoint.render(call, await self.tenant.ask(message))
        if inspect.isawaitable(reply):
            reply = await reply
        assert isinstance(reply, Reply)
        return reply

    async def __call__(self, operation: Operation, path: str, sent: Any = None) -> tuple[int, Any]:
        reply = await self.reply(operation, path, sent)
        return reply.status, None if reply.data is None else json.loads(dumps(reply.data))

    async def post(self, path: str, **sent: Any) -> Any:
        """Write, expect 200, return the data."""
        status, data = await self(WRITE, path, sent)
        assert status == 200
        return data

    async def batch(self, path: str, *items: Any, **sent: Any) -> tuple[int, list[Any]]:
        """Write a batch, return status and results."""
        status, data = await self(WRITE, path, {"batch_input": list(items), **sent})
        return status, data["batch_results"]

    async def store_public_key(self, type_name: str, public_key: bytes, **policy: Any) -> str:
        """Store a key whose public half (DER) is all that is known of it; return its name."""
        name = hashlib.sha256(public_key).hexdigest()[:20]
        records = TransitRecords(self.tenant.context.keys, self.tenant.context.keyring)

        async def body(tr: Transaction) -> None:
            records.put_policy(tr, MOUNT.number, KeyPolicy(name, type_name, **policy))
            records.put_version(tr, MOUNT.number, name, 1, VersionRecord(b"", bytes(32), 1, public_key))

        await self.tenant.context.store.change(body, mount=MOUNT.number)
        return name

    async def refused(self, path: str, operation: Operation = WRITE, **sent: Any) -> str:
        """Expect a refusal, return its text."""
        with pytest.raises(InvalidRequest) as raised:
            await self.reply(operation, path, sent)
        return str(raised.value)
