"""What a token keeps for itself: its own alone, within bounds, and as long as it lives."""

from __future__ import annotations

import asyncio

import pytest

from kms_actors.actors.cubbyhole import room
from kms_actors.actors.tenant.cubbyholes import Cubbyholes
from kms_actors.cubbyhole import entries
from kms_actors.cubbyhole.messages import DeleteEntry, ListEntries, ReadEntry, WriteEntry
from kms_actors.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied, Unavailable
from kms_actors.messages import Grants, RevokeToken
from tests.actors.cubbyhole.conftest import Holder

DOCUMENT = b'{"canary":"Zm9vYmFy"}'


async def all_bytes(holder: Holder) -> int:
    return await holder.store.run(Cubbyholes(holder.keys, holder.context.keyring).all_bytes)


async def test_what_is_written_is_read_by_the_same_token_alone(here: Holder, there: Holder) -> None:
    one, two = await here.issue(), await here.issue()
    await here.of(one, WriteEntry, "a/b", DOCUMENT)
    assert await there.of(one, ReadEntry, "a/b") == DOCUMENT
    for token, path in ((two, "a/b"), (one, "a")):
        with pytest.raises(NotFound):
            await there.of(token, ReadEntry, path)


async def test_an_entry_is_written_anew_and_deleted(here: Holder) -> None:
    token = await here.issue()
    for document in (DOCUMENT, b"{}", b'{"a":2}'):
        await here.of(token, WriteEntry, "a", document)
        assert await here.of(token, ReadEntry, "a") == document
    for _ in range(2):
        await here.of(token, DeleteEntry, "a")
    with pytest.raises(NotFound):
        await here.of(token, ReadEntry, "a")
    assert "cubbyhole" not in await here.areas()
    assert await all_bytes(here) == 0


async def test_names_are_listed_by_level(here: Holder) -> None:
    token = await here.issue()
    for path in ("b", "a/d", "a", "a/b/c"):
        await here.of(token, WriteEntry, path, b"{}")
    assert await here.of(token, ListEntries, "") == ["a", "a/", "b"]
    assert await here.of(token, ListEntries, "a/") == ["b/", "d"]
    with pytest.raises(NotFound):
        await here.of(token, ListEntries, "b/")


async def test_creating_and_changing_are_granted_apart(here: Holder) -> None:
    token = await here.issue()
    with pytest.raises(PermissionDenied):
        await here.of(token, WriteEntry, "a", DOCUMENT, Grants(create=False))
    await here.of(token, WriteEntry, "a", DOCUMENT, Grants(update=False))
    with pytest.raises(PermissionDenied):
        await here.of(token, WriteEntry, "a", b"{}", Grants(update=False))
    assert await here.of(token, ReadEntry, "a") == DOCUMENT


async def test_a_token_keeps_no_more_than_it_may(here: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MOST_ENTRIES", 2)
    monkeypatch.setattr(entries, "MOST_BYTES", 40)
    token = await here.issue()
    await here.of(token, WriteEntry, "a", b"{}")
    await here.of(token, WriteEntry, "b", b"{}")
    with pytest.raises(InvalidRequest, match="at most 2 entries"):
        await here.of(token, WriteEntry, "c", b"{}")
    with pytest.raises(InvalidRequest, match="at most 40 bytes"):
        await here.of(token, WriteEntry, "a", b"{%b}" % (b" " * 40))
    await here.of(token, DeleteEntry, "a")
    await here.of(token, WriteEntry, "c", b"{}")


async def test_a_vault_keeps_no_more_than_it_may(here: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST", 20)
    token = await here.issue()
    await here.of(token, WriteEntry, "a", DOCUMENT)
    with pytest.raises(Unavailable):
        await here.of(await here.issue(), WriteEntry, "a", DOCUMENT)
    await here.of(token, DeleteEntry, "a")
    await here.of(await here.issue(), WriteEntry, "a", DOCUMENT)


async def test_a_cubbyhole_ends_with_its_token(here: Holder, there: Holder) -> None:
    token = await here.issue()
    bearer = await here.bearer(token)
    await here.of(token, WriteEntry, "a", DOCUMENT)
    await here.ask(RevokeToken(bearer, token.token))
    assert "cubbyhole" not in await here.areas()
    assert await all_bytes(here) == 0
    with pytest.raises(AuthenticationFailed):
        await there.of(token, WriteEntry, "a", DOCUMENT)
    with pytest.raises(NotFound):
        await there.of(token, ReadEntry, "a")
    assert "cubbyhole" not in await here.areas()


async def test_a_write_that_comes_with_the_tokens_end_leaves_nothing(here: Holder, there: Holder) -> None:
    for _ in range(10):
        token = await here.issue()
        bearer = await here.bearer(token)
        await asyncio.gather(
            here.ask(RevokeToken(bearer, token.token)),
            *(there.of(token, WriteEntry, f"a{number}", DOCUMENT) for number in range(4)),
            return_exceptions=True,
        )
    assert "cubbyhole" not in await here.areas()
    assert await all_bytes(here) == 0


class TestCountedUses:
    async def test_the_last_use_still_finds_what_was_kept(self, here: Holder) -> None:
        token = await here.issue(num_uses=2)
        await here.of(token, WriteEntry, "a", DOCUMENT, counted=True)
        assert await here.of(token, ReadEntry, "a", counted=True) == DOCUMENT
        assert "cubbyhole" not in await here.areas()
        with pytest.raises(AuthenticationFailed):
            await here.of(token, ReadEntry, "a", counted=True)

    async def test_a_use_that_finds_nothing_counts_too(self, here: Holder) -> None:
        token = await here.issue(num_uses=2)
        for kind in (ReadEntry, ListEntries):
            with pytest.raises(NotFound):
                await here.of(token, kind, "", counted=True)
        with pytest.raises(AuthenticationFailed):
            await here.of(token, ReadEntry, "", counted=True)

    async def test_a_write_by_the_last_use_leaves_nothing(self, here: Holder) -> None:
        token = await here.issue(num_uses=1)
        await here.of(token, WriteEntry, "a", DOCUMENT, counted=True)
        assert "cubbyhole" not in await here.areas()
        assert await all_bytes(here) == 0

    async def test_one_of_many_has_the_last_use(self, here: Holder, there: Holder) -> None:
        token = await here.issue(num_uses=2)
        await here.of(token, WriteEntry, "a", DOCUMENT, counted=True)
        found = await asyncio.gather(
            *(holder.of(token, ReadEntry, "a", counted=True) for holder in (here, there) * 4), return_exceptions=True
        )
        assert [each for each in found if each == DOCUMENT] == [DOCUMENT]
        assert sum(isinstance(each, AuthenticationFailed) for each in found) == 7
