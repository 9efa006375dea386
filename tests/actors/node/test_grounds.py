"""A change holds only as long as what it rests on: the vault is unsealed, its mount is there, its token is good.

The kind: a decision taken before a transaction (by a table of mounts, a seal that this process remembers), and a
transaction that does not read what it was taken on. It commits although another node has changed that since: writes
are acknowledged below mounts that are gone, and stay in the store, reached by nobody. Controllers have no way to
write but `TenantStore.change`, which reads it.

Each test draws its interleavings from a seed: two nodes on one store, whose transactions pause at drawn points.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from kms_actors import request_context
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant.mounting import mount_record
from kms_actors.actors.tenant.store import TenantStore
from kms_actors.actors.tenant.tenure import Tenure
from kms_actors.check.walk import check
from kms_actors.errors import (
    AuthenticationFailed,
    InvalidRequest,
    KmsError,
    NoMount,
    PoliciesChanged,
    Sealed,
    Unavailable,
)
from kms_actors.keyring.keyring import Keyring
from kms_actors.kv import messages as kv
from kms_actors.kv.settings import Settings
from kms_actors.messages import DisableMount, EnableMount, Message, MoveMount, RevokeToken, Seal, TuneMount
from kms_actors.mounts import Mount, MountTable
from kms_actors.policy.messages import PolicyKind, ResolveAcl, WritePolicy
from kms_actors.request_context import Bearer
from kms_actors.store import schema
from kms_actors.store.api import Entry, Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.transit import messages as transit
from kms_actors.transit.policy import KeyChanges, KeyOptions
from tests.store.access import get, put
from tests.store.conftest import open_store, place, store
from tests.support.drawn_store import DrawnStore
from tests.support.vaults import configuration, filled

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
VAULT = "vault_a"
ENGINES = {"kv": "kv-v2", "transit": "transit"}
SEEDS = range(6)
#: Writers at once, and what each writes at most.
WRITERS, TURNS = 6, 40


class Pair:
    """Two nodes on one store, a vault that is awake on both, the bare store, and what else is drawn."""

    def __init__(self, seed: int, nodes: list[NodeService], bare: Store, *tenants: TenantHandle) -> None:
        self.random = random.Random(seed)
        self.nodes = nodes
        self.bare = bare
        self.here, self.there = tenants

    async def records(self, *areas: str) -> dict[tuple[Any, ...], bytes]:
        """Return the vault's records of these areas."""
        keys = TenantKeys(1)
        spans = [await self.bare.run(partial(_read_area, keys=keys, area=area)) for area in areas]
        return {keys.parts(key): value for span in spans for key, value in span}


@pytest_asyncio.fixture(params=SEEDS)
async def pair(request: pytest.FixtureRequest, open_store: OpenStore, tmp_path: Path) -> AsyncIterator[Pair]:
    bare = await open_store()
    await schema.initialise(bare)
    settings = configuration(tmp_path, lease_seconds=10)
    async with AsyncExitStack() as stack:
        nodes = []
        for number in range(2):
            drawn = DrawnStore(await open_store(), seed=2 * request.param + number)
            nodes.append(NodeService(settings, drawn))
            await nodes[-1].start()
            stack.push_async_callback(nodes[-1].stop)
        await filled(nodes[0], VAULT)
        yield Pair(request.param, nodes, bare, *[await node.tenant(VAULT) for node in nodes])


async def _read_area(tr: Transaction, keys: TenantKeys, area: str) -> list[Entry]:
    return await tr.get_range(*keys.span(area))


class Writers:
    """Many who write at once at one node, and note which successes they were told of that began after a moment."""

    def __init__(self, tenant: TenantHandle, message: Callable[[int], Message]) -> None:
        self._tenant = tenant
        self._message = message
        self.acknowledged = 0
        self.over = False
        self.late = 0  # begun after `over`, and acknowledged
        self.refusals: set[type[KmsError]] = set()
        self.told: Callable[[Any], None] = lambda _: None  # of what succeeded
        self._late: list[Bearer | None] = []

    def late_by(self, revocation_ids: tuple[str, ...]) -> int:
        """Return how many of the late ones were by this token."""
        return sum(bearer is not None and bearer.revocation_ids == revocation_ids for bearer in self._late)

    async def run(self) -> None:
        await asyncio.gather(*(self._write(number) for number in range(WRITERS)))

    async def _write(self, writer: int) -> None:
        for turn in range(TURNS):
            over = self.over
            message = self._message(writer * TURNS + turn)
            try:
                await self._tenant.ask(message)
            except KmsError as error:
                self.refusals.add(type(error))
                if over:
                    return
            else:
                self.acknowledged += 1
                self.told(message)
                self.late += over
                if over and not isinstance(
                    message, transit.CreateKey
                ):  # which writes nothing for a key that is there
                    self._late.append(request_context.current().bearer)
            await asyncio.sleep(0)


