"""A request as endpoints see it, once it is allowed and its fields are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kms_actors.messages import Grants
from kms_actors.mounts import Mount
from kms_http.backend import Backend
from kms_http.exchange import Exchange
from kms_http.routing import NO_MOUNTS, Call, Found


def call_of(
    exchange: Exchange,
    found: Found,
    values: Mapping[str, Any],
    *,
    backend: Backend,
    mount: Mount | None,
    grants: Grants,
    size: int,
) -> Call:
    """Return it; `size` is that of its body in bytes."""
    principal, tenant = exchange.caller
    return Call(
        operation=exchange.operation,
        path=exchange.path,
        captures=found.captures,
        values=values,
        mount=mount,
        principal=principal,
        grants=grants,
        token=exchange.token,
        mounts=tenant.mounts if tenant is not None else NO_MOUNTS,
        method=exchange.method,
        client_ip=exchange.request.remote,
        peer=exchange.request,
        now=exchange.now,
        size=size,
        unread=not size and exchange.request.length != 0,
        of_default_vault=tenant is not None and tenant.vault_id == backend.default_vault,
        wrap_ttl=exchange.wrap_ttl,
        scope=backend.namespace if principal is None else principal.resource,
    )
