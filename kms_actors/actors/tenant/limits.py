"""Which keys and keyrings are near the number of messages that one key should encrypt, as a process has seen it."""

from __future__ import annotations

from typing import Final, TypeVar

import structlog

from kms_actors.keyring.record import MOST_RECORDS

T = TypeVar("T")

_log = structlog.get_logger(__name__)

#: Of each kind, as many are remembered.
_MOST: Final = 10_000


class NearLimits:
    """Of all tenants of a process; `keys` and `keyrings` are how many there are."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, int, str]] = set()
        self._keyrings: set[str] = set()

    @property
    def keys(self) -> int:
        return len(self._keys)

    @property
    def keyrings(self) -> int:
        return len(self._keyrings)

    def note_key(self, vault_id: str, mount: int, name: str, *, near: bool) -> None:
        """Take in whether the latest version of a Transit key is near its limit."""
        _note(self._keys, (vault_id, mount, name), near=near)

    def note_keyring(self, vault_id: str, records: int) -> None:
        """Take in how many records the active version of a vault's keyring has sealed."""
        near = records >= MOST_RECORDS // 2
        _note(self._keyrings, vault_id, near=near)
        if near:
            _log.warning("a keyring has sealed many records", vault=vault_id, records=records, most=MOST_RECORDS)


def _note(known: set[T], item: T, *, near: bool) -> None:
    if not near:
        known.discard(item)
    elif len(known) < _MOST:
        known.add(item)
