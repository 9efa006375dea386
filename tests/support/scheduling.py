"""Which process of a run runs what: tests of a file stay together, and those of folders that share what is dear.

Three nodes over one database, a browser, a reference server: a fixture of the session is made once for all files of a
folder where one process runs them, one engine after the other, and anew for each file and engine where they are dealt
out. It ends with the folder, and does not idle until the run ends.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

#: Files that begin so stay together.
_TOGETHER: Final = (
    "tests/cluster/",
    "tests/console/",
    "tests/differential/",
    "tests/faults/test_cut_off.py",
    "tests/faults/test_disasters.py",
)


def unit_of(nodeid: str) -> str:
    """Return what a test is run together with: the path of its file, or of its folder."""
    file = nodeid.partition("::")[0]
    return file.rpartition("/")[0] if file.startswith(_TOGETHER) else file


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what deals out tests as xdist's `--dist loadfile` does, but by units."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - only who deals out needs xdist

    class ByUnits(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

    return ByUnits(config, log)


def end_unit(item: pytest.Item, following: pytest.Item | None) -> None:
    """Behind the last test of a folder that stays together, end the fixtures of the session."""
    unit = unit_of(item.nodeid)
    left = following is not None and unit_of(following.nodeid) != unit
    if left and not unit.endswith(".py"):
        item.session._setupstate.teardown_exact(None)
