from __future__ import annotations

import itertools
import re
import stat
from pathlib import Path

import pytest
import tomli
from click.testing import CliRunner, Result

from kms_actors.auth.keys import TokenKeys
from kms_actors.cli.client import main
from kms_actors.cli.key_file import read_key_file, write_key_file
from kms_actors.errors import InvalidRequest
from kms_actors.keyring.check_value import key_check_value
from kms_actors.keyring.shamir import combine, parse_share


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("options", [[], ["--output", "mine.toml"]])
def test_keys_are_written_for_the_owner_only_and_not_printed(options: list[str]) -> None:
    result = run("keys", *options)
    path = Path(options[-1] if options else "kms-keys.toml")
    assert result.exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = read_key_file(path)
    configuration = tomli.loads(result.output[result.output.index("[authenticator") :])
    assert configuration["authenticator"]["provider"]["keys"] == [list(made.public)]
    assert f"Root Public Key ed25519/{made.public[0]}\n" in result.output
    for key in (made.root, made.service):
        assert key.reveal().hex() not in result.output


def test_a_key_file_is_never_overwritten() -> None:
    assert run("keys").exit_code == 0
    before = Path("kms-keys.toml").read_bytes()
    result = run("keys")
    assert (result.exit_code, result.output) == (1, "Error: kms-keys.toml: file exists\n")
    assert Path("kms-keys.toml").read_bytes() == before


def test_private_keys_are_shown_when_asked_for() -> None:
    result = run("keys", "--show-private")
    assert re.findall(r"(?m)^(Root|Service) Private Key ed25519-private/[0-9a-f]{64}$", result.output) == [
        "Root",
        "Service",
    ]
    assert not Path("kms-keys.toml").exists()


def test_a_key_file_is_read_as_it_was_written() -> None:
    keys = TokenKeys.generate()
    write_key_file(Path("k"), keys)
    assert read_key_file(Path("k")) == keys


@pytest.mark.parametrize("text", ["", "root_private_key = 5", 'root_private_key = "CANARY"', "CANARY", "\x00"])
def test_a_wrong_key_file_is_refused_without_its_content(text: str) -> None:
    Path("k").write_text(text)
    with pytest.raises(InvalidRequest) as caught:
        read_key_file(Path("k"))
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "shares", "threshold"),
    [
        ([], 5, 3),
        (["--key-shares", "3", "--key-threshold", "2"], 3, 2),
        (["--key-shares=1", "--key-threshold=1"], 1, 1),
    ],
)
def test_a_master_key_is_made_in_shares_that_match_its_check_value(
    options: list[str], shares: int, threshold: int
) -> None:
    result = run("master-key", "create", *options)
    assert result.exit_code == 0
    texts = re.findall(r"(?m)^Unseal Key \d+: (\S+)$", result.output)
    assert len(texts) == shares
    (check_value,) = re.findall(r"(?m)^Key Check Value: (\S+)$", result.output)
    for some in itertools.combinations(texts, threshold):
        assert key_check_value(combine([parse_share(text) for text in some])) == check_value
    configuration = tomli.loads(result.output[result.output.index("[master_keyring_provider]") :])
    assert configuration["master_keyring_provider"]["key_check_value"] == check_value


@pytest.mark.parametrize(
    "options",
    [
        ["--key-shares", "2"],
        ["--key-shares", "0", "--key-threshold", "0"],
        ["--key-shares", "256"],
        ["--key-threshold", "1"],
        ["--key-shares", "many"],
    ],
)
def test_a_wrong_number_of_shares_ends_with_code_2_and_no_share(options: list[str]) -> None:
    result = run("master-key", "create", *options)
    assert result.exit_code == 2
    assert "Unseal Key" not in result.output


@pytest.mark.parametrize("command", [["keys"], ["master-key"], ["master-key", "create"], []])
def test_help_and_unknown_options(command: list[str]) -> None:
    assert run(*command, "--help").exit_code == 0
    assert run(*command, "--nonsense").exit_code == 2
