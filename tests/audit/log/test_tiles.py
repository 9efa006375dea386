"""Logs as tiles: the paths and widths of c2sp.org/tlog-tiles, and Go's client proves every entry from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kms_actors.audit.log import proving, tiles, verifying
from kms_actors.audit.log.proving import Proven
from kms_actors.audit.log.tiles import ENTRIES, Tile
from kms_actors.errors import InvalidRequest
from tests.support.audit_verifier import find_audit_verifier
from tests.support.proven_log import Written, write_logs


def test_the_published_path() -> None:
    assert Tile(0, 1234067, 256).path == "tile/0/x001/x234/067"
    assert Tile(ENTRIES, 0, 5).path == "tile/entries/000.p/5"


def test_the_published_tree_of_70000() -> None:
    """273 full tiles of level 0 and one of 112, one full of level 1 and one of 17, and one of level 2, of width 1."""
    found = list(tiles.tiles(70_000))
    assert [sum(tile.level == level for tile in found) for level in range(3)] == [274, 2, 1]
    assert [tile.width for tile in found if tile.width != 256] == [112, 17, 1]
    assert [(tile.level, tile.width) for tile in tiles.tiles(256)] == [(0, 256), (1, 1)]
    assert not list(tiles.tiles(0))


def test_an_entry_longer_than_a_bundle_can_hold_is_told() -> None:
    assert tiles.bundle_content([b"ab", b""]) == b"\0\2ab\0\0"
    assert tiles.bundle_content([bytes(65_536)]) is None


def export(made: Written, log: str, target: Path) -> Proven:
    def reads() -> list[verifying.Read]:
        return list(verifying.read(made.files()))

    proven = Proven(reads(), made.trust, log)
    entries = (each.entry for each in reads() if each.line is not None and each.line.log == log)
    for path, content in proving.tiled(entries, proven):
        assert content is not None
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return proven


def test_go_proves_every_entry_from_tiles(tmp_path: Path) -> None:
    made = write_logs(3, 1500)
    for anchor in made.anchors:
        target = tmp_path / anchor.log
        proven = export(made, anchor.log, target)
        assert proven.signed == anchor.lines - 1
        verifier = str(made.trust.verifier(anchor.log))
        assert find_audit_verifier().accepts("tiles", verifier, target)
        bundle = target / "tile/entries/000"
        bundle.write_bytes(bundle.read_bytes().replace(b"secret/data/", b"secret/dxta/", 1))
        assert not find_audit_verifier().accepts("tiles", verifier, target)


def test_tiles_want_the_whole_log() -> None:
    made = write_logs(3, 100)
    (_, _), later = made.files()
    log = made.anchors[0].log
    proven = Proven(verifying.read([later]), made.trust, log)
    with pytest.raises(InvalidRequest, match="whole log"):
        list(proving.tiled([], proven))


def test_a_line_is_proven_from_the_file_that_it_is_in(tmp_path: Path) -> None:
    """A file that was rotated in begins with the edge of the tree: the older ones are not needed."""
    made = write_logs(3, 300)
    _, later = made.files()
    proof, entry = tmp_path / "proof", tmp_path / "entry"
    for each in list(verifying.read([later]))[5:25]:
        assert each.line is not None
        log, index = each.line.log, each.line.index
        found = Proven(verifying.read([later]), made.trust, log, index + 1).proof(index)
        assert found.check(each.entry, made.trust.verifier(log)).size > index
        proof.write_text(found.text(), encoding="utf-8")
        entry.write_bytes(each.entry)
        assert find_audit_verifier().accepts("proof", str(made.trust.verifier(log)), proof, entry)


def test_nothing_is_proven_of_a_log_that_was_changed() -> None:
    made = write_logs(3, 300)
    log = made.anchors[0].log
    place = made.placed.index((log, 10))
    changed = list(made.lines)
    changed[place] = (changed[place][0], changed[place][1].replace(b"secret/data/", b"secret/dxta/"))
    with pytest.raises(InvalidRequest, match="not as it was"):
        Proven(verifying.read(made.files(changed)), made.trust, log, 20)
    with pytest.raises(InvalidRequest, match="no checkpoint holds"):
        Proven(verifying.read(made.files()), made.trust, log, 1 << 40)
    with pytest.raises(InvalidRequest, match="no line"):
        Proven(verifying.read(made.files()), made.trust, "0" * 16)
