"""Files that people write or hand over: read whole, but not whatever lies there, such as a device or a disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

#: Bytes. Configurations, keys and tokens are far smaller, what a server tells of its audit logs as well.
_LARGEST: Final = 16 << 20


def read_small(path: Path, largest: int = _LARGEST) -> bytes:
    """Return what is in a file. OSError if it cannot be read, or has more than `largest` bytes."""
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content
