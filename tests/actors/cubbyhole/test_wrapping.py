"""Wrapped answers: given once, to one of all who ask, and told to nobody else."""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kms_actors.actors.cluster.schedule import KEPT
from kms_actors.actors.cubbyhole import room, wrapping
from kms_actors.actors.tenant.cubbyholes import Cubbyholes
from kms_actors.actors.tenant.token_records import UNWRAPPED
from kms_actors.actors.token.sweeping import EndTokens
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import proof_digest
from kms_actors.cubbyhole.messages import FindRoom, LookUpWrapping, Rewrap, Unwrap, Unwrapped
from kms_actors.cubbyhole.records import Taken, WrapInfo
from kms_actors.errors import AuthenticationFailed, InvalidRequest, InvalidWrappingToken, KmsError, Unavailable
from kms_actors.messages import RevokeToken
from kms_actors.store.api import Store
from kms_actors.token.messages import RenewToken
from tests.actors.cubbyhole.conftest import Holder
from tests.actors.token_tenant import SECOND, T0

#: Races of the test; more of them by hand.
RACES: Final = int(os.environ.get("KMS_WRAPPING_RACES", "0")) or 100
#: What a vault has whose tokens have all ended.
LEFT: Final = ["cubbyhole-bytes", "token-digest"]
ANSWER: Final = b'{"data":{"canary":"Zm9vYmFy"}}'


async def taken(holder: Holder, token: str) -> Taken | None:
    raw = await holder.store.run(lambda tr: tr.get(holder.keys.key(UNWRAPPED, proof_digest(token))))
    return None if raw is None else msgspec.json.decode(raw, type=Taken)


async def test_an_answer_is_given_once_and_byte_for_byte(here: Holder, there: Holder) -> None:
    wrapped = await here.wrap(ANSWER, status=404)
    assert await there.ask(Unwrap(wrapped.token)) == Unwrapped(404, ANSWER)
    for holder in (here, there):
        for kind in (Unwrap, LookUpWrapping, Rewrap):
            with pytest.raises(InvalidWrappingToken):
                await holder.ask(kind(wrapped.token))


async def test_what_is_told_in_its_place_names_the_request(here: Holder) -> None:
    wrapped = await here.wrap(ANSWER, ttl=90, path="auth/token/create")
    assert (wrapped.ttl, wrapped.created, wrapped.path) == (90, T0 * SECOND, "auth/token/create")
    info = await here.ask(LookUpWrapping(wrapped.token))
    assert info == WrapInfo(path="auth/token/create", created=T0 * SECOND, ttl=90)
    assert await here.ask(Unwrap(wrapped.token)) == Unwrapped(200, ANSWER)


async def test_a_wrapping_token_is_a_token_that_nothing_renews(here: Holder) -> None:
    wrapped = await here.wrap(ttl=90)
    with pytest.raises(KmsError):
        await here.ask(RenewToken(wrapped.token))
    bearer = await here.bearer(wrapped.token)
    record = bearer.record
    assert (bearer.right, bearer.policies, bearer.accessor) == (
        Right.POLICY,
        ("response-wrapping",),
        wrapped.accessor,
    )
    assert (record.expires_at, record.explicit_max_ttl, record.renewable, record.orphan) == (T0 + 90, 90, False, True)


async def test_using_it_for_anything_else_ends_it(here: Holder) -> None:
    wrapped = await here.wrap()
    assert (await here.bearer(wrapped.token)).spent
    with pytest.raises(InvalidWrappingToken):
        await here.ask(Unwrap(wrapped.token))
    assert await taken(here, wrapped.token) is not None


async def test_an_answer_ends_with_its_time(here: Holder) -> None:
    wrapped = await here.wrap(ttl=60)
    here.now += 59.9
    await here.ask(LookUpWrapping(wrapped.token))
    here.now += 0.1
    for kind in (Unwrap, LookUpWrapping, Rewrap):
        with pytest.raises(InvalidWrappingToken):
            await here.ask(kind(wrapped.token))


