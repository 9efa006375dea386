"""What transit keys are used for: what counts, how it gets to the store, and that it is never another key's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.actors.transit.controller import KeyChanged
from kms_actors.errors import InvalidRequest, StoreUnavailable, TransactionConflict
from kms_actors.keyring.keyring import Keyring
from kms_actors.messages import Grants
from kms_actors.mounts import Mount
from kms_actors.runtime import Threads
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.sqlite.engine import SqliteStore
from kms_actors.transit import messages as m
from kms_actors.transit.items import (
    CmacItem,
    DecryptItem,
    EncryptItem,
    HmacItem,
    MacItem,
    RewrapItem,
    SignItem,
    VerifyItem,
)
from kms_actors.transit.policy import KeyChanges, KeyOptions
from kms_actors.transit.signature import DEFAULT
from tests.actors.transit_tenant import MOUNT, OTHER, Tenant, mounted
from tests.store.access import get_all
from tests.store.conftest import open_store, place, store

__all__ = ["open_store", "place", "store"]

HELLO = EncryptItem(b"hello")
Counts = dict[int, dict[str, int]]


class Client:
    """A tenant on one node, in the words of a test."""

    def __init__(self, actor: Tenant) -> None:
        self.actor = actor
        self.usage = actor.controller.usage
        self.ask = actor.ask

    async def create(self, name: str = "k", **options: Any) -> None:
        await self.ask(m.CreateKey(MOUNT, name, KeyOptions(**options)))

    async def rotate(self, times: int = 1, name: str = "k") -> None:
        for _ in range(times):
            await self.ask(m.RotateKey(MOUNT, name))

    async def configure(self, name: str = "k", **changes: Any) -> None:
        await self.ask(m.ConfigureKey(MOUNT, name, KeyChanges(**changes)))

    async def encrypt(self, *items: EncryptItem | InvalidRequest, name: str = "k", mount: Mount = MOUNT) -> Any:
        return await self.ask(
            m.Encrypt(mount, name, items or [HELLO], Grants(), False, "aes256-gcm96", convergent=False)
        )

    async def encrypted(self, version: int = 0) -> str:
        ((text, _),) = await self.encrypt(EncryptItem(b"hello", key_version=version))
        return str(text)

    async def decrypt(self, *texts: str) -> Any:
        return await self.ask(m.Decrypt(MOUNT, "k", [DecryptItem(text) for text in texts]))

    async def info(self, name: str = "k", mount: Mount = MOUNT) -> m.KeyInfo:
        info: m.KeyInfo = await self.ask(m.ReadKey(mount, name))
        return info

    async def counts(self, name: str = "k", mount: Mount = MOUNT) -> Counts:
        usage = (await self.info(name, mount)).usage
        return {version: {name: use.count for name, use in uses.items()} for version, uses in usage.items()}


OpenStore = Callable[[], Awaitable[Store]]


@asynccontextmanager
async def nodes(*stores: Store, seconds: float = 3600.0) -> AsyncIterator[list[Client]]:
    """Run one tenant on as many nodes as there are stores."""
    keyring = Keyring.generate(0.0)
    await mounted(stores[0], keyring)
    with closing(Threads()) as threads:
        async with AsyncExitStack() as stack:
            clients = []
            for each in stores:
                reference = Tenant.start(each, keyring, threads, seconds)
                stack.push_async_callback(reference.stop, block=False)
                actor = reference._actor_weakref()
                assert actor is not None
                clients.append(Client(actor))
            yield clients


@pytest_asyncio.fixture
async def client(store: Store) -> AsyncIterator[Client]:
    async with nodes(store) as (client,):
        yield client


async def stored(store: Store) -> list[bytes]:
    """Return the keys of all records that count uses."""
    begin, end = TenantKeys(1).span("transit")
    return [key for key, _ in await get_all(store) if begin < key < end and b"usage" in key]


class Failing:
    """A store that fails, hangs, or answers late, in transactions that write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.errors: list[Exception] = []
        self.hangs = False
        self.committed = asyncio.Event()
        self.answers: asyncio.Event | None = None
        self.watch, self.close = store.watch, store.close

    async def run(self, body: Any, *, idempotency_key: bytes | None = None, **options: Any) -> Any:
        if idempotency_key is not None:
            if self.hangs:
                await asyncio.Event().wait()
            if self.errors:
                raise self.errors.pop(0)
        result = await self._store.run(body, idempotency_key=idempotency_key, **options)
        if idempotency_key is not None and self.answers is not None:
            self.committed.set()
            await self.answers.wait()
        return result


