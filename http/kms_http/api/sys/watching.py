"""What an operator of the cluster watches a node by: metrics, requests under way, the levels of its log, its lines.

All of it is of this node, with all its processes, and is told by a sealed one, too.

Source: Vault's API pages `sys/metrics`, `sys/in-flight-req`, `sys/loggers` and `sys/monitor`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator
from math import inf
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.insight.messages import (
    FollowLog,
    ReadInFlight,
    ReadLevels,
    ReadMetrics,
    ReadStacks,
    RequestUnderWay,
    SetLevel,
)
from kms_actors.observe.levels import NUMBERS
from kms_actors.observe.recent import Line
from kms_http.api.auth.replies import rfc3339
from kms_http.fields import Fields, to_str
from kms_http.routing import NODE_ADMIN, Call, Endpoint, Operation, Reply, Route

_TEXT: Final = b"text/plain; version=1.0.0; charset=utf-8"
_LINES: Final = b"text/plain; charset=utf-8"
_FORMS: Final = ("", "standard", "json")


def _metrics(call: Call) -> ReadMetrics:
    form = call.values.get("format", "")
    if form not in ("", "prometheus"):
        raise InvalidRequest("unknown metric response format: it is `prometheus`, or none")
    return ReadMetrics(form == "prometheus")


def _show_metrics(_: Call, found: Any) -> Reply:
    return Reply(whole=found, media=_TEXT) if isinstance(found, bytes) else Reply(bare=found)


def _show_in_flight(_: Call, found: list[RequestUnderWay]) -> Reply:
    return Reply(
        bare={
            each.id: {
                "start_time": rfc3339(each.began),
                "client_remote_address": each.remote,
                "request_path": f"/v1/{each.route}",
                "request_method": each.method,
                "client_id": each.client,
            }
            for each in found
        }
    )


def _show_levels(call: Call, found: dict[str, str]) -> Reply:
    name = call.captures.get("name")
    if name is None:
        return Reply(data=found)
    return Reply(data={name: found[name]} if name in found else {})


def _set_level(call: Call) -> SetLevel:
    named = call.values.get("level", "")
    if not named:
        raise InvalidRequest("level is required")
    level = NUMBERS.get(named.lower())
    if level is None:
        raise InvalidRequest("invalid level provided: unknown log level")
    return SetLevel(level, call.captures.get("name", ""))


def _reset_level(call: Call) -> SetLevel:
    return SetLevel(None, call.captures.get("name", ""))


def _show_set(call: Call, found: bool) -> Reply:
    if not found:
        raise InvalidRequest(f'logger "{call.captures["name"]}" not found')
    return Reply(status=204)


def _follow(call: Call) -> FollowLog:
    level = NUMBERS.get(call.values.get("log_level", "info").lower())
    if level is None:
        raise InvalidRequest("unknown log level")
    if call.values.get("log_format", "") not in _FORMS:
        raise InvalidRequest("unknown log format: it is `standard` or `json`")
    assert call.principal is not None
    ends = call.principal.expires_at
    return FollowLog(level, inf if ends is None else ends, call.principal.revocation_ids)


def _show_lines(call: Call, batches: AsyncIterator[list[Line]]) -> Reply:
    as_json = call.values.get("log_format") == "json"

    async def pieces() -> AsyncIterator[bytes]:
        async for batch in batches:
            yield "".join(f"{line.json if as_json else line.text}\n" for line in batch).encode()

    return Reply(stream=pieces(), media=_LINES)


def _show_stacks(_: Call, found: str) -> Reply:
    return Reply(whole=found.encode(), media=_LINES)


def _show_threads(_: Call, __: None) -> Reply:
    threads = sorted(f"{thread.native_id} {thread.name}\n" for thread in threading.enumerate())
    return Reply(whole="".join(threads).encode(), media=_LINES)


def _show_command(_: Call, __: None) -> Reply:
    return Reply(whole="\0".join(sys.orig_argv).encode(errors="replace"), media=_LINES)


def _look(build: Any, render: Any, fields: Fields) -> Endpoint:
    return Endpoint(build, render, Capability.READ, fields, NODE_ADMIN, while_sealed=True, of_node=True)


def _change(build: Any, capability: Capability, fields: Fields) -> Endpoint:
    return Endpoint(build, _show_set, capability, fields, NODE_ADMIN, while_sealed=True, of_node=True)


_LEVELS: Final = {
    Operation.READ: _look(lambda _: ReadLevels(), _show_levels, Fields()),
    Operation.WRITE: _change(_set_level, Capability.UPDATE, Fields(level=to_str)),
    Operation.DELETE: _change(_reset_level, Capability.DELETE, Fields()),
}

WATCHING_ROUTES: Final = (
    Route("sys/metrics", {Operation.READ: _look(_metrics, _show_metrics, Fields(format=to_str))}),
    Route("sys/in-flight-req", {Operation.READ: _look(lambda _: ReadInFlight(), _show_in_flight, Fields())}),
    Route("sys/loggers", _LEVELS),
    Route("sys/loggers/{name}", _LEVELS),
    Route("sys/pprof/goroutine", {Operation.READ: _look(lambda _: ReadStacks(), _show_stacks, Fields())}),
    Route("sys/pprof/threadcreate", {Operation.READ: _look(lambda _: None, _show_threads, Fields())}),
    Route("sys/pprof/cmdline", {Operation.READ: _look(lambda _: None, _show_command, Fields())}),
    Route(
        "sys/monitor",
        {Operation.READ: _look(_follow, _show_lines, Fields(log_level=to_str, log_format=to_str))},
    ),
)
