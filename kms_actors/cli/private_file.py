"""Files with a secret in them: their owner's alone from their first byte on, whatever the umask is."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from kms_actors.errors import InvalidRequest
from kms_actors.system_errors import writing


def create_private(path: Path, content: str | bytes) -> None:
    """Write a new file, 0600, or none; text is ASCII. FileExistsError if there is one; OSError names `path`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with writing(path), os.fdopen(descriptor, "wb") as file:
            file.write(content.encode("ascii") if isinstance(content, str) else content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace_private(path: Path, text: str) -> None:
    """Write a file, 0600; who reads it meanwhile sees the old contents or the new, whole. OSError names `path`.

    InvalidRequest for a device or the like: it would be gone, and a file in its place.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InvalidRequest(f"{path}: only a file is replaced")
    place = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        create_private(place, text)
        place.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            place.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None
