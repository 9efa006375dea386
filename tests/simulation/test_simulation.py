"""A few seeds of the simulation, and whether it can fail: `make simulate` and `make hunt` are the long runs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.planted import PLANTED, SECTION_A, Edit, edited
from tests.support.report import reporting

ROOT = Path(__file__).parents[2]
SEEDS = os.environ.get("KMS_SIMULATION_SEEDS", "3")
#: Bugs that the first few seeds find, and the workload that does.
FOUND_SOON = (
    ("uses-not-counted", "tokens"),
    ("accessor-not-read", "tokens"),
    ("rotation-not-told", "transit"),
    ("login-not-told", "logins"),
    ("login-kept-though-changed", "logins"),
    ("check-and-set-not-checked", "registers"),
    ("root-token-not-counted", "roots"),
    ("root-generation-goes-on", "roots"),
    ("client-counted-again", "activity"),
    ("clients-left-behind", "activity"),
    ("revocation-has-the-vault-read", "bounds"),
    ("trimming-a-page-at-a-time", "bounds"),
    ("trimming-before-requests", "bounds"),
    ("heads-not-counted", "bounds"),
    ("threads-by-who-came-first", "bounds"),
    ("no-end-of-all-attempts", "bounds"),
    ("list-in-one-transaction", "bounds"),
)


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run seeds in a process of their own, whose clocks and chance are replaced."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def test_no_promise_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """Three nodes, everything that can go wrong, and the promises of docs/consistency.md."""
    run = simulate("--seeds", SEEDS)
    assert run.returncode == 0, run.stdout + run.stderr
    reporting(capsys, "simulation")(run.stdout.splitlines()[0])


def test_a_seed_gives_the_same_again() -> None:
    """What happened and when, to the nanosecond: else a failure could not be looked into."""
    first, second = (simulate("--first", "7", "--seeds", "1", "--verbose") for _ in range(2))
    assert first.stderr.startswith("seed 7: ")
    assert first.stderr == second.stderr


@pytest.mark.parametrize(("name", "workload"), FOUND_SOON)
def test_a_planted_bug_is_found(name: str, workload: str) -> None:
    """The judges judge: with what keeps a promise taken out, a seed says which one was broken."""
    run = simulate("--seeds", "12", "--planted", name, "--only", workload)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "breaks a promise" in run.stdout


@pytest.mark.parametrize(("name", "edit"), [(name, edit) for name, edits in PLANTED.items() for edit in edits])
def test_a_planted_bug_can_still_be_put_in(name: str, edit: Edit) -> None:
    """Each replaces what is there once. Where the product has changed, it is to be written anew."""
    spec = importlib.util.find_spec(edit.module)
    assert spec is not None
    assert spec.origin is not None
    source = edited(Path(spec.origin).read_text(encoding="utf-8"), edit)
    compile(source, name, "exec")


def test_the_faults_that_were_mended_are_among_the_bugs() -> None:
    """One for each fault of several nodes on one store: A1 to A15 of docs/faults.md."""
    assert set(SECTION_A) == {f"A{number}" for number in range(1, 16)}
    assert set(SECTION_A.values()) <= set(PLANTED)


def test_several_processes_share_seeds_and_come_to_the_same() -> None:
    one, two = (simulate("--seeds", "2", "--figures", "--processes", count) for count in ("1", "2"))
    alone, together = json.loads(one.stdout), json.loads(two.stdout)
    assert together.pop("seconds") == pytest.approx(alone.pop("seconds"))
    assert (alone, alone["seeds"]) == (together, 2)


def test_the_first_process_whose_seed_breaks_a_promise_ends_all() -> None:
    run = simulate("--seeds", "1000", "--processes", "2", "--planted", "check-and-set-not-checked")
    assert run.returncode == 1
    assert "breaks a promise" in run.stdout
    assert "again: python -m tests.simulation --first " in run.stdout
