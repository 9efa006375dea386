"""`kms-cli master-key check`: the check value of given shares, which never stand in arguments."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from kms_actors.cli import shares as given
from kms_actors.cli.client import main
from kms_actors.keyring.shamir import parse_share
from tests.support.walkthrough import FOREIGN_SHARES, MASTER_KEY_CHECK_VALUE, MASTER_SHARES


def run(*options: str, text: str = "") -> Result:
    return CliRunner().invoke(main, ["master-key", *options], input=text)


def lines(shares: list[str]) -> str:
    return "".join(f"{share}\n" for share in shares)


@pytest.mark.parametrize("some", [[0, 1, 2], [4, 2, 0], [3, 1, 4], [0, 1, 2, 3], [0, 1, 2, 3, 4]])
def test_any_quorum_on_standard_input_gives_the_check_value(some: list[int]) -> None:
    result = run("check", text=lines([MASTER_SHARES[place] for place in some]))
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == f"Key Check Value: {MASTER_KEY_CHECK_VALUE}"
    assert f'key_check_value = "{MASTER_KEY_CHECK_VALUE}"' in result.output


def test_what_create_prints_is_taken_as_it_is() -> None:
    made = run("create", "--key-shares", "4", "--key-threshold", "2").output
    checked = run("check", "--key-threshold", "2", text=made).output
    assert checked == made[made.index("Key Check Value") :]


def test_shares_come_from_files_in_base64_or_hex(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(lines(MASTER_SHARES[:2]))
    two.write_text(f"  {parse_share(MASTER_SHARES[3]).hex()}  \n\n")
    result = run("check", "--share-file", str(one), "--share-file", str(two), text="not read")
    assert result.output.startswith(f"Key Check Value: {MASTER_KEY_CHECK_VALUE}")


def test_a_person_is_asked_until_the_first_empty_line(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([*MASTER_SHARES[:3], ""])

    def prompt(text: str, **options: object) -> str:
        assert (options["hide_input"], options["err"]) == (True, True)
        return next(answers)

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(given, "_terminal", lambda: True)
    assert run("check").output.startswith(f"Key Check Value: {MASTER_KEY_CHECK_VALUE}")


def test_shares_are_compared_with_an_expected_value() -> None:
    shares = lines(MASTER_SHARES[:3])
    good = run("check", "--key-check-value", MASTER_KEY_CHECK_VALUE.upper(), text=shares)
    assert (good.exit_code, good.output) == (0, "The shares give the key of this check value.\n")
    bad = run("check", "--key-check-value", MASTER_KEY_CHECK_VALUE, text=lines(FOREIGN_SHARES[:3]))
    assert (bad.exit_code, "another key" in bad.output) == (1, True)


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ([], "0 shares are given, and 3 are needed"),
        (MASTER_SHARES[:2], "2 shares are given, and 3 are needed"),
        ([MASTER_SHARES[0]] * 3, "different coordinates"),
        ([*MASTER_SHARES[:3], FOREIGN_SHARES[3]], "not of one key"),
        ([*MASTER_SHARES[:2], "CANARY"], "a line is no share"),
        ([*MASTER_SHARES[:2], "A" * 45], "key"),
    ],
)
def test_what_gives_no_key_ends_with_code_2_and_is_not_repeated(shares: list[str], reason: str) -> None:
    result = run("check", text=lines(shares))
    assert (result.exit_code, reason in result.output) == (2, True), result.output
    assert not any(share in result.output for share in shares)


def test_a_missing_file_is_named() -> None:
    result = run("check", "--share-file", "nowhere")
    assert (result.exit_code, result.output) == (2, "Error: nowhere: no such file\n")


def test_no_argument_takes_a_share() -> None:
    assert run("check", MASTER_SHARES[0], text=lines(MASTER_SHARES)).exit_code == 2
    assert "  kms-cli master-key check" in run("check", "--help").output
