"""What a check finds. A finding names a key, never a value."""

from __future__ import annotations

import enum
import struct
from typing import Any

import msgspec

from kms_actors.store import keyspace


class Kind(enum.StrEnum):
    """What is wrong at a key."""

    UNKNOWN_KEY = "unknown-key"  # no record of this program lies there
    FORMAT = "format"  # does not decode, or is of a newer program
    DOES_NOT_OPEN = "does-not-open"  # sealed, and not by the key at hand
    ORPHAN = "orphan"  # what it belongs to is not there
    MISSING = "missing"  # something else says that it is there
    CONTRADICTION = "contradiction"  # another record says otherwise
    UNFINISHED = "unfinished-restore"


class Finding(msgspec.Struct, frozen=True):
    """`key` is the full key in the store."""

    kind: Kind
    key: bytes
    text: str

    @property
    def place(self) -> str:
        """The key as a tuple without the root, or in hex where it is none."""
        parts = parts_of(self.key)
        return self.key.hex() if parts is None else repr(parts)


def parts_of(key: bytes) -> tuple[Any, ...] | None:
    """Return the tuple of a key without the root; None where another key stands for the same, or it is no tuple."""
    try:
        parts = keyspace.unpack(key)
        return parts if keyspace.pack(*parts) == key else None
    except (ValueError, IndexError, TypeError, struct.error):
        return None


class Report:
    """All findings of a check, each once, and what was looked at."""

    def __init__(self) -> None:
        self.findings: dict[Finding, None] = {}
        self.records = 0
        self.vaults = 0
        self.opened = 0  # vaults whose sealed records were opened
        self.older = 0  # records that an older version of a keyring at hand has sealed

    def add(self, page: Page) -> None:
        """Take in what was found on one page."""
        self.findings.update(dict.fromkeys(page.findings))
        self.records += page.records
        self.vaults += page.vaults
        self.opened += page.opened
        self.older += page.older


class Page:
    """What one transaction found; a body that runs again starts a new one."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.records = self.vaults = self.opened = self.older = 0

    def add(self, kind: Kind, key: bytes, text: str) -> None:
        self.findings.append(Finding(kind, key, text))
