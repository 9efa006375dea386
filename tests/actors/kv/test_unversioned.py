"""KV version 1 on the embedded store: one version of each secret, where version 2 finds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.kv.storage import INLINE
from kms_actors.errors import NotFound, PermissionDenied, Unavailable
from kms_actors.kv import messages as kv
from kms_actors.kv.records import KeyMetadata, Version
from kms_actors.messages import Grants
from kms_actors.store.api import Transaction
from tests.actors.kv_tenant import MOUNT, SECOND, SMALL, T0, UNVERSIONED, Tenant, opened

LARGE = b'{"a":"%b"}' % (b"x" * INLINE)


class Plain(Tenant):
    """A tenant whose mount is of version 1."""

    async def write(self, path: str, data: bytes = SMALL, grants: Grants = Grants()) -> None:  # noqa: B008  # frozen
        assert await self.ask(kv.WriteUnversioned(MOUNT, path, data, grants)) is None

    async def read(self, path: str) -> bytes:
        found: bytes = await self.ask(kv.ReadUnversioned(MOUNT, path))
        return found

    async def delete(self, path: str) -> None:
        assert await self.ask(kv.DeleteUnversioned(MOUNT, path)) is None


@pytest.fixture
async def tenant(tmp_path: Path) -> AsyncIterator[Plain]:
    async with opened(tmp_path, UNVERSIONED, Plain) as tenant:
        assert isinstance(tenant, Plain)
        yield tenant


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("other", [b"{}", b'{"b":"%b"}' % (b"y" * INLINE)], ids=["small", "large"])
async def test_what_was_written_last_is_there_and_nothing_else(tenant: Plain, data: bytes, other: bytes) -> None:
    await tenant.write("s", data)
    one = await tenant.stored()
    await tenant.write("s", other)
    await tenant.write("s", data)
    assert await tenant.read("s") == data
    assert (await tenant.stored()).keys() == one.keys()
    await tenant.delete("s")
    assert await tenant.stored() == {}
    with pytest.raises(NotFound):
        await tenant.read("s")
    await tenant.delete("s")


async def test_nothing_is_not_found(tenant: Plain) -> None:
    with pytest.raises(NotFound):
        await tenant.read("nosuch")
    with pytest.raises(NotFound):
        await tenant.ask(kv.ListSecrets(MOUNT, "nosuch/", versioned=False))
    assert await tenant.ask(kv.ScanSecrets(MOUNT, "nosuch/", versioned=False)) == []


async def test_existence_decides_between_create_and_update(tenant: Plain) -> None:
    with pytest.raises(PermissionDenied):
        await tenant.write("s", grants=Grants(create=False))
    await tenant.write("s", grants=Grants(update=False))
    with pytest.raises(PermissionDenied):
        await tenant.write("s", grants=Grants(update=False))
    await tenant.write("s", b"{}", grants=Grants(create=False))
    assert await tenant.read("s") == b"{}"


async def test_a_secret_is_its_own_first_version(tenant: Plain) -> None:
    await tenant.write("s", LARGE)
    tenant.now += SECOND
    await tenant.write("s")
    metadata = await tenant.ask(kv.ReadMetadata(MOUNT, "s"))
    assert metadata == KeyMetadata(
        created=T0,
        updated=T0 + SECOND,
        current_version=1,
        oldest_version=1,
        versions={1: Version(T0 + SECOND)},
    )
    assert (await tenant.get("s")).data == SMALL
    assert (await tenant.put("s", b"{}", 1)).number == 2
    assert (await tenant.get("s", 1)).data == SMALL


async def test_writes_of_one_secret_at_once_all_happen_in_order(tenant: Plain) -> None:
    await asyncio.gather(*(tenant.write("a", b'{"n":%d}' % number) for number in range(150)))
    assert await tenant.read("a") == b'{"n":149}'
    assert len(await tenant.stored()) == 2


async def test_lists_and_scans_are_those_of_version_2(tenant: Plain) -> None:
    for path in ("b", "a/x", "a/b/c", "a", "a-b", "a/b/a"):
        await tenant.write(path)
    assert await tenant.ask(kv.ListSecrets(MOUNT, "", versioned=False)) == ["a", "a-b", "a/", "b"]
    assert await tenant.ask(kv.ListSecrets(MOUNT, "a/", "b/", 1, versioned=False)) == ["x"]
    every = ["a", "a-b", "a/b/a", "a/b/c", "a/x", "b"]
    assert await tenant.ask(kv.ScanSecrets(MOUNT, "", versioned=False)) == every
    assert await tenant.ask(kv.ScanSecrets(MOUNT, "a/", versioned=False)) == ["b/a", "b/c", "x"]
    assert await tenant.ask(kv.ScanSecrets(MOUNT, "", "a/b/a", 2, versioned=False)) == ["a/b/c", "a/x"]


async def test_versions_of_a_program_that_knew_none_of_this_are_overwritten_and_deleted(tenant: Plain) -> None:
    """A node of before took such a mount for one of version 2."""
    for _ in range(3):
        await tenant.put("s", LARGE)
    await tenant.ask(kv.DeleteVersions(MOUNT, "s"))
    with pytest.raises(NotFound):
        await tenant.read("s")
    await tenant.write("s")
    assert await tenant.read("s") == SMALL
    assert len(await tenant.stored()) == 2


async def test_the_common_read_waits_once(tenant: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    await tenant.write("s")
    taken: list[int] = []

    async def counted(body: Any, **_: Any) -> Any:
        async def look(tr: Transaction) -> Any:
            taken.append(1)
            return await body(tr)

        return await original(look)

    original = tenant.store.run
    monkeypatch.setattr(tenant.store, "run", counted)
    assert await tenant.read("s") == SMALL
    assert taken == [1]


@pytest.mark.parametrize(
    "message",
    [
        kv.ReadUnversioned(MOUNT, "s"),
        kv.WriteUnversioned(MOUNT, "s", b'{"late":1}'),
        kv.DeleteUnversioned(MOUNT, "s"),
        kv.ListSecrets(MOUNT, "", versioned=False),
        kv.ScanSecrets(MOUNT, "", versioned=False),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_a_request_that_came_as_one_of_version_1_is_refused_once_the_mount_is_another(
    tmp_path: Path, message: Any
) -> None:
    async with opened(tmp_path) as tenant:
        await tenant.put("s")
        with pytest.raises(Unavailable, match="the mount was changed meanwhile"):
            await tenant.ask(message)
        assert (await tenant.get("s")).data == SMALL


def test_messages_show_no_secrets() -> None:
    assert "canary" not in repr(kv.WriteUnversioned(MOUNT, "s", b'{"a":"canary"}'))
