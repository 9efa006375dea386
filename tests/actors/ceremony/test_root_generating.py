"""Root tokens of a vault by its shares: each is one of the vault's tokens."""

from __future__ import annotations

from pathlib import Path

from kms_actors.actors.tenant.standing import COUNT
from kms_actors.ceremony.messages import BeginRootGeneration, GiveRootShare
from kms_actors.ceremony.root import decode_token
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.token.messages import EndToken
from tests.store.access import get
from tests.store.conftest import open_store, place, store
from tests.support.vaults import filled, node

__all__ = ["open_store", "place", "store"]


async def test_a_root_token_is_counted_until_it_is_revoked(store: Store, tmp_path: Path) -> None:
    """Else each of them that is revoked lets the vault have a token more than it may."""
    async with node(store, tmp_path) as service:
        vault = await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")

        async def counted() -> int:
            raw = await get(store, TenantKeys(tenant.number).key(COUNT, "tokens", 0))
            return int.from_bytes(raw or b"", "little")

        before = await counted()
        begun = await tenant.ask(BeginRootGeneration())
        for share in vault.shares[:2]:
            status = await tenant.ask(GiveRootShare(share, begun.nonce))
        assert await counted() == before + 1
        await tenant.ask(EndToken(token=decode_token(status.encoded_token, begun.otp)))
        assert await counted() == before
