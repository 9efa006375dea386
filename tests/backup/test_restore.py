from __future__ import annotations

import io
from collections.abc import Awaitable, Callable

import pytest

from kms_actors.actors.cluster import changes
from kms_actors.actors.cluster.eras import ERA
from kms_actors.actors.cluster.feed import ChangeFeed
from kms_actors.backup import groups
from kms_actors.backup.format import Cluster, FrameWriter, Header, Records, Tenant
from kms_actors.backup.restore import Restore
from kms_actors.errors import FormatError, InvalidRequest
from kms_actors.keyring import stored
from kms_actors.store import keyspace
from kms_actors.store.api import Store
from kms_actors.store.keyspace import ALLOCATOR, TenantKeys, vault
from kms_actors.tenancy.records import Grant
from tests.store.access import get, get_all, put, replace_all
from tests.support.backups import backup, fill, header, restore, restored, vault_entries
from tests.support.faulty_store import CountingStore, Interrupted

OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "PAGE_ENTRIES", 50)


async def emptied(store: Store) -> dict[bytes, bytes]:
    """Return all there was, and leave nothing."""
    before = dict(await get_all(store))
    await replace_all(store, {})
    return before


async def without_log(store: Store) -> dict[bytes, bytes]:
    return {key: value for key, value in await get_all(store) if not key.startswith(keyspace.pack("log")[:-1])}


async def test_all_of_a_store_comes_back(store: Store) -> None:
    await fill(store, ("vault_a", 3), ("vault_b", 300))
    data = await backup(store, "all")
    originals = [await vault_entries(store, number) for number in (3, 300)]
    await emptied(store)
    await restore(store, data)
    for number, original in zip((3, 300), originals, strict=True):
        assert await vault_entries(store, number) == restored(original)
        assert await get(store, TenantKeys(number).key("epoch")) == (6).to_bytes(8, "little")
    assert await get(store, vault("vault_b")) == (300).to_bytes(8, "little")
    assert await get(store, ALLOCATOR) == (300).to_bytes(8, "little")
    assert await get(store, keyspace.node("c", "keyring")) == b"keyring"
    assert not [key for key, _ in await get_all(store) if keyspace.pack("restore")[:-1] in key]


async def test_one_vault_comes_back_out_of_a_backup_of_all(store: Store) -> None:
    await fill(store, ("vault_a", 3), ("vault_b", 300))
    data = await backup(store, "all")
    original = await vault_entries(store, 3)
    await emptied(store)
    await restore(store, data, "vault_a")
    assert await vault_entries(store, 3) == restored(original)
    assert await vault_entries(store, 300) == {}
    assert await get(store, keyspace.node("c", "keyring")) is None


@pytest.mark.parametrize("last", [1, 3, 9])
async def test_the_allocator_never_gives_out_a_restored_integer(store: Store, last: int) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    await emptied(store)
    await put(store, (ALLOCATOR, last.to_bytes(8, "little")))
    await restore(store, data)
    assert await get(store, ALLOCATOR) == max(last, 3).to_bytes(8, "little")