# What counts.


async def test_a_new_key_was_not_used(client: Client) -> None:
    await client.create()
    assert await client.counts() == {}


async def test_encryption_and_decryption_count_for_the_version_that_did_them(client: Client) -> None:
    await client.create()
    old = await client.encrypted()
    await client.rotate()
    new = await client.encrypted()
    named = await client.encrypted(1)
    await client.decrypt(old)
    await client.decrypt(old, named, new)
    assert await client.counts() == {1: {"encrypt": 2, "decrypt": 3}, 2: {"encrypt": 1, "decrypt": 1}}


async def test_a_key_made_by_an_encryption_counts_it(client: Client) -> None:
    await client.encrypt(HELLO, HELLO)
    assert await client.counts() == {1: {"encrypt": 2}}


async def test_a_rewrap_decrypts_by_one_version_and_encrypts_by_another(client: Client) -> None:
    await client.create()
    texts = [await client.encrypted(), await client.encrypted()]
    await client.rotate(2)
    items = [*(RewrapItem(text) for text in texts), RewrapItem(texts[0], key_version=2), RewrapItem("vault:v1:AAAA")]
    await client.ask(m.Rewrap(MOUNT, "k", items))
    assert await client.counts() == {1: {"encrypt": 2, "decrypt": 3}, 2: {"encrypt": 1}, 3: {"encrypt": 2}}


async def test_data_keys_count(client: Client) -> None:
    await client.create()
    await client.rotate()
    await client.ask(m.MakeDataKey(MOUNT, "k", 32, EncryptItem(b"", key_version=1)))
    await client.ask(m.MakeDataKeys(MOUNT, "k", 32, EncryptItem(b""), 1200))
    assert await client.counts() == {1: {"datakey": 1}, 2: {"datakey": 1200}}


@pytest.mark.parametrize("key_type", ["ed25519", "rsa-2048"])  # in the turn, and in a thread
async def test_signatures_made_and_found_valid_count(client: Client, key_type: str) -> None:
    await client.create(type=key_type)
    items = [SignItem(b"one"), SignItem(b"two")]
    one, _ = await client.ask(m.Sign(MOUNT, "k", items, DEFAULT))
    await client.rotate()
    await client.ask(m.Sign(MOUNT, "k", items[:1], DEFAULT))
    await client.ask(m.Sign(MOUNT, "k", items[:1], DEFAULT, key_version=1))
    proofs = [VerifyItem(b"one", one.signature), VerifyItem(b"forged", one.signature), VerifyItem(b"one", "nonsense")]
    answers = await client.ask(m.Verify(MOUNT, "k", proofs, DEFAULT))
    assert answers[:2] == [True, False]
    assert await client.counts() == {1: {"sign": 3, "verify": 1}, 2: {"sign": 1}}


async def test_macs_made_and_found_right_count(client: Client) -> None:
    await client.create()
    (mac,) = await client.ask(m.MakeHmac(MOUNT, "k", [HmacItem(b"x")], "sha2-256"))
    await client.rotate()
    await client.ask(m.MakeHmac(MOUNT, "k", [HmacItem(b"x"), InvalidRequest("no")], "sha2-256", key_version=1))
    await client.ask(m.MakeHmac(MOUNT, "k", [InvalidRequest("no")], "sha2-256"))
    items = [MacItem(b"x", mac), MacItem(b"y", mac)]
    assert await client.ask(m.VerifyHmacs(MOUNT, "k", items, "sha2-256")) == [True, False]
    assert await client.counts() == {1: {"hmac": 2, "verify": 1}}

    await client.create("c", type="aes128-cmac")
    (mac,) = await client.ask(m.MakeCmac(MOUNT, "c", [CmacItem(b"x")]))
    assert await client.ask(m.VerifyCmacs(MOUNT, "c", [MacItem(b"x", mac)])) == [True]
    assert await client.counts("c") == {1: {"cmac": 1, "verify": 1}}


