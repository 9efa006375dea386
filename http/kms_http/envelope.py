"""The envelope of answers: key order as Vault's, `mount_type` last as newer versions have it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from kms_http.routing import Reply
from kms_http.wire import json_codec
from kms_http.wire.response import Response

_POOL: Final = 256  # request ids drawn at once


class RequestIds:
    """Random ids in the form of a UUID. Drawing many at once makes one cost little."""

    def __init__(self) -> None:
        self._pool = ""
        self._position = 0

    def __call__(self) -> str:
        if self._position == len(self._pool):
            self._pool = os.urandom(16 * _POOL).hex()
            self._position = 0
        start = self._position
        self._position = start + 32
        pool = self._pool
        return (
            f"{pool[start : start + 8]}-{pool[start + 8 : start + 12]}-{pool[start + 12 : start + 16]}"
            f"-{pool[start + 16 : start + 20]}-{pool[start + 20 : start + 32]}"
        )


def respond(reply: Reply, request_id: str, mount_type: str, warnings: list[str]) -> Response:
    """Return the answer to a request; `warnings` follow the reply's own."""
    if reply.status == 204:
        return Response(204)
    if reply.whole or reply.stream is not None:
        return Response(reply.status, reply.whole, media=reply.media, stream=reply.stream)
    if reply.bare is not None:
        return Response(reply.status, json_codec.dumps(reply.bare))
    body: dict[str, Any] = dict(reply.data) if reply.mirrored and isinstance(reply.data, Mapping) else {}
    body |= {
        "request_id": request_id,
        "lease_id": "",
        "renewable": False,
        "lease_duration": reply.lease_duration,
        "data": reply.data,
        "wrap_info": reply.wrap_info,
        "warnings": [*reply.warnings, *warnings] or None,
        "auth": reply.auth,
        "mount_type": mount_type,
    }
    return Response(reply.status, json_codec.dumps(body))
