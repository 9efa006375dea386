"""What the API makes of bytes, and what it answers."""

from __future__ import annotations

import base64
from typing import Any

from tests.support.api import Answer, b64


def text(blob: bytes, *, jws: bool = False) -> str:
    """Return what the API makes of a ciphertext, signature or MAC of the first version."""
    return f"vault:v1:{base64.urlsafe_b64encode(blob).decode().rstrip('=') if jws else b64(blob)}"


def field(answer: Answer, name: str) -> Any:
    """Return a field of a success; None if the request was refused as a mistake of the caller."""
    if answer.status == 200:
        return answer.data[name]
    assert (answer.status, bool(answer.errors)) == (400, True)
    return None
