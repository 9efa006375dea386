"""Devices of a vault, and of the cluster, on two nodes: nothing is done past a device that the other has enabled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from kms_actors import config, request_context
from kms_actors.actors.cluster.changes import AUDIT, CLUSTER, TENANT, Change
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.audit.messages import DisableDevice, EnableDevice, ReadDevices
from kms_actors.errors import DevicesChanged, InvalidRequest, NotFound, NotRecorded
from kms_actors.kv.messages import ReadSecret, WriteSecret
from tests.actors.node_service import VAULT, configuration, started, unseal_node, unseal_tenant

FILE = EnableDevice("file/", "file", "", {"file_path": "audit.log"})
SECRETS = 1  # the number of `secret/`


class Recorded:
    """What the edge has recorded."""

    def __init__(self, revision: int, *, good: bool = True) -> None:
        self.revision = revision
        self.good = good

    async def recorded(self) -> None:
        if not self.good:
            raise NotRecorded.of("id")


class Two(NamedTuple):
    one: NodeService
    other: NodeService
    here: TenantHandle
    there: TenantHandle


@pytest.fixture
def settings(tmp_path: Path) -> config.Configuration:
    return msgspec.structs.replace(configuration(), audit=config.Audit(folder=str(tmp_path / "audit")))


@pytest.fixture
async def two(tmp_path: Path, settings: config.Configuration, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Two]:
    """Two nodes of one cluster with one vault; the second hears nothing of the first until it is told."""
    async with started(tmp_path, settings) as one, started(tmp_path, settings) as other:
        for node in (one, other):  # a change of devices would wait for a lease, in which nobody hears of it here
            monkeypatch.setattr(node.audit, "settle_seconds", 0.01)
        shares = await unseal_node(one)
        await unseal_node(other, shares)
        here, _ = await unseal_tenant(one)
        there = await other.tenant(VAULT)
        assert not there.sealed
        other.feed._deliver = lambda _: None
        yield Two(one, other, here, there)


async def write(tenant: TenantHandle, record: Recorded | None) -> Any:
    request_context.begin("id")
    if record is not None:
        request_context.recorded_by(record)
    return await tenant.ask(WriteSecret(SECRETS, "x", b'{"a":1}'))


def revision(tenant: TenantHandle) -> int | None:
    """Return that of the devices that a node knows."""
    return None if tenant.trail is None else tenant.trail.revision


def audited(node: NodeService) -> bool:
    return node.audited


async def hear(two: Two, change: Change) -> None:
    applied = two.other._deliver(change)
    if applied is not None:
        await applied


async def test_a_change_that_was_decided_before_a_device_was_known_is_refused(two: Two) -> None:
    """The race: the other node has enabled a device, and this one has not heard of it."""
    await two.here.ask(FILE)
    assert revision(two.there) is None
    with pytest.raises(DevicesChanged):
        await write(two.there, None)
    with pytest.raises(NotFound):
        await two.there.ask(ReadSecret(SECRETS, "x", 0))
    await hear(two, Change(VAULT, TENANT, "", 0))
    assert revision(two.there) == 1
    await write(two.there, Recorded(1))
    await two.here.ask(DisableDevice("file/"))
    with pytest.raises(DevicesChanged):
        await write(two.there, Recorded(1))
    await hear(two, Change(VAULT, TENANT, "", 0))
    assert revision(two.there) == 2  # and it has no device
    await write(two.there, Recorded(2))


async def test_what_could_not_be_recorded_is_not_done(two: Two) -> None:
    await two.here.ask(FILE)
    with pytest.raises(NotRecorded):
        await write(two.here, Recorded(1, good=False))
    with pytest.raises(NotFound):
        await two.here.ask(ReadSecret(SECRETS, "x", 0))


async def test_what_no_request_asked_for_goes_on(two: Two) -> None:
    """Sweeps and the like have no entries."""
    await two.here.ask(FILE)
    request_context.enter(request_context.RequestContext())
    await two.here.ask(WriteSecret(SECRETS, "x", b"{}"))


async def test_a_vault_that_wakes_has_its_devices_open_and_one_that_sleeps_has_none(two: Two, tmp_path: Path) -> None:
    await two.here.ask(FILE)
    assert two.one.audit.devices == 1
    directory = two.one._directory
    assert directory is not None
    directory.deliver(None)  # all sleep
    assert (await two.one.tenant(VAULT)).trail is not None
    lines = (tmp_path / "audit/vaults" / VAULT / "audit.log").read_text().splitlines()
    assert json.loads(lines[1])["request"]["path"] == "sys/audit/test"


async def test_devices_of_the_cluster_are_read_anew_where_they_were_changed(two: Two, tmp_path: Path) -> None:
    for node in (two.one, two.other):
        assert audited(node)  # until it is known that there is none
        assert await node.trail() is None
        assert not audited(node)
    await two.one.ask_node(EnableDevice("all/", "file", "", {"file_path": "all.log"}))
    assert audited(two.one)
    assert await two.one.trail() is not None
    assert not audited(two.other)  # it has not heard
    await hear(two, Change(CLUSTER, AUDIT, "", 0))
    assert audited(two.other)  # for all that it knows
    assert await two.other.trail() is not None
    assert [device.path for device in (await two.other.ask_node(ReadDevices())).all] == ["all/"]
    assert (tmp_path / "audit/node/all.log").exists()
    await two.one.ask_node(DisableDevice("all/"))
    assert not audited(two.one)


async def test_paths_lie_apart_and_files_have_one_device(two: Two) -> None:
    await two.here.ask(FILE)
    for device, why in (
        (FILE, "path already in use"),
        (EnableDevice("file/below/", "file", "", {"file_path": "b"}), "path already in use"),
        (EnableDevice("b/", "file", "", {"file_path": "audit.log"}), "another device writes to this file"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            await two.here.ask(device)
    for number in range(7):
        await two.here.ask(EnableDevice(f"d{number}/", "file", "", {"file_path": "discard"}))
    with pytest.raises(InvalidRequest, match="8 audit devices at most"):
        await two.here.ask(EnableDevice("more/", "file", "", {"file_path": "discard"}))
