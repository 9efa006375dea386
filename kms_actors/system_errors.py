"""Why the operating system refuses, in words."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

_IN_WORDS: Final = {
    errno.ENOENT: "no such file",
    errno.EACCES: "not permitted",
    errno.EPERM: "not permitted",
    errno.EISDIR: "is a directory",
    errno.EADDRINUSE: "another program uses it",
    errno.EADDRNOTAVAIL: "no address of this machine",
}


def in_words(error: OSError) -> str:
    """Return why the operating system refuses."""
    if isinstance(error, socket.gaierror):
        return "no such host"
    if error.errno is None:
        return "no reason is given"
    return _IN_WORDS.get(error.errno) or os.strerror(error.errno).lower()
