"""What the changes of a tenant rest on, for tests of controllers that have no tenant actor."""

from __future__ import annotations

from functools import partial

from kms_actors.actors.identity.resolving import stamp_entity
from kms_actors.actors.tenant.mounting import mount_record
from kms_actors.actors.tenant.store import TenantStore
from kms_actors.actors.tenant.tenure import Tenure
from kms_actors.keyring.keyring import Keyring
from kms_actors.mounts import Mount, MountTable
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import put


def tenant_store(store: Store, keys: TenantKeys, keyring: Keyring, *mounts: Mount) -> TenantStore:
    """Return the store of a tenant with these mounts, which is never sealed."""
    table = MountTable(mounts)
    stamp = partial(stamp_entity, keys=keys, keyring=keyring)
    tenure = Tenure(lambda: True)
    return TenantStore(store, keys, keyring, epoch=0, mounts=lambda: table, tenure=tenure, stamp_entity=stamp)


async def plant(store: Store, keys: TenantKeys, keyring: Keyring, *mounts: Mount) -> None:
    """Write the records of mounts."""
    await put(store, *(mount_record(keys, keyring, mount) for mount in mounts))
