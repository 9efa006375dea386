"""Anchors of audit logs in the store: on both engines, sealed, and moved forward by the one who put them there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from kms_actors.actors.audit.book import Books, StoredBook, key_scope
from kms_actors.actors.tenant.audit_records import ANCHORS, AuditRecords
from kms_actors.audit.device import Device, Devices, new
from kms_actors.audit.log.anchors import StoredAnchor, Writer
from kms_actors.audit.log.notes import Verifier
from kms_actors.audit.log.writing import Log, new_id
from kms_actors.errors import IntegrityError
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from tests.store.engines import ENGINES, Place, parameters

SCOPE = key_scope("vault 1", is_node=False)


@pytest.fixture(params=parameters())
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, ENGINES[request.param].locate(tmp_path))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    opened = await ENGINES[place.engine].open(place.location)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.generate(0.0)


@pytest.fixture
def keys() -> TenantKeys:
    return TenantKeys(7)


@pytest.fixture
def books(store: Store, keys: TenantKeys, keyring: Keyring) -> Books:
    return Books(store, keys.key, keyring, SCOPE)


@pytest.fixture
async def device(store: Store, keys: TenantKeys, keyring: Keyring) -> Device:
    device = new("file/", "file", {"file_path": "audit.log"})
    await write(store, AuditRecords(keys.key, keyring), Devices(), Devices(1, (device,)))
    return device


async def write(store: Store, records: AuditRecords, before: Devices, after: Devices) -> None:
    async def body(tr: Transaction) -> None:
        records.write(tr, before, after)

    await store.run(body, idempotency_key=os.urandom(16))


def anchor_of(book: StoredBook, log: Log) -> StoredAnchor:
    note = log.note()
    log.checkpoint("interval", "t")
    return Writer("me", "n1", "audit.log").anchor(log, note, 1)


def begun(book: StoredBook) -> Log:
    name = new_id()
    return Log(name, book.signer(name))


async def test_an_anchor_moves_forward_from_what_is_there_alone(books: Books, device: Device) -> None:
    book = books.of(device)
    log = begun(book)
    first, second, third = (anchor_of(book, log) for _ in range(3))
    assert not await book.advance(first, second)
    assert await book.advance(None, first)
    assert not await book.advance(None, second)
    assert await book.advance(first, second)
    assert not await book.advance(first, third)
    assert await book.anchors() == [second]
    assert second.state.tree.root() == second.state.tree.copy().root()


async def test_logs_have_anchors_of_their_own_and_so_have_devices(books: Books, device: Device) -> None:
    book, other = books.of(device), books.of(msgspec.structs.replace(device, uuid="another"))
    one, two = (anchor_of(book, begun(book)) for _ in range(2))
    assert await book.advance(None, one)
    assert await book.advance(None, two)
    assert sorted(await book.anchors(), key=lambda each: each.log) == sorted((one, two), key=lambda each: each.log)
    assert await other.anchors() == []


async def test_a_device_that_is_not_enabled_has_none_and_one_that_is_disabled_loses_them(
    store: Store, books: Books, device: Device, keys: TenantKeys, keyring: Keyring
) -> None:
    absent = books.of(msgspec.structs.replace(device, path="other/"))
    assert await absent.advance(None, anchor_of(absent, begun(absent)))
    assert await absent.anchors() == []
    book = books.of(device)
    log = begun(book)
    first = anchor_of(book, log)
    assert await book.advance(None, first)
    await write(store, AuditRecords(keys.key, keyring), Devices(1, (device,)), Devices(2))
    assert await book.anchors() == []
    assert await book.advance(first, anchor_of(book, log))
    assert await book.anchors() == []


async def test_anchors_are_sealed_and_bound_to_their_place(
    store: Store, books: Books, device: Device, keys: TenantKeys
) -> None:
    book = books.of(device)
    one, two = (anchor_of(book, begun(book)) for _ in range(2))
    assert await book.advance(None, one)
    assert await book.advance(None, two)
    places = [keys.key(ANCHORS, device.uuid, each.log) for each in (one, two)]

    async def swap(tr: Transaction) -> None:
        first, second = await tr.get_many(places)
        assert first is not None
        assert second is not None
        assert one.checkpoint.encode() not in first
        tr.set(places[0], second)
        tr.set(places[1], first)

    await store.run(swap)
    with pytest.raises(IntegrityError):
        await book.anchors()


async def test_after_a_rotation_the_key_is_the_same_and_older_anchors_open(books: Books, device: Device) -> None:
    book = books.of(device)
    log, before = begun(book), book.trust
    first = anchor_of(book, log)
    assert await book.advance(None, first)
    books.keyring = books.keyring.rotated(1.0)
    assert book.trust == before
    assert await book.advance(first, anchor_of(book, log))
    assert len(await book.anchors()) == 1


def test_each_keyring_has_a_key_of_its_own_by_the_names_of_its_logs(books: Books, device: Device) -> None:
    book = books.of(device)
    other = Books(books.store, books.key, Keyring.generate(0.0), SCOPE).of(device)
    assert book.trust.public_key != other.trust.public_key
    verifier = book.trust.verifier("0" * 16)
    assert verifier.name == f"clever-kms/vault/vault%201/audit/{'0' * 16}"
    assert str(Verifier.parse(str(verifier))) == str(verifier)
    message = b"m"
    assert verifier.verify(message, book.signer("0" * 16).sign(message))
    assert key_scope("kms+1", is_node=True) == "clever-kms/node/kms%2B1/audit"
