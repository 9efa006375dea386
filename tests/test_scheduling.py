"""Which tests of a run stay in one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scheduling import _TOGETHER, unit_of

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("beginning", _TOGETHER)
def test_what_stays_together_is_there(beginning: str) -> None:
    assert (ROOT / beginning).exists()


def test_a_file_stays_together_or_its_folder_does() -> None:
    assert unit_of("tests/kv/test_engine.py::TestA::test_b[c::d/e]") == "tests/kv/test_engine.py"
    assert unit_of("tests/cluster/test_seals.py::test_a[sqlite]") == "tests/cluster"
    assert unit_of("tests/faults/test_cut_off.py::test_a") == unit_of("tests/faults/test_disasters.py::test_b")
    assert unit_of("tests/faults/test_model.py::test_a") == "tests/faults/test_model.py"
