"""Driving a controller and a model of it by the same drawn messages, and comparing every answer.

Where the store could not say whether a change was made, what is stored must be the model's state before it or after
it, and the model goes on from there.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from kms_actors.errors import InvalidRequest, NotFound, StoreUnavailable
from kms_actors.messages import Message
from tests.faults.shim import Faults

State = TypeVar("State")

#: Of a drawn run, so that a failure can be replayed; steps of each engine and controller.
SEED: Final = int(os.environ.get("KMS_FAULT_SEED") or random.SystemRandom().randrange(2**32))
STEPS: Final = int(os.environ.get("KMS_FAULT_STEPS", "400"))

#: Of commits and of reads.
RATE: Final = 0.25
READ_RATE: Final = 0.03

#: What a controller may raise that a model foresees.
EXPECTED: Final = (InvalidRequest, NotFound)
#: Steps between two looks at all that is stored.
LOOK: Final = 50

Ask = Callable[[Message], Awaitable[Any]]


class Model(Protocol, Generic[State]):
    """What a controller's data must be; `state` is all of it."""

    state: State

    def draw(self, chance: random.Random) -> Message:
        """Return a message that makes sense, or nearly."""

    def apply(self, message: Message) -> Any:
        """Change the state as the message must; return its answer, or raise one of EXPECTED."""

    def answer(self, message: Message, found: Any) -> Any:
        """Return what counts of a controller's answer."""

    async def observe(self, ask: Ask) -> State:
        """Return what is stored, as a state."""


async def drive(model: Model[Any], ask: Ask, look: Ask, faults: Faults) -> None:
    """Let `ask` answer STEPS drawn messages; `look` sees the same store without faults."""
    chance = random.Random(SEED)
    step = 0
    try:
        for step in range(STEPS):
            await _step(model, model.draw(chance), ask, look, faults)
            if step % LOOK == 0:
                await faults.arrive()
                assert await model.observe(look) == model.state
        await faults.arrive()
        assert await model.observe(look) == model.state
    except BaseException as error:
        error.add_note(f"at step {step} of {STEPS}; replay with KMS_FAULT_SEED={SEED} KMS_FAULT_STEPS={STEPS}")
        raise


async def _step(model: Model[Any], message: Message, ask: Ask, look: Ask, faults: Faults) -> None:
    before = copy.deepcopy(model.state)
    try:
        expected = model.apply(message)
    except EXPECTED as error:
        expected = type(error)
    try:
        found = model.answer(message, await ask(message))
    except EXPECTED as error:
        found = type(error)
    except StoreUnavailable:
        await faults.arrive()
        stored = await model.observe(look)
        assert stored in (before, model.state), f"{message!r} is neither done nor undone"
        if stored != model.state:
            model.state = before
        return
    assert found == expected, f"{message!r} answered otherwise"
