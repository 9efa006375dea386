"""Names of Datalog as tokens carry them: numbers into tables of texts.

Numbers below 1024 are known to all. A block of the issuer or a holder adds its texts to those of such blocks before
it; a third party's block has a table of its own.
Source: biscuit specification, `Symbol table`.
"""

from __future__ import annotations

from typing import Final

from kms_actors.auth import wire
from kms_actors.auth.wire import Field, SignedBlock, TokenRefused

_KNOWN: Final = (
    *("read", "write", "resource", "operation", "right", "time", "role", "owner", "tenant", "namespace", "user"),
    *("team", "service", "admin", "email", "group", "member", "ip_address", "client", "client_ip", "domain", "path"),
    *("version", "cluster", "node", "hostname", "nonce", "query"),
)
_FIRST_OWN: Final = 1024

_NUMBERS: Final = {text: number for number, text in enumerate(_KNOWN)}
#: Returns the number of a text that is known to all, or None.
number_of_known: Final = _NUMBERS.get


class Symbols:
    """The texts that one block's numbers stand for."""

    def __init__(self, texts: list[str]) -> None:
        self.texts: Final = texts

    def __getitem__(self, number: int | bytes | None) -> str:
        """Return a text; TokenRefused if there is none of this number."""
        if isinstance(number, int):
            if number < len(_KNOWN):
                return _KNOWN[number]
            if 0 <= number - _FIRST_OWN < len(self.texts):
                return self.texts[number - _FIRST_OWN]
        raise TokenRefused("a block names a text that is not there")


def tables(blocks: tuple[SignedBlock, ...]) -> list[Symbols]:
    """Return the table of each block. TokenRefused if a text is not UTF-8."""
    shared: list[str] = []
    found = []
    for block in blocks:
        own = table(wire.read(block.payload)).texts
        if block.signer is not None:
            found.append(Symbols(own))
            continue
        shared += own
        found.append(Symbols(list(shared)))
    return found


def table(payload: list[Field]) -> Symbols:
    """Return the table of a block that shares none."""
    return Symbols([_text(value) for number, value in payload if number == 1])


def _text(value: int | bytes) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else _not_there()
    except UnicodeDecodeError:
        raise TokenRefused("a text of a block is not UTF-8") from None


def _not_there() -> str:
    raise TokenRefused("token is not a biscuit")
