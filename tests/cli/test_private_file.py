"""Files with secrets: 0600 under any umask, whole at every moment.

The kind: a secret that a shell's redirection writes, readable by all, or half where a reader comes at the wrong time.
The commands write their secrets themselves, and all by the same two functions.
"""

from __future__ import annotations

import asyncio
import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from kms_actors.backup import file
from kms_actors.cli.client import main
from kms_actors.cli.private_file import create_private, replace_private
from kms_actors.errors import InvalidRequest
from kms_actors.store import schema
from tests.cli.test_store_commands import _ROOT, _SERVICE, CONFIGURATION
from tests.support.backups import header
from tests.support.vaults import opened


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
    assert missing.output == "Error: none/tenant.token: there is no folder none\n"


@pytest.mark.parametrize("write", [create_private, replace_private])
def test_a_disk_that_is_full_is_told_with_the_file_and_nothing_is_left(
    tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            write(tmp_path / "a", "longer than that")
        with pytest.raises(OSError) as of_backups, file.create(tmp_path / "b", header("all")):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(tmp_path / "a")
    assert of_backups.value.filename == str(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


OUTPUTS = {
    "keys": ["keys"],
    "master-key": ["master-key", "create"],
    "biscuit": ["biscuit", "--addon-id", "vault_1", "--privilege", "tenant"],
    "biscuit --force": ["biscuit", "--addon-id", "vault_1", "--privilege", "tenant", "--force"],
    "rewrap": ["transit", "rewrap", "--key", "k", "--address", "http://127.0.0.1:1"],
    "backup": ["backup", "--configuration", "node.toml"],
}


@pytest.mark.parametrize("command", OUTPUTS)
def test_an_output_in_no_folder_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAULT_TOKEN", "t")
    assert CliRunner().invoke(main, ["keys"]).exit_code == 0
    text = CONFIGURATION.format(directory=tmp_path, provider="", root=_ROOT, service=_SERVICE)
    (tmp_path / "node.toml").write_text(text)
    asyncio.run(_made(tmp_path))
    before = sorted(tmp_path.iterdir())
    result = CliRunner().invoke(main, [*OUTPUTS[command], "--output", "none/a/x"])
    assert (result.exit_code, result.output) == (1, "Error: none/a/x: there is no folder none\n")
    assert sorted(tmp_path.iterdir()) == before


async def _made(directory: Path) -> None:
    async with opened(directory) as store:
        await schema.initialise(store)


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """The kind: `--output /dev/stdout --force`, or worse, /dev/null, by root: the device is gone."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(InvalidRequest, match="only a file is replaced"):
        replace_private(path, "three")
    assert stat.S_ISFIFO(path.stat().st_mode)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(InvalidRequest, match="only a file is replaced"):
        replace_private(link, "three")
    assert link.is_symlink()
