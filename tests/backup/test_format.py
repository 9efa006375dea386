from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.backup.format import AnyFrame, Cluster, End, FrameReader, FrameWriter, Header, Records, Tenant
from kms_actors.errors import FormatError

HEADER = Header(store_format=1, scope="vault_1", created=1.5)
BYTES = st.binary(max_size=20)
ENTRIES = st.lists(st.tuples(BYTES, BYTES), max_size=3).map(tuple)
TEXT = st.text(max_size=5)
NUMBERS = st.integers(0, 2**40)
FRAMES = st.one_of(
    st.builds(Records, TEXT, NUMBERS, ENTRIES, BYTES),
    st.builds(Tenant, TEXT, NUMBERS, ENTRIES),
    st.builds(Cluster, ENTRIES),
)


def written(frames: list[Records | Tenant | Cluster]) -> tuple[bytes, str]:
    file = io.BytesIO()
    writer = FrameWriter.begin(file, HEADER)
    for frame in frames:
        writer.write(frame)
    digest = writer.end()
    return file.getvalue(), digest


def read(data: bytes) -> tuple[FrameReader, list[AnyFrame]]:
    reader = FrameReader(io.BytesIO(data))
    return reader, list(reader.frames())


@given(st.lists(FRAMES, max_size=5))
def test_frames_read_back_with_their_counts_and_digest(frames: list[Records | Tenant | Cluster]) -> None:
    data, digest = written(frames)
    reader, found = read(data)
    entries = [entry for frame in frames for entry in frame.entries]
    end = End(
        sum(isinstance(frame, Tenant) for frame in frames),
        len(entries),
        sum(len(key) + len(value) for key, value in entries),
    )
    assert (reader.header, found, reader.offset) == (HEADER, [*frames, end], len(data))
    assert reader.digest.hexdigest() == digest


@given(st.lists(FRAMES, max_size=3), st.data())
def test_any_truncation_is_detected(frames: list[Records | Tenant | Cluster], data: st.DataObject) -> None:
    whole, _ = written(frames)
    with pytest.raises(FormatError):
        read(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.lists(FRAMES, max_size=3), st.data())
def test_any_flipped_bit_is_detected(frames: list[Records | Tenant | Cluster], data: st.DataObject) -> None:
    whole = bytearray(written(frames)[0])
    place = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[place // 8] ^= 1 << place % 8
    with pytest.raises(FormatError):
        read(bytes(whole))


@given(st.lists(FRAMES, max_size=3), st.binary(min_size=1, max_size=50))
def test_anything_behind_the_end_is_detected(frames: list[Records | Tenant | Cluster], more: bytes) -> None:
    with pytest.raises(FormatError, match="damaged"):
        read(written(frames)[0] + more)


def _swap(frames: list[bytes]) -> list[bytes]:
    return [frames[1], frames[0], *frames[2:]]


@pytest.mark.parametrize(
    "change", [_swap, lambda frames: frames[1:], lambda frames: [frames[0], *frames], lambda frames: frames[-1:]]
)
def test_frames_that_were_moved_left_out_or_added_are_detected(change: Callable[[list[bytes]], list[bytes]]) -> None:
    data, _ = written([Cluster(((b"a", b"b"),)), Cluster(((b"c", b"d"),))])
    line, rest = data.split(b"\n", 1)
    frames = []
    while rest:
        length = 4 + int.from_bytes(rest[:4], "big") + 32
        frames.append(rest[:length])
        rest = rest[length:]
    with pytest.raises(FormatError, match="damaged"):
        read(line + b"\n" + b"".join(change(frames)))


@pytest.mark.parametrize("data", [b"", b"\n", b"{}\n", b"x" * 5000, b'{"kind":"other","format":1}\n', b"\xff\n"])
def test_what_is_no_backup_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="no backup"):
        FrameReader(io.BytesIO(data))


def test_a_newer_format_is_refused() -> None:
    data, _ = written([])
    with pytest.raises(FormatError, match="of format 2; this program reads format 1"):
        FrameReader(io.BytesIO(data.replace(b'"format":1', b'"format":2')))


def test_a_length_beyond_all_bounds_allocates_nothing() -> None:
    data, _ = written([])
    line = data[: data.index(b"\n") + 1]
    with pytest.raises(FormatError, match="damaged"):
        read(line + b"\xff\xff\xff\xff")


def test_a_frame_of_an_unknown_kind_is_refused() -> None:
    line = b'{"kind":"clever-kms backup","format":1,"store_format":1,"scope":"all","created":0}\n'
    framed = b"\x00\x00\x00\x05\x91\xa3new"
    with pytest.raises(FormatError, match="does not know"):
        read(line + framed + hashlib.sha256(line + framed).digest())


def test_frames_show_nothing_of_what_they_hold() -> None:
    assert repr(Records("vault_1", 1, ((b"CANARY", b"CANARY"),), b"")) == "<Records>"


def test_records_of_a_program_that_did_not_look_for_restores_are_read() -> None:
    raw = b"\x95\xa7records\xa7vault_1\x03\x91\x92\xc4\x02k1\xc4\x02v1\xc4\x02k3"
    found = msgspec.msgpack.decode(raw, type=Records)
    assert (found.entries, found.resume, found.restored) == (((b"k1", b"v1"),), b"k3", None)


def test_the_format_has_these_bytes() -> None:
    data, digest = written(
        [
            Records("vault_1", 3, ((b"k1", b"v1"), (b"k2", b"v2")), b"k3", b"e"),
            Tenant("vault_1", 3, ((b"k4", b"v4"),)),
            Cluster(((b"k5", b""),)),
        ]
    )
    line = b'{"kind":"clever-kms backup","format":1,"store_format":1,"scope":"vault_1","created":1.5}\n'
    payloads = (
        b"\x96\xa7records\xa7vault_1\x03\x92\x92\xc4\x02k1\xc4\x02v1\x92\xc4\x02k2\xc4\x02v2\xc4\x02k3\xc4\x01e",
        b"\x94\xa6tenant\xa7vault_1\x03\x91\x92\xc4\x02k4\xc4\x02v4",
        b"\x92\xa7cluster\x91\x92\xc4\x02k5\xc4\x00",
        b"\x94\xa3end\x01\x04\x0e",
    )
    expected, hashed = line, hashlib.sha256(line)
    for payload in payloads:
        framed = len(payload).to_bytes(4, "big") + payload
        hashed.update(framed)
        expected += framed + hashed.digest()
    assert data == expected
    assert digest == hashed.hexdigest() == "40f12205a28da02673caf5eca06e1a9cda3dc78f4212ddd87ab6a31293a17765"
