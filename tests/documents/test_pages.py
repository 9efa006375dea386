"""Pages of `docs/`: each command of each page is run by a test, in order, from a clean state.

What a page shows of their output is compared. `KMS_TEST_DOCUMENTS=all` (`make test-docs`) takes the long pages, too,
and HashiCorp's command line beside OpenBao's.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.building import command_of
from tests.clients.matrix import named
from tests.conformance.sops_cli import find_sops
from tests.documents.pages import ELSEWHERE, LEFT_OUT, PAGES, Page, Place
from tests.documents.reader import ROOT, read, serves_development, typed, with_ports, worked
from tests.support import fdb_cluster
from tests.support.documents import Commands, commands, missing_output
from tests.support.programs import named_by

_ALL = os.environ.get("KMS_TEST_DOCUMENTS") == "all"
_TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/README.md")
DOCUMENTS = sorted([*(ROOT / name for name in _TOP), *(ROOT / "docs").rglob("*.md")])
#: Starts a node that stays in its terminal.
_RUN = re.compile(r"^make run$|^\S*kms-layer .*--development$", re.MULTILINE)


def find(program: str) -> Path:
    """Return a client, built at need; skip the test where that cannot be."""
    if program == "bao":
        return Path(sys.executable).with_name("bao")
    if program == "sops":
        return find_sops()
    if program.startswith("fdb"):
        if reason := fdb_cluster.absent():
            pytest.skip(reason)
        return Path(fdb_cluster.programs()[program == "fdbcli"])
    assert program == "cosign"
    return named_by("KMS_TEST_COSIGN") or Path(command_of(named("cosign"))[0])


@pytest.mark.parametrize("programs", ["vault", "bao"] if _ALL else ["bao"], indirect=True)
@pytest.mark.parametrize("page", [page for page in PAGES if _ALL or not page.long], ids=lambda page: page.path)
def test_every_command_of_a_page_works_and_prints_what_is_shown(
    page: Page, project: Path, environment: dict[str, str], programs: Path, ports: tuple[str, ...]
) -> None:
    for name in page.programs:
        (programs / name).symlink_to(find(name))
    found = read(page.path, ports)
    for name, text in found.files.items():
        (project / name).write_text(text, encoding="utf-8")
    with _place(page.place, found, project, environment, ports) as scripts:
        printed = "".join(worked(script, project, environment) for script in scripts)
    assert not missing_output(found, printed), printed
    refusals = re.findall(r'\|\| echo "(refused: [^"]+)"', "".join(scripts))
    assert re.findall(r"^refused: .*$", printed, re.MULTILINE) == refusals, printed


@contextlib.contextmanager
def _place(
    place: Place, found: Commands, project: Path, environment: dict[str, str], ports: tuple[str, ...]
) -> Iterator[list[str]]:
    """Have there what readers have; yield what is left to be typed."""
    scripts = list(found.shells)
    if place is Place.GUIDE:
        guide = (ROOT / "docs/guide.md").read_text(encoding="utf-8").partition("\n## 8.")[0]
        scripts[0] = commands(with_ports(guide, ports), "guide.md").shells[0] + scripts[0]
        (Path(environment["HOME"]) / "kms-guide").mkdir()
        yield scripts
        return
    node = "make run"
    if place is Place.NOTHING:
        if not _RUN.search(scripts[0]):
            yield scripts
            return
        node = scripts.pop(0)
    with typed(node, project, environment) as shell:
        serves_development(project, ports)
        yield scripts
        assert shell.poll() is None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_with_commands_is_run_by_a_test(document: Path) -> None:
    name = document.relative_to(ROOT).as_posix()
    found = commands(document.read_text(encoding="utf-8"), name)
    run = name in ELSEWHERE or name in {page.path for page in PAGES}
    assert run or not "".join(found.shells), "its commands are run by no test: see tests/documents/pages.py"


@pytest.mark.parametrize("page", ELSEWHERE)
def test_a_test_of_its_own_is_there(page: str) -> None:
    assert (ROOT / page).exists()
    place = ELSEWHERE[page]
    named = {".ci/run": "make lint"}.get(place, Path(page).name)
    assert named in (ROOT / place).read_text(encoding="utf-8")


def test_what_no_test_runs_is_listed_and_told() -> None:
    told = {
        (document.relative_to(ROOT).as_posix(), reason)
        for document in DOCUMENTS
        for reason in commands(document.read_text(encoding="utf-8"), document.name).left_out
    }
    assert told == LEFT_OUT


def test_every_page_of_the_table_is_there() -> None:
    assert not [page.path for page in PAGES if not (ROOT / page.path).exists()]
    assert len({page.path for page in PAGES} | ELSEWHERE.keys()) == len(PAGES) + len(ELSEWHERE)