async def test_signing_requests_and_derivations_count(client: Client) -> None:
    await client.create(type="ecdsa-p256")
    await client.create("peer", type="ecdsa-p256")
    await client.rotate()
    await client.ask(m.MakeSigningRequest(MOUNT, "k", 1, ""))
    peer = (await client.info("peer")).versions[1].public_key
    await client.ask(m.DeriveKey(MOUNT, "made", "k", 0, peer, "aes256-gcm96"))
    with pytest.raises(InvalidRequest):
        await client.ask(m.MakeSigningRequest(MOUNT, "k", 9, ""))
    assert await client.counts() == {1: {"sign": 1}, 2: {"derive": 1}}
    assert await client.counts("made") == await client.counts("peer") == {}


async def test_what_fails_does_not_count(client: Client) -> None:
    await client.create(exportable=True)
    text = await client.encrypted()
    await client.encrypt(EncryptItem(b"x", key_version=9), InvalidRequest("bad"), HELLO)
    await client.decrypt(text[:-8] + "AAAAAAA=", "vault:v1:AAAA", "nonsense")
    with pytest.raises(InvalidRequest):
        await client.ask(m.Sign(MOUNT, "k", [SignItem(b"x")], DEFAULT))
    await client.ask(m.ExportKey(MOUNT, "k", "encryption-key"))
    await client.ask(m.SoftDeleteKey(MOUNT, "k", deleted=True))
    await client.decrypt(text)
    assert await client.counts() == {1: {"encrypt": 2}}


@pytest.mark.parametrize("size", [2, 250, 251, 2000])
async def test_batches_count_each_item(client: Client, size: int) -> None:
    await client.create()
    old = await client.encrypted()
    await client.rotate()
    items: list[EncryptItem | InvalidRequest] = [HELLO] * (size - 1)
    results = await client.encrypt(*items, InvalidRequest("bad"))
    await client.decrypt(old, *(text for text, _ in results[:-1]))
    assert await client.counts() == {1: {"encrypt": 1, "decrypt": 1}, 2: {"encrypt": size - 1, "decrypt": size - 1}}


async def test_a_use_tells_its_time(client: Client) -> None:
    await client.create()
    await client.encrypt()
    now = client.actor.context.clock() // 10**9
    assert now - 60 < (await client.info()).usage[1]["encrypt"].last <= now


async def test_mounts_and_keys_are_counted_apart(client: Client) -> None:
    for name in ("k", "k2"):
        await client.encrypt(name=name)
    await client.encrypt(HELLO, HELLO, mount=OTHER)
    await client.usage.flush()
    assert await client.counts() == await client.counts("k2") == {1: {"encrypt": 1}}
    assert await client.counts(mount=OTHER) == {1: {"encrypt": 2}}


# To the store.


async def test_counting_and_reading_write_nothing(client: Client, store: Store) -> None:
    await client.create()
    await client.encrypt()
    assert await client.counts() == await client.counts() == {1: {"encrypt": 1}}
    assert await stored(store) == []


async def test_what_is_written_adds_up_on_all_nodes(open_store: OpenStore) -> None:
    async with nodes(await open_store(), await open_store()) as (here, there):
        await here.create()
        for client, times in ((here, 2), (there, 3), (here, 4)):
            for _ in range(times):
                await client.encrypt()
            await client.usage.flush()
        await here.encrypt()
        assert await here.counts() == {1: {"encrypt": 10}}
        assert await there.counts() == {1: {"encrypt": 9}}


async def test_what_is_written_is_sealed_for_its_place(client: Client, store: Store) -> None:
    await client.create()
    await client.encrypt()
    await client.usage.flush()
    (place_of,) = await stored(store)
    record = dict(await get_all(store))[place_of]
    assert b"encrypt" not in record
    assert b"encrypt" in client.actor.context.keyring.open(place_of, record)