def changes_of_transit(mount: Mount, number: int) -> Message:
    name = f"k{number // 4}"
    return (
        transit.CreateKey(mount, name, KeyOptions(auto_rotate_period=3_600 * 10**9)),
        transit.RotateKey(mount, name),
        transit.ConfigureKey(mount, name, KeyChanges(deletion_allowed=True)),
        transit.WriteSettings(mount, disable_upsert=False, cache_size=None),
    )[number % 4]


def changes_of_kv(mount: Mount, number: int) -> Message:
    secret = (mount.number, f"folder/s{number // 4}")
    return (
        kv.WriteSecret(*secret, b'{"a":1}'),
        kv.WriteSecret(*secret, b'{"a":"%s"}' % (b"x" * 40_000)),
        kv.WriteMetadata(*secret, Settings(max_versions=7)),
        kv.WriteConfig(mount.number, Settings(max_versions=9)),
    )[number % 4]


@pytest.mark.parametrize(("engine", "change"), [("kv", changes_of_kv), ("transit", changes_of_transit)])
async def test_nothing_is_written_below_a_mount_that_another_node_disables(
    pair: Pair, engine: str, change: Callable[[Mount, int], Message]
) -> None:
    """Drawn: node 2 decides on its table of mounts, node 1 removes mount and records, node 2 commits."""
    await pair.here.ask(EnableMount("more/", ENGINES[engine], "", {}))
    await pair.nodes[1].catch_up()
    mount = pair.there.mounts.get("more/")
    assert mount is not None
    writers = Writers(pair.there, lambda number: change(mount, number))
    writing = asyncio.create_task(writers.run())
    await asyncio.sleep(pair.random.uniform(0, 0.05))
    await pair.here.ask(DisableMount("more/"))
    writers.over = True
    await writing
    assert writers.late == 0
    assert writers.refusals <= {NoMount, InvalidRequest}, "InvalidRequest: a key is not made yet"
    assert NoMount in writers.refusals
    left = await pair.records(engine, "due")
    assert [place for place in left if place[1:2] == (mount.number,)] == []
    report = await check(pair.bare, None, lambda *_: None)
    assert list(report.findings) == []


@pytest.mark.parametrize(("engine", "change"), [("kv", changes_of_kv), ("transit", changes_of_transit)])
async def test_nothing_is_written_for_a_path_that_a_mount_has_left(
    pair: Pair, engine: str, change: Callable[[Mount, int], Message]
) -> None:
    """Drawn: node 2 allows a request below a path, node 1 gives the mount another one, node 2 commits."""
    await pair.here.ask(EnableMount("more/", ENGINES[engine], "", {}))
    await pair.nodes[1].catch_up()
    mount = pair.there.mounts.get("more/")
    assert mount is not None

    def message(number: int) -> Message:
        request_context.begin()
        request_context.is_below(mount.number, "more/")
        return change(mount, number)

    writers = Writers(pair.there, message)
    writing = asyncio.create_task(writers.run())
    await asyncio.sleep(pair.random.uniform(0, 0.05))
    await pair.here.ask(MoveMount("more/", "moved/"))
    before = await pair.records(engine)
    writers.over = True
    await writing
    assert writers.late == 0
    assert writers.refusals <= {NoMount, InvalidRequest}, "InvalidRequest: a key is not made yet"
    assert NoMount in writers.refusals
    assert await pair.records(engine) == before


