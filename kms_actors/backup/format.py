r"""The backup file: a header line, then frames under a running digest.

    header    JSON in one line: `kind`, `format`, `store_format`, `scope` (a vault id, or `all`), `created`
    frame     length (4 bytes, big-endian) ‖ payload (MessagePack) ‖ digest (32 bytes)

A digest is the SHA-256 of the header line and of the lengths and payloads of all frames so far: a frame that is cut
short, changed, left out, moved or added shows at that frame. The last frame is `End`, with the counts of the others,
and its digest names the backup. Digests find damage, not malice: someone who can write the file can make it anew,
though never a sealed record that opens.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

import msgspec

from kms_actors.errors import FormatError
from kms_actors.store.api import Entry
from kms_actors.store.pages import size_of

#: Of this program.
FORMAT: Final = 1
KIND: Final = "clever-kms backup"
#: The scope of a whole store.
ALL: Final = "all"

_LONGEST_HEADER: Final = 4096
#: Bounds what a damaged length can make a reader allocate.
_LONGEST_PAYLOAD: Final = 1 << 26
_DIGEST_LENGTH: Final = 32
_CUT: Final = "the backup is cut short"
_DAMAGED: Final = "the backup is damaged"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """First line of the file."""

    kind: str = KIND
    format: int = FORMAT
    store_format: int
    scope: str
    created: float  # seconds since 1970


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """Base of all frames; shows nothing of what it holds."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Records(Frame, frozen=True, array_like=True, tag="records"):
    """Some records of a vault. A resumed backup may go on behind it at the key `resume`; empty: it may not.

    It goes on only while the vault's records are those that the restore `restored` has brought. Empty: none has;
    None: an older program did not look.
    """

    vault: str
    tenant: int
    entries: tuple[Entry, ...]
    resume: bytes
    restored: bytes | None = None


class Tenant(Frame, frozen=True, array_like=True, tag="tenant"):
    """What a vault is: header, seal, keyring, mounts, read at one moment. Last of its frames."""

    vault: str
    tenant: int
    entries: tuple[Entry, ...]


class Cluster(Frame, frozen=True, array_like=True, tag="cluster"):
    """The cluster's own records; behind the last vault of a backup of everything."""

    entries: tuple[Entry, ...]


class End(Frame, frozen=True, array_like=True, tag="end"):
    """Last frame: what the others hold together."""

    vaults: int
    entries: int
    bytes: int


AnyFrame = Records | Tenant | Cluster | End
_DECODER: Final = msgspec.msgpack.Decoder(AnyFrame)


class Tally:
    """Counts of the frames written or read so far."""

    __slots__ = ("bytes", "entries", "vaults")

    def __init__(self) -> None:
        self.vaults = self.entries = self.bytes = 0

    def add(self, frame: Records | Tenant | Cluster) -> None:
        self.vaults += isinstance(frame, Tenant)
        self.entries += len(frame.entries)
        self.bytes += size_of(frame.entries)

    def end(self) -> End:
        return End(self.vaults, self.entries, self.bytes)


class Mark(NamedTuple):
    """A place between two vaults: how many bytes are before it, and what they come to."""

    offset: int
    digest: hashlib._Hash
    tally: Tally

    @classmethod
    def at(cls, offset: int, digest: hashlib._Hash, tally: Tally) -> Mark:
        """Return the place, whatever becomes of `digest` and `tally`."""
        return cls(offset, digest.copy(), copy.copy(tally))


class FrameWriter:
    """Appends frames to a file whose end so far is `digest`, which holds `tally`; at `mark` its last vault began."""

    def __init__(self, file: BinaryIO, digest: hashlib._Hash, tally: Tally, mark: Mark) -> None:
        self._file = file
        self._digest = digest
        self._mark = mark
        self.tally = tally

    @classmethod
    def begin(cls, file: BinaryIO, header: Header) -> FrameWriter:
        """Write the header to an empty file."""
        line = msgspec.json.encode(header) + b"\n"
        file.write(line)
        file.flush()
        digest, tally = hashlib.sha256(line), Tally()
        return cls(file, digest, tally, Mark.at(len(line), digest, tally))

    def write(self, frame: Records | Tenant | Cluster) -> None:
        self.tally.add(frame)
        self._append(frame)
        if isinstance(frame, Tenant):
            self._mark = Mark.at(self._file.tell(), self._digest, self.tally)

    def drop_vault(self) -> None:
        """Take back what was written of a vault that is not whole."""
        offset, self._digest, self.tally = Mark.at(*self._mark)
        self._file.seek(offset)
        self._file.truncate()

    def end(self) -> str:
        """Write the last frame; return the digest of the backup in hex."""
        self._append(self.tally.end())
        return self._digest.hexdigest()

    def _append(self, frame: AnyFrame) -> None:
        payload = msgspec.msgpack.encode(frame)
        framed = len(payload).to_bytes(4, "big") + payload
        self._digest.update(framed)
        self._file.write(framed + self._digest.digest())
        self._file.flush()


class FrameReader:
    """Reads and proves a file from its beginning; `offset` is behind the last good frame."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the header.

        Raises:
            FormatError: no backup, or one of a newer program.

        """
        self._file = file
        line = file.readline(_LONGEST_HEADER)
        self.header = _header(line)
        self.digest = hashlib.sha256(line)
        self.tally = Tally()
        self.offset = len(line)

    def frames(self) -> Iterator[AnyFrame]:
        """Yield all frames.

        Raises:
            FormatError: cut short (also where no `End` follows), or damaged, or more follows the end.

        """
        while True:
            frame = self._read()
            if isinstance(frame, End):
                if frame != self.tally.end() or self._file.read(1):
                    raise FormatError(_DAMAGED)
                yield frame
                return
            self.tally.add(frame)
            yield frame

    def _read(self) -> AnyFrame:
        start = self._exactly(4)
        length = int.from_bytes(start, "big")
        if length > _LONGEST_PAYLOAD:
            raise FormatError(_DAMAGED)
        framed = start + self._exactly(length)
        digest = self.digest.copy()
        digest.update(framed)
        if not hmac.compare_digest(digest.digest(), self._exactly(_DIGEST_LENGTH)):
            raise FormatError(_DAMAGED)
        try:
            frame: AnyFrame = _DECODER.decode(framed[4:])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise FormatError("the backup has a frame that this program does not know") from None
        self.digest = digest
        self.offset += len(framed) + _DIGEST_LENGTH
        return frame

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise FormatError(_CUT)
        return data


def _header(line: bytes) -> Header:
    try:
        header = msgspec.json.decode(line, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        header = None
    if header is None or header.kind != KIND or not line.endswith(b"\n"):
        raise FormatError("this is no backup, or its beginning is damaged")
    if header.format != FORMAT:
        raise FormatError(f"the backup is of format {header.format}; this program reads format {FORMAT}")
    return header