async def test_a_record_for_a_version_and_a_process(client: Client, store: Store) -> None:
    await client.create()
    for _ in range(3):
        await client.encrypt()
        await client.rotate()
        await client.usage.flush()
        await client.encrypt(EncryptItem(b"x", key_version=1))
        await client.usage.flush()
    assert len(await stored(store)) == 3


async def test_it_is_written_after_a_while_and_then_nothing_is_under_way(store: Store) -> None:
    async with nodes(store, seconds=0.02) as (client,):
        await client.create()
        for _ in range(2):
            await client.encrypt()
            assert client.usage._writer is not None
            async with asyncio.timeout(5):
                while client.usage._writer is not None:  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(0.005)
        assert len(await stored(store)) == 1
        assert await client.counts() == {1: {"encrypt": 2}}


async def test_nodes_that_write_at_once_lose_nothing(open_store: OpenStore) -> None:
    async with nodes(*[await open_store() for _ in range(3)]) as clients:
        await clients[0].create()

        async def use(client: Client) -> None:
            client.usage._shard = 5  # the same for all
            for _ in range(8):
                await client.encrypt(HELLO, HELLO)
                await client.usage.flush()

        await asyncio.gather(*map(use, clients))
        assert await clients[0].counts() == {1: {"encrypt": 48}}


async def test_reading_while_it_is_written_never_shows_less_or_more(client: Client) -> None:
    await client.create()
    seen: list[int] = []

    async def watch() -> None:
        while not done.is_set():
            seen.append((await client.counts()).get(1, {}).get("encrypt", 0))

    done = asyncio.Event()
    watching = asyncio.ensure_future(watch())
    for _ in range(30):
        await client.encrypt()
        await client.usage.flush()
    done.set()
    await watching
    assert seen == sorted(seen)
    assert max(seen) <= 30
    assert await client.counts() == {1: {"encrypt": 30}}


async def test_what_is_being_written_is_not_read_twice(store: Store) -> None:
    failing = Failing(store)
    async with nodes(failing) as (client,):
        await client.create()
        await client.encrypt()
        failing.answers = asyncio.Event()
        writing = asyncio.ensure_future(client.usage.flush())
        await failing.committed.wait()
        reading = asyncio.ensure_future(client.counts())
        await asyncio.sleep(0.1)
        failing.answers.set()
        await writing
        assert await reading == {1: {"encrypt": 1}}


async def test_many_keys_are_written_in_several_transactions(client: Client) -> None:
    names = [f"k{number}" for number in range(70)]
    for name in names:
        await client.encrypt(name=name)
    await client.usage.flush()
    assert client.usage._unwritten == {}
    assert [await client.counts(name) for name in names] == [{1: {"encrypt": 1}}] * 70


# When the store fails.


async def test_what_cannot_be_written_is_kept(store: Store) -> None:
    failing = Failing(store)
    async with nodes(failing) as (client,):
        await client.create()
        for error in (StoreUnavailable("away"), TransactionConflict("busy")):
            await client.encrypt()
            failing.errors = [error]
            await client.usage.flush()
            assert await stored(store) == []
        assert await client.counts() == {1: {"encrypt": 2}}
        await client.usage.flush()
        assert await client.counts() == {1: {"encrypt": 2}}
        assert len(await stored(store)) == 1


async def test_it_is_written_later_without_another_use(store: Store) -> None:
    failing = Failing(store)
    async with nodes(failing, seconds=0.02) as (client,):
        await client.create()
        failing.errors = [StoreUnavailable("away")] * 2
        await client.encrypt()
        async with asyncio.timeout(5):
            while not await stored(store):  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
        assert failing.errors == []


async def test_a_damaged_record_holds_up_no_other_keys(client: Client, store: Store) -> None:
    names = [f"k{number:02}" for number in range(40)]
    for name in names:
        await client.encrypt(name=name)
    await client.usage.flush()
    damaged = (await stored(store))[0]

    async def damage(tr: Any) -> None:
        tr.set(damaged, b"\x01nonsense")

    await store.run(damage)
    for name in names:
        await client.encrypt(name=name)
    await client.usage.flush()
    assert {identity.name for identity in client.usage._unwritten} == set(names[:32])  # what shared its transaction
    assert await client.counts(names[-1]) == {1: {"encrypt": 2}}


