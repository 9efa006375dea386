"""Go's base64: the same accepted, the same refused at the same place."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.transit.go_base64 import decode, encode


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("!!notb64", 0),
        ("_-8=", 0),
        ("aGVsbG8", 4),
        ("A", 0),
        ("AA", 0),
        ("AAAAA", 4),
        ("=", 0),
        ("A===", 1),
        ("AA=", 3),
        ("AA=A", 2),
        ("AA==A", 4),
        ("AA==\nA", 5),
        ("AAA=A", 4),
        ("AAAA=", 4),
        ("AAAA====", 4),
        ("AAAA AAAA", 4),
        ("AA\n\n=", 5),
        ("éAAA", 0),
        ("AAAé", 3),
        ("\nAA", 1),
        ("A\nA", 1),
    ],
)
def test_names_the_place_of_the_error(text: str, place: int) -> None:
    with pytest.raises(InvalidRequest) as raised:
        decode(text)
    assert str(raised.value) == f"illegal base64 data at input byte {place}"


@pytest.mark.parametrize(
    ("text", "data"),
    [("", b""), ("AB==", b"\x00"), ("AAB=", b"\x00\x00"), ("A\nA\r\n=\n=\n", b"\x00"), ("\r\n", b"")],
)
def test_takes_line_ends_and_unused_bits(text: str, data: bytes) -> None:
    assert decode(text) == data


@given(st.binary(max_size=300))
def test_what_is_written_is_read(data: bytes) -> None:
    assert decode(encode(data)) == data
    assert encode(data) == base64.b64encode(data).decode()


def as_go_reads(text: str) -> bytes | None:
    """Go's rule in other words: without line ends, whole groups of the alphabet, padded at the end."""
    bare = text.replace("\r", "").replace("\n", "")
    if len(bare) % 4 or not bare.isascii():
        return None
    data = bare.rstrip("=")
    if len(bare) - len(data) > 2 or not all(char.isalnum() or char in "+/" for char in data):
        return None
    return binascii.a2b_base64(bare)


@given(st.text("AQgw+/=\n\r-é", max_size=12))
@example("AA==")
def test_takes_and_refuses_what_go_does(text: str) -> None:
    expected = as_go_reads(text)
    if expected is None:
        with pytest.raises(InvalidRequest, match=r"^illegal base64 data at input byte \d+$"):
            decode(text)
    else:
        assert decode(text) == expected


LONG = 1_000_000  # bytes: more than is worked on without a break


@pytest.mark.parametrize("size", [LONG, LONG + 1, LONG + 2])
def test_long_texts_are_read_and_written_in_pieces_with_the_same_outcome(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    text = encode(data[:size])
    assert text == base64.b64encode(data[:size]).decode()
    assert decode(text) == data[:size]
    lines = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    assert decode(lines) == data[:size]


@pytest.mark.parametrize("end", ["!", "=", "A", "AA", "AAAAA", "é", "AA=A"])
@pytest.mark.parametrize("line_ends", ["", "\r\n"])
def test_errors_of_long_texts_are_named_as_those_of_short_ones(end: str, line_ends: str) -> None:
    with pytest.raises(InvalidRequest) as short:
        decode(line_ends + end)
    place = int(str(short.value).rpartition(" ")[2])
    with pytest.raises(InvalidRequest) as long:
        decode("AAAA" * LONG + line_ends + end)
    assert str(long.value) == f"illegal base64 data at input byte {4 * LONG + place}"


def test_padding_in_the_middle_of_a_long_text_is_refused() -> None:
    for place in (3, 256 * 1024 - 1, 256 * 1024 + 3):
        text = "A" * place + "=" + "A" * (4 * LONG - place - 1)
        with pytest.raises(InvalidRequest, match=rf"byte {place + 1}$"):
            decode(text)
