"""What a request brings: its body, and the values of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kms_actors import request_context
from kms_http.exchange import Exchange
from kms_http.routing import Endpoint, Operation
from kms_http.wire import body
from kms_http.wire.limits import MAX_BODY, MAX_NOBODYS_BODY


async def read_body(exchange: Exchange, read: body.Read | None) -> tuple[Mapping[str, Any], int]:
    """Return what was sent, and how many bytes it took."""
    request = exchange.request
    if exchange.operation is Operation.PATCH:
        body.require_merge_patch(request)
    waited = request.body is None
    raw = await body.read(request, MAX_BODY if exchange.caller.principal is not None else MAX_NOBODYS_BODY)
    if waited:
        request_context.arrived()
    if len(raw) < body.STEPS_FROM:
        return body.parse(request, raw, read), len(raw)
    owner = exchange.caller.principal.resource if exchange.caller.principal is not None else ""
    return await body.parse_large(request, raw, owner, read), len(raw)


def values(
    endpoint: Endpoint, captures: Mapping[str, str], sent: Mapping[str, Any]
) -> tuple[Mapping[str, Any], list[str]]:
    """Return converted fields, and warnings about those that were not used."""
    replaced: list[str] = []
    if not endpoint.fields.all_taken and not captures.keys().isdisjoint(sent):
        replaced = sorted(name for name in captures.keys() & sent.keys() if sent[name] is not None)
        sent = {name: value for name, value in sent.items() if name not in captures}
    values, unknown = endpoint.fields.parse(sent)
    warnings = []
    if unknown:
        warnings.append(f"Endpoint ignored these unrecognized parameters: [{' '.join(unknown)}]")
    if replaced:
        text = "Endpoint replaced the value of these parameters with the values captured from the endpoint's path"
        warnings.append(f"{text}: [{' '.join(replaced)}]")
    return values, warnings
