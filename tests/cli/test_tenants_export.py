"""`kms-cli tenants export --resume` where the vault is not the one any more that it was: nothing is mixed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, cast

import pytest

from kms_actors.backup.format import FrameReader, Records
from kms_actors.cli.sender import RequestFailed
from kms_actors.cli.tenants.client import TenantsClient
from kms_actors.cli.tenants.export import export
from kms_actors.errors import InvalidRequest


class Pages:
    """Stands for a node that gives a vault in pages, of a restore that `restored` names."""

    def __init__(self) -> None:
        self.restored: str | None = ""
        self.fails = False

    def ask(self, _: str, *path: str, query: dict[str, str] | None = None) -> Any:
        if path[-1] != "export" or query is None:
            return {}
        place, end = query["after"], _text(b"z")
        if place and self.fails:
            raise RequestFailed("cut off")
        page = {
            "number": 7,
            "entries": [[place or _text(b"a"), _text(b"of " + str(self.restored).encode())]],
            "next": "" if place else end,
            "what_it_is": [[_text(b"header"), ""]] if place else [],
        }
        return page if self.restored is None else {**page, "restored": self.restored}


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def exported(node: Pages, path: Path, *, resume: bool = False) -> None:
    export(cast(TenantsClient, node), "vault_a", path, resume=resume, advance=lambda _: None)


def records(path: Path) -> list[tuple[bytes, bytes]]:
    with path.open("rb") as file:
        found = list(FrameReader(file).frames())
    return [entry for frame in found if isinstance(frame, Records) for entry in frame.entries]


def test_an_export_is_not_resumed_over_a_restore(tmp_path: Path) -> None:
    node = Pages()
    node.fails = True
    with pytest.raises(RequestFailed):
        exported(node, tmp_path / "cut")
    node.fails, node.restored = False, _text(b"m" * 16)
    with pytest.raises(InvalidRequest, match="vault_a was restored while it was backed up: --resume reads it"):
        exported(node, tmp_path / "cut", resume=True)
    exported(node, tmp_path / "cut", resume=True)
    of_the_restore = b"of " + _text(b"m" * 16).encode()
    assert records(tmp_path / "cut") == [(b"a", of_the_restore), (b"z", of_the_restore)]


def test_a_node_of_an_older_program_is_exported(tmp_path: Path) -> None:
    node = Pages()
    node.restored, node.fails = None, True
    with pytest.raises(RequestFailed):
        exported(node, tmp_path / "cut")
    node.fails = False
    exported(node, tmp_path / "cut", resume=True)
    assert records(tmp_path / "cut") == [(b"a", b"of None"), (b"z", b"of None")]
