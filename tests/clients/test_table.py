"""The tables of clients tell of the versions that the locks hold, and of every client."""

from __future__ import annotations

import pytest

from tests.clients.matrix import CLIENTS, HERE, Client
from tests.clients.table import readme_table, rows, sentence, short_table

each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.title)


@each_client
def test_a_client_was_run_in_the_version_that_its_lock_holds(client: Client) -> None:
    row = rows().get(client.title)
    assert row is not None, f"{client.title} was never run: make test-clients"
    assert row.version == client.version, f"{client.title} was last run in another version: make test-clients"
    assert row.done


def test_the_table_has_the_clients_in_their_order_and_no_other() -> None:
    assert list(rows()) == [client.title for client in CLIENTS]


def test_the_readme_tells_the_same_versions() -> None:
    told = [(client, rows()[client.title]) for client in CLIENTS]
    assert readme_table().splitlines() == short_table(told)


def test_what_was_done_is_told_by_area() -> None:
    done = ["KV: written", "KV: read", "Transit: encrypted: twice"]
    assert sentence(done) == "KV: written; read. Transit: encrypted: twice"


def test_every_program_is_of_a_client() -> None:
    folders = {path.name for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders - {client.folder.name for client in CLIENTS} <= {"checked", "hvac"}


def test_no_lock_of_npm_tells_where_packages_were_fetched() -> None:
    for lock in HERE.glob("*/package-lock.json"):
        assert '"resolved"' not in lock.read_text(encoding="utf-8"), lock
