"""One wrapping key for all tests of imports: RSA of 4096 bits takes seconds to make."""

from __future__ import annotations

from functools import cache

from kms_actors.actors.transit.storage import TransitRecords
from kms_actors.store.api import Transaction
from kms_actors.transit.records import WrappingKey
from kms_actors.transit.schemes.rsa import Rsa
from tests.actors.transit_tenant import MOUNT, Tenant


@cache
def wrapping_key() -> WrappingKey:
    """Return the key; call it first where no event loop waits."""
    return WrappingKey(*Rsa(4096, sign_us=0, verify_us=0).generate())


async def planted(tenant: Tenant) -> None:
    """Give the mount its wrapping key."""
    records = TransitRecords(tenant.context.keys, tenant.context.keyring)

    async def body(tr: Transaction) -> None:
        records.put_wrapping_key(tr, MOUNT.number, wrapping_key())

    await tenant.context.store.change(body, mount=MOUNT.number)
