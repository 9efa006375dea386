"""Each subcommand of both command lines works, or is refused with one sentence: none is left out, none confuses.

The list is what the programs say of themselves; a newer one brings its new commands by itself. The document has the
same table.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.conformance.command_lines import COMMANDS, OPERATOR, Command, rows
from tests.conformance.vault_cli import UNCOLLECTED, find_vault
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.programs import cache
from tests.support.reference import clean_environment, find_bao
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

_SECONDS: Final = 60
_DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "compatibility.md"
_TITLE: Final = "Commands of the command lines"
_BLOCK: Final = re.compile(r"^(?:Subcommands|Common commands|Other commands):\n((?: {4}\S.*\n?)+)", re.MULTILINE)
_POLICY: Final = 'path "secret/*" { capabilities = ["read"] }'


class Program(NamedTuple):
    """A command line, and all its subcommands that have none below them."""

    name: str
    binary: Path
    commands: frozenset[str]


@pytest.fixture(scope="module", params=["bao", "vault"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    binary = find_bao() if request.param == "bao" else find_vault()
    known = _known_commands(binary)
    if not known.exists():
        home = tmp_path_factory.mktemp("home")
        with ThreadPoolExecutor(4) as pool:
            found = "\n".join(sorted(_leaves(binary, home, pool)))
        known.parent.mkdir(parents=True, exist_ok=True)
        fresh = known.with_name(f"{known.name}.{os.getpid()}")
        fresh.write_text(found, encoding="utf-8")
        fresh.rename(known)
    return Program(request.param, binary, frozenset(known.read_text(encoding="utf-8").splitlines()))


def _known_commands(binary: Path) -> Path:
    """Return where the commands of a program are kept, which the same program, asked alike, says each time."""
    place, looked = binary.resolve(), binary.stat()
    asked = f"{place} {looked.st_size} {looked.st_mtime_ns} {Path(__file__).read_text(encoding='utf-8')}"
    return cache() / f"commands-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def _leaves(binary: Path, home: Path, pool: ThreadPoolExecutor) -> Iterator[str]:
    level: list[tuple[str, ...]] = [()]
    while level:
        found = list(pool.map(lambda words: _below(binary, home, words), level))
        for words, below in zip(level, found, strict=True):
            if not below:
                yield " ".join(words)
        level = [(*words, name) for words, below in zip(level, found, strict=True) for name in below]


def _below(binary: Path, home: Path, words: tuple[str, ...]) -> list[str]:
    """Return the subcommands that a command names in its help."""
    done = subprocess.run(
        [str(binary), *words, "-help"],
        env={**clean_environment(home), **UNCOLLECTED},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return [
        name for block in _BLOCK.findall(done.stdout + done.stderr) for name in re.findall(r"(?m)^ {4}(\S+)", block)
    ]


class Site(NamedTuple):
    """A node with a vault that has something of each kind, and what stands for words in braces."""

    node: Node
    operator: Api
    tenant: Tenant
    words: dict[str, str]
    home: Path


@pytest.fixture
def site(tmp_path: Path, issuer: Issuer) -> Iterator[Site]:
    node = Node.for_issuer(tmp_path, sqlite_table, issuer, forked=True)
    node.start()
    try:
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator)["keys_base64"])
        tenant = make_tenant(node, issuer)
        policy = tmp_path / "policy.hcl"
        policy.write_text(_POLICY, encoding="utf-8")
        yield Site(node, operator, tenant, {**_prepared(tenant.root), **_known(node, tenant, policy)}, tmp_path)
    finally:
        node.close()
        assert "Traceback" not in node.log


def _prepared(root: Api) -> dict[str, str]:
    for path in ("app", "old"):
        root.post(f"secret/data/{path}", {"data": {"a": "canary"}})
    root.post("sys/policies/acl/ops", {"policy": _POLICY})
    root.post("sys/auth/people", {"type": "userpass"})
    root.post("sys/mounts/plain", {"type": "kv", "options": {"version": "1"}})
    root.post("auth/token/create", {"ttl": "1h"})
    (lease,) = root.list("sys/leases/lookup/auth/token/create").data["keys"]
    child = root.post("auth/token/create", {"ttl": "1h"}).json["auth"]["client_token"]
    wrapped = root.call("GET", "secret/data/app", headers={"X-Vault-Wrap-TTL": "300"}).json["wrap_info"]["token"]
    return {"lease": f"auth/token/create/{lease}", "child": child, "wrapped": wrapped}


def _known(node: Node, tenant: Tenant, policy: Path) -> dict[str, str]:
    return {
        "token": tenant.root.token or "",
        "vault": tenant.vault_id,
        "share": tenant.shares[0],
        "policy": str(policy),
        "file": str(policy),
        "key": base64.b64encode(os.urandom(32)).decode(),
        "address": node.address,
    }


def test_the_table_has_every_command(program: Program) -> None:
    assert program.commands - {command.name for command in COMMANDS} == set()


def test_every_command_works_or_says_why_not(program: Program, site: Site) -> None:
    def do(command: Command) -> tuple[int, str]:
        return (_follow if command.name == "monitor" else _run)(program, site, command)

    wrong = []
    with ThreadPoolExecutor(1) as beside:  # `debug` looks on for some seconds
        outcomes = [
            (command, beside.submit(_run, program, site, command) if command.name == "debug" else do(command))
            for command in COMMANDS
            if not command.local and command.name in program.commands
        ]
    for command, outcome in outcomes:
        code, said = outcome.result() if isinstance(outcome, Future) else outcome
        if command.pending and code == 0:
            continue
        if code != command.code or command.says.format(**site.words) not in " ".join(said.split()):
            wrong.append((command.name, code, said))
    assert wrong == []
    assert bundled(site.home / "debug.tar.gz") >= BUNDLED, "debug says that it is done whatever it has got"


#: What `debug` asks a server for, a file each; profiles are of Go programs.
BUNDLED: Final = frozenset(
    {
        "config.json",
        "host_info.json",
        "metrics.json",
        "replication_status.json",
        "requests.json",
        "server_status.json",
    }
)


def bundled(bundle: Path) -> set[str]:
    """Return the names of the files in a bundle that have something in them."""
    with tarfile.open(bundle) as files:
        return {Path(member.name).name for member in files if member.isfile() and member.size > len("[]")}


def test_the_document_has_the_same_table() -> None:
    text = _DOCUMENT.read_text(encoding="utf-8").partition(f"## {_TITLE}\n")[2]
    shown = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    assert shown == list(rows(command.name for command in COMMANDS))


def _run(program: Program, site: Site, command: Command) -> tuple[int, str]:
    done = subprocess.run(
        [str(program.binary), *_words(site, command)],
        env=_environment(site, command),
        cwd=site.home,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _follow(program: Program, site: Site, command: Command) -> tuple[int, str]:
    """Follow the log until it says what it should, and end the command as people do."""
    process = subprocess.Popen(
        [str(program.binary), *_words(site, command)],
        env=_environment(site, command),
        cwd=site.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    says = threading.Event()
    said: list[str] = []

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                said.append(line)
                if command.says in line:
                    says.set()

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        deadline = time.monotonic() + _SECONDS
        while not says.wait(0.1) and time.monotonic() < deadline:  # what it follows begins when it has connected
            assert site.operator.post("sys/loggers", {"level": "info"}).status == 204
        process.send_signal(signal.SIGINT)
        code = process.wait(_SECONDS)
    finally:
        process.kill()
        process.wait()
        listener.join(_SECONDS)
    return code, "".join(said)


def _words(site: Site, command: Command) -> list[str]:
    return [word.format(**site.words) for word in command.words]


def _environment(site: Site, command: Command) -> dict[str, str]:
    token = site.operator.token if command.by == OPERATOR else site.tenant.root.token
    named = {"ADDR": site.node.address, "TOKEN": token or ""}
    both = {f"{program}_{name}": value for program in ("VAULT", "BAO") for name, value in named.items()}
    return {**clean_environment(site.home), **both, **UNCOLLECTED}
