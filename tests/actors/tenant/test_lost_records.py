"""Where a record is lost or a counter is set back, nothing is made over what remains.

The kind: something new that is made because one record is missing, in a place where others of the same lie. Who makes
something looks at the place itself: integers of tenants and mounts are above all that have records, and a key is not
there only where none of its versions is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.records import NodeRecords
from kms_actors.actors.node.service import NodeService
from kms_actors.check.findings import Kind
from kms_actors.check.walk import check
from kms_actors.errors import InvalidRequest
from kms_actors.keyring.seal import SealConfig
from kms_actors.kv.messages import ReadSecret, WriteSecret
from kms_actors.messages import DisableMount, EnableMount, Grants
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.api import Store
from kms_actors.store.keyspace import ALLOCATOR, TenantKeys
from kms_actors.transit import messages as m
from kms_actors.transit.items import DecryptItem, EncryptItem
from kms_actors.transit.policy import KeyChanges, KeyOptions
from tests.store.access import clear, get, get_all, put
from tests.store.conftest import open_store, place, store
from tests.support.vaults import filled, node, transit_mount

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture
async def service(store: Store, tmp_path: Path) -> AsyncIterator[NodeService]:
    async with node(store, tmp_path) as service:
        yield service


@pytest.mark.parametrize("allocator", [None, 0, 1, 2])
async def test_an_allocator_that_was_set_back_gives_out_no_integer_again(
    service: NodeService, store: Store, allocator: int | None
) -> None:
    vaults = [await filled(service, f"vault_{name}") for name in "abc"]
    if allocator is None:
        await clear(store, ALLOCATOR)
    else:
        await put(store, (ALLOCATOR, allocator.to_bytes(8, "little")))
    vaults += [await filled(service, f"vault_{name}") for name in "de"]
    numbers = [await get(store, keyspace.vault(vault.vault_id)) for vault in vaults]
    assert [int.from_bytes(number or b"", "little") for number in numbers] == [1, 2, 3, 4, 5]
    for vault in vaults:
        await vault.check(service)
    report = await check(store, None, lambda *_: None)
    assert list(report.findings) == []


async def test_what_is_no_tuple_in_a_tenant_hides_its_integer_from_nobody(service: NodeService, store: Store) -> None:
    await put(store, (TenantKeys(300).prefix + b"\xfe?", b"?"))
    await filled(service, "vault_a")
    assert await get(store, keyspace.vault("vault_a")) == (301).to_bytes(8, "little")


@pytest.mark.parametrize("number", [1, 255, 256, 65_536, 62**6 - 1, 2**63])
def test_the_integer_of_a_key_is_read_as_it_was_packed(number: int) -> None:
    assert keyspace.tenant_of(TenantKeys(number).key("kv", 1)) == number


@pytest.mark.parametrize("engine", ["kv-v2", "transit"])
async def test_a_counter_of_mounts_that_was_set_back_gives_out_no_number_again(
    service: NodeService, store: Store, engine: str
) -> None:
    await filled(service, "vault_a")
    tenant = await service.tenant("vault_a")
    keys = TenantKeys(1)
    await tenant.ask(EnableMount("one/", engine, "", {}))
    await tenant.ask(EnableMount("two/", engine, "", {}))
    await clear(store, keys.key("mount-number"))
    await put(store, (keys.key("transit", 9, "policy", "left over"), b"?"))
    await tenant.ask(EnableMount("three/", engine, "", {}))
    numbers = sorted(mount.number for mount in tenant.mounts)
    assert numbers[-1] == 10
    assert len(set(numbers)) == len(numbers)
    await tenant.ask(DisableMount("three/"))


# Transit keys.


def encrypt(tenant: TenantHandle, name: str = "orders") -> m.Encrypt:
    return m.Encrypt(transit_mount(tenant), name, [EncryptItem(b"x")], Grants(), False, "aes256-gcm96", False)


ATTEMPTS: dict[str, Callable[[TenantHandle], Any]] = {
    "create": lambda tenant: m.CreateKey(transit_mount(tenant), "orders", KeyOptions()),
    "rotate": lambda tenant: m.RotateKey(transit_mount(tenant), "orders"),
    "configure": lambda tenant: m.ConfigureKey(transit_mount(tenant), "orders", KeyChanges(deletion_allowed=True)),
    "read": lambda tenant: m.ReadKey(transit_mount(tenant), "orders"),
    "delete": lambda tenant: m.DeleteKey(transit_mount(tenant), "orders"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_a_key_whose_policy_is_lost_is_told_and_nothing_is_made_over_it(
    service: NodeService, store: Store, attempt: str
) -> None:
    await filled(service, "vault_a")
    tenant = await service.tenant("vault_a")
    policy = TenantKeys(1).key("transit", 2, "policy", "orders")
    assert await get(store, policy) is not None
    await clear(store, policy)
    before = {key: value for key, value in await get_all(store) if key.startswith(TenantKeys(1).key("transit"))}
    with pytest.raises(InvalidRequest, match="is lost while versions of it remain"):
        await tenant.ask(ATTEMPTS[attempt](tenant))
    after = {key: value for key, value in await get_all(store) if key.startswith(TenantKeys(1).key("transit"))}
    assert after == before
    report = await check(store, None, lambda *_: None)
    assert Kind.ORPHAN in {finding.kind for finding in report.findings}


async def test_an_encryption_makes_no_key_over_versions(service: NodeService, store: Store) -> None:
    await filled(service, "vault_a")
    tenant = await service.tenant("vault_a")
    await put(store, (TenantKeys(1).key("transit", 2, "version", "new", 3), b"of a lost key"))
    with pytest.raises(InvalidRequest, match="is lost"):
        await tenant.ask(encrypt(tenant, "new"))
    assert await get(store, TenantKeys(1).key("transit", 2, "policy", "new")) is None


async def test_such_a_key_comes_back_from_its_backup_with_force(service: NodeService, store: Store) -> None:
    await filled(service, "vault_a")
    tenant = await service.tenant("vault_a")
    mount = transit_mount(tenant)
    await tenant.ask(m.CreateKey(mount, "k", KeyOptions(exportable=True, allow_plaintext_backup=True)))
    ((ciphertext, _),) = await tenant.ask(encrypt(tenant, "k"))
    data = await tenant.ask(m.BackUpKey(mount, "k"))
    await clear(store, TenantKeys(1).key("transit", 2, "policy", "k"))
    with pytest.raises(InvalidRequest, match="is lost"):
        await tenant.ask(m.RestoreKey(mount, "k", data, False))
    await tenant.ask(m.RestoreKey(mount, "k", data, True))
    assert await tenant.ask(m.Decrypt(mount, "k", [DecryptItem(ciphertext)])) == [b"x"]


# The cluster.


async def test_a_lost_seal_has_no_keyring_made_over_the_old_one(store: Store) -> None:
    records = NodeRecords(store, "c")
    seal = SealConfig(1, 1, "00" * 16, 0.0)
    await records.create(seal, SecretBytes(bytes(32)), 0.0)
    keyring = await get(store, keyspace.node("c", "keyring"))
    await clear(store, keyspace.node("c", "seal"))
    with pytest.raises(InvalidRequest, match="seal is lost"):
        await records.create(seal, SecretBytes(bytes(32)), 0.0)
    assert await get(store, keyspace.node("c", "keyring")) == keyring


async def test_a_secret_stays_as_it_is_when_another_vault_is_made(service: NodeService, store: Store) -> None:
    await filled(service, "vault_a")
    tenant = await service.tenant("vault_a")
    await tenant.ask(WriteSecret(1, "kept", b'{"a":1}', None))
    await put(store, (ALLOCATOR, bytes(8)))
    await filled(service, "vault_b")
    assert (await tenant.ask(ReadSecret(1, "kept"))).data == b'{"a":1}'
