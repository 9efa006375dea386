"""A vault's backup, page by page, for who fetches it over the API and keeps no place in the store."""

from __future__ import annotations

from typing import Final

from kms_actors.backup.export import what_it_is
from kms_actors.backup.groups import read_groups
from kms_actors.errors import InvalidRequest
from kms_actors.store.api import Priority, Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.pages import size_of
from kms_actors.tenancy.messages import ExportedPage

#: Bytes of a page: what belongs together cannot be cut.
MOST_BYTES: Final = 16 << 20
_TOO_LARGE: Final = "a secret of this vault is too large for the API: `kms-cli backup` takes it from the store"


async def export_page(store: Store, number: int, vault_id: str, begin: bytes) -> ExportedPage:
    """Return the records of a vault from `begin` on, whole groups of them; see `groups`.

    Raises:
        InvalidRequest: a group is too large, or the vault goes away meanwhile, or is being restored.

    """
    keys = TenantKeys(number)
    groups = await read_groups(store, vault_id, keys, begin or keys.prefix)
    if size_of(groups.entries) > MOST_BYTES:
        raise InvalidRequest(_TOO_LARGE)
    entries = tuple(groups.entries)
    if groups.next is not None:
        return ExportedPage(number, entries, groups.next, restored=groups.restored)
    last = await store.run(lambda tr: what_it_is(tr, vault_id, keys, groups.restored), priority=Priority.BATCH)
    return ExportedPage(number, entries, b"", tuple(last), groups.restored)
