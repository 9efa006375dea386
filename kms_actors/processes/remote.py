"""The node actor as a worker sees it: over the link, in the supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

import msgspec

from kms_actors.actors.node.actor import (
    RenewMaster,
    RevokeOperator,
    SealObserver,
    Unsealed,
)
from kms_actors.ceremony.messages import ANSWERS as CEREMONIES
from kms_actors.errors import Unavailable
from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.master_seal import decode_seal
from kms_actors.messages import (
    Event,
    Initialization,
    Initialize,
    Message,
    Seal,
    SealStatus,
)
from kms_actors.processes.frames import Answer, Ask, Done, NodeState, Refusal, error_of
from kms_actors.processes.link import Link

#: Bytes of filler: more than any keyring takes, with what came in one piece with it.
_FILLER: Final = 1 << 16
#: What each message is answered with; SealStatus, where it is not here.
_ANSWERS: Final[dict[type[Message], Any]] = {
    Initialize: Initialization,
    Seal: None,
    RevokeOperator: None,
    RenewMaster: None,
    **CEREMONIES,
}


class RemoteNode:
    """See `NodeLink`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._observe: SealObserver | None = None
        self._first: NodeState | None = None
        self._telling: set[asyncio.Future[None]] = set()

    async def start(self, observe: SealObserver) -> None:
        """Begin with the state that was heard last."""
        self._observe = observe
        first, self._first = self._first, None
        if first is not None:
            self.hear(first)

    async def ask(self, message: Message) -> Any:
        """See `NodeLink.ask`; raises Unavailable when the supervisor is gone."""
        if isinstance(message, Event):
            raise TypeError("events do not come from outside")
        kind = type(message)
        reply = await self._link.request(Ask, kind.__name__, msgspec.Raw(msgspec.msgpack.encode(message)))
        if isinstance(reply, Refusal):
            raise error_of(reply)
        if not isinstance(reply, Answer):
            raise Unavailable("the supervisor did not understand")
        return msgspec.msgpack.decode(reply.value, type=_ANSWERS.get(kind, SealStatus))

    async def stop(self) -> None:
        """Nothing: the node actor goes on."""

    def hear(self, frame: NodeState) -> None:
        """Take a state from the supervisor: act upon it at once, say so when that is done."""
        if self._observe is None:
            if self._first is not None:
                self._link.send(Done(self._first.number))
            self._first = frame
            return
        told = self._observe(_unsealed(frame))
        if told is None:
            self._link.send(Done(frame.number))
            return
        task = asyncio.ensure_future(self._done_after(told, frame.number))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _done_after(self, told: Awaitable[None], number: int) -> None:
        await told
        self._link.send(Done(number))


def state_fields(unsealed: Unsealed | None) -> tuple[bytes | None, bytes | None, bytes]:
    """Return the fields of the NodeState that tells of `unsealed`."""
    if unsealed is None:
        return None, None, bytes(_FILLER)
    return unsealed.keyring.dump(), unsealed.seal.encode(), b""


def _unsealed(frame: NodeState) -> Unsealed | None:
    if frame.keyring is None or frame.seal is None:
        return None
    return Unsealed(Keyring.load(frame.keyring), decode_seal(frame.seal))
