"""What requests to both versions of KV have in common."""

from __future__ import annotations

from typing import Final

from kms_actors.kv import documents
from kms_http.routing import Call

#: Bytes of a body whose data may be no larger than a version's may, however it is written.
MOST_BODY: Final = 8 * documents.MAX_DOCUMENT


def mount_of(call: Call) -> int:
    """Return the number of the mount."""
    assert call.mount is not None
    return call.mount.number
