"""The ledger finds what it is there to find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger, Stored, digest

A, B, C = (digest(value) for value in "abc")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Two writes were acknowledged, one was not; and a rotation was."""
    ledger = Ledger(tmp_path / "ledger")
    for value in "abc":
        ledger.sent("path", value)
    ledger.written("path", 1, "a")
    ledger.written("path", 2, "b")
    ledger.rotated(2)
    yield ledger
    ledger.close()


@pytest.mark.parametrize("versions", [{1: A, 2: B}, {1: A, 2: B, 3: C}])
def test_a_write_without_an_answer_may_be_there_or_not(ledger: Ledger, versions: dict[int, str]) -> None:
    ledger.compare({"path": versions}, latest_version=2)


@pytest.mark.parametrize(
    ("stored", "latest_version"),
    [
        pytest.param({"path": {1: A}}, 2, id="lost"),
        pytest.param({}, 2, id="all lost"),
        pytest.param({"path": {1: A, 2: C}}, 2, id="another value"),
        pytest.param({"path": {1: A, 2: B, 3: digest("torn")}}, 2, id="a value nobody sent"),
        pytest.param({"path": {1: A, 2: B, 3: C, 4: C}}, 2, id="applied twice"),
        pytest.param({"path": {1: A, 2: B, 4: C}}, 2, id="a gap"),
        pytest.param({"path": {1: A, 2: B}}, 1, id="a lost rotation"),
    ],
)
def test_what_must_not_be_fails(ledger: Ledger, stored: Stored, latest_version: int) -> None:
    with pytest.raises(AssertionError):
        ledger.compare(stored, latest_version)


def test_a_ledger_is_read_from_its_file(ledger: Ledger) -> None:
    ledger.encrypted("vault:v1:x", "plaintext")
    assert ledger.paths() == ["path"]
    assert ledger.ciphertexts() == [("vault:v1:x", "plaintext")]
    assert ledger.acknowledged == 4
