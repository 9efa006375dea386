"""Service tokens made in a transaction: what is written, who may use them, and what ends with what."""

import asyncio

import msgspec
import pytest

from kms_actors import request_context
from kms_actors.actors.cluster.changes import TOKEN
from kms_actors.actors.cluster.schedule import KEPT, entry_of
from kms_actors.actors.tenant.token_records import SPENT_SECONDS
from kms_actors.actors.token import sweeping
from kms_actors.actors.token.bearers import TokenChanged
from kms_actors.actors.token.sweeping import EndTokens
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import proof_digest, tenant_of
from kms_actors.errors import AuthenticationFailed, InvalidRequest
from kms_actors.identity.messages import Resolved
from kms_actors.keyring.keyring import Keyring
from kms_actors.messages import AuthenticateToken, RevokeToken
from kms_actors.policy.acl import compile_acl
from kms_actors.policy.templates import Subject
from kms_actors.request_context import Bearer
from kms_actors.runtime.coalesced import Coalesced
from kms_actors.store.api import Store, Transaction
from kms_actors.token.messages import EndToken, LookUpToken
from kms_actors.token.spec import Issued
from tests.actors.token_tenant import MOUNT, NUMBER, SECOND, T0, Tenant

OF_A_TOKEN = ["accessor", "lease", "token", "token-digest", "token-digest", "token-end"]


async def test_a_token_is_what_was_asked_for(tenant: Tenant) -> None:
    tenant.entities["e1"] = Resolved("e1", "ann", False, ("staff",), Subject("e1"))
    made = await tenant.issue(
        policies=("app", "default"), metadata={"user": "ann"}, entity_id="e1", mount=MOUNT, path="auth/approle/login"
    )
    assert tenant_of(made.token) == NUMBER
    bearer = await tenant.bearer(made)
    assert (bearer.right, bearer.policies, bearer.metadata) == (Right.POLICY, ("app", "default"), {"user": "ann"})
    assert (bearer.accessor, bearer.expires_at, bearer.record.orphan) == (made.accessor, T0 + 3600, True)
    assert bearer.identity_policies == ("staff",)
    assert bearer.acl is tenant.acls["app", "default", "staff"]
    assert (bearer.record.entity_id, bearer.record.path) == ("e1", "auth/approle/login")
    assert await tenant.areas() == sorted([*OF_A_TOKEN, "due"])


async def test_what_policies_and_entities_give_is_asked_at_each_use(tenant: Tenant) -> None:
    ann = tenant.entities["e1"] = Resolved("e1", "ann", False, ("staff",), Subject("e1"))
    made = await tenant.issue(entity_id="e1")
    await tenant.bearer(made)
    before = await tenant.bearer(made)
    assert before is await tenant.bearer(made)
    changed = tenant.acls["default", "staff"] = compile_acl(())
    assert (await tenant.bearer(made)).acl is changed is not before.acl
    tenant.entities["e1"] = msgspec.structs.replace(ann, policies=("boss",))
    assert (await tenant.bearer(made)).acl is tenant.acls["default", "boss"]
    tenant.entities["e1"] = msgspec.structs.replace(ann, disabled=True)
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            await tenant.bearer(made)


async def test_others_see_a_token_whose_entity_is_disabled_or_gone_and_may_do_nothing(tenant: Tenant) -> None:
    """Who looks it up was told that he himself may not."""
    ann = tenant.entities["e1"] = Resolved("e1", "ann", False, ("staff",), Subject("e1"))
    made = await tenant.issue(entity_id="e1")
    for name in (LookUpToken(made.token), LookUpToken(accessor=made.accessor)):
        tenant.entities["e1"] = msgspec.structs.replace(ann, disabled=True)
        found = await tenant.ask(name)
        assert (found.record.accessor, found.acl, found.identity_policies) == (made.accessor, None, ())
        tenant.entities["e1"] = ann
        assert (await tenant.ask(name)).identity_policies == ("staff",)


async def test_a_token_is_used_from_where_it_is_bound_to(tenant: Tenant) -> None:
    made = await tenant.issue(bound_cidrs=("10.0.0.0/8",), num_uses=1)
    for address in ("11.0.0.1", "", "::1"):
        with pytest.raises(AuthenticationFailed):
            await tenant.ask(AuthenticateToken(made.token, address=address))
    assert (await tenant.ask(AuthenticateToken(made.token, address="10.0.0.1"))).spent


async def test_a_token_with_an_end_is_in_the_schedule_of_the_cluster(tenant: Tenant) -> None:
    await tenant.issue(ttl=3600)
    await tenant.issue(ttl=60)
    await tenant.issue(ttl=600)
    assert await tenant.store.run(lambda tr: entry_of(tr, tenant.keys)) == (T0 + 60) * SECOND + KEPT


