"""A biscuit of one block that the signer writes: facts, an end, and the signature of the block.

The library makes the same bytes from Datalog, in three times the time, and each login that gives a batch token waits
for it. So facts are written here as they lie in a block; a test compares both, and it is the library that reads them.

Source: schema.proto of the biscuit specification (`Block`, `FactV2`, `CheckV2`), and its `Signature` version 0.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    lines: list[Field] = []
    for name, terms in facts:
        predicate: list[Field] = [(1, table.number(name))]
        for term in terms:
            field = (_INTEGER, term) if isinstance(term, int) else (_STRING, table.number(term))
            predicate.append((2, wire.write([field])))
        lines.append((4, wire.write([(1, wire.write(predicate))])))
    check = _until(end, table.number("query"), table.number("time"))
    texts: list[Field] = [(1, text.encode()) for text in table.own]
    return wire.write([*texts, (3, _DATALOG_VERSION), *lines, (6, check)])


def _until(end: int, query: int, time: int) -> bytes:
    """Return `check if time($time), $time < end`; a variable's number is that of its name."""
    variable = wire.write([(_VARIABLE, time)])
    less = [variable, wire.write([(_DATE, end)])]
    values = [(1, wire.write([(1, value)])) for value in less]
    operator = (1, wire.write([(3, wire.write([(1, _LESS_THAN)]))]))
    rule: list[Field] = [
        (1, wire.write([(1, query)])),
        (2, wire.write([(1, time), (2, variable)])),
        (3, wire.write([*values, operator])),
    ]
    return wire.write([(1, wire.write(rule))])


def sign(block: bytes, seed: bytes, public: bytes) -> bytes:
    """Return the token of one block, signed by the key of these 32 bytes, whose public key `public` must be."""
    next_public, next_secret = crypto_sign_keypair()
    # libsodium's private keys are both in one, and working out the public one takes as long as signing.
    signed = crypto_sign(b"%b%b%b" % (block, _ALGORITHM, next_public), seed + public)
    next_key = wire.write([(1, ED25519), (2, next_public)])
    authority = wire.write([(1, block), (2, next_key), (3, signed[:_SIGNATURE_BYTES])])
    return wire.write([(2, authority), (4, wire.write([(1, next_secret[:_SEED_BYTES])]))])
