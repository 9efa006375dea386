"""Tokens that tokens make on whatever node, and what they may do there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from tests.cluster.elsewhere import everywhere, status
from tests.support.callers import Callers, Reply
from tests.support.node_cluster import SIZE

WRITER: Final = """
path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "auth/token/create" { capabilities = ["update"] }
"""
SECRET: Final = "secret/data/creds"
CREATE: Final = "auth/token/create"


async def write_policy(admins: Callers, name: str, text: str, node: int = 0) -> None:
    assert (await admins.post(node, f"sys/policies/acl/{name}", {"policy": text})).status == 204


async def make(maker: Callers, node: int = 0, **wanted: Any) -> str:
    """Return a token that a token makes."""
    reply = await maker.post(node, CREATE, wanted)
    assert reply.status == 200, reply
    token: str = reply.json["auth"]["client_token"]
    return token


async def make_tree(top: Callers, levels: int, each: int) -> list[Callers]:
    """Return who bears what hangs on a token: each makes `each`, on all nodes in turn."""
    found: list[Callers] = []
    above = [top]
    for _ in range(levels):
        tokens = [make(maker, number % SIZE) for maker in above for number in range(each)]
        above = [top.with_token(token) for token in await asyncio.gather(*tokens)]
        found += above
    return found


async def write(bearer: Callers, node: int) -> Reply:
    return await bearer.post(node, SECRET, {"data": {"a": 1}})


async def warm(bearers: Sequence[Callers]) -> None:
    """Have each node know each token, and what it may do, for a write and for a read."""
    for bearer in bearers:
        for node in range(SIZE):
            assert (await write(bearer, node)).status == 200
            assert (await bearer.get(node, SECRET)).status == 200


async def all_dead(bearers: Sequence[Callers]) -> float:
    """See that no write of theirs is taken from now on, and after the lease no read: return seconds until then."""
    tried = await asyncio.gather(*(write(bearer, node) for bearer in bearers for node in range(SIZE)))
    assert [reply for reply in tried if reply.status != 403] == [], "a write was taken behind the end of its token"
    return max([await _unread(bearer) for bearer in bearers])


async def _unread(bearer: Callers) -> float:
    """Wait until no node reads for somebody; return seconds."""
    return max(await everywhere(lambda node: bearer.get(node, SECRET), status(403)))
