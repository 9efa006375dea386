"""What clients sent and what they were told, and whether the nodes agree with it at the end.

A write that was acknowledged is there, as it was sent. One that was not is there as it was sent, or not at all, and
never twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

#: Digests by version by path, as the nodes show them.
Stored = Mapping[str, Mapping[int, str]]


class Written(NamedTuple):
    """A write of a secret that was acknowledged."""

    path: str
    version: int
    digest: str


class Ledger:
    """A file that is only appended to; comparing reads it again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a", encoding="ascii", buffering=1)
        self.acknowledged = 0

    def sent(self, path: str, value: str) -> None:
        """Note a write of a secret that is about to be sent."""
        self._append("sent", path, digest(value))

    def written(self, path: str, version: int, value: str) -> None:
        """Note a write that was acknowledged."""
        self._acknowledge("written", path, version, digest(value))

    def encrypted(self, ciphertext: str, plaintext: str) -> None:
        """Note a ciphertext that was handed out."""
        self._acknowledge("encrypted", ciphertext, plaintext)

    def rotated(self, version: int) -> None:
        """Note a rotation that was acknowledged."""
        self._acknowledge("rotated", version)

    def close(self) -> None:
        self._file.close()

    def paths(self) -> list[str]:
        """Return every path that was written to."""
        return list(dict.fromkeys(path for path, _ in self._entries("sent")))

    def ciphertexts(self) -> list[tuple[str, str]]:
        """Return what was encrypted, with its plaintext."""
        return [(ciphertext, plaintext) for ciphertext, plaintext in self._entries("encrypted")]

    def compare(self, stored: Stored, latest_version: int) -> None:
        """Fail unless all secrets, and the Transit key's version, are as they must be."""
        written = [Written(*entry) for entry in self._entries("written")]
        lost = [each for each in written if stored.get(each.path, {}).get(each.version) != each.digest]
        assert not lost, f"{len(lost)} acknowledged writes are lost or changed: {lost[:5]}"
        sent: dict[str, Counter[str]] = defaultdict(Counter)
        for path, digest_sent in self._entries("sent"):
            sent[path][digest_sent] += 1
        for path, versions in stored.items():
            surplus = Counter(versions.values()) - sent[path]
            assert not surplus, f"{path}: values nobody sent, or more often than sent"
            assert sorted(versions) == list(range(1, len(versions) + 1)), f"{path}: versions have gaps"
        rotations = [version for (version,) in self._entries("rotated")]
        assert len(rotations) == len(set(rotations)), "two rotations were told the same version"
        assert latest_version >= max(rotations, default=1), "a rotation is lost"

    def _acknowledge(self, *entry: Any) -> None:
        self.acknowledged += 1
        self._append(*entry)

    def _append(self, *entry: Any) -> None:
        self._file.write(json.dumps(entry) + "\n")

    def _entries(self, kind: str) -> list[list[Any]]:
        lines = map(json.loads, self._path.read_text(encoding="ascii").splitlines())
        return [fields for found, *fields in lines if found == kind]


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:24]
