"""What is to be migrated, told by numbers alone: so whoever reads knows what he should find, and nothing is kept."""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

#: How often each secret is written.
VERSIONS: Final = 5
_ODD_NAMES: Final = ("with space", "ümläut", "dots.and-dashes", "plus+and@at", "100% (sure)")
_TYPES: Final = (
    "aes256-gcm96",
    "aes128-gcm96",
    "chacha20-poly1305",
    "xchacha20-poly1305",
    "ed25519",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "hmac",
)
_ENCRYPTING: Final = frozenset(
    {"aes256-gcm96", "aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048"}
)


class Secret(NamedTuple):
    """A secret of KV version 2 by its number, with whose last digit its lot is cast."""

    number: int

    @property
    def path(self) -> str:
        name = f"s{self.number}"
        if self._lot == 9:
            name += f" {_ODD_NAMES[self.number // 10 % len(_ODD_NAMES)]}"
        return f"team-{self.number % 89:02}/app-{self.number // 89 % 7}/{name}"

    @property
    def _lot(self) -> int:
        return self.number % 10

    def data(self, version: int) -> dict[str, Any]:
        """Return what a version holds."""
        digest = hashlib.sha256(f"{self.number} {version}".encode()).hexdigest()
        found: dict[str, Any] = {"version": version, "user": f"app-{self.number}", "password": digest}
        if self._lot == 9:
            found |= {"text": 'ü😀\u2028\t"\\', "large": 2**53 - version, "small": -0.25, "nothing": None}
            found |= {"list": [1, [], {}, {"a": True}], "blob": digest * (self.number // 10 % 60), "": "no name"}
        return found

    @property
    def settings(self) -> dict[str, Any]:
        if self._lot == 7:
            owner = {"owner": f"team {self.number}", "ü": "ö"}
            return {"custom_metadata": owner, "max_versions": 8, "delete_version_after": "720h0m0s"}
        return {"max_versions": 3} if self._lot == 8 else {}

    @property
    def cas_required(self) -> bool:
        return self._lot == 7

    @property
    def deleted(self) -> list[int]:
        """Versions that are deleted: of every second of its lot the latest."""
        return ([2, VERSIONS] if self.number % 20 == 15 else [2]) if self._lot == 5 else []

    @property
    def destroyed(self) -> list[int]:
        return [3] if self._lot == 6 else []

    def state(self, version: int) -> str:
        """Return what of a version there is."""
        if version in self.deleted:
            return "deleted"
        if version in self.destroyed or (self._lot == 8 and version <= VERSIONS - 3):
            return "gone"
        return "readable"


class Key(NamedTuple):
    """A Transit key by its number: every tenth cannot be exported, and every tenth not be backed up."""

    number: int

    @property
    def name(self) -> str:
        return f"key-{self.number}"

    @property
    def type(self) -> str:
        return "rsa-2048" if self.number % 50 == 49 else _TYPES[self.number % len(_TYPES)]

    @property
    def moves(self) -> bool:
        return self.number % 10 > 1

    @property
    def options(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": self.type, "exportable": self.number % 10 > 0}
        found["allow_plaintext_backup"] = self.moves
        if self.type == "hmac":
            found["key_size"] = 32 + self.number % 20
        if self.derived:
            found |= {"derived": True, "convergent_encryption": True}
        return found

    @property
    def derived(self) -> bool:
        return self.type == "aes256-gcm96" and self.number % 4 == 0

    @property
    def encrypts(self) -> bool:
        return self.type in _ENCRYPTING

    @property
    def latest(self) -> int:
        return 1 + (0 if self.type == "rsa-2048" else self.number % 5)

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.latest > 3:
            found |= {"min_decryption_version": 2, "min_encryption_version": 3}
        if self.number % 3 == 0:
            found |= {"deletion_allowed": True, "auto_rotate_period": "2000h"}
        return found
