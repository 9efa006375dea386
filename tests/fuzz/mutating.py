"""Inputs near to known ones, without a fuzzer: bytes are flipped, lost, doubled, swapped with those of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

_TELLING: Final = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\n",
    b"\r\n",
    b'"',
    b"\\",
    b"{",
    b"[",
    b"0",
    b"9" * 20,
    b"-",
    b"%",
    b"=",
)


def mutated(inputs: Sequence[bytes], seed: str, count: int, most: int) -> Iterator[bytes]:
    """Yield `count` inputs of at most `most` bytes; the same for the same seed."""
    draw = Random(seed)
    for _ in range(count):
        content = bytearray(draw.choice(inputs))
        for _ in range(draw.choice((1, 1, 2, 4))):
            _change(content, draw, inputs)
        yield bytes(content[:most])


def _change(content: bytearray, draw: Random, inputs: Sequence[bytes]) -> None:
    begin, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    turn = draw.randrange(6)
    if turn == 0 and content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    elif turn == 1:
        content[begin:begin] = draw.choice(_TELLING)
    elif turn == 2:
        del content[begin : min(end, begin + 8)]
    elif turn == 3:
        content[end:end] = content[begin : min(end, begin + 64)]
    elif turn == 4:
        content[begin:end] = draw.choice(_TELLING)
    else:
        other = draw.choice(inputs)
        place = draw.randrange(len(other) + 1)
        content[begin:end] = other[place : place + draw.randrange(64)]
