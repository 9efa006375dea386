"""Why the operating system refuses, in words."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_IN_WORDS: Final = {
    errno.ENOENT: "no such file",
    errno.EACCES: "not permitted",
    errno.EPERM: "not permitted",
    errno.EISDIR: "is a directory",
    errno.EADDRINUSE: "another program uses it",
    errno.EADDRNOTAVAIL: "no address of this machine",
}


#: Of what is written to a file that is open: the system names none then.
_OF_WRITING: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Have what the system refuses name the file that is written."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in _OF_WRITING:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def in_words(error: OSError) -> str:
    """Return why the operating system refuses."""
    if isinstance(error, socket.gaierror):
        return "no such host"
    if error.errno is None:
        return "no reason is given"
    if error.errno == errno.ENOENT and isinstance(error.filename, str):
        missing = [folder for folder in Path(error.filename).parents if not folder.exists()]
        if missing:
            return f"there is no folder {missing[-1]}"
    return _IN_WORDS.get(error.errno) or os.strerror(error.errno).lower()
