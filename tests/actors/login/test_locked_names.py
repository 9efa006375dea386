from __future__ import annotations

import pytest

from kms_actors.errors import AuthenticationFailed
from kms_actors.login.lockout import DURATION, THRESHOLD
from kms_actors.login.messages import ReadLockedNames, UnlockName
from tests.actors.login.test_userpass import add, fail, log_in
from tests.actors.login_tenant import STRICT, USERPASS, Tenant

pytestmark = pytest.mark.usefixtures("runs")


async def test_locked_names_are_told_and_unlocked(nodes: tuple[Tenant, Tenant]) -> None:
    one, other = nodes
    for name in ("cat", "ann", "bob"):
        await add(one, name)
    await add(one, mount=STRICT)
    await fail(one, THRESHOLD, "cat")
    await fail(one, THRESHOLD, "ann")
    await fail(one, 1, "bob")
    await fail(one, 2, mount=STRICT)
    asked = ReadLockedNames((USERPASS.number, STRICT.number))
    assert await other.ask(asked) == {4: ["ann", "cat"], 6: ["ann"]}
    await other.ask(UnlockName(USERPASS.number, "ann"))
    await other.ask(UnlockName(USERPASS.number, "nobody"))
    await log_in(one, "ann")
    with pytest.raises(AuthenticationFailed):
        await log_in(one, "cat")
    assert await one.ask(asked) == {4: ["cat"], 6: ["ann"]}
    one.now += DURATION
    assert await one.ask(asked) == {4: [], 6: []}
