"""The backup file on disk: made once, never overwritten, taken up again where it was cut off."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from kms_actors.backup.format import (
    AnyFrame,
    Cluster,
    End,
    FrameReader,
    FrameWriter,
    Header,
    Records,
    Tenant,
)
from kms_actors.errors import FormatError, InvalidRequest


class Taken(NamedTuple):
    """An open backup, and the last frame it has; None for a new one."""

    writer: FrameWriter
    last: Records | Tenant | Cluster | None


@contextlib.contextmanager
def create(path: Path, header: Header) -> Iterator[Taken]:
    """Make the file, for its owner only. It is on disk when the block ends, with or without an error.

    Raises:
        FileExistsError: there is one.

    """
    with _kept(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)) as file:
        yield Taken(FrameWriter.begin(file, header), None)


@contextlib.contextmanager
def resume(path: Path, scope: str) -> Iterator[Taken]:
    """Open a backup that was cut off; what follows its last good frame is cut away.

    Raises:
        FormatError: no backup.
        InvalidRequest: it is complete, or of another scope.

    """
    with _kept(os.open(path, os.O_RDWR)) as file:
        if FrameReader(file).header.scope != scope:
            raise InvalidRequest("the backup to resume is of another scope")
        end, last = _last_place(file)
        reader = _read_to(file, end)
        file.truncate(end)
        file.seek(end)
        yield Taken(FrameWriter(file, reader.digest, reader.tally), last)


@contextlib.contextmanager
def _kept(descriptor: int) -> Iterator[BinaryIO]:
    with os.fdopen(descriptor, "r+b") as file:
        try:
            yield file
        finally:
            file.flush()
            os.fsync(file.fileno())


def _last_place(file: BinaryIO) -> tuple[int, Records | Tenant | Cluster | None]:
    """Return where the frames end that need not be written again, and the last of them."""
    file.seek(0)
    reader = FrameReader(file)
    end, last = reader.offset, None
    with contextlib.suppress(FormatError):
        for frame in reader.frames():
            if isinstance(frame, End):
                raise InvalidRequest("the backup is complete: there is nothing to resume")
            if not isinstance(frame, Records) or frame.resume:
                end, last = reader.offset, frame
    return end, last


def _read_to(file: BinaryIO, end: int) -> FrameReader:
    """Return a reader that has read all frames up to `end`."""
    file.seek(0)
    reader = FrameReader(file)
    frames: Iterator[AnyFrame] = reader.frames()
    while reader.offset < end:
        next(frames)
    return reader
