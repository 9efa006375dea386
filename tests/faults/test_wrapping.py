"""A wrapped answer whose taking ends unknown: given once, or lost, and never given twice."""

from __future__ import annotations

import itertools

import pytest

from kms_actors.cubbyhole.messages import Unwrap, Unwrapped
from kms_actors.errors import InvalidWrappingToken, KmsError
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Store
from tests.actors.cubbyhole.conftest import Holder
from tests.actors.token_tenant import mounted
from tests.faults.shim import Fate, Faults, FaultyStore

ANSWER = b'{"data":1}'


async def given(holder: Holder, token: str) -> int:
    """Ask for an answer; return how often it was given."""
    try:
        found = await holder.ask(Unwrap(token))
    except KmsError:
        return 0
    assert found == Unwrapped(200, ANSWER)
    return 1


@pytest.mark.parametrize("fates", list(itertools.product([*Fate, None], repeat=2)))
async def test_it_is_never_given_twice(store: Store, fates: tuple[Fate | None, Fate | None]) -> None:
    keyring = Keyring.generate(0.0)
    await mounted(store, keyring)
    good = Holder(store, keyring)
    wrapped = await good.wrap(ANSWER)
    faults = Faults(script=list(fates))
    first = await given(Holder(FaultyStore(store, faults), keyring), wrapped.token)
    await faults.arrive()
    again = await given(good, wrapped.token)
    assert first + again <= 1
    with pytest.raises(InvalidWrappingToken):
        await good.ask(Unwrap(wrapped.token))
    assert "cubbyhole" not in await good.areas()
