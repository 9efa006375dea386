"""A version that another node has made a moment ago is known here as soon as it is asked for.

The kind: a refusal that rests on what a node remembers, where the store would say otherwise. What names a newer
version is looked for there, once, and callers who name versions that nobody ever made cost one look at a time for
each key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.messages import Grants, Message
from kms_actors.transit import messages as m
from kms_actors.transit.digests import DEFAULT_ALGORITHM as DIGEST
from kms_actors.transit.items import (
    DecryptItem,
    EncryptItem,
    HmacItem,
    MacItem,
    RewrapItem,
    SignItem,
    VerifyItem,
)
from kms_actors.transit.policy import KeyOptions
from kms_actors.transit.signature import DEFAULT
from tests.actors.transit_tenant import MOUNT, Tenant, opened


@asynccontextmanager
async def two_nodes(directory: Path, kind: str = "aes256-gcm96") -> AsyncIterator[tuple[Tenant, Tenant]]:
    """Give two nodes that both use version 1 of a key from memory; the first has rotated it since."""
    async with opened(directory, actors=2) as (_, (here, there)):
        await here.ask(m.CreateKey(MOUNT, "k", KeyOptions(kind, exportable=True)))
        for node in (there, here):
            await node.ask(m.MakeHmac(MOUNT, "k", [HmacItem(b"x")], DIGEST, 0))
        await here.ask(m.RotateKey(MOUNT, "k"))
        yield here, there


def encrypt(*items: EncryptItem) -> m.Encrypt:
    return m.Encrypt(MOUNT, "k", list(items), Grants(), False, "aes256-gcm96", False)


async def ciphertext(node: Tenant) -> str:
    ((text, version),) = await node.ask(encrypt(EncryptItem(b"x")))
    assert version == 2
    return str(text)


async def test_a_ciphertext_of_a_rotation_elsewhere_opens_at_once(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (here, there):
        text = await ciphertext(here)
        assert await there.ask(m.Decrypt(MOUNT, "k", [DecryptItem(text)])) == [b"x"]
        ((again, version),) = await there.ask(m.Rewrap(MOUNT, "k", [RewrapItem(text)]))
        assert version == 2
        assert await here.ask(m.Decrypt(MOUNT, "k", [DecryptItem(again)])) == [b"x"]


async def test_in_a_batch_the_others_are_done_once_and_those_are_found(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (here, there):
        new = await ciphertext(here)
        ((old, _),) = await there.ask(encrypt(EncryptItem(b"old")))
        items = [DecryptItem(text) for text in (old, new, "vault:v9:AAAA", "none", new) * 400]
        opened = await there.ask(m.Decrypt(MOUNT, "k", items))
        for place, result in enumerate(opened):
            if place % 5 in (2, 3):
                assert str(result) in ("invalid ciphertext: version is too new", "invalid ciphertext: no prefix")
            else:
                assert result == (b"old" if place % 5 == 0 else b"x")
        info: m.KeyInfo = await there.ask(m.ReadKey(MOUNT, "k"))
        assert {version: uses["decrypt"].count for version, uses in info.usage.items() if "decrypt" in uses} == {
            1: 400,
            2: 800,
        }


@pytest.mark.parametrize(
    ("kind", "make", "use", "good"),
    [
        (
            "aes256-gcm96",
            lambda: m.MakeHmac(MOUNT, "k", [HmacItem(b"x")], DIGEST, 0),
            lambda made: m.VerifyHmacs(MOUNT, "k", [MacItem(b"x", made[0])], DIGEST),
            lambda answer: answer == [True],
        ),
        (
            "ed25519",
            lambda: m.Sign(MOUNT, "k", [SignItem(b"x")], DEFAULT, 0),
            lambda made: m.Verify(MOUNT, "k", [VerifyItem(b"x", made[0].signature)], DEFAULT),
            lambda answer: answer == [True],
        ),
        (
            "rsa-2048",
            lambda: m.Sign(MOUNT, "k", [SignItem(b"x")], DEFAULT, 0),
            lambda made: m.Verify(MOUNT, "k", [VerifyItem(b"x", made[0].signature)], DEFAULT),
            lambda answer: answer == [True],
        ),
        (
            "aes256-gcm96",
            lambda: m.ExportKey(MOUNT, "k", "encryption-key", "2", ""),
            lambda made: m.ExportKey(MOUNT, "k", "encryption-key", "2", ""),
            lambda answer: [str(number) for number in answer.keys] == ["2"],
        ),
        (
            "aes256-gcm96",
            lambda: encrypt(EncryptItem(b"x", key_version=2)),
            lambda made: encrypt(EncryptItem(b"x", key_version=2)),
            lambda answer: answer[0][1] == 2,
        ),
        (
            "aes256-gcm96",
            lambda: m.MakeHmac(MOUNT, "k", [HmacItem(b"x")], DIGEST, 2),
            lambda made: m.MakeHmac(MOUNT, "k", [HmacItem(b"x")], DIGEST, 2),
            lambda answer: answer[0].startswith("vault:v2:"),
        ),
    ],
    ids=["hmac", "ed25519", "rsa", "export", "encrypt", "make-hmac"],
)
async def test_whatever_names_a_version_of_a_rotation_elsewhere_works_at_once(
    tmp_path: Path,
    kind: str,
    make: Callable[[], Message],
    use: Callable[[Any], Message],
    good: Callable[[Any], bool],
) -> None:
    async with two_nodes(tmp_path, kind) as (here, there):
        assert good(await there.ask(use(await here.ask(make()))))


async def test_the_newer_key_is_kept(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (here, there):
        text = await ciphertext(here)
        await there.ask(m.Decrypt(MOUNT, "k", [DecryptItem(text)]))
        assert await ciphertext(there)
        reads = there.reads
        await there.ask(m.Decrypt(MOUNT, "k", [DecryptItem(text)]))
        assert there.reads == reads


async def test_versions_that_nobody_made_are_refused_after_one_look(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, (node,)):
        await node.ask(m.CreateKey(MOUNT, "k", KeyOptions()))
        await node.ask(encrypt(EncryptItem(b"x")))
        reads = node.reads
        (refused,) = await node.ask(m.Decrypt(MOUNT, "k", [DecryptItem("vault:v9:AAAA")]))
        assert isinstance(refused, InvalidRequest)
        assert str(refused) == "invalid ciphertext: version is too new"
        assert node.reads == reads + 1


async def test_many_who_name_such_versions_share_their_looks(tmp_path: Path) -> None:
    """Drawn: the first look is held in the store while all the others come."""
    async with opened(tmp_path) as (_, (node,)):
        await node.ask(m.CreateKey(MOUNT, "k", KeyOptions()))
        await node.ask(encrypt(EncryptItem(b"x")))
        reads, node.gate, node.after_read = node.reads, asyncio.Event(), asyncio.Event()
        asked = [asyncio.create_task(node.ask(m.Decrypt(MOUNT, "k", [DecryptItem("vault:v9:AAAA")])))]
        await node.after_read.wait()
        for _ in range(40):
            asked.append(asyncio.create_task(node.ask(m.Decrypt(MOUNT, "k", [DecryptItem("vault:v9:AAAA")]))))
            await asyncio.sleep(0)
        gate, node.gate = node.gate, None
        gate.set()
        for answer in await asyncio.gather(*asked):
            assert isinstance(answer[0], InvalidRequest)
        assert node.reads == reads + 2
