"""The socket pair by which workers pass connections with large bodies on to the bulk worker."""

from __future__ import annotations

import socket
from typing import NamedTuple

from kms_http.wire import passing


class Lane(NamedTuple):
    """The socket pair of a node: what workers pass connections on by, and what the bulk worker takes them from."""

    sending: socket.socket
    receiving: socket.socket

    def close(self) -> None:
        """Close both ends here. Idempotent."""
        self.sending.close()
        self.receiving.close()


class Part(NamedTuple):
    """The end of it that one process has."""

    end: socket.socket
    takes: bool  # it is the bulk worker

    @classmethod
    def named(cls, name: str) -> Part:
        """Return the end that `argument` gives a name."""
        kind, _, descriptor = name.partition(":")
        return cls(socket.socket(fileno=int(descriptor)), kind == "takes")

    @property
    def argument(self) -> str:
        """How a new program is told of it, which inherits the descriptor."""
        return f"{'takes' if self.takes else 'passes'}:{self.end.fileno()}"


def open_lane() -> Lane:
    """Make the socket pair, before there are workers to inherit it."""
    return Lane(*passing.pair())
