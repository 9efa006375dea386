"""Policies in the store: what is written, and that nobody is decided about by what was before, on either store.

The kind: a cache that outlives what it was made of, here of what somebody may do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.policy.controller import MAX_NAMES, PolicyController
from kms_actors.auth.principal import Capability
from kms_actors.check.walk import check
from kms_actors.errors import FormatError, InvalidRequest, NotFound
from kms_actors.messages import Seal
from kms_actors.policy import builtin
from kms_actors.policy.acl import Acl
from kms_actors.policy.messages import (
    DeletePolicy,
    GeneratePassword,
    ListPolicies,
    PolicyKind,
    ReadPolicy,
    ResolveAcl,
    WritePolicy,
)
from kms_actors.policy.records import PolicyRecord
from kms_actors.policy.templates import Subject
from kms_actors.runtime.turns import Turns
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import get_all
from tests.store.conftest import open_store, place, store
from tests.support.vaults import Vault, filled, master_of, node

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
ACL, PASSWORD = PolicyKind.ACL, PolicyKind.PASSWORD
NOW = 1_800_000_000
READS = 'path "secret/*" { capabilities = ["read"] }'
WRITES = 'path "secret/*" { capabilities = ["update"] }'
VAULT = "vault_a"


class Clock:
    """The time, set by tests."""

    seconds = NOW

    def __call__(self) -> int:
        return self.seconds * 10**9


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def nodes(
    store: Store, open_store: OpenStore, tmp_path: Path, clock: Clock
) -> AsyncIterator[tuple[NodeService, NodeService]]:
    async with (
        node(store, tmp_path, clock, max_policies=5) as first,
        node(await open_store(), tmp_path, clock, max_policies=5) as second,
    ):
        yield first, second


@pytest.fixture
async def vault(nodes: tuple[NodeService, NodeService]) -> Vault:
    return await filled(nodes[0], VAULT)


@pytest.fixture
async def tenant(nodes: tuple[NodeService, NodeService], vault: Vault) -> TenantHandle:
    return await nodes[0].tenant(VAULT)


async def write(tenant: TenantHandle, name: str, text: str | None = READS, **settings: Any) -> None:
    await tenant.ask(WritePolicy(ACL, name, text, **settings))


async def read(tenant: TenantHandle, name: str, kind: PolicyKind = ACL) -> PolicyRecord:
    record = await tenant.ask(ReadPolicy(kind, name))
    assert isinstance(record, PolicyRecord)
    return record


async def resolve(tenant: TenantHandle, *names: str, subject: Subject | None = None) -> Acl:
    acl = await tenant.ask(ResolveAcl(names, subject))
    assert isinstance(acl, Acl)
    return acl


async def may(tenant: TenantHandle, *names: str, path: str = "secret/data/a") -> list[str]:
    rule = (await resolve(tenant, *names)).rule(path)
    return ["none"] if rule is None else rule.shown


def controller(tenant: TenantHandle) -> PolicyController:
    """Return the controller of a vault on a node, to look into its caches."""
    actor = tenant.ref._actor_weakref()
    assert actor is not None
    return next(found for found in actor._controllers.values() if isinstance(found, PolicyController))


async def test_what_is_written_is_read_listed_and_deleted(tenant: TenantHandle, clock: Clock) -> None:
    await write(tenant, "b")
    await write(tenant, "a", WRITES)
    assert await read(tenant, "a") == PolicyRecord(WRITES, 1, NOW * 10**9)
    assert await tenant.ask(ListPolicies(ACL)) == ["a", "b", "default", "root"]
    assert await tenant.ask(DeletePolicy(ACL, "a")) is True
    assert await tenant.ask(DeletePolicy(ACL, "a")) is False
    assert await tenant.ask(ListPolicies(ACL)) == ["b", "default", "root"]
    with pytest.raises(NotFound):
        await read(tenant, "a")


async def test_what_lies_below_a_folder_is_listed(tenant: TenantHandle) -> None:
    for name in ("team", "team/a", "team/a/b", "teams/a", "root/a"):
        await write(tenant, name)
    assert await tenant.ask(ListPolicies(ACL, "team/")) == ["team/a", "team/a/b"]
    assert await tenant.ask(ListPolicies(ACL, "team/a/")) == ["team/a/b"]
    assert await tenant.ask(ListPolicies(ACL, "root/")) == ["root/a"]
    assert await tenant.ask(ListPolicies(ACL, "default/")) == []
    assert await tenant.ask(DeletePolicy(ACL, "team")) is True
    assert await tenant.ask(ListPolicies(ACL, "team/")) == ["team/a", "team/a/b"]


async def test_what_is_no_policy_is_refused_and_nothing_is_stored(tenant: TenantHandle) -> None:
    with pytest.raises(InvalidRequest, match="line 1, column 26: invalid capability 'red'"):
        await write(tenant, "a", 'path "a" { capabilities=["red"] }'.replace("capabilities=", "capabilities="))
    with pytest.raises(NotFound):
        await read(tenant, "a")
    with pytest.raises(InvalidRequest, match="passwords must be"):
        await tenant.ask(WritePolicy(PASSWORD, "a", "length = 1"))
    assert await tenant.ask(ListPolicies(PASSWORD)) == []


async def test_built_in_policies(tenant: TenantHandle) -> None:
    assert (await read(tenant, "default")).text == builtin.BUILTIN["default"]
    assert (await read(tenant, "root")).version == 0
    assert (await read(tenant, "response-wrapping")).version == 1
    for name in ("root", "response-wrapping"):
        with pytest.raises(InvalidRequest, match=f'cannot update "{name}" policy'):
            await write(tenant, name)
        with pytest.raises(InvalidRequest, match=f'cannot delete "{name}" policy'):
            await tenant.ask(DeletePolicy(ACL, name))
    with pytest.raises(InvalidRequest, match="cannot delete default policy"):
        await tenant.ask(DeletePolicy(ACL, "default"))
    assert await may(tenant, "default", path="auth/token/lookup-self") == ["read"]
    await write(tenant, "default", READS)
    assert (await read(tenant, "default")).version == 2
    assert await may(tenant, "default", path="auth/token/lookup-self") == ["none"]
    assert (await resolve(tenant, "root")).is_root


async def test_names_of_no_policy_give_nothing(tenant: TenantHandle) -> None:
    assert await may(tenant, "none") == ["none"]
    assert await may(tenant) == ["none"]
    await write(tenant, "a")
    assert await may(tenant, "none", "a") == ["read"]
    with pytest.raises(InvalidRequest, match="more than 128 policies"):
        await resolve(tenant, *(str(number) for number in range(MAX_NAMES + 1)))


async def test_a_change_counts_at_once_here_and_there(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle
) -> None:
    there = await nodes[1].tenant(VAULT)
    for text, expected in ((READS, "read"), (WRITES, "update"), (READS, "read")):
        await write(tenant, "a", text)
        assert await may(tenant, "a") == [expected]
        await nodes[1].catch_up()
        assert await may(there, "a") == [expected]
        assert await may(there, "b", "a") == [expected]
    await there.ask(DeletePolicy(ACL, "a"))
    assert await may(there, "a") == ["none"]
    await nodes[0].catch_up()
    assert await may(tenant, "a") == ["none"]


async def test_what_is_kept_is_answered_without_the_store(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle
) -> None:
    await write(tenant, "a")
    await nodes[0].catch_up()  # a node hears of its own changes, too
    first = await resolve(tenant, "a")
    assert await resolve(tenant, "a") is first
    await write(tenant, "b")  # which concerns nobody of these
    await nodes[0].catch_up()
    assert await resolve(tenant, "a") is first
    subject = Subject("e", "bob")
    own = await resolve(tenant, "a", subject=subject)
    assert own is not first
    assert await resolve(tenant, "a", subject=Subject("e", "bob")) is own
    await write(tenant, "a")
    assert await resolve(tenant, "a") is not first


async def test_a_policy_is_read_once_for_all_who_have_it(tenant: TenantHandle) -> None:
    await write(tenant, "a")
    await resolve(tenant, "a", subject=Subject("1"))
    parsed = controller(tenant)._parsed.get("a")
    assert parsed is not None
    await resolve(tenant, "a", subject=Subject("2"))
    assert controller(tenant)._parsed.get("a") is parsed
    await write(tenant, "a", WRITES)
    assert await may(tenant, "a") == ["update"]
    assert controller(tenant)._parsed.get("a") is not parsed


async def test_who_asks_while_a_policy_changes_never_keeps_the_old_one(tenant: TenantHandle) -> None:
    await write(tenant, "a", READS)
    for number in range(20):
        text, expected = (WRITES, "update") if number % 2 == 0 else (READS, "read")
        asking = [asyncio.ensure_future(may(tenant, "a", f"other-{number}")) for _ in range(5)]
        writing = asyncio.ensure_future(write(tenant, "a", text))
        asking += [asyncio.ensure_future(may(tenant, "a", f"other-{number}")) for _ in range(5)]
        await writing
        assert await may(tenant, "a", f"other-{number}") == [expected]
        await asyncio.gather(*asking)


async def test_what_it_is_made_of_tells_each_policy_from_all_before(tenant: TenantHandle) -> None:
    made = [(await resolve(tenant, "a", "b")).made_of]
    for text in (READS, WRITES, READS):
        await write(tenant, "a", text)
        made.append((await resolve(tenant, "a", "b")).made_of)
    await tenant.ask(DeletePolicy(ACL, "a"))
    assert (await resolve(tenant, "a", "b")).made_of == made[0] == (("a", b""), ("b", b""))
    assert len({dict(each)["a"] for each in made}) == len(made)
    assert {dict(each)["b"] for each in made} == {b""}


async def test_templates_are_filled_for_who_asks(tenant: TenantHandle) -> None:
    await write(tenant, "a", 'path "s/{{identity.entity.name}}" { capabilities = ["read"] }')
    bob = await resolve(tenant, "a", subject=Subject("e", "bob"))
    assert bob.rule("s/bob") is not None
    assert bob.rule("s/eve") is None
    assert (await resolve(tenant, "a")).rule("s/bob") is None
    slash = Subject("e", "x/y")
    with capture_logs() as logs:
        assert (await resolve(tenant, "a", subject=slash)).rule("s/x/y") is None
    assert [(entry["event"], entry["policy"]) for entry in logs] == [("policies withheld", "a")]
    await tenant.ask(WritePolicy(ACL, "a", None, allow_slashes=True, patch=True))
    assert (await resolve(tenant, "a", subject=slash)).rule("s/x/y") is not None


async def test_policies_and_rules_end(tenant: TenantHandle, clock: Clock) -> None:
    await write(tenant, "a", expires_at=(NOW + 100) * 10**9)
    await write(tenant, "b", f'path "b" {{ capabilities = ["read"] expiration = "{NOW + 50}" }}')
    assert await may(tenant, "a", "b") == ["read"]
    assert await may(tenant, "a", "b", path="b") == ["read"]
    clock.seconds += 50
    assert await may(tenant, "a", "b", path="b") == ["none"]
    assert await may(tenant, "a", "b") == ["read"]
    clock.seconds += 50
    assert await may(tenant, "a", "b") == ["none"]
    with pytest.raises(NotFound):
        await read(tenant, "a")
    with pytest.raises(InvalidRequest, match="policy not found"):
        await tenant.ask(WritePolicy(ACL, "a", WRITES, patch=True))
    with pytest.raises(InvalidRequest, match="already elapsed"):
        await write(tenant, "a", expires_at=0)
    await write(tenant, "a")
    assert await may(tenant, "a", "b") == ["read"]
    assert (await read(tenant, "a")).version == 2


async def test_check_and_set(tenant: TenantHandle) -> None:
    with pytest.raises(InvalidRequest, match="parameter 1 did not match the current version 0"):
        await write(tenant, "a", cas=1)
    await write(tenant, "a", cas=-1)
    with pytest.raises(InvalidRequest, match="set to -1 on existing entry"):
        await write(tenant, "a", cas=-1)
    await write(tenant, "a", cas=1, cas_required=True)
    with pytest.raises(InvalidRequest, match="check-and-set parameter required"):
        await write(tenant, "a")
    outcomes = await asyncio.gather(*(write(tenant, "a", cas=2) for _ in range(5)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert (await read(tenant, "a")).version == 3


async def test_a_patch_leaves_what_it_does_not_name(tenant: TenantHandle) -> None:
    with pytest.raises(InvalidRequest, match="policy not found"):
        await tenant.ask(WritePolicy(ACL, "a", READS, patch=True))
    await write(tenant, "a", READS, cas=-1, cas_required=True, allow_slashes=True)
    await tenant.ask(WritePolicy(ACL, "a", None, allow_wildcards=True, patch=True))
    record = await read(tenant, "a")
    assert (record.text, record.version, record.cas_required) == (READS, 2, True)
    assert record.blocked == ""
    await tenant.ask(WritePolicy(ACL, "a", WRITES, patch=True))
    assert (await read(tenant, "a")).text == WRITES
    await write(tenant, "a", READS, cas=3)  # and a write does not
    assert (await read(tenant, "a")).blocked == "*+/"


async def test_policies_of_a_vault_are_bounded(tenant: TenantHandle) -> None:
    for number in range(5):
        await write(tenant, f"p{number}")
    with pytest.raises(InvalidRequest, match="5 policies at most"):
        await write(tenant, "p5")
    await write(tenant, "p4", WRITES)  # which is there
    await tenant.ask(WritePolicy(PASSWORD, "p5", 'length = 9 rule "charset" { charset = "ab" }'))  # which are apart
    await tenant.ask(DeletePolicy(ACL, "p0"))
    await write(tenant, "p5")


async def test_policies_of_a_bearer_are_bounded_together(
    tenant: TenantHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        await write(tenant, name, READS * 3)
    with monkeypatch.context() as patch:
        patch.setattr("kms_actors.actors.policy.controller.MAX_RULES", 5)
        with pytest.raises(InvalidRequest, match="have more than 5 rules"):
            await resolve(tenant, "a", "b")
        assert await may(tenant, "a") == ["read"]
    patch_bytes = "kms_actors.actors.policy.storage.MAX_BYTES"
    monkeypatch.setattr(patch_bytes, 300)
    with pytest.raises(InvalidRequest, match="take more than 300 bytes"):
        await resolve(tenant, "b", "a")


async def test_passwords(tenant: TenantHandle) -> None:
    with pytest.raises(NotFound):
        await tenant.ask(GeneratePassword("a"))
    await tenant.ask(WritePolicy(PASSWORD, "a", 'length = 9 rule "charset" { charset = "ab" }'))
    password = await tenant.ask(GeneratePassword("a"))
    assert len(password) == 9
    assert set(password) <= {"a", "b"}
    assert await tenant.ask(ListPolicies(PASSWORD)) == ["a"]
    assert (await read(tenant, "a", PASSWORD)).version == 1
    with pytest.raises(NotFound):
        await read(tenant, "a", ACL)


async def test_what_is_stored_is_sealed_and_known_to_the_check(
    tenant: TenantHandle, store: Store, tmp_path: Path
) -> None:
    await write(tenant, "a", "# canary\n" + READS)
    await tenant.ask(WritePolicy(PASSWORD, "a", 'length = 9 rule "charset" { charset = "canary" }'))
    entries = dict(await get_all(store))
    assert not any(b"canary" in value for value in entries.values())
    assert TenantKeys(1).key("policy", "acl", "a") in entries
    assert TenantKeys(1).key("policy", "password", "a") in entries
    report = await check(store, await master_of(store, tmp_path), lambda *_: None)
    assert (report.findings, report.opened) == ({}, 1)


async def test_another_vault_has_policies_of_its_own(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle
) -> None:
    await filled(nodes[0], "vault_b")
    other = await nodes[0].tenant("vault_b")
    await write(tenant, "a")
    assert await may(other, "a") == ["none"]
    assert await other.ask(ListPolicies(ACL)) == ["default", "root"]


async def test_nothing_compiled_outlives_a_seal(
    nodes: tuple[NodeService, NodeService], tenant: TenantHandle, vault: Vault
) -> None:
    await write(tenant, "a")
    before = await resolve(tenant, "a")
    await tenant.ask(Seal())
    await vault.unsealed(nodes[0])
    assert await resolve(tenant, "a") is not before
    assert await may(tenant, "a") == ["read"]


async def test_a_stored_policy_that_cannot_be_read_gives_nothing_at_all(
    tenant: TenantHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write_anything(*_: Any) -> None:
        pass

    await tenant.ask(ListPolicies(ACL))
    with monkeypatch.context() as patch:
        patch.setattr(controller(tenant), "_parse", write_anything)
        await write(tenant, "a", "not a policy")
    with pytest.raises(FormatError):
        await resolve(tenant, "a")


async def test_what_is_kept_is_bounded_and_counted(tenant: TenantHandle) -> None:
    rules = "\n".join(f'path "secret/{number}/{"x" * 60}" {{ capabilities = ["read"] }}' for number in range(1_900))
    await write(tenant, "a", rules)
    for number in range(30):
        acl = await resolve(tenant, "a", subject=Subject(str(number)))
        rule = acl.rule(f"secret/7/{'x' * 60}")
        assert rule is not None
        assert rule.permits(Capability.READ)
    kept = controller(tenant)._acls.kept
    assert kept.bytes <= kept.limit
    assert 1 < len(kept) < 30


async def test_password_policies_that_take_long_are_worked_on_in_turns(
    tenant: TenantHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading sixty-four rules takes ten milliseconds, and so do drawings that never fit; others come between."""
    owners: list[str] = []
    turn = Turns.turn

    async def noted(self: Turns, owner: str) -> None:
        owners.append(owner)
        await turn(self, owner)

    monkeypatch.setattr(Turns, "turn", noted)
    rules = 'rule "charset" { charset = "ab" } ' * 63 + 'rule "charset" { charset = "cdefghijkl" min-chars = 100 }'
    await tenant.ask(WritePolicy(PASSWORD, "a", f"length = 100 {rules}"))
    assert owners == [VAULT] * 65
    assert set(await tenant.ask(GeneratePassword("a"))) <= set("cdefghijkl")
    assert owners == [VAULT] * (65 + 65 + 64)