# At the end.


async def test_a_stop_writes_at_once(store: Store) -> None:
    async with nodes(store) as (client,):
        await client.create()
        await client.encrypt()
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started < 3
    async with nodes(store):
        assert len(await stored(store)) == 1


async def test_work_under_way_at_a_stop_counts(store: Store) -> None:
    async with nodes(store) as (client,):
        await client.create()
        batch = asyncio.ensure_future(client.encrypt(*[HELLO] * 3000))
        await asyncio.sleep(0)
        await client.actor.actor_ref.stop(block=False)
        assert len(await batch) == 3000
        keys = await stored(store)
        record = dict(await get_all(store))[keys[0]]
        assert b"[3000," in client.actor.context.keyring.open(keys[0], record)


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_stop_waits_for_no_store_that_fails(
    store: Store, hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kms_actors.actors.tenant.later._LAST_SECONDS", 0.1)
    failing = Failing(store)
    async with nodes(failing) as (client,):
        await client.create()
        await client.encrypt()
        failing.errors, failing.hangs = [StoreUnavailable("away")], hangs
        started = asyncio.get_running_loop().time()
        await client.actor.actor_ref.stop(block=False)
        assert asyncio.get_running_loop().time() - started < 3
    assert await stored(store) == []


# Whose it is.


async def test_a_key_made_anew_under_a_name_was_not_used(open_store: OpenStore) -> None:
    """Neither what was written for the old one counts for it, nor what other nodes have not written yet."""
    store = await open_store()
    async with nodes(store, await open_store()) as (here, there):
        await here.create()
        for client in (here, there):
            await client.encrypt()
        await here.usage.flush()
        await here.configure(deletion_allowed=True)
        await here.encrypt()
        await here.ask(m.DeleteKey(MOUNT, "k"))
        assert await stored(store) == []
        await there.usage.flush()
        assert await stored(store) == []
        await here.create()
        await here.usage.flush()
        await there.encrypt()  # with the key it has in memory, which is still the old one
        await there.usage.flush()
        assert await here.counts() == {}
        await here.encrypt()
        assert await here.counts() == {1: {"encrypt": 1}}


async def test_a_restored_key_was_not_used(open_store: OpenStore) -> None:
    store = await open_store()
    async with nodes(store, await open_store()) as (here, there):
        await here.create(exportable=True, allow_plaintext_backup=True)
        for client in (here, there):
            await client.encrypt()
        await here.usage.flush()
        backup = await here.ask(m.BackUpKey(MOUNT, "k"))
        assert await here.counts() == {1: {"encrypt": 1}}
        await here.encrypt()
        await here.ask(m.RestoreKey(MOUNT, "k", backup, force=True))
        for client in (here, there):
            await client.usage.flush()
        assert await here.counts() == {}
        await here.ask(m.RestoreKey(MOUNT, "copy", backup, force=False))
        assert await here.counts("copy") == {}


async def test_trimmed_versions_are_no_longer_counted(open_store: OpenStore) -> None:
    store = await open_store()
    async with nodes(store, await open_store()) as (here, there):
        await here.create()
        await here.rotate(2)
        for client in (here, there):
            for version in (1, 2, 3):
                await client.encrypted(version)
            await client.usage.flush()
        for version in (1, 2, 3):
            await there.encrypted(version)
            await here.encrypted(version)
        await here.configure(min_decryption_version=2, min_encryption_version=2)
        assert await here.counts() == {version: {"encrypt": 3} for version in (1, 2, 3)}  # also what is archived
        await here.ask(m.TrimKey(MOUNT, "k", 2))
        assert await here.counts() == {2: {"encrypt": 3}, 3: {"encrypt": 3}}
        for client in (here, there):
            await client.usage.flush()
        assert await here.counts() == {2: {"encrypt": 4}, 3: {"encrypt": 4}}
        assert {TenantKeys(1).parts(key)[4] for key in await stored(store)} == {2, 3}


async def test_a_soft_deleted_key_keeps_its_counts(client: Client) -> None:
    await client.create()
    await client.encrypt()
    await client.usage.flush()
    await client.encrypt()
    await client.ask(m.SoftDeleteKey(MOUNT, "k", deleted=True))
    await client.usage.flush()
    assert await client.counts() == {1: {"encrypt": 2}}
    await client.ask(m.SoftDeleteKey(MOUNT, "k", deleted=False))
    await client.encrypt()
    assert await client.counts() == {1: {"encrypt": 3}}


async def test_keys_from_before_there_were_counters_are_counted(client: Client, store: Store) -> None:
    await client.create()

    async def age(tr: Any) -> None:
        records = client.actor.controller._records
        policy = await records.policy(tr, MOUNT.number, "k")
        assert policy is not None
        records.put_policy(tr, MOUNT.number, type(policy)("k", policy.type))

    await store.run(age)
    await client.encrypt()
    await client.usage.flush()
    await client.encrypt()
    await client.usage.flush()
    assert await client.counts() == {1: {"encrypt": 2}}


# Against a model.

steps = st.tuples(
    st.sampled_from(["encrypt", "encrypt", "decrypt", "rotate", "trim", "renew", "flush", "fail", "read"]),
    st.integers(0, 1),  # the node
    st.integers(1, 4),  # a version, or how often
)


class Oracle:
    """What was counted on each node, and whether it is known to all."""

    def __init__(self) -> None:
        self.latest, self.oldest = 1, 1
        self.texts: dict[int, str] = {}
        self.written: Counter[tuple[int, str]] = Counter()
        self.own: tuple[Counter[tuple[int, str]], ...] = (Counter(), Counter())

    def shown(self, node: int) -> Counts:
        counts: Counts = {}
        for (version, operation), number in sorted((self.written + self.own[node]).items()):
            counts.setdefault(version, {})[operation] = number
        return counts

    def trim(self, oldest: int) -> None:
        self.oldest = oldest
        for counter in (self.written, *self.own):
            for slot in [slot for slot in counter if slot[0] < oldest]:
                del counter[slot]


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, max_size=40))
def test_any_order_of_uses_changes_and_writing_counts_right(script: list[tuple[str, int, int]]) -> None:
    async def run(directory: Path) -> None:
        stores = [Failing(await SqliteStore.open(directory / "kms.db")) for _ in range(2)]
        async with nodes(*stores) as clients:
            await clients[0].create()
            oracle = Oracle()
            for step in script:
                oracle = await take(clients, stores, oracle, step)
            for node, client in enumerate(clients):
                assert await client.counts() == oracle.shown(node)
            for client in clients:
                await client.usage.flush()
            oracle.written += oracle.own[0] + oracle.own[1]
            oracle.own = (Counter(), Counter())
            assert await clients[0].counts() == await clients[1].counts() == oracle.shown(0)
        for each in stores:
            await each.close()

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))


