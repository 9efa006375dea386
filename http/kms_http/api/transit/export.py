"""Transit: export of key material."""

from __future__ import annotations

from typing import Final

from kms_actors.auth.principal import Capability
from kms_actors.transit.exchange.exporting import check_request
from kms_actors.transit.messages import ExportedKey, ExportKey
from kms_http.fields import (
    Fields,
    to_str,
)
from kms_http.routing import (
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)


def _build(call: Call) -> ExportKey:
    kind, form = call.captures["type"], call.values.get("format", "")
    check_request(kind, form)
    assert call.mount is not None
    return ExportKey(call.mount, call.captures["name"], kind, call.captures.get("version", ""), form)


def render_exported(call: Call, exported: ExportedKey) -> Reply:
    """Show material by version."""
    keys = {str(number): material for number, material in exported.keys.items()}
    return Reply(data={"keys": keys, "name": call.captures["name"], "type": exported.type})


_EXPORT: Final = {Operation.READ: Endpoint(_build, render_exported, Capability.READ, Fields(format=to_str))}

ROUTES: Final = (
    Route("export/{type}/{name}", _EXPORT),
    Route("export/{type}/{name}/{version}", _EXPORT),
)
