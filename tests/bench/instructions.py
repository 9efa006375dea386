"""How many instructions a request takes: a figure that hardly depends on what else the machine does.

`python -m tests.bench.instructions`: a node of one process runs under callgrind (of valgrind), which counts what its
processor would do, the system's own work apart; one client asks, one request after the other. `--environment DIR`,
once or more, measures the `kms-layer` of other environments (`.venv` of another checkout), in turns. Two runs of one
program differ by a few percent, since what it does now and then is counted too; a lower figure is the truer one.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.tokens import Issuer, new_vault_id

_WARM: Final = 100
_PATIENCE: Final = 300.0  # seconds: it runs fifty times as slowly
_TOTAL: Final = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)

Ask = Callable[[str, str, Any], None]

_PLAINTEXT: Final = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="

#: Ids that somebody chose: of roles, and of a secret id of each.
_SERVICE, _BATCH, _SECRET_ID = "service", "batch", "a-secret-id-of-as-many-characters-00"


def _login(role: str) -> Callable[[Ask, int], None]:
    return lambda ask, _: ask("POST", "auth/approle/login", {"role_id": role, "secret_id": _SECRET_ID})


REQUESTS: Final[dict[str, Callable[[Ask, int], None]]] = {
    "encrypt 32 B": lambda ask, _: ask("POST", "transit/encrypt/own", {"plaintext": _PLAINTEXT}),
    "kv get": lambda ask, _: ask("GET", "secret/data/a/b", None),
    "kv put": lambda ask, number: ask("POST", f"secret/data/p/{number}", {"data": {"a": "b" * 32}}),
    "login, service": _login(_SERVICE),
    "login, batch": _login(_BATCH),
}


class Counted:
    """A node under callgrind, in `directory`."""

    def __init__(self, directory: Path, environment: Path) -> None:
        self._directory = directory
        self._issuer = Issuer()
        self.node = Node.for_issuer(directory, sqlite_table, self._issuer)
        self.node.settings = "workers = 1"
        self.node.patience = _PATIENCE
        out = f"--callgrind-out-file={directory / 'counts'}"
        python, layer = environment / "bin" / "python", environment / "bin" / "kms-layer"
        self.node.program = ("valgrind", "--tool=callgrind", out, str(python), str(layer))

    def asking(self) -> Ask:
        """Unseal a vault with a key and a secret; return what asks it on one connection."""
        vault_id = new_vault_id()
        for token in (self._issuer.cluster_operator(), self._issuer.tenant_operator(vault_id)):
            self._patiently(lambda token=token: self._unseal(token))  # type: ignore[misc]
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=_PATIENCE)
        sent = {"Content-Type": "application/json"}
        tokens = {
            "sys": self._issuer.tenant_operator(vault_id),
            "auth": self._issuer.tenant_operator(vault_id),
            "": self._issuer.tenant(vault_id),
        }

        def ask(method: str, path: str, body: Any) -> None:
            if path.endswith("/login"):
                headers = sent | {"X-Vault-Namespace": vault_id}
            else:
                headers = sent | {"X-Vault-Token": tokens.get(path.partition("/")[0]) or tokens[""]}
            connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            response.read()
            assert response.status < 300, (path, response.status)

        self._patiently(lambda: ask("POST", "transit/keys/own", {}))
        ask("POST", "secret/data/a/b", {"data": {"a": "b" * 32}})
        ask("POST", "sys/auth/approle", {"type": "approle"})
        for role in (_SERVICE, _BATCH):
            ask("POST", f"auth/approle/role/{role}", {"role_id": role, "token_type": role})
            ask("POST", f"auth/approle/role/{role}/custom-secret-id", {"secret_id": _SECRET_ID})
        return ask

    def _unseal(self, token: str) -> None:
        operator = Api(self.node.address, token)
        unseal(operator, initialise(operator, 1, 1)["keys_base64"])

    def _patiently(self, call: Callable[[], None]) -> None:
        """Ask again where tokens are refused: a first look at one may take longer here than it is given."""
        for _ in range(20):
            try:
                return call()
            except AssertionError:
                time.sleep(0.5)
        return call()

    def count(self) -> int:
        """Return the instructions since the last call."""
        before = set(self._directory.glob("counts*"))
        subprocess.run(["callgrind_control", "--dump", str(self.node.pid)], check=True, capture_output=True)
        while not (new := set(self._directory.glob("counts*")) - before):
            time.sleep(0.1)
        time.sleep(0.5)  # it is still being written
        return sum(int(_TOTAL.findall(path.read_text(errors="replace"))[-1]) for path in new)


def measure(environment: Path, requests: int, only: str = "") -> Iterator[tuple[str, int]]:
    """Yield each kind of request with the instructions that one takes."""
    with tempfile.TemporaryDirectory(prefix="kms-instructions-") as directory:
        counted = Counted(Path(directory), environment)
        counted.node.start()
        try:
            ask = counted.asking()
            for name, request in REQUESTS.items():
                if only not in name:
                    continue
                for number in range(_WARM):
                    request(ask, number)
                counted.count()
                for number in range(requests):
                    request(ask, _WARM + number)
                yield name, counted.count() // requests
        finally:
            counted.node.close()


@click.command()
@click.option("--environment", "environments", multiple=True, type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=1, show_default=True)
@click.option("--requests", default=500, show_default=True, help="Of each kind, in each round.")
@click.option("--only", default="", help="Kinds whose name contains this.")
def main(environments: tuple[Path, ...], rounds: int, requests: int, only: str) -> None:
    """Count the instructions of requests."""
    if shutil.which("valgrind") is None:
        raise click.ClickException("valgrind is absent: the package of that name has it")
    for _ in range(rounds):
        for environment in environments or (Path(sys.prefix),):
            for name, instructions in measure(environment, requests, only):
                click.echo(f"{environment}  {name:<14} {instructions:>9,}")


if __name__ == "__main__":
    main()
