"""Files with secrets: 0600 under any umask, whole at every moment.

The kind: a secret that a shell's redirection writes, readable by all, or half where a reader comes at the wrong time.
The commands write their secrets themselves, and all by the same two functions.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kms_actors.cli.client import main
from kms_actors.cli.private_file import create_private, replace_private


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_its_owners_alone_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    create_private(path, "one")
    assert (path.read_text(), mode(path)) == ("one", 0o600)
    with pytest.raises(FileExistsError):
        create_private(path, "two")
    assert path.read_text() == "one"
    path.chmod(0o644)
    replace_private(path, "three")
    assert (path.read_text(), mode(path)) == ("three", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_names_the_file_and_keeps_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        replace_private(tmp_path / "none" / "a", "x")
    assert caught.value.filename == str(tmp_path / "none" / "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        replace_private(tmp_path / "folder", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_the_commands_that_make_tokens_write_them_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["keys"]).exit_code == 0
    arguments = ["biscuit", "--addon-id", "vault_1", "--privilege", "tenant", "--output", "tenant.token"]
    made = CliRunner().invoke(main, arguments)
    assert made.exit_code == 0, made.output
    token = Path("tenant.token").read_text().strip()
    assert token
    assert token not in made.output
    narrow = ["biscuit", "attenuate", "-", "--ttl", "1h", "--output", "reader.token"]
    narrowed = CliRunner().invoke(main, narrow, input=token)
    assert (narrowed.exit_code, narrowed.output) == (0, "Token file reader.token\n")
    assert len(Path("reader.token").read_text()) > len(token)
    assert {mode(path) for path in tmp_path.iterdir()} == {0o600}
    missing = CliRunner().invoke(main, [*arguments[:-1], "none/tenant.token"])
    assert missing.exit_code == 1
    assert "none/tenant.token: no such file" in missing.output
