"""A migration of much that is read meanwhile, and killed three times: all is equal in the end.

The kind: what is written twice, or left out, by a run that goes on where another ended; what is equal in the eyes of
the migration alone. The source is a real OpenBao; `KMS_MIGRATION_SECRETS` and `KMS_MIGRATION_KEYS` say how much it
has: 120 and 50, and 50,000 and 500 for `make migration-test`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.migration.comparing import key_differs, moving, names, secret_differs
from tests.migration.contents import VERSIONS, Key, Secret
from tests.migration.filling import Made, make_key, write_secret
from tests.migration.reading import Reader
from tests.migration.spreading import Server, spread
from tests.support.node import sqlite_table
from tests.support.reference import clean_environment, reference
from tests.support.shared_node import shared_node
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

SECRETS: Final = int(os.environ.get("KMS_MIGRATION_SECRETS", "120"))
KEYS: Final = int(os.environ.get("KMS_MIGRATION_KEYS", "50"))
#: How much has arrived when the migration is ended, and by what.
INTERRUPTIONS: Final = ((0.1, signal.SIGKILL), (0.4, signal.SIGTERM), (0.7, signal.SIGKILL))
_SAMPLE: Final = 50
_SECONDS: Final = 4 * 60 * 60


class Sides(NamedTuple):
    """Both servers, and a folder for what is written of the runs."""

    source: Server
    target: Server
    folder: Path

    @contextlib.contextmanager
    def migrating(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the command, its output in a file."""
        given = {
            "VAULT_ADDR": self.target.address,
            "VAULT_TOKEN": self.target.token,
            "MIGRATE_TOKEN": self.source.token,
        }
        # One after the other where there is little: it would be through before it can be interrupted.
        threads = "16" if SECRETS > 1000 else "1"
        command = [str(Path(sys.executable).with_name("kms-cli")), "migrate", "--from", self.source.address]
        with (self.folder / "told").open("wb") as told:
            process = subprocess.Popen(
                [*command, "--threads", threads, "--json", *options],
                env=clean_environment(self.folder) | given,
                stdout=told,
                stderr=subprocess.STDOUT,
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def told(self) -> Any:
        return json.loads((self.folder / "told").read_text(encoding="utf-8"))


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    issuer = Issuer()
    (tmp_path / "node").mkdir()
    with reference(tmp_path) as found, shared_node(tmp_path / "node", sqlite_table, issuer) as node:
        source = Server(found.address, found.token)
        connection = source.connect()
        connection.good("POST", "sys/mounts/transit", {"type": "transit"})
        connection.good("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        connection.close()
        root = make_tenant(node, issuer).root
        yield Sides(source, Server(root.address, root.token or ""), tmp_path)


def arrived(target: Server) -> float:
    """Return which part of the secrets has arrived, about."""
    connection = target.connect()
    drawn = random.sample(range(SECRETS), _SAMPLE)
    found = [connection("GET", f"secret/metadata/{Secret(number).path}")[0] == 200 for number in drawn]
    connection.close()
    return sum(found) / len(found)


def interrupted(sides: Sides, part: float, by: signal.Signals) -> float:
    """Run until that part has arrived, and end it; return the seconds that it ran."""
    began = time.monotonic()
    with sides.migrating("--no-compare") as process:
        while arrived(sides.target) < part:
            assert process.poll() is None, f"it ended by itself: {(sides.folder / 'told').read_text()}"
            time.sleep(0.5 if SECRETS > 1000 else 0.01)
        process.send_signal(by)
        assert process.wait() == -by, "it was through before it was interrupted"
    return time.monotonic() - began


def say(text: str) -> None:
    """Tell how far it is: at size it takes an hour."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def test_what_is_interrupted_three_times_under_reads_is_equal_in_the_end(sides: Sides) -> None:
    numbers, keys = [Secret(number) for number in range(SECRETS)], [Key(number) for number in range(KEYS)]
    began = time.monotonic()
    spread(write_secret, numbers, sides.source)
    made: list[Made] = spread(make_key, keys, sides.source)
    say(f"{SECRETS} secrets and {KEYS} keys written in {time.monotonic() - began:.0f} s")
    readers = [Reader(server, SECRETS, made, source=server is sides.source) for server in sides[:2] for _ in (1, 2)]
    for reader in readers:
        reader.start()
    try:
        seconds = 0.0
        for part, by in INTERRUPTIONS:
            seconds += interrupted(sides, part, by)
            say(f"{by.name} after {seconds:.0f} s")
        began = time.monotonic()
        with sides.migrating("--no-compare") as process:
            code = process.wait(_SECONDS)
        seconds += time.monotonic() - began
        report = sides.told()
        say(f"{SECRETS} secrets copied in {seconds:.1f} s, {SECRETS / seconds:.0f} a second; loads {os.getloadavg()}")
    finally:
        for reader in readers:
            reader.end()
    say(f"read, and refused for a moment: {[(reader.read, reader.refused) for reader in readers]}")
    assert [reader.wrong[:5] for reader in readers] == [[], [], [], []]
    assert all(reader.read for reader in readers)

    assert code == 1, "of keys that cannot be moved it is told"
    left = {each["what"] for each in report["not_copied"]}
    assert left == {f"transit/keys/{key.name}" for key in keys if not key.moves}

    compared(sides, numbers, made)
    again = time.monotonic()
    with sides.migrating() as process:  # what is there is left alone, and compared by the command itself
        assert process.wait(_SECONDS) == 1
    say(f"compared by the command in {time.monotonic() - again:.0f} s")
    assert sides.told()["different"] == []
    assert {each["what"] for each in sides.told()["not_copied"]} == left
    connection = sides.target.connect()
    latest = [connection.good("GET", f"secret/metadata/{each.path}")["current_version"] for each in numbers[:500]]
    connection.close()
    assert set(latest) == {VERSIONS}


def compared(sides: Sides, secrets: list[Secret], made: list[Made]) -> None:
    """Compare all that both have."""
    began = time.monotonic()
    source, target = sides.source.connect(), sides.target.connect()
    expected = {secret.path for secret in secrets}
    old = {secret.path for secret in secrets if secret.number % 10 == 0}
    for side in (source, target):
        assert set(names(side, "secret/metadata")) == expected
        assert set(names(side, "old")) == old
    assert set(names(target, "transit/keys")) == moving([each.key for each in made])
    source.close()
    target.close()
    assert spread(secret_differs, secrets, sides.source, sides.target)[:20] == []
    assert spread(key_differs, made, sides.source, sides.target)[:20] == []
    say(f"compared in {time.monotonic() - began:.0f} s")
