"""Libraries: each exercised by a program of its own, which looks at all that comes back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.clients.building import command_of
from tests.clients.matrix import LIBRARIES, Client
from tests.clients.running import PATIENCE, run_program
from tests.clients.server import Server

each_library = pytest.mark.parametrize("client", LIBRARIES, ids=lambda client: client.title)


@each_library
def test_a_library_does_what_it_is_used_for(
    client: Client, server: Server, tmp_path: Path, done: dict[str, list[str]]
) -> None:
    done[client.title] = run_program(client, server, tmp_path)


@each_library
def test_a_program_that_is_refused_fails(client: Client, server: Server, tmp_path: Path) -> None:
    """Else its row would tell nothing."""
    environment = server.environment(tmp_path, "no-token")
    done = subprocess.run(
        command_of(client),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    assert "did: KV" not in done.stdout
    assert "did: Transit" not in done.stdout