async def test_a_root_token_has_no_end(tenant: Tenant) -> None:
    made = await tenant.issue(policies=("root",), ttl=0)
    bearer = await tenant.bearer(made)
    assert (bearer.right, bearer.expires_at) == (Right.ROOT, None)
    assert "token-end" not in await tenant.areas()


async def test_logins_give_no_root_token(tenant: Tenant) -> None:
    with pytest.raises(InvalidRequest, match="auth methods cannot create root tokens"):
        await tenant.issue(policies=("root",), mount=MOUNT)


async def test_a_token_ends(tenant: Tenant) -> None:
    made = await tenant.issue(ttl=60)
    await tenant.bearer(made)
    tenant.now += 60
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            await tenant.bearer(made)


class TestLine:
    async def test_revoking_a_parent_ends_its_children(self, tenant: Tenant) -> None:
        parent = await tenant.issue()
        child = await tenant.issue(parent)
        grandchild = await tenant.issue(child)
        bearer = await tenant.bearer(parent)
        for each in (child, grandchild):
            await tenant.bearer(each)
        await tenant.ask(RevokeToken(bearer, parent.token))
        for each in (parent, child, grandchild):
            with pytest.raises(AuthenticationFailed):
                await tenant.bearer(each)
        await tenant.ask(EndTokens())
        assert await tenant.areas() == ["token-digest"]

    async def test_another_node_hears_of_it_by_the_log(self, store: Store, keyring: Keyring) -> None:
        here, there = Tenant(store, keyring), Tenant(store, keyring)
        parent = await here.issue()
        child = await here.issue(await here.issue(parent))
        await there.bearer(child)
        await here.ask(RevokeToken(await here.bearer(parent), parent.token))
        ((area, name),) = here.said
        assert area == TOKEN
        await there.ask(TokenChanged(name))
        with pytest.raises(AuthenticationFailed):
            await there.bearer(child)

    async def test_a_parents_end_is_its_childrens(self, tenant: Tenant) -> None:
        child = await tenant.issue(await tenant.issue(ttl=60), ttl=3600)
        assert (await tenant.bearer(child)).expires_at == T0 + 3600
        tenant.now += 61
        with pytest.raises(AuthenticationFailed):
            await tenant.bearer(child)

    async def test_nobody_gets_a_child_whose_parent_is_gone(self, tenant: Tenant) -> None:
        parent = await tenant.issue()
        child = await tenant.issue(parent)
        await tenant.ask(RevokeToken(await tenant.bearer(parent), parent.token))
        with pytest.raises(InvalidRequest):
            await tenant.issue(child)

    async def test_a_mount_that_is_gone_ends_what_it_gave(self, store: Store, keyring: Keyring) -> None:
        here, there = Tenant(store, keyring), Tenant(store, keyring)
        made = await here.issue(mount=MOUNT)
        await here.bearer(made)
        await here.clear("mount", MOUNT)
        with pytest.raises(AuthenticationFailed):
            await there.bearer(made)


class TestUses:
    async def test_that_are_left_are_told_to_others(self, tenant: Tenant) -> None:
        made = await tenant.issue(num_uses=3)
        for left in (3, 2, 1):
            for name in (LookUpToken(made.token), LookUpToken(accessor=made.accessor)):
                assert (await tenant.ask(name)).record.num_uses == left
            await tenant.bearer(made)
        assert await tenant.ask(LookUpToken(made.token)) is None

    async def test_are_counted_and_the_last_is_good(self, tenant: Tenant) -> None:
        made = await tenant.issue(num_uses=3)
        found = [await tenant.bearer(made) for _ in range(3)]
        assert [(each.record.num_uses, each.spent) for each in found] == [(2, False), (1, False), (-1, True)]
        with pytest.raises(AuthenticationFailed):
            await tenant.bearer(made)
        assert await tenant.areas() == ["due", "token-digest", "token-end", "token-spent"]
        tenant.now += SPENT_SECONDS + 1 + KEPT / SECOND
        assert await tenant.ask(EndTokens()) == 0
        assert await tenant.areas() == ["token-digest"]

    @pytest.mark.parametrize("chosen", [False, True])
    async def test_changes_that_were_counted_commit_after_the_last_one_has_ended_the_token(
        self, store: Store, keyring: Keyring, chosen: bool
    ) -> None:
        here, there = Tenant(store, keyring), Tenant(store, keyring)
        parent = await here.issue()
        made = await here.issue(parent, num_uses=2)
        first = await here.bearer(made)
        digest, line = proof_digest(made.token), first.record.line
        own = {"accessor": made.accessor} if chosen else {"proof": digest}

        async def change(bearer: Bearer) -> None:
            async def body(tr: Transaction) -> None:
                tr.set(here.keys.key("place"), b"")

            request_context.borne_by(bearer)
            try:
                await here.context.store.change(body, mount=None)
            finally:
                request_context.borne_by(None)

        counted = Bearer(line=line, counted=digest, **own)
        await change(counted)
        await there.bearer(made)
        await change(counted)
        with pytest.raises(AuthenticationFailed):
            await change(Bearer(line=line, **own))  # another request, which was not counted
        await there.ask(EndToken(parent.token))
        with pytest.raises(AuthenticationFailed):
            await change(counted)  # its parent was revoked, and this with it

    async def test_what_was_revoked_ends_changes_that_were_counted_too(self, tenant: Tenant) -> None:
        made = await tenant.issue(num_uses=3)
        await tenant.bearer(made)
        digest = proof_digest(made.token)
        await tenant.ask(EndToken(made.token))

        async def body(tr: Transaction) -> None:
            tr.set(tenant.keys.key("place"), b"")

        request_context.borne_by(Bearer(proof=digest, counted=digest))
        try:
            with pytest.raises(AuthenticationFailed):
                await tenant.context.store.change(body, mount=None)
        finally:
            request_context.borne_by(None)

    async def test_are_counted_exactly_by_two_nodes_at_once(self, store: Store, keyring: Keyring) -> None:
        here, there = Tenant(store, keyring), Tenant(store, keyring)
        made = await here.issue(num_uses=5)

        async def use(node: Tenant) -> bool:
            try:
                await node.bearer(made)
            except AuthenticationFailed:
                return False
            return True

        assert sum(await asyncio.gather(*(use(node) for node in (here, there) * 6))) == 5


