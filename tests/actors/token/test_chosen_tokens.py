"""Tokens whose text their maker has chosen: found by it alone, once at a time, and never taken for an earlier one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kms_actors.actors.cluster.changes import TOKEN
from kms_actors.actors.tenant.proofs import proof_key
from kms_actors.actors.token.bearers import TokenChanged
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import proof_digest
from kms_actors.errors import AuthenticationFailed, InvalidRequest
from kms_actors.keyring.keyring import Keyring
from kms_actors.request_context import Bearer
from kms_actors.store.api import Store, Transaction
from kms_actors.token.making import Maker, Wanted
from kms_actors.token.messages import CreateToken, EndToken, LookUpToken, RenewToken
from kms_actors.token.spec import Issued
from tests.actors.token_tenant import Tenant

TEXT = "a-text-of-ones-own-0123456789"


async def made(tenant: Tenant, text: str = TEXT, **wanted: Any) -> Issued:
    maker = Maker(right=Right.ROOT, policies=("root",), sudo=True, chooses=True)
    given: dict[str, Any] = {"policies": ("default",), "id": text, "ttl": 3600}
    issued: Issued = await tenant.ask(CreateToken(wanted=Wanted(**(given | wanted)), maker=maker))
    return issued


async def change(tenant: Tenant, bearer: Bearer) -> None:
    async def body(tr: Transaction) -> None:
        tr.set(tenant.keys.key("changed"), b"")

    await tenant.context.store.change(body, mount=None, bearers=(bearer,))


async def test_it_is_found_by_its_text_and_by_its_accessor(tenant: Tenant) -> None:
    issued = await made(tenant)
    assert issued.token == TEXT
    assert any("as hard to guess" in warning for warning in issued.warnings)
    assert (await tenant.bearer(TEXT)).accessor == issued.accessor
    assert (await tenant.ask(LookUpToken(TEXT))).accessor == issued.accessor
    assert (await tenant.ask(LookUpToken(accessor=issued.accessor))).accessor == issued.accessor
    with pytest.raises(AuthenticationFailed):
        await tenant.bearer(TEXT + "x")


async def test_nothing_in_the_store_tells_texts_that_are_tried(tenant: Tenant) -> None:
    issued = await made(tenant)
    await tenant.ask(RenewToken(TEXT, increment=60))
    await tenant.bearer(TEXT)
    key = proof_key(tenant.keys, proof_digest(issued.token))
    assert await tenant.store.run(lambda tr: tr.get(key)) is None
    assert "token-digest" not in await tenant.areas()


async def test_a_text_is_given_once_at_a_time(tenant: Tenant, store: Store, keyring: Keyring) -> None:
    await made(tenant)
    with pytest.raises(InvalidRequest, match="duplicate ID"):
        await made(Tenant(store, keyring))
    assert await tenant.ask(EndToken(TEXT)) is True
    assert set(await tenant.areas()) <= {"due", "count", "token-digest"}  # the last has no digest: once for all
    again = await made(tenant, policies=("other",))
    assert (await tenant.bearer(TEXT)).policies == ("default", "other")
    assert (await tenant.bearer(TEXT)).accessor == again.accessor


async def test_of_two_nodes_that_are_asked_for_a_text_at_once_one_gives_it(
    tenant: Tenant, store: Store, keyring: Keyring
) -> None:
    nodes = [tenant, *(Tenant(store, keyring) for _ in range(3))]
    outcomes = await asyncio.gather(*map(made, nodes), return_exceptions=True)
    assert sum(isinstance(each, Issued) for each in outcomes) == 1
    refused = [each for each in outcomes if not isinstance(each, Issued)]
    assert all(isinstance(each, InvalidRequest) and "duplicate ID" in str(each) for each in refused), refused


async def test_who_knows_of_an_earlier_one_hears_of_the_next(tenant: Tenant, store: Store, keyring: Keyring) -> None:
    elsewhere = Tenant(store, keyring)
    await made(tenant, ttl=60)
    first = await elsewhere.bearer(TEXT)
    tenant.now += 30
    assert await tenant.ask(EndToken(TEXT)) is True
    await made(tenant, ttl=3600)
    for area, name in tenant.said:
        assert area == TOKEN
        await elsewhere.ask(TokenChanged(name))
    elsewhere.now += 120  # the earlier one would have ended
    assert (await elsewhere.bearer(TEXT)).accessor != first.accessor


async def test_what_an_earlier_one_allowed_the_next_does_not(tenant: Tenant) -> None:
    first = await made(tenant)
    await change(tenant, Bearer(accessor=first.accessor))
    for leave in (False, True):
        assert await tenant.ask(EndToken(TEXT, leave=leave)) is True
        second = await made(tenant)
        with pytest.raises(AuthenticationFailed):
            await change(tenant, Bearer(accessor=first.accessor))
        await change(tenant, Bearer(accessor=second.accessor))
        first = second


async def test_its_uses_are_counted(tenant: Tenant) -> None:
    await made(tenant, num_uses=2)
    assert (await tenant.bearer(TEXT)).record.num_uses == 1
    assert (await tenant.bearer(TEXT)).spent
    with pytest.raises(AuthenticationFailed):
        await tenant.bearer(TEXT)
    await made(tenant)
