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
    Mark,
    Records,
    Tenant,
)
from kms_actors.errors import FormatError, InvalidRequest
from kms_actors.system_errors import writing


class Taken(NamedTuple):
    """An open backup, and the last frame it has; None for a new one."""

    writer: FrameWriter
    last: Records | Tenant | Cluster | None


@contextlib.contextmanager
def create(path: Path, header: Header) -> Iterator[Taken]:
    """Make the file, for its owner only. It is on disk when the block ends, with or without an error.

    Raises:
        FileExistsError: there is one.
        OSError: no room, say; `path` is named. What cannot be resumed is not left.

    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with writing(path), _kept(descriptor) as file:
        try:
            taken = Taken(FrameWriter.begin(file, header), None)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        yield taken


@contextlib.contextmanager
def resume(path: Path, scope: str) -> Iterator[Taken]:
    """Open a backup that was cut off; what follows its last good frame is cut away.

    Raises:
        FormatError: no backup; the path is named.
        InvalidRequest: it is complete, or of another scope; likewise.
        OSError: as of `create`.

    """
    with writing(path), _kept(os.open(path, os.O_RDWR)) as file:
        try:
            taken = _taken_up(file, scope)
        except (FormatError, InvalidRequest) as error:
            raise type(error)(f"{path}: {error}") from None
        yield taken


def _taken_up(file: BinaryIO, scope: str) -> Taken:
    if FrameReader(file).header.scope != scope:
        raise InvalidRequest("the backup to resume is of another scope")
    began, end, last = _last_place(file)
    file.seek(0)
    reader = FrameReader(file)
    frames = reader.frames()
    _read_to(reader, frames, began)
    mark = Mark.at(reader.offset, reader.digest, reader.tally)
    _read_to(reader, frames, end)
    file.truncate(end)
    file.seek(end)
    return Taken(FrameWriter(file, reader.digest, reader.tally, mark), last)


@contextlib.contextmanager
def _kept(descriptor: int) -> Iterator[BinaryIO]:
    with os.fdopen(descriptor, "r+b") as file:
        try:
            yield file
        finally:
            file.flush()
            os.fsync(file.fileno())


def _last_place(file: BinaryIO) -> tuple[int, int, Records | Tenant | Cluster | None]:
    """Return where the last vault begins, where frames end that need not be written again, and the last of these."""
    file.seek(0)
    reader = FrameReader(file)
    began, end, last = reader.offset, reader.offset, None
    with contextlib.suppress(FormatError):
        for frame in reader.frames():
            if isinstance(frame, End):
                raise InvalidRequest("the backup is complete: there is nothing to resume")
            if not isinstance(frame, Records) or frame.resume:
                end, last = reader.offset, frame
            if isinstance(frame, Tenant):
                began = end
    return began, end, last


def _read_to(reader: FrameReader, frames: Iterator[AnyFrame], end: int) -> None:
    while reader.offset < end:
        next(frames)
