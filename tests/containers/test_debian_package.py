"""The Debian package: two builds of the same bytes; installed, started, upgraded and removed under a real systemd."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from kms_actors import __version__
from tests.support import documents
from tests.support.containers import Podman, absent
from tests.support.node import wait_until

ROOT: Final = Path(__file__).parents[2]
_CONFIGURATION: Final = "/etc/clever-kms/node.toml"
_HEALTH: Final = f"kms-layer health --configuration {_CONFIGURATION}"
#: A container may open as many files as its machine lets root; the unit asks for more.
_FEWER_FILES: Final = """
mkdir -p /etc/systemd/system/clever-kms.service.d
printf '[Service]\\nLimitNOFILE=1024\\n' > /etc/systemd/system/clever-kms.service.d/files.conf
"""
_ANSWERS: Final = f"for each in $(seq 60); do {_HEALTH} && break; sleep 1; done; {_HEALTH}"
Shell = Callable[[str], str]


def _built(folder: Path, umask: int) -> Path:
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci/deb.py"), str(folder)],
        env=os.environ | {"SOURCE_DATE_EPOCH": "1767225600", "DEBEMAIL": "kms@example.org"},
        capture_output=True,
        text=True,
        umask=umask,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [made] = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := absent("dpkg-deb"):
        pytest.skip(reason)
    return _built(tmp_path_factory.mktemp("one"), 0o022)


@pytest.fixture
def shell(podman: Podman, package: Path, tmp_path: Path) -> Iterator[Shell]:
    """A machine that has the package in `/root`, and one of a newer version below it."""
    tree = tmp_path / "newer"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {__version__}", "Version: 999"))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(tmp_path)], check=True)
    machine = podman.call("run", "--detach", "--systemd=always", podman.stand_in("systemd")).strip()
    try:
        podman.call("exec", machine, "mkdir", "/root/newer")
        podman.call("cp", str(package), f"{machine}:/root/")
        podman.call("cp", *map(str, tmp_path.glob("*.deb")), f"{machine}:/root/newer/")
        wait_until(
            lambda: podman.run("podman", "exec", machine, "systemctl", "is-active", "dbus").returncode == 0, "up"
        )
        yield lambda script: podman.call("exec", "--workdir", "/root", machine, "bash", "-euc", script)
    finally:
        podman.run("podman", "rm", "--force", "--time", "5", machine)


def test_two_builds_are_the_same_bytes(package: Path, tmp_path: Path) -> None:
    assert _built(tmp_path / "two", 0o077).read_bytes() == package.read_bytes()


def test_it_says_what_it_is_made_of(package: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--extract", str(package), str(tmp_path)], check=True)
    told = json.loads((tmp_path / "usr/share/doc/clever-kms/clever-kms.cdx.json").read_text(encoding="utf-8"))
    names = ("requirements.lock", "requirements-extras.lock")
    lock = "".join((ROOT / name).read_text(encoding="utf-8") for name in names)
    wanted = set(re.findall(r"^(\S+)==", lock, re.MULTILINE)) | {"preact", "htm"}
    assert {each["name"] for each in told["components"]} == wanted


def test_the_judge_of_packages_finds_no_error(package: Path) -> None:
    lintian = shutil.which("lintian")
    if lintian is None:
        pytest.skip("lintian is not here: Debian's package lintian")
    done = subprocess.run(
        [lintian, "--allow-root", str(package)], capture_output=True, text=True, timeout=600, check=False
    )
    ours = [line for line in done.stdout.splitlines() if "opt/clever-kms" not in line and line.startswith("E: ")]
    assert ours == []


def test_a_node_is_installed_started_upgraded_and_removed(shell: Shell) -> None:
    text = (ROOT / "docs/packages.md").read_text(encoding="utf-8")
    section = text[text.index("## Debian package") : text.index("## Container image")]
    _, install, *then = documents.commands(section, "packages.md").shells[0].splitlines()
    assert install.startswith("dpkg --install ")
    shell(f"{_FEWER_FILES}{install}")
    assert shell("systemctl is-enabled clever-kms || true") == "disabled\n"  # nobody has configured it
    assert shell(f"stat -c '%U %G %a' {_CONFIGURATION} /var/lib/clever-kms").splitlines() == [
        "root clever-kms 640",
        "clever-kms clever-kms 700",
    ]
    shell("\n".join(then))
    refused = shell("kms-cli kubernetes check --socket /run/none 2>&1 || true")
    assert "failed to connect" in refused.lower() or "no such file" in refused.lower(), refused
    before = shell("systemctl show --property MainPID clever-kms")
    assert shell("stat -c %U /proc/$(systemctl show --property MainPID --value clever-kms)").strip() == "clever-kms"

    configured = shell(f"cat {_CONFIGURATION}")
    shell(f"dpkg --install newer/clever-kms_*.deb; {_ANSWERS}")
    assert shell("systemctl show --property MainPID clever-kms") != before
    assert shell(f"cat {_CONFIGURATION}") == configured
    shell(
        "kms-cli biscuit --addon-id kms-c1 --privilege cluster-operator --output token --quiet\n"
        'curl --fail --silent --request PUT --header "X-Vault-Token: $(cat token)" '
        '--data \'{"secret_shares": 1, "secret_threshold": 1}\' http://127.0.0.1:8202/v1/sys/init > made'
    )
    assert json.loads(shell("cat made"))["keys_base64"]
    for path in ("bash-completion/completions/kms-cli", "zsh/vendor-completions/_kms-layer"):
        assert re.search(r"kms-(cli|layer)", shell(f"cat /usr/share/{path}"))

    shell("dpkg --purge clever-kms")
    assert "kms.sqlite" in shell("ls /var/lib/clever-kms")
    assert shell("systemctl is-active clever-kms || true") == "inactive\n"
    assert shell("ls /opt /etc/clever-kms 2>/dev/null || true").split() == []
