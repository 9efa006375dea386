"""Actors on asyncio: pykka's references, our own registry, mailbox, future and loop."""

from kms_actors.runtime.actor import AsyncioActor, living
from kms_actors.runtime.failure import ActorFailed, FailureWindow, RequestFailed, log_failure
from kms_actors.runtime.future import AsyncioFuture, WouldBlock, ask

__all__ = [
    "ActorFailed",
    "AsyncioActor",
    "AsyncioFuture",
    "FailureWindow",
    "RequestFailed",
    "WouldBlock",
    "ask",
    "living",
    "log_failure",
]