async def test_nothing_of_version_1_is_answered_once_another_node_enabled_versions(pair: Pair) -> None:
    """Drawn: node 2 takes a request as one of version 1, node 1 enables versions, node 2 reads or commits."""
    await pair.here.ask(EnableMount("more/", "kv-v1", "", {}))
    await pair.nodes[1].catch_up()
    mount = pair.there.mounts.get("more/")
    assert mount is not None
    for number in range(WRITERS):
        await pair.there.ask(kv.WriteUnversioned(mount.number, f"s{number}", b"{}"))
    last: dict[str, bytes] = {}

    def message(number: int) -> Message:
        path = f"s{number // TURNS}"
        return (
            kv.WriteUnversioned(mount.number, path, b'{"n":%d}' % number),
            kv.ReadUnversioned(mount.number, path),
            kv.ListSecrets(mount.number, "", versioned=False),
        )[number % 3]

    def note(sent: Message) -> None:
        if isinstance(sent, kv.WriteUnversioned):
            last[sent.path] = sent.data

    writers = Writers(pair.there, message)
    writers.told = note
    writing = asyncio.create_task(writers.run())
    await asyncio.sleep(pair.random.uniform(0, 0.05))
    await pair.here.ask(TuneMount("more/", None, {"version": "2"}))
    writers.over = True
    await writing
    assert writers.late == 0
    assert writers.refusals <= {Unavailable}
    for path in [f"s{number}" for number in range(WRITERS)]:
        found = await pair.here.ask(kv.ReadSecret(mount.number, path))
        assert (found.number, found.data) == (1, last.get(path, b"{}"))
    report = await check(pair.bare, None, lambda *_: None)
    assert list(report.findings) == []


async def test_nothing_is_written_in_a_vault_that_another_node_seals(pair: Pair) -> None:
    """Drawn: node 2 decides while the vault is unsealed, node 1 seals it, node 2 commits."""
    mounts = {mount.path: mount for mount in pair.there.mounts}

    def change(number: int) -> Message:
        if number % 5 == 4:
            return EnableMount(f"m{number}/", "kv-v2", "", {}) if number % 2 else TuneMount("secret/", "x", None)
        engine = changes_of_kv if number % 2 else changes_of_transit
        return engine(mounts["secret/" if number % 2 else "transit/"], number)

    writers = Writers(pair.there, change)
    writing = asyncio.create_task(writers.run())
    await asyncio.sleep(pair.random.uniform(0, 0.05))
    await pair.here.ask(Seal())
    writers.over = True
    sealed = await pair.records("kv", "transit", "mount", "token", "revoked", "due")
    await writing
    assert writers.late == 0
    assert Sealed in writers.refusals
    assert writers.refusals <= {Sealed, InvalidRequest, Unavailable}
    assert await pair.records("kv", "transit", "mount", "token", "revoked", "due") == sealed


def biscuit(*revocation_ids: str) -> Any:
    return SimpleNamespace(revocation_ids=revocation_ids, expires_at=None)


