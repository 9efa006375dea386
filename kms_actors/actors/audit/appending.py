"""A file that several processes append to, each to a log of its own: what is done in threads.

Two kinds of locks, of the open file (Linux's OFD locks), which end with their process however that ends. One is held
for each log that is being written, so that no two processes go on with the same. One is held for each write, so that
what fails in the middle of one is cut off again before anybody writes behind it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from errno import EACCES, EAGAIN
from pathlib import Path
from typing import Final, TypeVar

from kms_actors.audit.log import lines
from kms_actors.audit.log.lines import Torn
from kms_actors.audit.log.notes import Verifier
from kms_actors.audit.log.recovering import Found, recover, unnamed
from kms_actors.audit.sink import SinkFailed
from kms_actors.system_errors import in_words

T = TypeVar("T")

#: A link is not followed: the folder is the node's own, and nothing in it is one.
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LOCK: Final = "hhqqi4x"  # struct flock: type, whence, start, length, process
_WRITING: Final = 1 << 62  # the place of the lock for writes; logs have theirs below it
#: Bytes at the end of the file that are read for logs to go on with, at first and at most.
_TAIL: Final = 1 << 20
_LONGEST_TAIL: Final = 64 << 20
#: Bytes that a control line may take beyond what the file may have: the last one in it has to find room.
_CONTROL_ROOM: Final = 1 << 16


class Gone(SinkFailed):
    """The file was removed. Nothing was written; it can be made anew."""


class Uncertain(SinkFailed):
    """Nobody knows how much was written; the file's end has to be read again."""


class AppendFile:
    """One open file."""

    def __init__(self, path: Path, mode: int | None, *, make_folder: bool, most: int | None = None) -> None:
        """Open it, made if it is not there; `most` bytes may be in it. Raises OSError."""
        if make_folder:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, _FLAGS, 0o600 if mode is None else mode)
        self._most = most
        self._end = -1  # where this process knows that a line ends
        self.torn: list[Torn] = []  # found before lines of this process, and in no control line yet
        try:
            if mode is not None:
                os.fchmod(self._file, mode)
            if os.fstat(self._file).st_size == 0:  # its name is to be on the disk, too
                for folder in (path.parent, path.parent.parent):
                    _sync_folder(folder)
        except OSError:
            self.close()
            raise

    def is_same(self, other: AppendFile) -> bool:
        """Tell whether this is the same file."""
        mine, others = os.fstat(self._file), os.fstat(other._file)
        return (mine.st_dev, mine.st_ino) == (others.st_dev, others.st_ino)

    @property
    def number(self) -> int:
        """The system's, of the open file."""
        return self._file

    @property
    def closed(self) -> bool:
        return self._file < 0

    def close(self) -> None:
        """Let go of it and its locks."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def claim(self, log: str) -> bool:
        """Tell whether no other process writes this log, and keep them from it."""
        try:
            self._set_lock(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, int(log, 16) % _WRITING)
        except OSError as error:
            if error.errno in {EACCES, EAGAIN}:
                return False
            raise
        return True

    def release(self, log: str) -> None:
        """Let others write this log."""
        self._set_lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, int(log, 16) % _WRITING)

    def recover(self, verifier: Callable[[str], Verifier], decide: Callable[[dict[str, Found]], T]) -> T:
        """Return what is decided by the logs at the end of the file, while nobody else writes, or decides, here.

        What is torn there is told with the first line that is written.
        """
        with self._writing():
            size, length = os.fstat(self._file).st_size, _TAIL
            while True:
                begin = max(0, size - length)
                tail = os.pread(self._file, size - begin, begin)
                entries = tail.split(b"\n")
                found, unfound = recover(entries[1:] if begin else entries, verifier)
                if begin == 0 or not unfound or length >= _LONGEST_TAIL:
                    self.torn = unnamed(entries[1:] if begin else entries, verifier)
                    return decide(found)
                length *= 8

    def append_at_once(self, data: bytes) -> bool:
        """As `append`; False, and nothing done, where that would have to wait, or to look for what was torn."""
        try:
            self._set_lock(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, _WRITING)
            try:
                state = os.fstat(self._file)
                if state.st_size not in (self._end, 0) and os.pread(self._file, 1, state.st_size - 1) != b"\n":
                    return False
                self._append(data, 0, state)
            finally:
                self._unlock()
        except OSError as error:
            if error.errno in {EACCES, EAGAIN}:
                return False
            raise SinkFailed(in_words(error)) from None
        return True

    def append(self, data: bytes, *, control: bool = False) -> None:
        """Write whole lines at the end, all of them or none.

        Raises:
            Gone, Uncertain: as they say.
            SinkFailed: nothing was written.

        """
        try:
            with self._writing():
                self._append(data, _CONTROL_ROOM if control else 0, os.fstat(self._file))
        except OSError as error:
            raise SinkFailed(in_words(error)) from None

    def _append(self, data: bytes, room: int, state: os.stat_result) -> None:
        if not state.st_nlink:
            raise Gone("the file was removed")
        if self._most is not None and state.st_size + len(data) > self._most + room:
            raise SinkFailed("the file is as large as it may be (setting audit.vault_file_bytes): rotate it")
        if state.st_size != self._end and self._ends_within_line(state.st_size):
            data = b"\n" + data
        self._end = -1
        written = os.write(self._file, data)
        if written < len(data):
            try:
                os.ftruncate(self._file, state.st_size)
            except OSError as error:
                raise Uncertain(in_words(error)) from None
            raise SinkFailed("no room is left for whole lines")
        self._end = state.st_size + written

    def _ends_within_line(self, size: int) -> bool:
        """Tell whether somebody was ended in the middle of a write; what he left is kept to be told."""
        if size == 0 or os.pread(self._file, 1, size - 1) == b"\n":
            return False
        length = 1 << 12
        while True:
            begin = max(0, size - length)
            _, newline, fragment = os.pread(self._file, size - begin, begin).rpartition(b"\n")
            if newline or begin == 0 or length >= _LONGEST_TAIL:
                break
            length *= 8
        torn = Torn.of(fragment)
        if lines.parse(fragment) is None and torn not in self.torn:  # else it is whole, but for its newline
            self.torn.append(torn)
        return True

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._set_lock(fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, _WRITING)
        try:
            yield
        finally:
            self._unlock()

    def _unlock(self) -> None:
        self._set_lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _WRITING)

    def _set_lock(self, command: int, kind: int, start: int) -> None:
        fcntl.fcntl(self._file, command, struct.pack(_LOCK, kind, os.SEEK_SET, start, 1, 0))


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
