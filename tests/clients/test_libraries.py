"""Libraries: each exercised by a program of its own, which looks at all that comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.matrix import LIBRARIES, Client
from tests.clients.running import run_program
from tests.clients.server import Server


@pytest.mark.parametrize("client", LIBRARIES, ids=lambda client: client.title)
def test_a_library_does_what_it_is_used_for(
    client: Client, server: Server, tmp_path: Path, done: dict[str, list[str]]
) -> None:
    done[client.title] = run_program(client, server, tmp_path)