@pytest.mark.parametrize("engine", ENGINES)
async def test_nothing_is_written_by_a_token_that_another_node_revokes(pair: Pair, engine: str) -> None:
    """Drawn: node 2 takes the token for good, node 1 revokes what it was narrowed from, node 2 commits."""
    mount = pair.there.mounts.get("secret/" if engine == "kv" else "transit/")
    assert mount is not None
    change = changes_of_kv if engine == "kv" else changes_of_transit

    def message(number: int) -> Message:
        request_context.begin()
        # Others' commands share transactions with those of the token, and go on.
        request_context.borne_by(Bearer(("parent", "child") if number // TURNS else ("other",)))
        return change(mount, number % TURNS)

    writers = Writers(pair.there, message)
    writing = asyncio.create_task(writers.run())
    await asyncio.sleep(pair.random.uniform(0, 0.05))
    await pair.here.ask(RevokeToken(biscuit("parent"), ""))
    writers.over = True
    await writing
    assert AuthenticationFailed in writers.refusals
    assert writers.refusals <= {AuthenticationFailed, InvalidRequest}
    assert writers.late <= TURNS, "those of the other token alone"
    assert writers.late_by(("parent", "child")) == 0


@pytest.mark.parametrize("engine", ENGINES)
async def test_nothing_is_written_by_policies_that_another_node_changes(pair: Pair, engine: str) -> None:
    """Drawn: node 2 decides by the policies it knows, node 1 changes one, node 2 commits."""
    mount = pair.there.mounts.get("secret/" if engine == "kv" else "transit/")
    assert mount is not None
    change = changes_of_kv if engine == "kv" else changes_of_transit
    policies = Bearer(("of-policies",), policies=(await pair.there.ask(ResolveAcl(("app",)))).made_of)

    def message(number: int) -> Message:
        request_context.begin()
        request_context.borne_by(policies if number // TURNS else Bearer(("other",)))
        return change(mount, number % TURNS)

    writers = Writers(pair.there, message)
    writing = asyncio.create_task(writers.run())
    await asyncio.sleep(pair.random.uniform(0, 0.05))
    await pair.here.ask(WritePolicy(PolicyKind.ACL, "app", 'path "secret/*" { capabilities = ["read"] }'))
    writers.over = True
    await writing
    assert PoliciesChanged in writers.refusals
    assert writers.refusals <= {PoliciesChanged, InvalidRequest}
    assert writers.late <= TURNS, "those of the token without policies alone"
    assert writers.late_by(("of-policies",)) == 0
    later = (await pair.here.ask(ResolveAcl(("app",)))).made_of
    assert later != policies.policies
    request_context.borne_by(Bearer(("of-policies",), policies=later))
    await pair.here.ask(WritePolicy(PolicyKind.ACL, "other", ""))
    await pair.here.ask(changes_of_kv(pair.here.mounts.match("secret/")[0], 1))  # type: ignore[index]
    await pair.here.ask(WritePolicy(PolicyKind.ACL, "app", ""))  # and not for its own change


async def test_a_token_may_end_itself_on_either_node(pair: Pair) -> None:
    """Its own mark, that the same transaction writes, is no reason to refuse it; nor is that of the other node."""

    async def revokes_itself(tenant: TenantHandle) -> None:
        request_context.begin()
        request_context.borne_by(Bearer(("parent", "child")))
        await tenant.ask(RevokeToken(biscuit("parent", "child"), ""))

    await asyncio.gather(revokes_itself(pair.here), revokes_itself(pair.there))
    await asyncio.gather(*(node.catch_up() for node in pair.nodes))
    assert all(tenant.revoked(("child",)) for tenant in (pair.here, pair.there))
    assert not any(tenant.revoked(("parent",)) for tenant in (pair.here, pair.there))


async def test_nothing_is_written_by_a_token_of_a_login_mount_that_another_node_disables(pair: Pair) -> None:
    """Drawn: node 2 takes the token of a login, or a child of it, for good, node 1 disables the mount, 2 commits."""
    await pair.here.ask(EnableMount("auth/in/", "userpass", "", {}))
    await pair.nodes[1].catch_up()
    logins = pair.there.mounts.get("auth/in/")
    mount = pair.there.mounts.get("secret/")
    assert logins is not None
    assert mount is not None

    def message(number: int) -> Message:
        request_context.begin()
        # Others' commands share transactions with those of the token, and go on.
        request_context.borne_by(
            Bearer(("of-login",), mount=logins.number) if number // TURNS else Bearer(("other",))
        )
        return changes_of_kv(mount, number % TURNS)

    writers = Writers(pair.there, message)
    writing = asyncio.create_task(writers.run())
    await asyncio.sleep(pair.random.uniform(0, 0.05))
    await pair.here.ask(DisableMount("auth/in/"))
    writers.over = True
    await writing
    assert AuthenticationFailed in writers.refusals
    assert writers.refusals <= {AuthenticationFailed, InvalidRequest}
    assert writers.late <= TURNS, "those of the other token alone"
    assert writers.late_by(("of-login",)) == 0


async def test_nothing_is_written_by_a_service_token_that_another_node_revokes(pair: Pair) -> None:
    """Drawn: node 2 knows the token from its cache, node 1 revokes it, node 2 commits."""
    number = TenantKeys(1)
    proof = (await pair.records("token-digest")).keys()
    (digest,) = [place[1] for place in proof if len(place) == 2]
    request_context.begin()
    request_context.borne_by(Bearer(proof=digest))
    mount = pair.there.mounts.get("secret/")
    assert mount is not None
    await pair.there.ask(changes_of_kv(mount, 0))

    async def revoke(tr: Transaction) -> None:  # as `TokenController` does, to whom the token is not known here
        tr.add(number.key("revocations"), 1)
        tr.clear(number.key("token-digest", digest))

    await pair.bare.run(revoke)
    with pytest.raises(AuthenticationFailed):
        await pair.there.ask(changes_of_kv(mount, 4))


# What a change reads, without nodes.

KEYS = TenantKeys(5)
MOUNT = Mount("secret/", "kv", 3, "uuid", "kv_1", "", {"version": "2"})


class Rig:
    """The store of a tenant with one mount, as a node remembers it, whatever the store holds."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keyring = Keyring.generate(0.0)
        self.fresh = True
        self.tenure = Tenure(lambda: self.fresh)
        self.mounts = MountTable([MOUNT])
        self.tenant = TenantStore(store, KEYS, self.keyring, epoch=4, mounts=lambda: self.mounts, tenure=self.tenure)

    async def prepare(self, epoch: int = 4, mount: Mount | None = MOUNT) -> None:
        """Have the store hold this epoch and this mount."""

        async def body(transaction: Transaction) -> None:
            transaction.set(KEYS.key("epoch"), epoch.to_bytes(8, "little"))
            transaction.clear_range(*KEYS.span("mount"))
            if mount is not None:
                transaction.set(*mount_record(KEYS, self.keyring, mount))

        await self.store.run(body)

    async def change(self, mount: int | None = MOUNT.number, error: Exception | None = None) -> None:
        async def body(transaction: Transaction) -> None:
            transaction.set(KEYS.key("written"), b"x")
            if error is not None:
                raise error

        await self.tenant.change(body, mount=mount)

    async def written(self) -> bool:
        return await get(self.store, KEYS.key("written")) is not None


@pytest_asyncio.fixture
async def rig(store: Store) -> Rig:
    rig = Rig(store)
    await rig.prepare()
    return rig


def moved(**changes: Any) -> Mount:
    return Mount(**{**{name: getattr(MOUNT, name) for name in Mount.__struct_fields__}, **changes})


async def test_a_change_on_good_grounds_is_made(rig: Rig) -> None:
    await rig.change()
    assert await rig.written()


@pytest.mark.parametrize(
    ("epoch", "mount", "refusal"),
    [
        (5, MOUNT, Sealed),
        (0, MOUNT, Sealed),
        (4, None, NoMount),
        (4, moved(path="other/"), NoMount),
        (4, moved(type="transit"), NoMount),
        (4, moved(options={"version": "1"}), Unavailable),
        (5, None, Sealed),
    ],
)
async def test_a_change_is_refused_where_its_grounds_are_not_as_this_node_knows_them(
    rig: Rig, epoch: int, mount: Mount | None, refusal: type[KmsError]
) -> None:
    await rig.change()
    await rig.store.run(lambda tr: _clear(tr, KEYS.key("written")))
    await rig.prepare(epoch, mount)
    for error in (None, InvalidRequest("what the body says comes second")):
        with pytest.raises(refusal):
            await rig.change(error=error)
    assert not await rig.written()


async def _clear(transaction: Transaction, key: bytes) -> None:
    transaction.clear(key)


async def test_a_new_description_of_a_mount_is_no_new_mount(rig: Rig) -> None:
    await rig.prepare(mount=moved(description="another"))
    await rig.change()
    assert await rig.written()


async def test_a_mount_that_this_node_knows_no_more_is_refused_without_a_look(rig: Rig) -> None:
    with pytest.raises(NoMount):
        await rig.change(mount=99)
    assert not await rig.written()


async def test_a_change_of_the_vault_itself_rests_on_its_seal_alone(rig: Rig) -> None:
    await rig.prepare(mount=None)
    await rig.change(mount=None)
    assert await rig.written()
    await rig.prepare(epoch=5, mount=None)
    with pytest.raises(Sealed):
        await rig.change(mount=None)


@pytest.mark.parametrize(("epoch", "mount", "refusal"), [(5, MOUNT, Sealed), (4, None, NoMount)])
async def test_grounds_that_go_between_reading_and_commit_are_a_conflict(
    rig: Rig, epoch: int, mount: Mount | None, refusal: type[KmsError]
) -> None:
    """Drawn: the change has read that all is well, and the other node commits just before it."""
    runs = 0

    async def body(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.get(KEYS.key("anything"))
        if runs == 1:
            await rig.prepare(epoch, mount)
        transaction.set(KEYS.key("written"), b"x")

    with pytest.raises(refusal):
        await rig.tenant.change(body, mount=MOUNT.number)
    assert runs == 2
    assert not await rig.written()


async def test_what_was_read_does_not_leave_after_the_seal_or_the_lease(rig: Rig) -> None:
    await put(rig.store, (KEYS.key("a"), b"secret"))
    assert await rig.tenant.read(lambda tr: tr.get(KEYS.key("a"))) == b"secret"
    rig.fresh = False
    with pytest.raises(Unavailable):
        await rig.tenant.read(lambda tr: tr.get(KEYS.key("a")))
    rig.tenure.end()
    with pytest.raises(Sealed):
        await rig.tenant.read(lambda tr: tr.get(KEYS.key("a")))
