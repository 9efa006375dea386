"""Transit keys of a tenant on a real store: changes, the cache, and what one sees of the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.tenant.work import INLINE_BYTES
from kms_actors.errors import InvalidRequest, NotFound, PermissionDenied, StoreUnavailable
from kms_actors.messages import (
    Grants,
    Message,
)
from kms_actors.mounts import Mount
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.sqlite.engine import SqliteStore
from kms_actors.transit import messages as m
from kms_actors.transit.items import DecryptItem, EncryptItem, HmacItem, RewrapItem
from kms_actors.transit.policy import KeyChanges, KeyOptions
from tests.actors.transit_tenant import MOUNT, Tenant, opened

OTHER = Mount("other/", "transit", 7, "uuid", "accessor")
ALL = Grants()
ITEM = EncryptItem(b"hello")


class Client:
    """Asks a tenant in the words of a test."""

    def __init__(self, actor: Tenant) -> None:
        self.actor = actor

    async def ask(self, message: Message) -> Any:
        return await self.actor.ask(message)

    async def create(self, name: str = "k", mount: Mount = MOUNT, **options: Any) -> m.KeyInfo:
        reads = self.actor.reads
        info: m.KeyInfo = await self.ask(m.CreateKey(mount, name, KeyOptions(**options)))
        self.actor.reads = reads  # to look whether there is a key is not to load it
        return info

    async def encrypt(
        self, *items: EncryptItem, name: str = "k", grants: Grants = ALL, mount: Mount = MOUNT, **upsert: Any
    ) -> Any:
        upsert = {"with_context": False, "type": "aes256-gcm96", "convergent": False, **upsert}
        return await self.ask(m.Encrypt(mount, name, items or (ITEM,), grants, **upsert))

    async def decrypt(self, *texts: str, name: str = "k") -> Any:
        return await self.ask(m.Decrypt(MOUNT, name, [DecryptItem(text) for text in texts]))

    async def configure(self, name: str = "k", **changes: Any) -> m.KeyInfo:
        info: m.KeyInfo = await self.ask(m.ConfigureKey(MOUNT, name, KeyChanges(**changes)))
        return info

    async def rotate(self, name: str = "k") -> m.KeyInfo:
        info: m.KeyInfo = await self.ask(m.RotateKey(MOUNT, name))
        return info


Two = tuple[SqliteStore, list[Client]]


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    async with opened(tmp_path, actors=2) as (store, actors):
        yield store, [Client(actor) for actor in actors]


@pytest.fixture
def store(two: Two) -> SqliteStore:
    return two[0]


@pytest.fixture
def tenants(two: Two) -> list[Client]:
    return two[1]


@pytest.fixture
def tenant(tenants: list[Client]) -> Client:
    return tenants[0]


async def test_a_created_key_is_shown_and_used(tenant: Client) -> None:
    info = await tenant.create()
    assert (info.policy.name, info.policy.type, list(info.created)) == ("k", "aes256-gcm96", [1])
    assert abs(info.created[1] - time.time_ns()) < 60 * 10**9
    assert await tenant.ask(m.ReadKey(MOUNT, "k")) == info
    [(text, version)] = await tenant.encrypt()
    assert version == 1
    assert await tenant.decrypt(text) == [b"hello"]


async def test_creating_an_existing_key_changes_nothing(tenant: Client) -> None:
    info = await tenant.create()
    [(text, _)] = await tenant.encrypt()
    assert await tenant.create(type="chacha20-poly1305", exportable=True) == info
    assert await tenant.decrypt(text) == [b"hello"]


async def test_mounts_do_not_share_keys(tenant: Client) -> None:
    await tenant.create()
    [(text, _)] = await tenant.encrypt()
    with pytest.raises(NotFound):
        await tenant.ask(m.ReadKey(OTHER, "k"))
    await tenant.create(mount=OTHER)
    [result] = await tenant.ask(m.Decrypt(OTHER, "k", [DecryptItem(text)]))
    assert str(result) == "cipher: message authentication failed"
    assert await tenant.ask(m.ListKeys(OTHER)) == ["k"]


async def test_names_are_listed_in_order_and_in_pages(tenant: Client) -> None:
    for name in ("b", "a.b-c_d", "c", "B"):
        await tenant.create(name)
    assert await tenant.ask(m.ListKeys(MOUNT)) == ["B", "a.b-c_d", "b", "c"]
    assert await tenant.ask(m.ListKeys(MOUNT, "a.b-c_d", 1)) == ["b"]
    assert await tenant.ask(m.ListKeys(MOUNT, "a", 0)) == ["a.b-c_d", "b", "c"]
    assert await tenant.ask(m.ListKeys(MOUNT, "c", 5)) == []


async def test_a_key_is_loaded_once(tenant: Client) -> None:
    await tenant.create()
    await asyncio.gather(*(tenant.encrypt() for _ in range(20)))
    assert tenant.actor.reads == 1
    await tenant.encrypt()
    assert tenant.actor.reads == 1


async def test_more_callers_than_the_mailbox_holds_do_not_stop_a_load(tenant: Client) -> None:
    await tenant.create()
    outcomes = await asyncio.gather(*(tenant.encrypt() for _ in range(200)), return_exceptions=True)
    assert sum(isinstance(outcome, list) for outcome in outcomes) == tenant.actor.mailbox_limit


async def test_the_cache_forgets_what_was_used_longest_ago(tenant: Client) -> None:
    tenant.actor.controller._cache.kept.most = 2
    for name in ("a", "b", "c"):
        await tenant.create(name)
    for name in ("a", "b", "a", "c"):
        await tenant.encrypt(name=name)
    assert tenant.actor.reads == 3
    await tenant.encrypt(name="a")
    assert tenant.actor.reads == 3
    await tenant.encrypt(name="b")
    assert tenant.actor.reads == 4


async def test_a_flood_of_keys_stays_within_the_bytes_and_leaves_a_key_in_use(tenant: Client) -> None:
    cache, account = tenant.actor.controller._cache.kept, tenant.actor.context.account
    cache.limit = 30_000
    await tenant.create("hot")
    await tenant.encrypt(name="hot")
    reads = 1
    for number in range(20):
        await tenant.create(f"k{number}")
        await tenant.encrypt(name=f"k{number}")
        reads += 1
        await tenant.encrypt(name="hot")
        assert 0 < cache.bytes == account.bytes <= cache.limit
    assert tenant.actor.reads == reads
    assert len(cache) < 10


async def test_a_key_with_more_versions_counts_for_more(tenant: Client) -> None:
    await tenant.create()
    await tenant.encrypt()
    one = tenant.actor.context.account.bytes
    await tenant.rotate()
    assert tenant.actor.context.account.bytes == 0
    await tenant.encrypt()
    assert one < tenant.actor.context.account.bytes < 2 * one


async def test_a_rotation_is_seen_by_the_next_request(tenant: Client) -> None:
    await tenant.create()
    [(old, _)] = await tenant.encrypt()
    for version in (2, 3, 4):
        info = await tenant.rotate()
        assert (info.policy.latest_version, list(info.created)) == (version, list(range(1, version + 1)))
        assert (await tenant.encrypt())[0][1] == version
    assert await tenant.decrypt(old) == [b"hello"]
    [(new, version)] = await tenant.ask(m.Rewrap(MOUNT, "k", [RewrapItem(old)]))
    assert version == 4
    assert await tenant.decrypt(new) == [b"hello"]


async def test_concurrent_rotations_lose_none(tenant: Client) -> None:
    await tenant.create()
    infos = await asyncio.gather(*(tenant.rotate() for _ in range(8)))
    assert sorted(info.policy.latest_version for info in infos) == list(range(2, 10))
    assert (await tenant.encrypt())[0][1] == 9


async def test_what_is_encrypted_while_rotating_decrypts(tenant: Client) -> None:
    await tenant.create()
    texts: list[str] = []

    async def encrypt_some() -> None:
        for _ in range(40):
            [(text, _)] = await tenant.encrypt()
            texts.append(text)
            await asyncio.sleep(0)

    async def rotate_some() -> None:
        for _ in range(5):
            await tenant.rotate()

    await asyncio.gather(encrypt_some(), encrypt_some(), rotate_some())
    assert await tenant.decrypt(*texts) == [b"hello"] * 80
    assert (await tenant.encrypt())[0][1] == 6


async def test_a_load_from_before_a_change_is_not_cached(tenant: Client) -> None:
    await tenant.create()
    actor = tenant.actor
    actor.gate, actor.after_read = asyncio.Event(), asyncio.Event()
    waiting = asyncio.ensure_future(tenant.encrypt())
    await actor.after_read.wait()  # it has read version 1, and is slow
    gate, actor.gate = actor.gate, None
    await tenant.rotate()
    assert (await tenant.encrypt())[0][1] == 2  # not from the load under way
    gate.set()
    assert (await waiting)[0][1] == 1  # it asked before the rotation was answered
    assert (await tenant.encrypt())[0][1] == 2


async def test_a_slow_load_that_ends_last_does_not_replace_the_newer_key(tenant: Client) -> None:
    await tenant.create()
    actor = tenant.actor
    actor.gate, actor.after_read = asyncio.Event(), asyncio.Event()
    waiting = asyncio.ensure_future(tenant.encrypt())
    await actor.after_read.wait()
    gate, actor.gate = actor.gate, None
    await tenant.rotate()
    gate.set()
    await waiting
    assert (await tenant.encrypt())[0][1] == 2


async def test_one_caller_who_gives_up_does_not_take_the_key_from_others(tenant: Client) -> None:
    await tenant.create()
    tenant.actor.gate = asyncio.Event()
    first, second = (asyncio.ensure_future(tenant.encrypt()) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    tenant.actor.gate.set()
    assert (await second)[0][1] == 1


async def test_a_load_that_fails_is_tried_again(tenant: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await tenant.create()

    async def fail(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(tenant.actor, "run", fail)
        with pytest.raises(StoreUnavailable):
            await tenant.encrypt()
    assert (await tenant.encrypt())[0][1] == 1


async def test_a_change_of_unknown_outcome_drops_the_key(tenant: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await tenant.create()
    await tenant.encrypt()
    real = tenant.actor.run

    async def commit_then_fail(body: Any, *, idempotency_key: bytes | None = None, **options: Any) -> Any:
        result = await real(body, idempotency_key=idempotency_key, **options)
        if idempotency_key is None:
            return result
        raise StoreUnavailable("the outcome is unknown")

    with monkeypatch.context() as patch:
        patch.setattr(tenant.actor, "run", commit_then_fail)
        with pytest.raises(StoreUnavailable):
            await tenant.rotate()
    assert (await tenant.encrypt())[0][1] == 2


async def test_configuration_bounds_decryption_at_once(tenant: Client) -> None:
    await tenant.create()
    [(old, _)] = await tenant.encrypt()
    await tenant.rotate()
    info = await tenant.configure(min_decryption_version=2)
    assert list(info.created) == [2]
    [refused] = await tenant.decrypt(old)
    assert str(refused) == "ciphertext or signature version is disallowed by policy (too old)"
    info = await tenant.configure(min_decryption_version=0)
    assert list(info.created) == [1, 2]
    assert info.warnings
    assert await tenant.decrypt(old) == [b"hello"]


async def test_trimming_destroys_material(tenant: Client, store: SqliteStore) -> None:
    await tenant.create()
    for _ in range(3):
        await tenant.rotate()
    await tenant.configure(min_decryption_version=3, min_encryption_version=4)
    info = await tenant.ask(m.TrimKey(MOUNT, "k", 3))
    assert (info.policy.min_available_version, list(info.created)) == (3, [3, 4])
    span = TenantKeys(1).span("transit", MOUNT.number, "version")
    entries = await store.run(lambda tr: tr.get_range(*span))
    assert [TenantKeys(1).parts(key)[-1] for key, _ in entries] == [3, 4]


async def test_deletion_leaves_nothing(tenant: Client, store: SqliteStore) -> None:
    await tenant.create("k2")
    await tenant.create()
    await tenant.rotate()
    await tenant.encrypt()
    with pytest.raises(InvalidRequest, match=r"^error deleting policy k: deletion is not allowed for this key$"):
        await tenant.ask(m.DeleteKey(MOUNT, "k"))
    await tenant.configure(deletion_allowed=True)
    assert await tenant.ask(m.DeleteKey(MOUNT, "k")) is None
    with pytest.raises(InvalidRequest, match=r"^encryption key not found$"):
        await tenant.decrypt("vault:v1:AAAA")
    entries = await store.run(lambda tr: tr.get_range(*TenantKeys(1).span("transit", MOUNT.number)))
    assert {TenantKeys(1).parts(key)[3] for key, _ in entries} == {"k2"}


async def test_soft_deletion_takes_effect_at_once_and_is_undone(tenant: Client) -> None:
    await tenant.create()
    [(text, _)] = await tenant.encrypt()
    info = await tenant.ask(m.SoftDeleteKey(MOUNT, "k", deleted=True))
    assert info.policy.soft_deleted
    for [refused] in (await tenant.encrypt(), await tenant.decrypt(text)):
        assert str(refused) == "refusing to use soft-deleted key"
    with pytest.raises(InvalidRequest, match=r"^refusing to use soft-deleted key$"):
        await tenant.rotate()
    assert (await tenant.ask(m.ReadKey(MOUNT, "k"))).policy.soft_deleted
    await tenant.ask(m.SoftDeleteKey(MOUNT, "k", deleted=False))
    assert await tenant.decrypt(text) == [b"hello"]
    assert await tenant.ask(m.SoftDeleteKey(MOUNT, "nosuch", deleted=True)) is None


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (m.RotateKey(MOUNT, "nosuch"), "key not found"),
        (m.ConfigureKey(MOUNT, "nosuch", KeyChanges()), "no existing key named nosuch could be found"),
        (m.TrimKey(MOUNT, "nosuch", 1), "invalid key name"),
        (m.DeleteKey(MOUNT, "nosuch"), "error deleting policy nosuch: could not delete key; not found"),
        (m.Decrypt(MOUNT, "nosuch", [DecryptItem("x")]), "encryption key not found"),
        (m.Rewrap(MOUNT, "nosuch", [RewrapItem("x")]), "encryption key not found"),
        (m.MakeDataKey(MOUNT, "nosuch", 32, EncryptItem(b"")), "encryption key not found"),
        (m.MakeHmac(MOUNT, "nosuch", [HmacItem(b"x")], "sha2-256"), "encryption key not found"),
    ],
)
async def test_a_missing_key_is_told_in_the_words_of_the_api(tenant: Client, message: Message, error: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await tenant.ask(message)
    assert str(raised.value) == error
    assert await tenant.ask(m.ListKeys(MOUNT)) == []


async def test_encryption_makes_a_missing_key(tenant: Client) -> None:
    [(text, version)] = await tenant.encrypt(type="chacha20-poly1305")
    assert version == 1
    assert await tenant.decrypt(text) == [b"hello"]
    assert (await tenant.ask(m.ReadKey(MOUNT, "k"))).policy.type == "chacha20-poly1305"
    await tenant.encrypt(EncryptItem(b"x", b"ctx"), name="d", with_context=True, convergent=True)
    policy = (await tenant.ask(m.ReadKey(MOUNT, "d"))).policy
    assert (policy.derived, policy.convergent) == (True, True)


async def test_many_encryptions_make_a_missing_key_once(tenants: list[Client]) -> None:
    results = await asyncio.gather(*(tenant.encrypt() for tenant in tenants for _ in range(10)))
    texts = [text for [(text, _)] in results]
    for tenant in tenants:
        assert await tenant.decrypt(*texts) == [b"hello"] * 20


async def test_grants_decide_over_making_and_using(tenant: Client) -> None:
    use_only, make_only = Grants(create=False), Grants(update=False)
    with pytest.raises(PermissionDenied):
        await tenant.encrypt(grants=use_only)
    assert await tenant.ask(m.ListKeys(MOUNT)) == []
    assert (await tenant.encrypt(grants=make_only))[0][1] == 1
    for _ in range(2):  # loaded and cached
        with pytest.raises(PermissionDenied):
            await tenant.encrypt(grants=make_only)
    assert (await tenant.encrypt(grants=use_only))[0][1] == 1


async def test_a_mount_can_forbid_making_keys_by_encryption(tenant: Client) -> None:
    assert not (await tenant.ask(m.ReadSettings(MOUNT))).disable_upsert
    assert (await tenant.ask(m.WriteSettings(MOUNT, disable_upsert=True))).disable_upsert
    assert (await tenant.ask(m.WriteSettings(MOUNT, None))).disable_upsert
    with pytest.raises(InvalidRequest, match=r"^encryption key not found$"):
        await tenant.encrypt()
    assert not (await tenant.ask(m.ReadSettings(OTHER))).disable_upsert
    assert (await tenant.encrypt(mount=OTHER))[0][1] == 1


async def test_large_requests_do_not_hold_up_the_actor(tenant: Client) -> None:
    await tenant.create()
    await tenant.encrypt()
    message = m.Encrypt(MOUNT, "k", [EncryptItem(bytes(INLINE_BYTES + 1))], Grants(), False, "", False)
    later = tenant.actor.on_receive(message)
    assert isinstance(later, asyncio.Future)
    [(text, _)] = await later
    assert await tenant.decrypt(text) == [bytes(INLINE_BYTES + 1)]


async def test_data_keys_hmacs_hashes_and_random_bytes(tenant: Client) -> None:
    await tenant.create()
    [made] = await tenant.ask(m.MakeDataKey(MOUNT, "k", 32, EncryptItem(b"")))
    assert await tenant.decrypt(made.encrypted[0]) == [made.plaintext]
    [mac] = await tenant.ask(m.MakeHmac(MOUNT, "k", [HmacItem(b"x")], "sha2-256"))
    assert mac.startswith("vault:v1:")
    [digest] = await tenant.ask(m.MakeHash([HmacItem(b"x")], "sha2-256"))
    assert len(digest) == 32
    [digest] = await tenant.ask(m.MakeHash([HmacItem(bytes(INLINE_BYTES * 2))], "sha3-512"))
    assert len(digest) == 64
    assert len(await tenant.ask(m.MakeRandom(100))) == 100


async def test_another_actor_reads_what_this_one_wrote(tenants: list[Client]) -> None:
    one, other = tenants
    await one.create()
    [(text, _)] = await one.encrypt()
    assert await other.decrypt(text) == [b"hello"]
    await one.rotate()
    assert (await other.ask(m.ReadKey(MOUNT, "k"))).policy.latest_version == 2


async def test_records_are_sealed_and_bound_to_their_places(tenant: Client, store: SqliteStore) -> None:
    await tenant.create()
    keys = TenantKeys(1)
    entries = await store.run(lambda tr: tr.get_range(*keys.span("transit")))
    assert [keys.parts(key)[2:] for key, _ in entries] == [("policy", "k"), ("version", "k", 1)]
    assert all(b"aes256" not in record and b'"key"' not in record for _, record in entries)


async def test_a_cached_key_is_used_within_the_turn(tenant: Client) -> None:
    await tenant.create()
    [(text, _)] = await tenant.encrypt()
    answer = tenant.actor.on_receive(m.Decrypt(MOUNT, "k", [DecryptItem(text)]))
    assert answer == [b"hello"]
