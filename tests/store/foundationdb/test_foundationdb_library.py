"""Loading the client library where it cannot be: what the user reads. Needs no FoundationDB."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import fdb
import pytest

from kms_actors.errors import StoreUnavailable
from kms_actors.store.foundationdb import library as foundationdb_library
from kms_actors.store.foundationdb.engine import FoundationDbStore


async def test_a_missing_client_library_is_one_line_that_names_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(_: int) -> None:
        raise Exception("Unable to locate the FoundationDB API shared library!")  # noqa: TRY002 -- as the binding does

    monkeypatch.setattr(fdb, "api_version", missing)
    with pytest.raises(StoreUnavailable) as raised:
        await FoundationDbStore.open(tmp_path / "fdb.cluster", 730)
    text = str(raised.value)
    assert f"foundationdb-clients package of version {metadata.version('foundationdb')}" in text
    assert "\n" not in text


async def test_a_library_too_old_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def too_old(_: int) -> None:
        raise RuntimeError("API version 730 is not supported by the installed FoundationDB C library.")

    monkeypatch.setattr(fdb, "api_version", too_old)
    with pytest.raises(StoreUnavailable, match=r"FoundationDB API version 730: .* installed"):
        await FoundationDbStore.open(tmp_path / "fdb.cluster", 730)


async def test_nothing_is_carried_across_a_fork(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(foundationdb_library, "_process", 1)
    with pytest.raises(StoreUnavailable, match="before a fork"):
        await FoundationDbStore.open(tmp_path / "fdb.cluster", 730)
