"""Nowhere: entries are made, and no more. For measurements, and to try filters."""

from __future__ import annotations

from collections.abc import Sequence


class DiscardSink:
    """Takes every line."""

    async def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink`."""

    async def reopen(self) -> None:
        """See `Sink`."""

    async def close(self) -> None:
        """See `Sink`."""