async def test_whoever_made_it_can_revoke_it(here: Holder) -> None:
    wrapped = await here.wrap()
    await here.ask(RevokeToken(await here.bearer((await here.issue()).token), wrapped.token))
    with pytest.raises(InvalidWrappingToken):
        await here.ask(Unwrap(wrapped.token))
    assert not {"cubbyhole", "token-uses"} & set(await here.areas())


async def test_nothing_but_wrapping_tokens_is_unwrapped(here: Holder) -> None:
    other = await here.issue(num_uses=1)
    root = await here.issue(policies=("root",), ttl=0)
    for token in (other.token, root.token, "hvs.000009" + "a" * 18, "", "x" * 10_000):
        for kind in (Unwrap, LookUpWrapping, Rewrap):
            with pytest.raises(InvalidWrappingToken):
                await here.ask(kind(token))
    assert (await here.bearer(root)).policies == ("root",)
    assert (await here.bearer(other)).spent  # it was not used before


async def test_one_that_was_used_is_remembered_until_it_would_have_ended(here: Holder) -> None:
    wrapped = await here.wrap()
    assert await taken(here, wrapped.token) is None
    here.now += 5
    await here.ask(Unwrap(wrapped.token))
    found = await taken(here, wrapped.token)
    assert found is not None
    assert (found.accessor, found.taken) == (wrapped.accessor, T0 + 5)


class TestSweep:
    async def test_nothing_is_left_of_what_nobody_took(self, here: Holder) -> None:
        await here.wrap(ANSWER)
        here.now += 60 + KEPT / SECOND + 1
        assert await here.ask(EndTokens()) == 1
        assert await here.areas() == LEFT

    async def test_nothing_is_left_of_what_was_taken(self, here: Holder) -> None:
        wrapped = await here.wrap(ANSWER)
        await here.ask(Unwrap(wrapped.token))
        await here.ask(EndTokens())
        assert await taken(here, wrapped.token) is not None
        here.now += 60 + KEPT / SECOND + 1
        await here.ask(EndTokens())
        assert await here.areas() == LEFT

    async def test_nothing_is_left_of_what_came_without_its_token(self, here: Holder) -> None:
        wrapped = await here.wrap(ANSWER)
        await here.clear("accessor", wrapped.accessor)
        here.now += 60 + KEPT / SECOND + 1
        await here.ask(EndTokens())
        assert not {"cubbyhole", "token-end"} & set(await here.areas())
        assert await here.store.run(Cubbyholes(here.keys, here.context.keyring).all_bytes) == 0


class TestRewrap:
    async def test_the_answer_goes_on_under_a_new_token(self, here: Holder) -> None:
        first = await here.wrap(ANSWER, ttl=90, status=404)
        here.now += 10
        second = await here.ask(Rewrap(first.token))
        assert second.token != first.token
        assert second.accessor != first.accessor
        assert (second.ttl, second.created, second.path) == (90, (T0 + 10) * SECOND, "secret/data/x")
        with pytest.raises(InvalidWrappingToken):
            await here.ask(Unwrap(first.token))
        here.now += 85  # when the first would have ended
        assert await here.ask(Unwrap(second.token)) == Unwrapped(404, ANSWER)

    @pytest.mark.parametrize(("ttl", "path", "given"), [(10, "", 10), (1000, "", 90), (1000, "p", 1000), (0, "", 90)])
    async def test_it_lasts_no_longer_than_it_was_meant_to(
        self, here: Holder, ttl: int, path: str, given: int
    ) -> None:
        first = await here.wrap(ttl=90)
        assert (await here.ask(Rewrap(first.token, "", ttl, path))).ttl == given

    async def test_nothing_is_left_of_the_first(self, here: Holder) -> None:
        first = await here.wrap(ANSWER)
        before = await here.areas()
        await here.ask(Rewrap(first.token))
        assert sorted(await here.areas()) == sorted([*before, "token-end", UNWRAPPED])
        cubbyholes = Cubbyholes(here.keys, here.context.keyring)
        second_bytes = len(ANSWER) + len("secret/data/x") + 1024
        assert await here.store.run(cubbyholes.all_bytes) == second_bytes


