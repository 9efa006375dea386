"""`kms-layer` runs by the C library's allocator, unless somebody has chosen another one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kms_actors.cli import begin, layer
from tests.bench.processes import process_tree
from tests.support.node import Node, sqlite_table
from tests.support.tokens import Issuer


class Begun(Exception):
    """A program took this one's place."""


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(*how: Any) -> None:
        raise Begun(*how)

    monkeypatch.setattr(os, "execve", execute)
    monkeypatch.setattr(layer, "main", lambda: None)


@pytest.mark.usefixtures("begun")
def test_it_begins_itself_anew_where_nobody_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONMALLOC", raising=False)
    with pytest.raises(Begun) as how:
        begin.layer()
    assert how.value.args == (sys.executable, sys.orig_argv, {**os.environ, "PYTHONMALLOC": "malloc"})


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("chosen", ["pymalloc", "malloc", ""])
def test_what_is_chosen_stays(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    monkeypatch.setenv("PYTHONMALLOC", chosen)
    begin.layer()


@pytest.mark.usefixtures("begun")
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONMALLOC", raising=False)
    monkeypatch.setattr(os, "confstr_names", {})
    begin.layer()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees how processes that hide their memory were begun")
def test_all_processes_of_a_node_do(tmp_path: Path) -> None:
    node = Node.for_issuer(tmp_path, sqlite_table, Issuer())
    node.settings = "workers = 2"
    node.start()
    try:
        chosen = [Path(f"/proc/{pid}/environ").read_bytes() for pid in process_tree(node.pid)]
    finally:
        node.close()
    assert len(chosen) == 3
    assert all(b"PYTHONMALLOC=malloc" in each.split(b"\0") for each in chosen)
