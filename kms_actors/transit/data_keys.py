"""Data keys of one request, close together.

As objects, ten thousand of them take four megabytes of small blocks, and as much again once they are rendered. Blocks
that other requests got meanwhile lie between, and keep what was freed from being given back.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from kms_actors.transit.messages import DataKey


class DataKeys:
    """Keeps data keys in their order. They are taken out one by one, as often as it is gone through."""

    __slots__ = ("_ciphertexts", "_ends", "_plaintexts", "_versions")

    def __init__(self) -> None:
        self._plaintexts = bytearray()
        self._ciphertexts = bytearray()
        self._ends = array("Q")  # of each, in both of these
        self._versions = array("Q")

    def __iadd__(self, made: Iterable[DataKey]) -> DataKeys:
        for (ciphertext, version), plaintext in ((each.encrypted, each.plaintext) for each in made):
            self._plaintexts += plaintext
            self._ciphertexts += ciphertext.encode("ascii")
            self._ends.append(len(self._plaintexts))
            self._ends.append(len(self._ciphertexts))
            self._versions.append(version)
        return self

    def __len__(self) -> int:
        return len(self._versions)

    def __iter__(self) -> Iterator[DataKey]:
        plain = sealed = 0
        for number, version in enumerate(self._versions):
            plain_end, sealed_end = self._ends[2 * number : 2 * number + 2]
            ciphertext = self._ciphertexts[sealed:sealed_end].decode("ascii")
            yield DataKey((ciphertext, version), bytes(self._plaintexts[plain:plain_end]))
            plain, sealed = plain_end, sealed_end

    def __repr__(self) -> str:
        return f"<DataKeys: {len(self)}>"

    @property
    def version(self) -> int:
        """That of the key which encrypts the first of them."""
        return self._versions[0]
