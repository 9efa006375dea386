"""Readers of both servers while the migration is under way: the source answers as ever, the target nothing wrong."""

from __future__ import annotations

import random
import threading
from typing import Any

from tests.migration.contents import VERSIONS, Key, Secret
from tests.migration.filling import CONTEXT, TEXT, Made
from tests.migration.spreading import Server


class Reader(threading.Thread):
    """Reads drawn secrets, and opens what drawn keys have made, until it is told to end.

    Of the `source` all must be right; of the target what is there: what is not yet copied is not there, and what is
    to be deleted may be empty for a moment.
    """

    def __init__(self, server: Server, secrets: int, made: list[Made], *, source: bool) -> None:
        super().__init__()
        self._server = server
        self._secrets = secrets
        self._made = [each for each in made if each.key.encrypts and (source or each.key.moves)]
        self._source = source
        self._ended = threading.Event()
        self.read = self.refused = 0
        self.wrong: list[str] = []

    def end(self) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        try:
            self._run()
        except Exception as error:  # noqa: BLE001  # told by who waits for it
            self.wrong.append(repr(error))

    def _run(self) -> None:
        connection = self._server.connect()
        while not self._ended.is_set():
            secret, version = Secret(random.randrange(self._secrets)), random.randint(1, VERSIONS)
            status, data = connection("GET", f"secret/data/{secret.path}", query=f"?version={version}")
            if not self._right(secret, version, status, data):
                self.wrong.append(f"{secret.path} version {version}: {status}")
            self.read += status == 200
            made = random.choice(self._made)
            asked = {"ciphertext": made.text, **({"context": CONTEXT} if made.key.derived else {})}
            status, data = connection("POST", f"transit/decrypt/{made.key.name}", asked)
            if not self._opened(made.key, made.version, status, data):
                self.wrong.append(f"{made.key.name} version {made.version}: {status}")
            self.refused = connection.refused
            self._ended.wait(0.05)  # beside other work
        connection.close()

    def _right(self, secret: Secret, version: int, status: int, data: Any) -> bool:
        readable = secret.state(version) == "readable"
        if status == 200:
            expected = secret.data(version) if readable else {}
            return bool(data["data"] == expected) and (readable or not self._source)
        return status == 404 and not (readable and self._source)

    def _opened(self, key: Key, version: int, status: int, data: Any) -> bool:
        if status == 200:
            return bool(data["plaintext"] == TEXT)
        too_old = version < key.config.get("min_decryption_version", 1)
        return status in {400, 404} and (too_old or not self._source)
