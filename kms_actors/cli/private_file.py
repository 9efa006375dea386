"""Files with a secret in them: their owner's alone from their first byte on, whatever the umask is."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def create_private(path: Path, text: str) -> None:
    """Write a new file, 0600. FileExistsError if there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def replace_private(path: Path, text: str) -> None:
    """Write a file, 0600; who reads it meanwhile sees the old contents or the new, whole. OSError names `path`."""
    place = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        create_private(place, text)
        place.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            place.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None