async def test_an_existing_vault_is_replaced_only_when_asked_for_and_then_wholly(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    original = await vault_entries(store, 3)
    later = TenantKeys(3).key("kv", 1, "meta", "later")
    await put(store, (later, b"x"), (TenantKeys(3).key("epoch"), (40).to_bytes(8, "little")))
    before = await get_all(store)
    with pytest.raises(InvalidRequest, match="only --replace"):
        await restore(store, data)
    assert await get_all(store) == before
    await restore(store, data, replace=True)
    assert await vault_entries(store, 3) == restored(original)
    assert int.from_bytes(await get(store, TenantKeys(3).key("epoch")) or b"", "little") > 40


async def test_nodes_hear_when_a_live_vault_is_taken_and_when_it_is_back(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    await restore(store, data, replace=True)
    assert await get(store, changes.HEAD) == (2).to_bytes(8, "little")


@pytest.mark.parametrize("replace", [False, True])
async def test_an_integer_of_another_vault_is_never_taken(store: Store, replace: bool) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    await emptied(store)
    await fill(store, ("vault_other", 3))
    before = await get_all(store)
    with pytest.raises(InvalidRequest, match="belongs to another vault"):
        await restore(store, data, replace=replace)
    assert await get_all(store) == before


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("of_the_other", [("grant", stored.encode(Grant())), ("header", b"damaged")])
async def test_nor_is_that_of_one_whose_header_says_nothing(
    store: Store, replace: bool, of_the_other: tuple[str, bytes]
) -> None:
    """As of a vault that was granted and not initialised yet."""
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    await emptied(store)
    area, record = of_the_other
    await put(store, (vault("vault_other"), (3).to_bytes(8, "little")), (TenantKeys(3).key(area), record))
    before = await get_all(store)
    with pytest.raises(InvalidRequest, match="belongs to another vault"):
        await restore(store, data, replace=replace)
    assert await get_all(store) == before


@pytest.mark.parametrize("replace", [False, True])
async def test_a_vault_never_changes_its_integer(store: Store, replace: bool) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    await emptied(store)
    await fill(store, ("vault_a", 4))
    before = await get_all(store)
    with pytest.raises(InvalidRequest, match="is tenant 4 in this store and 3 in the backup"):
        await restore(store, data, replace=replace)
    assert await get_all(store) == before


async def test_keys_of_another_cluster_are_never_written_over(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "all")
    await emptied(store)
    await put(store, (keyspace.node("c", "keyring"), b"another"))
    before = await get_all(store)
    with pytest.raises(InvalidRequest, match="another master key"):
        await restore(store, data, replace=True)
    assert await get_all(store) == before
    await restore(store, data, "vault_a")
    assert await get(store, keyspace.node("c", "keyring")) == b"another"


async def test_a_store_gets_no_second_cluster_by_a_backup(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "all")
    await emptied(store)
    await put(store, (keyspace.node("d", "seal"), b"seal"))
    before = await get_all(store)
    with pytest.raises(InvalidRequest, match="holds the cluster d, and the backup is of c"):
        await restore(store, data, replace=True)
    assert await get_all(store) == before
    await put(store, (keyspace.node("c", "seal"), b"seal"))  # where both are there, both stay
    await restore(store, data)


async def test_a_restore_broken_off_before_any_transaction_goes_on(store: Store) -> None:
    await fill(store, ("vault_a", 3), ("vault_b", 300))
    data = await backup(store, "all")
    await emptied(store)
    await restore(store, data)
    expected = await without_log(store)
    for at in range(1000):
        await emptied(store)
        try:
            await restore(CountingStore(store, at), data)
        except Interrupted:
            await restore(store, data)
            assert await without_log(store) == expected, at
        else:
            assert at > 10
            break


async def test_a_replacement_broken_off_anywhere_goes_on(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    start = await emptied(store)
    for at in range(1000):
        await replace_all(store, start)
        await put(store, (TenantKeys(3).key("kv", 1, "meta", "later"), b"x"))
        try:
            await restore(CountingStore(store, at), data, replace=True)
        except Interrupted:
            assert await get(store, TenantKeys(3).key("unsealed")) is None or at < 4  # nothing is written before
            await restore(store, data, replace=True)
            assert TenantKeys(3).key("kv", 1, "meta", "later") not in await without_log(store)
            assert await get(store, TenantKeys(3).key("seal")) is not None
        else:
            break


async def test_until_it_is_whole_a_vault_has_no_seal_and_cannot_be_initialised(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    await emptied(store)
    with pytest.raises(Interrupted):
        await restore(CountingStore(store, 6), data)
    assert await get(store, vault("vault_a")) is not None
    assert await get(store, TenantKeys(3).key("seal")) is None
    with pytest.raises(InvalidRequest, match="not wholly restored"):
        await backup(store, "vault_a")


async def test_a_restore_pushed_aside_by_another_says_so(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    first = await backup(store, "vault_a")
    await put(store, (TenantKeys(3).key("kv", 1, "meta", "s1"), b"newer"))
    second = await backup(store, "vault_a")
    await emptied(store)
    with pytest.raises(Interrupted):
        await restore(CountingStore(store, 6), first)
    with pytest.raises(InvalidRequest, match="only --replace"):
        await restore(store, second)
    await restore(store, second, replace=True)
    for replace in (False, True):
        with pytest.raises(InvalidRequest, match="another restore has taken vault_a"):
            await restore(store, first, replace=replace)
    assert await get(store, TenantKeys(3).key("kv", 1, "meta", "s1")) == b"newer"
    await restore(store, first, replace=True, restart=True)
    assert await get(store, TenantKeys(3).key("kv", 1, "meta", "s1")) != b"newer"


async def test_two_processes_never_restore_the_same_backup_at_once(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    await emptied(store)

    async def another() -> None:
        with pytest.raises(Interrupted):
            await restore(CountingStore(store, 6), data)

    with pytest.raises(InvalidRequest, match="another process"):
        await restore(CountingStore(store, 3, another), data)
    await restore(store, data)


async def test_who_comes_late_leaves_no_mark_on_what_another_process_has_restored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "PAGE_ENTRIES", 1000)
    await fill(store, ("vault_a", 3), ("vault_b", 300))
    data = await backup(store, "all")
    marks = [TenantKeys(number).key("restore") for number in (3, 300)]

    async def another() -> None:
        with pytest.raises(Interrupted):
            await restore(CountingStore(store, 11), data, replace=True)
        assert [await get(store, mark) is not None for mark in marks] == [False, True]

    for at in (1, 4):
        await emptied(store)
        await fill(store, ("vault_a", 3), ("vault_b", 300))
        with pytest.raises(InvalidRequest, match="another process"):
            await restore(CountingStore(store, at, another), data, replace=True)
        await restore(store, data, replace=True)
        assert [await get(store, mark) for mark in marks] == [None, None]


async def test_a_vault_that_is_unsealed_while_it_is_taken_is_left_alone(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")

    async def unseal() -> None:
        await put(store, (TenantKeys(3).key("unsealed"), b"x"))

    with pytest.raises(InvalidRequest, match="unsealed again"):
        await restore(CountingStore(store, 4, unseal), data, replace=True)
    assert await get(store, TenantKeys(3).key("kv", 1, "meta", "s1")) is not None


async def test_a_vault_with_a_damaged_header_can_be_replaced(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    original = await vault_entries(store, 3)
    await put(store, (TenantKeys(3).key("header"), b"damaged"))
    await restore(store, data, replace=True)
    assert await vault_entries(store, 3) == restored(original)


async def test_a_damaged_backup_changes_nothing(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = bytearray(await backup(store, "vault_a"))
    await emptied(store)
    for place in range(0, len(data), len(data) // 20):
        data[place] ^= 4
        with pytest.raises(FormatError):
            await restore(store, bytes(data))
        data[place] ^= 4
    with pytest.raises(FormatError, match="cut short"):
        await restore(store, bytes(data[:-1]))
    assert await get_all(store) == []


async def test_a_vault_that_is_not_in_the_backup_is_refused(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    with pytest.raises(InvalidRequest, match="vault_x is not in the backup"):
        await restore(store, data, "vault_x")


A3 = TenantKeys(3).key("seal")


@pytest.mark.parametrize(
    "frames",
    [
        [Tenant("vault_a", 3, ((TenantKeys(4).key("seal"), b""),))],
        [Tenant("vault_a", 3, ((ALLOCATOR, b""),))],
        [Tenant("vault_a", 0, ())],
        [Tenant("vault_a", 62**6, ())],
        [Records("vault_a", 3, ((A3, b""),), b"x")],
        [Records("vault_a", 3, (), b"x"), Tenant("vault_b", 4, ())],
        [Records("vault_a", 3, (), b"x"), Tenant("vault_a", 4, ())],
        [Tenant("vault_a", 3, ()), Tenant("vault_a", 3, ())],
        [Cluster(((A3, b""),))],
        [Cluster(((vault("vault_a"), b""),))],
        [Cluster(((keyspace.pack("node", "c"), b""),))],
        [Cluster(((keyspace.pack("node", 1, "seal"), b""),))],
        [Cluster(((keyspace.pack("node", "c")[:-1] + b"\xfe", b""),))],
    ],
)
async def test_a_backup_that_would_write_where_it_must_not_is_refused(
    store: Store, frames: list[Records | Tenant | Cluster]
) -> None:
    file = io.BytesIO()
    writer = FrameWriter.begin(file, header("all"))
    for frame in frames:
        writer.write(frame)
    writer.end()
    with pytest.raises(FormatError, match="where they cannot be"):
        await restore(store, file.getvalue())


async def test_a_backup_of_a_store_of_another_format_is_refused(store: Store) -> None:
    file = io.BytesIO()
    FrameWriter.begin(file, Header(store_format=2, scope="all", created=0.0)).end()
    with pytest.raises(FormatError, match="store of format 2"):
        await restore(store, file.getvalue())


async def test_progress_is_told_in_bytes_of_the_file(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data = await backup(store, "vault_a")
    await emptied(store)
    run = Restore(store, io.BytesIO(data), settle=0.0)
    steps: list[int] = []
    contents = await run.prepare(steps.append)
    assert (contents.vaults, contents.counts.vaults, sum(steps)) == ({"vault_a": 3}, 1, len(data))
    steps.clear()
    await run.run(steps.append)
    assert (sum(steps), min(steps) > 0) == (len(data), True)


async def test_a_whole_restore_begins_an_era_that_all_nodes_take_for_a_change_of_everything(store: Store) -> None:
    await fill(store, ("vault_a", 3))
    data, one = await backup(store, "all"), await backup(store, "vault_a")
    await emptied(store)
    await put(store, (keyspace.node("c", "keyring"), b"keyring"))
    heard: list[changes.Change | None] = []
    feed = ChangeFeed(store, heard.append, 60.0)
    await feed.start()
    await feed.stop()
    await restore(store, one)
    await feed.catch_up()
    assert heard
    assert None not in heard
    await restore(store, data, replace=True)
    await feed.catch_up()
    assert heard[-1] is None
    assert await get(store, ERA) is not None
