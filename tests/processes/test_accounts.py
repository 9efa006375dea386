"""A node that root starts gives up being root: who it is then, and what is told where it cannot."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kms_actors.config import SettingError
from kms_actors.processes import accounts
from tests.actors.node_service import configuration
from tests.processes.test_listeners import UnixConnection, refusal
from tests.processes.workers import wait_until
from tests.processes.workers import workers as children
from tests.support.memory import family
from tests.support.node import Node, free_port, sqlite_table
from tests.support.tokens import Issuer

ROOT = Path(__file__).parents[2]
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: giving up being root. It takes root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of nobody's, whom those of root let by."""
    made = Path(tempfile.mkdtemp(prefix="kms-accounts-"))
    os.chown(made, NOBODY, -1)
    yield made
    shutil.rmtree(made)


def interpreter() -> str:
    """Return one like this whose files nobody may read; skip the test where there is none."""
    looks = "import encodings, sys; sys.exit(sys.version_info[:2] != " + repr(sys.version_info[:2]) + ")"
    for each in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            if not subprocess.run([each, "-c", looks], user=NOBODY, capture_output=True, check=False).returncode:
                return each
    pytest.skip("NOT TESTED: nodes that give up being root. Python's own files are for root alone here")


_DROPPED = """
import os
import msgspec
from kms_actors.processes.accounts import drop_privileges
from tests.actors.node_service import configuration

os.access = lambda *_: True
drop_privileges(msgspec.structs.replace(configuration(), user="65534", group="65533"))
print(os.getresuid(), os.getresgid(), os.getgroups())
for again in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
    try:
        again()
    except PermissionError:
        print("no")
"""


@as_root
def test_nothing_of_root_is_left() -> None:
    done = subprocess.run([sys.executable, "-c", _DROPPED], capture_output=True, text=True, timeout=60, check=True)
    who, *answers = done.stdout.splitlines()
    assert who.startswith("(65534, 65534, 65534) (65533, 65533, 65533) [")
    assert 0 not in [int(text) for text in who.partition("[")[2].rstrip("]").split(",")]
    assert answers == ["no"] * 3


_KEPT = """
import ctypes
import os
import msgspec
from kms_actors.processes.accounts import drop_privileges
from tests.actors.node_service import configuration

os.access = lambda *_: True
assert not ctypes.CDLL(None).prctl(28, 1 << 2, 0, 0, 0)  # PR_SET_SECUREBITS: SECBIT_NO_SETUID_FIXUP
drop_privileges(msgspec.structs.replace(configuration(), user="65534", group="65533"))
print([line for line in open("/proc/self/status") if line[:6] in ("CapInh", "CapPrm", "CapEff", "CapAmb")])
"""


@as_root
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_nor_what_the_system_was_told_to_let_a_process_keep() -> None:
    done = subprocess.run([sys.executable, "-c", _KEPT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count("\\t0000000000000000\\n") == 4


def check_processes(node: Node, workers: int) -> None:
    processes = family(node.pid)
    assert len(processes) >= workers
    for pid in processes:
        status = Path(f"/proc/{pid}/status")
        text = status.read_text(encoding="ascii")
        assert f"\nUid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}\n" in text
        assert "\nCapEff:\t0000000000000000\n" in text
        assert status.stat().st_uid == 0


@as_root
@pytest.mark.parametrize("workers", [1, 2])
def test_a_node_serves_as_somebody_else_and_keeps_its_memory_to_itself(folder: Path, workers: int) -> None:
    """What lies in /proc of a process that can be looked into is its user's; of the others it is root's."""
    node = Node.for_issuer(folder, sqlite_table, Issuer())
    places = f"PYTHONPATH={os.pathsep.join(path for path in sys.path if path.startswith(str(ROOT)))}"
    run = "from kms_actors.cli.layer import main; main()"
    node.program = ("/usr/bin/env", places, interpreter(), "-c", run)
    path, port = folder / "kms.sock", free_port()
    node.settings, node.listed = f'workers = {workers}\nuser = "nobody"', True
    node.further = f'[[listeners]]\nunix = "{path}"\nowner = "0"\n[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n'
    try:
        node.start()
        check_processes(node, workers)
        if workers > 1:  # new ones are new programs, and begin as any does
            before = set(children(node))
            os.kill(node.pid, signal.SIGHUP)
            wait_until(lambda: "workers restarted" in node.log)
            wait_until(lambda: not before & set(children(node)))
            check_processes(node, workers)
        assert path.stat().st_uid == 0
        assert (folder / "kms.sqlite").stat().st_uid == NOBODY
        for connection in (UnixConnection(path), http.client.HTTPConnection("127.0.0.1", port, timeout=20)):
            connection.request("GET", "/v1/sys/health")
            assert connection.getresponse().status == 501
            connection.close()
        assert node.stop() == 0
        wait_until(lambda: not path.exists())
    finally:
        node.close()


@as_root
@pytest.mark.parametrize(("settings", "told"), [("", 1), ("workers = 2", 1), ('user = "root"', 0)])
def test_a_node_that_stays_root_says_so_once(tmp_path: Path, settings: str, told: int) -> None:
    node = Node.for_issuer(tmp_path, sqlite_table, Issuer(), forked=True)
    node.settings = settings
    try:
        node.start()
        assert node.stop() == 0
        assert node.log.count("this node is root, and stays so") == told
    finally:
        node.close()


@as_root
def test_a_program_that_he_cannot_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = msgspec.structs.replace(configuration(), user=str(NOBODY))
    for name in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, name, lambda *_: None)
    monkeypatch.setattr(accounts, "give_up_capabilities", lambda: None)
    monkeypatch.setattr(os, "access", lambda path, _: "accounts" not in path)
    with pytest.raises(SettingError, match=r"key `user`: `65534` cannot read the program: .*/accounts\.py"):
        accounts.drop_privileges(wanted)


def test_who_is_not_there_is_told_with_the_key(tmp_path: Path) -> None:
    node = Node.for_issuer(tmp_path, sqlite_table, Issuer())
    for settings, reason in (
        ('user = "no-such-user"', "key `user`: there is no user `no-such-user`"),
        ('user = "4294967295"', "key `user`: there is no user `4294967295`"),
        ('user = "root"\ngroup = "no-such-group"', "key `group`: there is no group `no-such-group`"),
    ):
        node.settings = settings
        assert reason in refusal(node)


def test_only_root_becomes_another_and_who_is_that_one_already_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    root = msgspec.structs.replace(configuration(), user="0", group="0")
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    with pytest.raises(SettingError, match="key `user`: cannot become `0`: that is root's to do"):
        accounts.drop_privileges(root)
    accounts.drop_privileges(msgspec.structs.replace(root, user=str(NOBODY)))


def test_without_a_user_a_node_stays_who_it_is() -> None:
    accounts.drop_privileges(configuration())
    assert accounts.account(configuration()) is None