class TestLeft:
    """A token that is revoked without its children."""

    async def leave(self, tenant: Tenant, token: Issued) -> None:
        ending, records = tenant.controller._ending, tenant.controller._records
        place = records.place(token.token)

        async def body(tr: Transaction) -> None:
            found = await records.token(tr, place.hash)
            assert found is not None
            await ending.leave(tr, place, found)

        await tenant.context.store.change(body, mount=None, bearers=())
        await tenant.ask(TokenChanged(tenant.said[-1][1]))

    async def test_leaves_them_orphans_that_live_on(self, tenant: Tenant) -> None:
        first = await tenant.issue()
        second = await tenant.issue(first)
        third = await tenant.issue(second)
        fourth = await tenant.issue(third)
        await tenant.bearer(fourth)
        await self.leave(tenant, second)
        with pytest.raises(AuthenticationFailed):
            await tenant.bearer(second)
        await tenant.ask(RevokeToken(await tenant.bearer(first), first.token))
        await tenant.ask(EndTokens())
        assert (await tenant.bearer(third)).record.orphan
        assert not (await tenant.bearer(fourth)).record.orphan
        await tenant.ask(RevokeToken(await tenant.bearer(third), third.token))
        with pytest.raises(AuthenticationFailed):
            await tenant.bearer(fourth)
        await tenant.ask(EndTokens())
        assert await tenant.areas() == ["token-digest"]

    async def test_the_changes_of_its_children_go_on(self, tenant: Tenant) -> None:
        first = await tenant.issue()
        second = await tenant.issue(first)
        third = await tenant.issue(second)
        bearer = Bearer((), proof_digest(third.token), third.spec.line, None)

        async def nothing(_: Transaction) -> None:
            pass

        await tenant.context.store.change(nothing, mount=None, bearers=(bearer,))
        await self.leave(tenant, second)
        await tenant.context.store.change(nothing, mount=None, bearers=(bearer,))
        await self.leave(tenant, first)
        await tenant.context.store.change(nothing, mount=None, bearers=(bearer,))
        await self.leave(tenant, third)
        with pytest.raises(AuthenticationFailed):
            await tenant.context.store.change(nothing, mount=None, bearers=(bearer,))
        assert await tenant.areas() == ["due", "token-digest"]


