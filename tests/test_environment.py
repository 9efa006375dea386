"""Tests see nothing of the user's environment.

The kind: a test that passes or fails by what the machine's user did before (`vault login`, exported variables,
proxies, keys of `kms-cli`). The whole environment is made anew, of a list of what is kept, so no client needs care.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import hvac
import pytest

from tests.support.environment import environment_of_tests

ROOT = Path(__file__).parents[1]

#: What a user's shell may hold; each would change what a client or a command of ours does.
POISON = {
    "VAULT_ADDR": "http://127.0.0.1:1",
    "VAULT_TOKEN": "hvs.rubbish",
    "VAULT_NAMESPACE": "elsewhere",
    "VAULT_FORMAT": "json",
    "BAO_ADDR": "http://127.0.0.1:1",
    "BAO_TOKEN": "s.rubbish",
    "NO_COLOR": "1",
    "FORCE_COLOR": "1",
    "XDG_CONFIG_HOME": "/nonexistent",
    "KMS_KEYS_FILE": "/nonexistent",
    "KMS_ROOT_PRIVATE_KEY": "00" * 32,
    "KMS_UNSEAL_KEYS": "rubbish",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "LC_ALL": "C",
    "TZ": "Asia/Tokyo",
}


def test_a_client_finds_neither_a_token_nor_an_address() -> None:
    assert not POISON.keys() & os.environ.keys() - {"HTTP_PROXY"}  # that one is of use to downloads only
    kept = (".vault-token", ".bao-token", ".vault", ".bao", ".netrc", ".config/clever-kms")  # programs may keep more
    assert [name for name in kept if (Path.home() / name).exists()] == []
    client = hvac.Client()
    assert client.token is None
    assert client.url == "http://localhost:8200"


def test_programs_heed_an_interrupt() -> None:
    waiting = [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"]
    with subprocess.Popen(waiting, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == -signal.SIGINT


def test_what_the_users_shell_and_home_hold_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text("rubbish")
    (tmp_path / ".vault").write_text('token_helper = "/nonexistent"\n')
    (tmp_path / ".netrc").write_text("default login rubbish password rubbish\n")
    inner = [
        "tests/test_environment.py::test_a_client_finds_neither_a_token_nor_an_address",
        "tests/test_environment.py::test_programs_heed_an_interrupt",
        "tests/conformance/test_walk_hvac.py::test_health_needs_no_token",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *inner],
        cwd=ROOT,
        env={**os.environ, **POISON, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as shells do with what they run behind
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b[34] passed", done.stdout)  # the second on each store that is here


def test_what_takes_long_to_build_is_kept_where_the_user_keeps_it() -> None:
    made = environment_of_tests({"HOME": "/home/ann", "PATH": "/bin"}, Path("/empty"))
    assert made["HOME"] == "/empty"
    assert made["KMS_TEST_CACHE"] == "/home/ann/.cache/clever-kms"
    assert made["GOPATH"] == "/home/ann/go"
    assert environment_of_tests({"HOME": "/x", "GOPATH": "/g"}, Path("/empty"))["GOPATH"] == "/g"


@pytest.mark.parametrize("name", ["KMS_TEST_FDBSERVER", "KMS_FAULT_STEPS", "PATH", "GOPROXY", "HTTPS_PROXY"])
def test_what_tests_are_told_reaches_them(name: str) -> None:
    assert environment_of_tests({name: "value"}, Path("/empty"))[name] == "value"
