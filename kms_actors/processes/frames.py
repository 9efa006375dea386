"""What supervisor and workers say to each other, and how it lies on the wire.

A frame is a msgpack array whose first element names its type, in pieces: each its length (4 bytes, big-endian; the
first bit is set where another one follows) and so many bytes. So there is no size at which a frame could not be sent.
Each side takes only the types it has use for; anything else ends the link. No frame shows its contents: some hold key
material.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from kms_actors import errors
from kms_actors.actors.node.actor import RenewMaster, RevokeOperator
from kms_actors.ceremony.messages import ANSWERS as CEREMONIES
from kms_actors.config import Configuration
from kms_actors.errors import KmsError, Unavailable
from kms_actors.messages import (
    Initialize,
    Message,
    ReadSealStatus,
    ResetUnseal,
    Seal,
    Unseal,
)
from kms_actors.observe.families import Family
from kms_actors.processes.certificates import Material
from kms_actors.secret import overwrite, overwriting, room

MAX_PIECE: Final = 1 << 20  # bytes
_PREFIX: Final = 4
_MORE: Final = 1 << 31
#: Bytes for a NodeState: a keyring of hundreds of versions, or the filler.
_STATE_ROOM: Final = 1 << 17
_ENCODER: Final = msgspec.msgpack.Encoder()


class FrameError(Exception):
    """The other side sent what is no frame, or none that this side takes."""


class Frame(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """Base of all frames."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Request(Frame, frozen=True):
    """Wants a Reply of the same number."""

    number: int


class Reply(Frame, frozen=True):
    """Answers a Request."""

    number: int


# From a worker.


class Prepared(Frame, frozen=True):
    """All is loaded; the worker waits for Serve."""


class Serving(Frame, frozen=True):
    """The worker accepts connections."""


class Idle(Frame, frozen=True):
    """The bulk worker has had nothing to do for long."""


class Ask(Request, frozen=True):
    """A message for the node actor. Reply: Answer or Refusal."""

    kind: str
    message: msgspec.Raw


class Announce(Request, frozen=True):
    """The worker has committed a change. Reply: Done, once all other workers know of it."""


class Gather(Request, frozen=True):
    """A question to all processes of the node, see `processes.facts`. Reply: Gathered."""

    question: str
    argument: msgspec.Raw


class Collect(Request, frozen=True):
    """Reply: Samples, of all processes together."""


class Told(Reply, frozen=True):
    """The worker's answer to a Question."""

    answer: msgspec.Raw


class Samples(Reply, frozen=True):
    """The worker's metrics."""

    families: list[Family]


# From the supervisor.


class Start(Frame, frozen=True):
    """The first frame."""

    configuration: Configuration
    materials: dict[str, Material] = {}


class Certificates(Frame, frozen=True):
    """What the files of TLS hold now: new connections are wrapped by it."""

    materials: dict[str, Material]


class Serve(Frame, frozen=True):
    """Accept connections."""


class NodeState(Request, frozen=True):
    """The node is unsealed, with this keyring (`Keyring.dump`) and seal, or sealed. Reply: Done, once it acts so.

    At a seal, `filler` takes the place of what the receiving buffers still hold of the keyring.
    """

    keyring: bytes | None
    seal: bytes | None
    filler: bytes = b""

    __del__ = overwriting("keyring")


class CatchUp(Request, frozen=True):
    """Another worker has committed a change. Reply: Done, once it has its effect."""


class ReadMetrics(Request, frozen=True):
    """Reply: Samples."""


class Question(Request, frozen=True):
    """What some worker asks all processes. Reply: Told."""

    question: str
    argument: msgspec.Raw


class Gathered(Reply, frozen=True):
    """What all processes answered."""

    answers: list[msgspec.Raw]


class ReopenAudit(Frame, frozen=True):
    """Open the files of audit devices anew, by their names: they were moved away."""


class Drain(Request, frozen=True):
    """Accept no more, serve who is connected until they go, and end. Reply: Samples, the last ones."""


class Stop(Request, frozen=True):
    """Finish the requests under way, and end. Reply: Samples, the last ones."""


class Answer(Reply, frozen=True):
    """What the node actor answered."""

    value: msgspec.Raw


class Refusal(Reply, frozen=True):
    """The KmsError that the node actor raised."""

    error: str
    text: str
    retry_after: int