class TestSweep:
    """Whoever removes what is left, and however often he is killed at it."""

    async def tree(self, tenant: Tenant, width: int) -> Issued:
        """Make a token, with so many children, each of which has two."""
        root = await tenant.issue()
        for _ in range(width):
            child = await tenant.issue(root)
            for _ in range(2):
                await tenant.issue(child)
        return root

    async def test_a_large_tree_is_removed_a_page_a_transaction(
        self, store: Store, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweeping, "PAGE", 3)
        here, there = Tenant(store, keyring), Tenant(store, keyring)
        root = await self.tree(here, 8)
        await here.ask(RevokeToken(await here.bearer(root), root.token))
        await asyncio.gather(here.ask(EndTokens()), there.ask(EndTokens()))
        assert await here.areas() == ["token-digest"]

    async def test_what_a_step_has_left_is_found_by_the_next(
        self, store: Store, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweeping, "PAGE", 2)
        monkeypatch.setattr(sweeping, "STEPS", 1)
        here = Tenant(store, keyring)
        here.controller._children = Coalesced(lambda: asyncio.sleep(0), asyncio.ensure_future)  # it is killed at once
        root = await self.tree(here, 5)
        await here.ask(RevokeToken(await here.bearer(root), root.token))
        left, runs = await here.areas(), 0
        while "token-revoking" in left:
            # A process that begins anew knows nothing of the step before.
            assert await here.store.run(lambda tr: entry_of(tr, here.keys)) is not None
            there = Tenant(store, keyring)
            await there.ask(EndTokens())
            monkeypatch.setattr(sweeping, "STEPS", 2)
            left, runs = await here.areas(), runs + 1
        assert left == ["token-digest"]
        assert runs > 5

    async def test_tokens_that_have_ended_are_removed_an_hour_later(self, tenant: Tenant) -> None:
        ended = [await tenant.issue(ttl=60) for _ in range(3)]
        child = await tenant.issue(ended[0], ttl=90_000)
        kept = await tenant.issue(ttl=90_000)
        tenant.now += 3_659
        assert await tenant.ask(EndTokens()) == 0
        tenant.now += 3
        assert await tenant.ask(EndTokens()) == 4
        await tenant.bearer(kept)
        with pytest.raises(AuthenticationFailed):
            await tenant.bearer(child)
        assert await tenant.areas() == sorted([*OF_A_TOKEN, "due"])


@pytest.mark.parametrize("whom", ["itself", "its parent"])
async def test_a_token_may_revoke_what_allows_it(tenant: Tenant, whom: str) -> None:
    """The change ends its own ground, which it is not to be refused for; one that comes later is."""
    parent = await tenant.issue()
    child = await tenant.issue(parent)
    request_context.begin()
    request_context.borne_by(Bearer((), proof_digest(child.token), child.spec.line))
    assert await tenant.ask(EndToken((child if whom == "itself" else parent).token))
    with pytest.raises(AuthenticationFailed):
        await tenant.ask(EndToken((await tenant.issue()).token))
    with pytest.raises(AuthenticationFailed):
        await tenant.bearer(child)


class TestBatch:
    async def test_is_made_without_a_record(self, tenant: Tenant) -> None:
        first = await tenant.issue(batch=True, policies=("app", "default"), metadata={"user": "ann"})
        before = await tenant.areas()
        second = await tenant.issue(batch=True, ttl=60)
        assert await tenant.areas() == before == ["token-issuer"]
        bearer = await tenant.bearer(first)
        assert (bearer.batch, bearer.right, bearer.policies) == (True, Right.POLICY, ("app", "default"))
        assert (bearer.accessor, bearer.metadata, bearer.expires_at) == ("", {"user": "ann"}, T0 + 3600)
        assert bearer.acl is tenant.acls["app", "default"]
        assert (await tenant.bearer(first)) is await tenant.bearer(first)
        await tenant.bearer(second)
        tenant.now += 60
        with pytest.raises(AuthenticationFailed):
            await tenant.bearer(second)

    async def test_ends_with_its_parent_and_with_its_mount(self, store: Store, keyring: Keyring) -> None:
        here, there = Tenant(store, keyring), Tenant(store, keyring)
        parent = await here.issue()
        child, given = await here.issue(parent, batch=True), await here.issue(batch=True, mount=MOUNT)
        for node in (here, there):
            await node.bearer(child)
            await node.bearer(given)
        await here.ask(RevokeToken(await here.bearer(parent), parent.token))
        await there.ask(TokenChanged(here.said[-1][1]))
        await here.clear("mount", MOUNT)
        for node in (here, there, Tenant(store, keyring)):
            with pytest.raises(AuthenticationFailed):
                await node.bearer(child)
        with pytest.raises(AuthenticationFailed):
            await Tenant(store, keyring).bearer(given)

    async def test_is_never_roots(self, tenant: Tenant) -> None:
        with pytest.raises(InvalidRequest, match="batch tokens cannot be root tokens"):
            await tenant.issue(batch=True, policies=("root",))

    async def test_of_another_vault_is_unknown(self, tenant: Tenant) -> None:
        other = Tenant(tenant.store, Keyring.generate(0.0))
        made = await tenant.issue(batch=True)
        with pytest.raises(AuthenticationFailed):
            await other.bearer(made)


async def test_a_clock_that_is_not_trusted_ends_no_token(tenant: Tenant) -> None:
    """It may be off by a year, set while the sweep was under way; what is removed does not come back."""
    made = await tenant.issue(ttl=60)
    tenant.now += 365 * 86_400
    tenant.timely = False
    assert await tenant.ask(EndTokens()) == 0
    tenant.now, tenant.timely = float(T0), True
    await tenant.bearer(made)
    tenant.now += 60 + KEPT / SECOND
    assert await tenant.ask(EndTokens()) == 1
