"""Renewals of tokens that a role of `auth/token/` made: by what it says now, and none where it is gone.

The kind is told in tests/actors/login/test_renewals.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.token.messages import DeleteRole, RenewToken, WriteRole
from kms_actors.token.spec import Issued
from tests.actors.token_tenant import Tenant


async def renewed(tenant: Tenant, issued: Issued, increment: int = 0) -> int:
    found: Issued = await tenant.ask(RenewToken(issued.token, increment=increment))
    return found.spec.ttl


@pytest.mark.parametrize("parent", [False, True])
async def test_whose_role_is_gone_is_not_renewed(tenant: Tenant, parent: bool) -> None:
    await tenant.ask(WriteRole("r", {}))
    maker = await tenant.issue() if parent else None
    issued = await tenant.issue(maker, role="r", renewable=True, ttl=600)
    assert await renewed(tenant, issued) == 600
    await tenant.ask(DeleteRole("r"))
    with pytest.raises(InvalidRequest, match="the original role of the token could not be found"):
        await renewed(tenant, issued)


@pytest.mark.parametrize(
    ("made", "sent", "seconds"),
    [
        ({}, {"token_period": 420}, 420),
        ({"period": 1200}, {"token_period": 420}, 420),
        ({"period": 1200}, {"token_period": 0}, 7200),
        ({}, {"token_explicit_max_ttl": 900}, 900),
        ({"explicit_max_ttl": 1800}, {"token_explicit_max_ttl": 900}, 900),
        ({"explicit_max_ttl": 1800}, {"token_explicit_max_ttl": 0}, 1800),  # a bound of its own stays one
    ],
)
async def test_what_the_role_says_now_holds(
    tenant: Tenant, made: dict[str, Any], sent: dict[str, Any], seconds: int
) -> None:
    await tenant.ask(WriteRole("r", {}))
    issued = await tenant.issue(role="r", renewable=True, ttl=600, **made)
    await tenant.ask(WriteRole("r", sent))
    assert await renewed(tenant, issued, 7200) == seconds