class TestRaces:
    async def test_one_of_all_who_ask_gets_it(self, here: Holder, there: Holder) -> None:
        for race in range(RACES):
            wrapped = await here.wrap(ANSWER)
            asked = [Unwrap, Rewrap, Unwrap, Unwrap] if race % 2 else [Unwrap] * 4
            outcomes = await asyncio.gather(
                *(holder.ask(kind(wrapped.token)) for holder in (here, there) for kind in asked),
                return_exceptions=True,
            )
            won = [each for each in outcomes if not isinstance(each, BaseException)]
            assert len(won) == 1, outcomes
            assert sum(isinstance(each, InvalidWrappingToken) for each in outcomes) == len(outcomes) - 1

    async def test_one_that_is_used_elsewhere_meanwhile_is_not_given(self, here: Holder, there: Holder) -> None:
        for _ in range(10):
            wrapped = await here.wrap(ANSWER)
            asked: list[Any] = [here.ask(Unwrap(wrapped.token)), there.bearer(wrapped.token)]
            unwrapped, borne = await asyncio.gather(*asked, return_exceptions=True)
            assert isinstance(unwrapped, InvalidWrappingToken) != isinstance(borne, AuthenticationFailed)


class TestCountedUses:
    async def test_who_takes_it_by_another_token_uses_that(self, here: Holder) -> None:
        other = await here.issue(num_uses=1)
        wrapped = [await here.wrap(ANSWER), await here.wrap(ANSWER)]
        assert await here.ask(Unwrap(wrapped[0].token, other.token)) == Unwrapped(200, ANSWER)
        with pytest.raises(AuthenticationFailed):
            await here.ask(Unwrap(wrapped[1].token, other.token))
        assert await here.ask(Unwrap(wrapped[1].token)) == Unwrapped(200, ANSWER)

    async def test_one_that_gives_nothing_takes_no_use(self, here: Holder) -> None:
        other = await here.issue(num_uses=1)
        with pytest.raises(InvalidWrappingToken):
            await here.ask(Unwrap("hvs.000009" + "a" * 18, other.token))
        assert (await here.bearer(other)).spent

    async def test_a_wrapping_token_that_takes_another_one_ends(self, here: Holder) -> None:
        one, two = await here.wrap(b"1"), await here.wrap(b"2")
        assert await here.ask(Unwrap(two.token, one.token)) == Unwrapped(200, b"2")
        with pytest.raises(InvalidWrappingToken):
            await here.ask(Unwrap(one.token))


class TestBounds:
    async def test_a_large_answer_is_not_wrapped(self, here: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wrapping, "MOST_ANSWER", 100)
        await here.wrap(b"x" * 100)
        with pytest.raises(InvalidRequest, match="more than 100 bytes cannot be wrapped"):
            await here.wrap(b"x" * 101)

    async def test_the_largest_answer_is_wrapped(self, here: Holder) -> None:
        answer = os.urandom(wrapping.MOST_ANSWER)
        wrapped = await here.wrap(answer)
        assert (await here.ask(Unwrap(wrapped.token))).answer == answer

    async def test_a_full_vault_wraps_nothing_until_something_is_taken(
        self, here: Holder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(room, "MOST", 1000)
        await here.ask(FindRoom())
        wrapped = await here.wrap()
        with pytest.raises(Unavailable):
            await here.ask(FindRoom())
        await here.ask(Unwrap(wrapped.token))
        await here.ask(FindRoom())


async def test_no_record_shows_what_is_wrapped(here: Holder, store: Store) -> None:
    wrapped = await here.wrap(ANSWER)
    entries = await store.run(lambda tr: tr.get_range(here.keys.prefix, here.keys.prefix + b"\xff"))
    for shown in (b"Zm9vYmFy", wrapped.token.encode()):
        assert not any(shown in key + value for key, value in entries)
    assert "Zm9vYmFy" not in repr(Unwrapped(200, ANSWER))
    assert wrapped.token not in repr(wrapped)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=st.binary(min_size=1, max_size=300), status=st.sampled_from([200, 404]))
async def test_whatever_is_wrapped_comes_back(here: Holder, answer: bytes, status: int) -> None:
    wrapped = await here.wrap(answer, status=status)
    for _ in range(2):
        wrapped = await here.ask(Rewrap(wrapped.token))
    assert await here.ask(Unwrap(wrapped.token)) == Unwrapped(status, answer)