# From both.


class Done(Reply, frozen=True):
    """It is so."""


FROM_WORKER: Final = msgspec.msgpack.Decoder(
    Prepared | Serving | Idle | Ask | Announce | Gather | Collect | Told | Samples | Done
)
FROM_SUPERVISOR: Final = msgspec.msgpack.Decoder(
    Start
    | Certificates
    | Serve
    | NodeState
    | CatchUp
    | ReadMetrics
    | Question
    | Gathered
    | Samples
    | ReopenAudit
    | Drain
    | Stop
    | Answer
    | Refusal
    | Done
)

#: What a worker may ask of the node actor.
_KINDS: Final[tuple[type[Message], ...]] = (
    *(ReadSealStatus, Initialize, Unseal, ResetUnseal, Seal, RevokeOperator, RenewMaster),
    *CEREMONIES,
)
_ASKED: Final = {kind.__name__: msgspec.msgpack.Decoder(kind) for kind in _KINDS}
_ERRORS: Final[dict[str, type[KmsError]]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, KmsError)
}


def asked(frame: Ask) -> Message:
    """Return the message in `frame`; raises FrameError for one that no worker may send."""
    decoder = _ASKED.get(frame.kind)
    if decoder is None:
        raise FrameError("no such message")
    try:
        message: Message = decoder.decode(frame.message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FrameError("a damaged message") from None
    return message


def refusal(number: int, error: Exception) -> Refusal:
    """Return the frame of an error; of one that is not meant for callers, nothing but that."""
    kind = next((base.__name__ for base in type(error).__mro__ if base.__name__ in _ERRORS), KmsError.__name__)
    text = str(error) if isinstance(error, KmsError) else "internal error"
    return Refusal(number, kind, text, error.retry_after if isinstance(error, Unavailable) else 0)


def error_of(frame: Refusal) -> KmsError:
    """Return the error in `frame`."""
    kind = _ERRORS.get(frame.error, KmsError)
    if issubclass(kind, Unavailable):
        return kind(frame.text, retry_after=frame.retry_after)
    return kind(frame.text)


def encode(frame: Frame) -> bytes:
    """Return `frame` as it goes over the wire, whatever its size."""
    if not isinstance(frame, NodeState):
        return _in_pieces(msgspec.msgpack.encode(frame))
    with room(_STATE_ROOM) as buffer:  # a buffer that grew would leave the keyring behind
        _ENCODER.encode_into(frame, buffer)
        with memoryview(buffer) as body:
            return _in_pieces(body)


def _in_pieces(body: bytes | memoryview) -> bytes:
    if len(body) <= MAX_PIECE:
        return b"".join((len(body).to_bytes(_PREFIX, "big"), body))
    parts: list[bytes | memoryview] = []
    for start in range(0, len(body), MAX_PIECE):
        piece = memoryview(body)[start : start + MAX_PIECE]
        more = _MORE if start + MAX_PIECE < len(body) else 0
        parts += (len(piece) + more).to_bytes(_PREFIX, "big"), piece
    return b"".join(parts)


class FrameReader:
    """Cuts a stream of bytes into frames; holds no more than one frame and what came with its end."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[Any]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes; raises FrameError, after which the stream means nothing."""
        self._buffer += data
        end = 0
        try:
            while len(self._buffer) >= end + _PREFIX:
                prefix = int.from_bytes(self._buffer[end : end + _PREFIX], "big")
                length = prefix & ~_MORE
                if length > MAX_PIECE:
                    raise FrameError("a piece of a frame is too large")
                start = end + _PREFIX
                if len(self._buffer) < start + length:
                    return
                end = start + length
                with memoryview(self._buffer) as view:
                    self._pieces.append(bytes(view[start:end]))
                if not prefix & _MORE:
                    pieces, self._pieces = self._pieces, []
                    yield self._decode(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        finally:
            self._drop(end)

    def _drop(self, end: int) -> None:
        """Drop what was read, and leave nothing of it where it was: taking it off the front could move the rest."""
        rest = self._buffer[end:]
        self._buffer[:] = bytes(len(self._buffer))
        self._buffer = rest

    def _decode(self, body: bytes) -> Frame:
        try:
            frame: Frame = self._decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise FrameError("no frame of this link") from None
        if isinstance(frame, NodeState):
            overwrite(body)
        return frame
