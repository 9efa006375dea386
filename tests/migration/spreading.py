"""Work of which there is much, in several processes, each with a connection of its own to each server."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple

from tests.migration.connection import Connection

#: More than the machine has: they wait most of the time.
PROCESSES: Final = 4
_TURN: Final = 250


class Server(NamedTuple):
    """One of both, and a token that may do all."""

    address: str
    token: str

    def connect(self) -> Connection:
        return Connection(self.address, self.token)


def spread(work: Callable[..., list[Any]], items: Sequence[Any], *servers: Server) -> list[Any]:
    """Call `work` with a connection to each server and each item; return all that it found."""
    if len(items) <= _TURN:
        return _turn(items, work, servers)
    turns = [items[start : start + _TURN] for start in range(0, len(items), _TURN)]
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        return [found for each in pool.map(partial(_turn, work=work, servers=servers), turns) for found in each]


def _turn(items: Sequence[Any], work: Callable[..., list[Any]], servers: Sequence[Server]) -> list[Any]:
    connections = [server.connect() for server in servers]
    try:
        return [found for item in items for found in work(*connections, item)]
    finally:
        for connection in connections:
            connection.close()
