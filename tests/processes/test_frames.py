"""Frames: what goes in comes out, and whatever else comes ends the link, never the process.

The kind: a frame that grew past a bound ended the link, and every worker with it, when somebody looked at the
metrics. There is no bound of that sort any more: frames go in pieces, and pieces alone are bounded.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors import errors
from kms_actors.actors.node.actor import (
    ProgressDropped,
    RevokeOperator,
)
from kms_actors.errors import InvalidShares, KmsError, Overloaded, Unavailable
from kms_actors.messages import (
    Initialize,
    Message,
    ReadSealStatus,
    ResetUnseal,
    Seal,
    Unseal,
)
from kms_actors.observe.families import Family
from kms_actors.processes import frames
from kms_actors.processes.frames import (
    FROM_SUPERVISOR,
    FROM_WORKER,
    MAX_PIECE,
    Announce,
    Answer,
    Ask,
    Done,
    Frame,
    FrameError,
    FrameReader,
    NodeState,
    Prepared,
    Samples,
    Serve,
    asked,
    encode,
    error_of,
    refusal,
)

WORKERS = [
    Prepared(),
    Ask(1, "Seal", msgspec.Raw(b"\x80")),
    Announce(2),
    Samples(3, [Family("a", "counter", "text", "sum", [("a_total", {"b": "c"}, 1.0)])]),
    Done(2**40),
]
SUPERVISORS = [Serve(), NodeState(1, b"keyring", b"seal"), NodeState(2, None, None), Answer(3, msgspec.Raw(b"\xc0"))]


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Yield `data` in pieces of these sizes, over and over."""
    position, turn = 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        yield data[position : position + size]
        position, turn = position + size, turn + 1


def read_all(decoder: msgspec.msgpack.Decoder[Frame], pieces: Iterator[bytes]) -> list[Frame]:
    reader = FrameReader(decoder)
    return [frame for piece in pieces for frame in reader.feed(piece)]


@given(st.lists(st.sampled_from(WORKERS)), st.lists(st.integers(1, 50), min_size=1))
def test_frames_survive_any_cut_of_the_stream(sent: list[Frame], sizes: list[int]) -> None:
    data = b"".join(map(encode, sent))
    assert read_all(FROM_WORKER, cut(data, sizes)) == sent


@given(st.lists(st.sampled_from(SUPERVISORS), min_size=1), st.integers(1, 10))
def test_a_stream_that_breaks_off_gives_the_frames_before(sent: list[Frame], missing: int) -> None:
    data = b"".join(map(encode, sent))
    last = len(encode(sent[-1]))
    found = read_all(FROM_SUPERVISOR, iter([data[: len(data) - min(missing, last)]]))
    assert found == sent[:-1]


@given(st.lists(st.binary(max_size=200)))
def test_garbage_raises_nothing_but_frame_errors(pieces: list[bytes]) -> None:
    for decoder in (FROM_WORKER, FROM_SUPERVISOR):
        try:
            read_all(decoder, iter(pieces))
        except FrameError:
            continue


@given(st.binary(max_size=200))
def test_garbage_in_a_whole_frame_raises_nothing_but_frame_errors(body: bytes) -> None:
    data = len(body).to_bytes(4, "big") + body
    for decoder in (FROM_WORKER, FROM_SUPERVISOR):
        try:
            read_all(decoder, iter([data]))
        except FrameError:
            continue


@given(st.sampled_from(sorted(frames._ASKED)) | st.text(max_size=20), st.binary(max_size=100))
def test_garbage_for_the_node_actor_is_a_message_or_a_frame_error(kind: str, body: bytes) -> None:
    try:
        message = asked(Ask(1, kind, msgspec.Raw(body)))
    except FrameError:
        return
    assert isinstance(message, Message)


@pytest.mark.parametrize(
    "body",
    [
        b"\x91" * 100_000,  # deep
        msgspec.msgpack.encode(["Ask", 1, "Seal"]),  # a field is missing
        msgspec.msgpack.encode(["Announce", 1, 2]),  # one too many
        msgspec.msgpack.encode(["Announce", "1"]),
        msgspec.msgpack.encode(["Nothing"]),
        encode(Serve())[4:],  # only the supervisor says so
        b"",
    ],
)
def test_what_is_no_frame_of_a_worker_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        read_all(FROM_WORKER, iter([len(body).to_bytes(4, "big") + body]))


@pytest.mark.parametrize("prefix", [MAX_PIECE + 1, (1 << 31) + MAX_PIECE + 1, 2**32 - 1])
def test_an_oversize_piece_is_refused_before_its_bytes_are_taken(prefix: int) -> None:
    with pytest.raises(FrameError):
        list(FrameReader(FROM_WORKER).feed(prefix.to_bytes(4, "big")))


@given(st.lists(st.integers(0, 60), min_size=1), st.lists(st.integers(1, 50), min_size=1))
def test_a_frame_of_any_size_goes_in_pieces(lengths: list[int], sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "MAX_PIECE", 16)
        sent: list[Frame] = [Answer(n, msgspec.Raw(msgspec.msgpack.encode(b"x" * n))) for n in lengths]
        assert read_all(FROM_SUPERVISOR, cut(b"".join(map(encode, sent)), sizes)) == sent


@pytest.mark.parametrize("size", [MAX_PIECE - 30, MAX_PIECE, 5 * MAX_PIECE])
def test_a_large_frame_comes_back(size: int) -> None:
    sent = Answer(1, msgspec.Raw(msgspec.msgpack.encode(b"x" * size)))
    assert read_all(FROM_SUPERVISOR, cut(encode(sent), [70_000])) == [sent]


@pytest.mark.parametrize(
    "message", [ReadSealStatus(), Initialize(5, 3), Unseal(b"x" * 33), ResetUnseal(), Seal(), RevokeOperator("id")]
)
def test_messages_to_the_node_actor_come_out_as_they_went_in(message: Message) -> None:
    frame = Ask(1, type(message).__name__, msgspec.Raw(msgspec.msgpack.encode(message)))
    assert asked(frame) == message


def test_events_and_messages_of_tenants_are_not_taken() -> None:
    for kind in (ProgressDropped.__name__, "ShareGiven", "Unsealed", "Encrypt", "RevokeToken"):
        with pytest.raises(FrameError):
            asked(Ask(1, kind, msgspec.Raw(b"\x80")))


def test_every_error_comes_back_as_itself() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, KmsError)]
    assert InvalidShares in kinds
    for kind in kinds:
        found = error_of(refusal(1, kind("text")))
        assert (type(found), str(found)) == (kind, "text")


def test_an_error_keeps_when_to_try_again() -> None:
    found = error_of(refusal(1, Overloaded("text", retry_after=7)))
    assert isinstance(found, Unavailable)
    assert found.retry_after == 7


def test_an_unknown_error_tells_nothing() -> None:
    found = error_of(refusal(1, ValueError("canary")))
    assert (type(found), str(found)) == (KmsError, "internal error")


def test_frames_show_nothing_of_their_contents() -> None:
    for frame in (NodeState(1, b"canary", b"canary"), Answer(1, msgspec.Raw(b"\xa6canary"))):
        assert "canary" not in repr(frame)
