"""README.md, docs/guide.md and other pages, typed by a reader who has nothing yet: each command works, in order.

The kind: a document that is right line by line and fails as a whole, for what an earlier line left behind. All blocks
of a shell are one script that stops at the first failure, run from an empty home, with HashiCorp's command line and,
so that no machine goes without, with OpenBao's under its name. Only the ports are others: theirs may be in use here.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from kms_actors.cli.development import VAULT_ID
from tests.documents.reader import read, serves_development, typed, worked
from tests.support.node import wait_until


def umask_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) & 0o077


def test_the_guide(project: Path, environment: dict[str, str], ports: tuple[str, ...]) -> None:
    guide = read("docs/guide.md", ports)
    place = Path(environment["HOME"]) / "kms-guide"
    place.mkdir()
    for name, text in guide.files.items():
        (place / name).write_text(text, encoding="utf-8")
    assert set(guide.files) == {"example.py"}
    first, development = guide.shells

    printed = worked(first, project, environment)
    print(printed)

    # What must fail does, and nothing else did; the secrets made on the way are nobody else's.
    refusals = re.findall(r'\|\| echo "(refused: [^"]+)"', first)
    assert len(refusals) == 3
    assert re.findall(r"^refused: .*$", printed, re.MULTILINE) == refusals
    assert '{"errors"' not in printed
    assert "hello" in printed.splitlines()
    assert "b'hello'" in printed
    secrets = [path for path in place.iterdir() if path.suffix in {".token", ".shares", ".header", ".toml", ".json"}]
    assert len(secrets) >= 9
    assert not [path for path in secrets if umask_of(path) and path.name not in guide.files]
    rewrapped = "".join(
        (place / name).read_text() for name in ("rewrapped.txt", "orders.new.csv", "orders.new.jsonl")
    )
    assert rewrapped.count("vault:v2:") == 4
    assert "vault:v1:" not in rewrapped
    assert (place / "users.new.csv").read_text().count("vault:v2:") == 1
    with typed(development, project, environment) as shell:
        serves_development(project, ports)
        assert shell.poll() is None


def test_the_page_on_logins(project: Path, environment: dict[str, str], ports: tuple[str, ...]) -> None:
    (script,) = read("docs/logins.md", ports).shells
    with typed("make run", project, environment) as shell:
        serves_development(project, ports)
        printed = worked(script, project, environment)
        assert shell.poll() is None
    assert printed.count("my-long-passcode") == 2
    assert "userpass-ann" in printed
    assert '{"errors"' not in printed


def test_the_readme(project: Path, environment: dict[str, str], ports: tuple[str, ...]) -> None:
    first, other = read("README.md", ports).shells
    lines = [line.partition("#")[0].strip() for line in first.splitlines() if not line.startswith("echo '---")]
    assert lines == ["make run", "make test"]  # the second is what runs this
    with typed("make run", project, environment) as shell:
        serves_development(project, ports)
        printed = worked(other, project, environment)
        assert shell.poll() is None
    assert "my-long-passcode" in printed
    assert "vault:v1:" in printed
    assert '{"errors"' not in printed
    assert {path.name for path in (project / ".dev").glob("*.token")} == {
        "cluster-operator.token",
        "tenant-operator.token",
        "tenant.token",
    }
    assert not [path for path in (project / ".dev").iterdir() if umask_of(path)]


def test_the_page_of_tenants(project: Path, environment: dict[str, str], ports: tuple[str, ...]) -> None:
    """A vault is created, limited, used, sealed, exported, measured, deleted and kept; another is given rates."""
    (script,) = read("docs/tenants.md", ports).shells
    with typed("make run", project, environment) as shell:
        serves_development(project, ports)
        printed = worked(script, project, environment)
        assert shell.poll() is None
    lines = [line.split() for line in printed.splitlines()]
    assert ["VAULT", "STATE", "SEAL"] in [line[:3] for line in lines]
    states = [line[1] for line in lines if line[:1] == ["State:"]]
    assert states == ["created", "unsealed", "unsealed", "unsealed", "sealed", "leaving", "sealed"]
    assert ["Rate", "limit:", "500", "in", "10", "s,", "all", "addresses", "together"] in lines
    assert [line for line in lines if line[:1] == ["Measured:"]]
    assert "SHA-256:" in printed
    assert (project / "vault_new.backup").stat().st_size > 0
    assert ["rate", "100"] in lines
    assert printed.count("clients:1 distinct_entities:0") == 2
    assert ["retention_months", "12"] in lines


def test_the_page_on_kubernetes(project: Path, environment: dict[str, str], ports: tuple[str, ...]) -> None:
    pytest.importorskip("grpc", reason="gRPC is absent: pip install -e .[test]")
    (script,) = read("docs/kubernetes.md", ports).shells
    with typed("make run", project, environment) as shell:
        serves_development(project, ports)
        ending = "kill -TERM $(jobs -p); wait"  # as systemd would
        printed = worked(f"{script}\n{ending}\n", project, environment)
        assert shell.poll() is None
    assert "sealed and opened" in printed
    assert "1 keys, the newest " in printed
    assert not [*project.glob("*.sock")]


def test_wrapping(project: Path, environment: dict[str, str], ports: tuple[str, ...]) -> None:
    (script,) = read("docs/wrapping.md", ports).shells
    with typed("make run", project, environment) as shell:
        serves_development(project, ports)
        printed = worked(script, project, environment)
        assert shell.poll() is None
    lines = printed.splitlines()
    refusals = re.findall(r'\|\| echo "(refused: [^"]+)"', script)
    assert len(refusals) == 1
    assert re.findall(r"^refused: .*$", printed, re.MULTILINE) == refusals
    assert "wrapping token is not valid or does not exist" in printed
    assert [line.split() for line in lines if line.startswith("creation_path")] == [
        ["creation_path", "secret/data/creds"]
    ]
    assert '"passcode": "my-long-passcode"' in printed
    assert {"example", "mine"} <= set(lines)
    assert any(line.startswith("wrapped_accessor") for line in lines)


def test_the_page_of_listeners(project: Path, environment: dict[str, str], ports: tuple[str, ...]) -> None:
    """A client logs in by its certificate, and renews its token; the node reads its certificates anew."""
    node, client = read("docs/listeners.md", ports).shells
    with typed(node, project, environment) as shell:
        wait_until((project / ".dev/tls-node/tenant.token").exists, "development mode is ready")
        wait_until((project / ".dev/tls/kms.sock").exists, "the unix socket is there")
        printed = worked(client, project, environment)
        assert shell.poll() is None
    lines = [line.split() for line in printed.splitlines()]
    assert ["display_name", "cert-app"] in lines
    assert ["token_policies", '["app"', '"default"]'] in lines
    assert '"initialized":true' in printed


def test_the_page_on_audit_proofs(
    project: Path, environment: dict[str, str], ports: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "audit"
    with (project / "config/embedded.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[audit]\nfolder = "{folder}"\n')
    (script,) = read("docs/audit-proofs.md", ports).shells
    with typed("make run", project, environment) as shell:
        serves_development(project, ports)
        further = {
            "VAULT_ADDR": f"http://127.0.0.1:{ports[0]}",
            "VAULT_TOKEN": (project / ".dev/tenant-operator.token").read_text(encoding="ascii").strip(),
            "PATH": f"{project / '.venv/bin'}:{environment['PATH']}",
            "LOG": str(folder / "vaults" / VAULT_ID / "audit.log"),
        }
        printed = worked(script, project, {**environment, **further})
        assert shell.poll() is None
    findings = re.findall(r"forged.log:\d+: (\w+)|^(removed|cut|unproven):", printed, re.MULTILINE)
    assert {kind for pair in findings for kind in pair if kind} >= {"changed", "removed", "cut"}
    assert "(found: 1)" in printed
    assert printed.count("0 findings") == 3
    assert printed.count('"path":"secret/data/payroll"') >= 3
