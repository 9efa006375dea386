"""Actors on asyncio: pykka's references, our own registry, mailbox, future and loop."""

from kms_actors.runtime.actor import AsyncioActor, living
from kms_actors.runtime.failure import ActorFailed, FailureWindow, RequestFailed, log_failure
from kms_actors.runtime.future import AsyncioFuture, WouldBlock, ask
from kms_actors.runtime.threads import OwnThreads, Threads
from kms_actors.runtime.turns import Turns

__all__ = [
    "ActorFailed",
    "AsyncioActor",
    "AsyncioFuture",
    "FailureWindow",
    "OwnThreads",
    "RequestFailed",
    "Threads",
    "Turns",
    "WouldBlock",
    "ask",
    "living",
    "log_failure",
]
