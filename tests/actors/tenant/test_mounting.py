"""Mounts: enabling, tuning, disabling, and what they refuse."""

import asyncio
from pathlib import Path

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.kv.messages import ReadSecret, WriteSecret
from kms_actors.messages import (
    DisableMount,
    EnableMount,
    TuneMount,
)
from kms_actors.mounts import (
    Mount,
    MountTable,
)
from tests.actors.node_service import VAULT, started, unseal_node, unseal_tenant


def mount(path: str, number: int = 1) -> Mount:
    return Mount(path, "kv", number, "uuid", "kv_accessor")


def paths(tenant: TenantHandle) -> list[str]:
    return [entry.path for entry in tenant.mounts]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("secret/data/a", ("secret/", "data/a")),
        ("secret", ("secret/", "")),
        ("secret/", ("secret/", "")),
        ("team/kv/data/a", ("team/kv/", "data/a")),
        ("team/kv", ("team/kv/", "")),
        ("team/other", None),
        ("team", None),
        ("secretx/data", None),
        ("", None),
    ],
)
def test_a_path_belongs_to_the_mount_it_lies_under(path: str, expected: tuple[str, str] | None) -> None:
    found = MountTable([mount("secret/"), mount("team/kv/"), mount("team/kv2/")]).match(path)
    assert (found and (found[0].path, found[1])) == expected


async def test_an_enabled_mount_serves_and_stays_after_a_restart(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        shares = await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(EnableMount("team/kv/", "kv-v2", "ours", {}))
        assert paths(tenant) == ["secret/", "team/kv/", "transit/"]
        number = tenant.mounts.get("team/kv/").number  # type: ignore[union-attr]
        await tenant.ask(WriteSecret(number, "a", b'{"x":1}'))
    async with started(tmp_path) as service:
        await unseal_node(service, shares)
        tenant = await service.tenant(VAULT)
        assert paths(tenant) == ["secret/", "team/kv/", "transit/"]
        assert (await tenant.ask(ReadSecret(number, "a"))).data == b'{"x":1}'


async def test_a_disabled_mount_takes_its_data_along_and_its_number_is_not_reused(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(WriteSecret(1, "a", b"{}"))
        await tenant.ask(DisableMount("secret/"))
        assert paths(tenant) == ["transit/"]
        await tenant.ask(EnableMount("secret/", "kv", "", {}))
        again = tenant.mounts.get("secret/")
        assert again is not None
        assert again.number == 3
        for number in (1, 3):
            with pytest.raises(NotFound):
                await tenant.ask(ReadSecret(number, "a"))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (EnableMount("secret/", "kv", "", {}), "path is already in use at secret/"),
        (EnableMount("secret/sub/", "kv", "", {}), "path is already in use at secret/"),
        (EnableMount("x/", "nope", "", {}), "plugin not found in the catalog"),
        (EnableMount("x/", "kv", "", {"version": "1"}), "only version 2"),
        (EnableMount("sys/", "kv", "", {}), "cannot mount"),
        (EnableMount("auth/x/", "kv", "", {}), "cannot mount"),
        (EnableMount("/", "kv", "", {}), "a mount path has"),
        (EnableMount("a b/", "kv", "", {}), "a mount path has"),
        (EnableMount("../", "kv", "", {}), "a mount path has"),
        (TuneMount("none/", "text", None), "no mount at none/"),
    ],
)
async def test_a_wrong_change_is_refused_and_changes_nothing(tmp_path: Path, message: EnableMount, text: str) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        with pytest.raises(InvalidRequest, match=text):
            await tenant.ask(message)
        assert paths(tenant) == ["secret/", "transit/"]


async def test_a_mount_is_tuned(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(TuneMount("secret/", "new text", {"version": "2"}))
        await tenant.ask(DisableMount("none/"))
        tuned = tenant.mounts.get("secret/")
        assert tuned is not None
        assert (tuned.description, tuned.options) == ("new text", {"version": "2"})


async def test_changes_at_once_all_happen(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await asyncio.gather(*(tenant.ask(EnableMount(f"m{n}/", "kv", "", {})) for n in range(8)))
        assert paths(tenant) == [*(f"m{n}/" for n in range(8)), "secret/", "transit/"]
        assert len({entry.number for entry in tenant.mounts}) == 10
