"""Receipts: where the line of an answer stands in a log, told to who asked; with a proof where the log is `strict`.

Who keeps a receipt can show later that the line must be there, and what it said: its leaf is the hash of all of it. A
proof holds the log's signed checkpoint, so it wants nothing of the server any more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from kms_actors.audit.log import base64


class Receipt(msgspec.Struct, frozen=True):
    """Of one line: its log and number, its leaf in base64, the log's key; and a tlog-proof, if there is one yet."""

    log: str
    index: int
    leaf: str
    key: str
    proof: str = ""

    def text(self) -> str:
        """Return the value of a header: JSON in ASCII, the proof in base64."""
        fields: dict[str, Any] = {"log": self.log, "index": self.index, "leaf": self.leaf, "key": self.key}
        if self.proof:
            fields["proof"] = base64.encode(self.proof.encode())
        return msgspec.json.encode(fields).decode("ascii")


class Ticket:
    """Asks a device for a receipt of one line, and has it once the line is written, if it is of a log."""

    __slots__ = ("receipt",)

    def __init__(self) -> None:
        self.receipt: Receipt | None = None


@runtime_checkable
class GivesReceipts(Protocol):
    """A sink that gives receipts."""

    async def write_for(self, written: Sequence[bytes], wanted: Collection[int]) -> dict[int, Receipt]:
        """As `write` of a sink; return receipts of the lines at these places."""
