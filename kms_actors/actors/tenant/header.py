"""The first record of a tenant."""

from __future__ import annotations

import msgspec

from kms_actors.keyring import stored
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys


class TenantHeader(msgspec.Struct, frozen=True):
    """First record of a tenant: whose it is, and the format of all the others."""

    vault_id: str
    created: float  # seconds since 1970
    format: int = stored.FORMAT


async def owner_of(tr: Transaction, keys: TenantKeys) -> str | None:
    """Return the vault id that a tenant's header has, or None."""
    header = await tr.get(keys.key("header"))
    return None if header is None else stored.decode(header, TenantHeader, "tenant header").vault_id