async def take(clients: list[Client], stores: list[Failing], oracle: Oracle, drawn: tuple[str, int, int]) -> Oracle:
    step, node, number = drawn
    client, own = clients[node], oracle.own[node]
    version = min(max(number, oracle.oldest), oracle.latest)
    if step == "encrypt":
        oracle.texts[version] = await client.encrypted(version)
        own[version, step] += 1
    elif step == "decrypt" and version in oracle.texts:
        await client.decrypt(*[oracle.texts[version]] * number)
        own[version, step] += number
    elif step == "rotate":
        await client.rotate()
        oracle.latest += 1
    elif step == "trim":
        await client.configure(min_decryption_version=version, min_encryption_version=version)
        await client.ask(m.TrimKey(MOUNT, "k", version))
        oracle.trim(version)
    elif step == "renew":
        await client.configure(deletion_allowed=True)
        await client.ask(m.DeleteKey(MOUNT, "k"))
        await client.create()
        oracle = Oracle()
    elif step == "flush":
        await client.usage.flush()
        oracle.written += own
        own.clear()
    elif step == "fail":
        stores[node].errors = [StoreUnavailable("away")]
        await client.usage.flush()
        stores[node].errors = []
    elif step == "read":
        assert await client.counts() == oracle.shown(node)
    for other in clients:  # as the change log does
        other.actor.notify(KeyChanged((MOUNT.number, "k")))
    return oracle
