"""Records of files that hold ciphertexts, and files with one ciphertext a line.

A reader tells only where the ciphertext of a record stands; all else of the record stays as it is, byte for byte.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import BinaryIO, Final, NamedTuple

from kms_actors.errors import InvalidRequest


class Record(NamedTuple):
    """One record. Without a ciphertext and a problem there is nothing to do about it."""

    line: int  # of the file, from 1; the first one of several
    text: str
    ciphertext: str = ""
    start: int = 0  # where it stands in the text
    end: int = 0
    problem: str = ""  # why it cannot be rewrapped
    context: str = ""  # base64, as the associated data
    associated_data: str = ""

    @property
    def around(self) -> tuple[str, str]:
        """What stands before and behind the ciphertext."""
        return self.text[: self.start], self.text[self.end :]

    def encoded(self, ciphertext: str | None = None) -> bytes:
        """Return the record as it was read, or with another ciphertext."""
        before, after = self.around
        text = self.text if ciphertext is None else before + ciphertext + after
        return text.encode("utf-8", "surrogateescape")


class Beside(NamedTuple):
    """Columns or fields of what a record holds beside its ciphertext, if any; with `encode` it is no base64 yet."""

    context: str = ""
    associated_data: str = ""
    encode: bool = False


#: Bytes of a line: a server takes no larger body, and a file that has none is not read whole.
LONGEST_LINE: Final = 32 << 20

#: Reads the lines of a file, with their ends.
Reader = Callable[[Iterable[bytes]], Iterator[Record]]


def lines_of(source: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file. InvalidRequest for one that is longer than any ciphertext."""
    for number in count(1):
        line = source.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise InvalidRequest(f"line {number} has more than {LONGEST_LINE >> 20} MB: these are no ciphertexts")
        if not line:
            return
        yield line


def read_lines(source: Iterable[bytes]) -> Iterator[Record]:
    """Read one ciphertext a line; white space around it is kept."""
    for number, text in enumerate(map(decoded, source), start=1):
        ciphertext = text.strip()
        start = text.index(ciphertext)
        yield record_of(number, text, ciphertext, start, start + len(ciphertext))


def decoded(raw: bytes) -> str:
    """Return text from which the same bytes can be made again, whatever they are."""
    return raw.decode("utf-8", "surrogateescape")


def record_of(number: int, text: str, ciphertext: str, start: int, end: int) -> Record:
    """Return a record with what stands in its text from `start` to `end`, if that can be a ciphertext."""
    if not ciphertext:
        return Record(number, text)
    problem = "" if ciphertext.isascii() else "no ciphertext: letters beyond ASCII"
    return Record(number, text, ciphertext, start, end, problem)


def completed(record: Record, beside: Beside, find: Callable[[str], str]) -> Record:
    """Return a record with its context and associated data.

    `find` returns what stands in a column or field; raises KeyError if there is none, ValueError for no text.
    Associated data may be empty, a context may not: a server takes contexts for all items of a batch or for none.
    """
    if record.problem or not record.ciphertext:
        return record
    found = {"context": "", "associated data": ""}
    for name, place in zip(found, (beside.context, beside.associated_data), strict=True):
        try:
            value = find(place) if place else ""
        except KeyError:
            return record._replace(problem=f"the {name} is missing")
        except ValueError:
            return record._replace(problem=f"the {name} is no text")
        if beside.encode:
            value = b64encode(value.encode("utf-8", "surrogateescape")).decode()
        elif not value.isascii():
            return record._replace(problem=f"the {name} is no base64")
        found[name] = value
    if beside.context and not found["context"]:
        return record._replace(problem="the context is missing")
    return record._replace(context=found["context"], associated_data=found["associated data"])
