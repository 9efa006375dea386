"""A book of audit logs in memory, as the store keeps one."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.audit.log.anchors import StoredAnchor
from kms_actors.audit.log.findings import Anchor, Trust
from kms_actors.audit.log.notes import Signer
from kms_actors.errors import StoreUnavailable

SCOPE = "clever-kms/vault/vault_1/audit"


class MemoryBook:
    """See `Book`; `down` makes the store fail."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.kept: dict[str, StoredAnchor] = {}
        self.down = False

    @property
    def trust(self) -> Trust:
        return Trust(SCOPE, self._key.public_key().public_bytes_raw())

    @property
    def told(self) -> list[Anchor]:
        return [anchor.told for anchor in self.kept.values()]

    def signer(self, log: str) -> Signer:
        return Signer(f"{SCOPE}/{log}", self._key)

    async def anchors(self) -> list[StoredAnchor]:
        self._check()
        return list(self.kept.values())

    async def advance(self, before: StoredAnchor | None, anchor: StoredAnchor) -> bool:
        self._check()
        if self.kept.get(anchor.log) != before:
            return False
        self.kept[anchor.log] = anchor
        return True

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("the database does not answer")
