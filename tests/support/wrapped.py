"""What tokens of a vault keep: an entry of the root token's cubbyhole, and a wrapped answer."""

from __future__ import annotations

from typing import Final, NamedTuple

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.cubbyhole.messages import ReadEntry, Unwrap, Unwrapped, WrapAnswer, Wrapped, WriteEntry
from kms_actors.messages import AuthenticateToken

ANSWER: Final = b'{"data":{"canary":"Zm9vYmFy"}}'
ENTRY: Final = b'{"mine":"YmF6"}'


class Kept(NamedTuple):
    """Whose cubbyhole has `box/one`, and the token that gives ANSWER."""

    accessor: str
    wrapped: Wrapped


async def keep(tenant: TenantHandle, root_token: str) -> Kept:
    """Have a vault keep both."""
    bearer = await tenant.ask(AuthenticateToken(root_token))
    await tenant.ask(WriteEntry(bearer.accessor, "box/one", "", ENTRY))
    wrapped = await tenant.ask(WrapAnswer(ANSWER, 200, 3600, "secret/data/x"))
    return Kept(bearer.accessor, wrapped)


async def found(tenant: TenantHandle, kept: Kept) -> None:
    """See that both are there; the answer is taken."""
    assert await tenant.ask(ReadEntry(kept.accessor, "box/one")) == ENTRY
    assert await tenant.ask(Unwrap(kept.wrapped.token)) == Unwrapped(200, ANSWER)
