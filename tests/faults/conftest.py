"""Faults are drawn around every engine of the store's contract suite."""

from __future__ import annotations

from tests.store.conftest import open_store, place, store

__all__ = ["open_store", "place", "store"]
