"""How many tokens and entities a vault has.

Source: Vault's API page `sys/internal/counters`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import NamedNotFound
from kms_actors.identity.messages import CountEntities
from kms_actors.messages import Message
from kms_actors.token.messages import CountTokens
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route


def _removed(_: Call) -> Message:
    raise NamedNotFound("The functionality has been removed on this path")


def _tokens(_: Call) -> CountTokens:
    return CountTokens()


def _entities(_: Call) -> CountEntities:
    return CountEntities()


def _show_tokens(_: Call, count: int) -> Reply:
    return Reply(data={"counters": {"service_tokens": {"total": count}}})


def _show_entities(_: Call, count: int) -> Reply:
    return Reply(data={"counters": {"entities": {"total": count}}})


def _read(build: Any, render: Any) -> dict[Operation, Endpoint]:
    return {Operation.READ: Endpoint(build, render, Capability.READ, rights=TENANT_ADMIN)}


COUNTER_ROUTES: Final = (
    Route("sys/internal/counters/tokens", _read(_tokens, _show_tokens)),
    Route("sys/internal/counters/entities", _read(_entities, _show_entities)),
    Route("sys/internal/counters/requests", _read(_removed, _show_tokens)),
)
