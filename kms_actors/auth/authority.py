"""A biscuit of one block that the signer writes: facts, an end, and the signature of the block.

The library makes the same bytes from Datalog, in three times the time, and each login that gives a batch token waits
for it. So facts are written here as they lie in a block; a test compares both, and it is the library that reads them.
What is said again and again is written once, and only times are filled in: see `Template`.

Source: schema.proto of the biscuit specification (`Block`, `FactV2`, `CheckV2`), and its `Signature` version 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from nacl.bindings import crypto_sign, crypto_sign_keypair

from kms_actors.auth import wire
from kms_actors.auth.symbols import number_of_known
from kms_actors.auth.wire import ED25519, Field

#: A fact: its name, and its terms.
Fact = tuple[str, tuple[str | int, ...]]

_DATALOG_VERSION: Final = 3
_FIRST_OWN: Final = 1024
_SEED_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_ALGORITHM: Final = ED25519.to_bytes(4, "little")
#: Fields of a term.
_VARIABLE: Final = 1
_INTEGER: Final = 2
_STRING: Final = 3
_DATE: Final = 4
_LESS_THAN: Final = 0
_OPERATOR: Final = wire.write([(1, wire.write([(3, wire.write([(1, _LESS_THAN)]))]))])
#: What stands in a token around what is drawn for it.
_NEXT_KEY: Final = wire.write([(2, wire.write([(1, ED25519), (2, bytes(32))]))])[:-32]
_SIGNATURE: Final = wire.head(3, _SIGNATURE_BYTES)
_PROOF: Final = wire.write([(4, wire.write([(1, bytes(_SEED_BYTES))]))])[:-_SEED_BYTES]
_AROUND_BLOCK: Final = len(_NEXT_KEY) + 32 + len(_SIGNATURE) + _SIGNATURE_BYTES
#: Seconds since 1970 take as many bytes from 1978 until 6325.
EARLIEST: Final = 1 << 28
LATEST: Final = (1 << 35) - 1
_SECONDS_BYTES: Final = 5


class _Table:
    """Texts of a block, in the order in which they are first named."""

    def __init__(self) -> None:
        self.own: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return what stands for a text."""
        known = self._numbers.get(text)
        if known is None:
            known = number_of_known(text)
            if known is None:
                known = _FIRST_OWN + len(self.own)
                self.own.append(text)
            self._numbers[text] = known
        return known


def payload(facts: Iterable[Fact], end: int) -> bytes:
    """Return a block of facts that is good until `end`, in seconds since 1970. Integers are not negative."""
    table = _Table()
    lines = [_line(name, terms, table) for name, terms in facts]
    return b"".join((_texts(table), *lines, _until(end, table)))


class Template:
    """A block that says the same again and again, but for a moment, which one of its facts is, and its end.

    Texts, their numbers and all lengths are worked out once.
    """

    __slots__ = ("_after", "_before", "_between")

    def __init__(self, facts: Iterable[Fact], moment: str) -> None:
        """Of the fact called `moment`, whose one term that is, only the place matters."""
        table = _Table()
        before: list[bytes] = []
        between: list[bytes] = []
        lines = before
        for name, terms in facts:
            if name == moment:
                before.append(_line(name, (LATEST,), table)[:-_SECONDS_BYTES])
                lines = between
            else:
                lines.append(_line(name, terms, table))
        until = _until(LATEST, table)[: -len(_OPERATOR) - _SECONDS_BYTES]
        self._before: Final = b"".join((_texts(table), *before))
        self._between: Final = b"".join((*between, until))
        self._after: Final = _OPERATOR

    def payload(self, moment: int, end: int) -> bytes:
        """Return the block that `payload` makes of these facts. ValueError for a time that takes other bytes."""
        return b"".join((self._before, _seconds(moment), self._between, _seconds(end), self._after))


@lru_cache(maxsize=64)
def _seconds(time: int) -> bytes:
    if not EARLIEST <= time <= LATEST:
        raise ValueError("a time that a template has no room for")
    return wire.varint(time)


def _texts(table: _Table) -> bytes:
    """Return what stands in front of the facts of a block."""
    texts: list[Field] = [(1, text.encode()) for text in table.own]
    return wire.write([*texts, (3, _DATALOG_VERSION)])


def _line(name: str, terms: Iterable[str | int], table: _Table) -> bytes:
    """Return a fact as it stands in a block."""
    predicate: list[Field] = [(1, table.number(name))]
    for term in terms:
        field = (_INTEGER, term) if isinstance(term, int) else (_STRING, table.number(term))
        predicate.append((2, wire.write([field])))
    return wire.write([(4, wire.write([(1, wire.write(predicate))]))])


def _until(end: int, table: _Table) -> bytes:
    """Return `check if time($time), $time < end` as it stands in a block; a variable's number is that of its name."""
    query, time = table.number("query"), table.number("time")  # known to all: they add no text
    variable = wire.write([(_VARIABLE, time)])
    less = [variable, wire.write([(_DATE, end)])]
    values = wire.write([(1, wire.write([(1, value)])) for value in less])
    rule: list[Field] = [
        (1, wire.write([(1, query)])),
        (2, wire.write([(1, time), (2, variable)])),
        (3, values + _OPERATOR),
    ]
    return wire.write([(6, wire.write([(1, wire.write(rule))]))])


def sign(block: bytes, seed: bytes, public: bytes) -> bytes:
    """Return the token of one block, signed by the key of these 32 bytes, whose public key `public` must be."""
    next_public, next_secret = crypto_sign_keypair()
    # libsodium's private keys are both in one, and working out the public one takes as long as signing.
    signed = crypto_sign(b"".join((block, _ALGORITHM, next_public)), seed + public)
    return b"".join(
        (
            _opening(len(block)),
            block,
            _NEXT_KEY,
            next_public,
            _SIGNATURE,
            signed[:_SIGNATURE_BYTES],
            _PROOF,
            next_secret[:_SEED_BYTES],
        )
    )


@lru_cache(maxsize=64)
def _opening(length: int) -> bytes:
    """Return what stands in a token in front of a block of so many bytes."""
    head = wire.head(1, length)
    return wire.head(2, len(head) + length + _AROUND_BLOCK) + head
