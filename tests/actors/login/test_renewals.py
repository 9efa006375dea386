"""Renewals of tokens of logins, on both stores: who was taken away does not live on by them, whatever the method.

The kind: a renewal looks at the token alone. It reads the role or the user that the login rested on, and commits only
if that is as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from kms_actors.actors.login.renewals import CHANGED, GONE, NOBODY
from kms_actors.actors.token.issuing import draw, issue
from kms_actors.errors import InvalidRequest, Unavailable
from kms_actors.login.approle_messages import DeleteRole, WriteRole
from kms_actors.login.jwt_role import DeleteJwtRole, WriteJwtRole
from kms_actors.login.kubernetes import DeleteKubernetesRole, WriteKubernetesRole
from kms_actors.login.userpass import DeleteUser, WriteUser
from kms_actors.messages import Message
from kms_actors.mounts import Mount
from kms_actors.token.messages import RenewToken
from kms_actors.token.spec import Issued, TokenSpec
from tests.actors.login_tenant import APPROLE, JWT, KUBERNETES, OIDC, USERPASS, Tenant

TENANT = 9
ISSUER = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ("kms",)}
ACCOUNT = {"bound_service_account_names": ("app",), "bound_service_account_namespaces": ("dev",)}


class Method(NamedTuple):
    """A method of logins: how its role or user is written and removed, and what its tokens call it."""

    mount: Mount
    named: str
    write: Callable[[int, dict[str, Any]], Message]
    delete: Callable[[int], Message]
    gone: str = GONE


METHODS = (
    Method(APPROLE, "role_name", lambda m, sent: WriteRole(m, "app", sent), lambda m: DeleteRole(m, "app")),
    Method(JWT, "role", lambda m, sent: WriteJwtRole(m, "app", ISSUER | sent), lambda m: DeleteJwtRole(m, "app")),
    Method(OIDC, "role", lambda m, sent: WriteJwtRole(m, "app", ISSUER | sent), lambda m: DeleteJwtRole(m, "app")),
    Method(
        KUBERNETES,
        "role",
        lambda m, sent: WriteKubernetesRole(m, "app", ACCOUNT | sent),
        lambda m: DeleteKubernetesRole(m, "app"),
    ),
    Method(
        USERPASS,
        "username",
        lambda m, sent: WriteUser(m, "app", sent, "password"),
        lambda m: DeleteUser(m, "app"),
        NOBODY,
    ),
)


@pytest.fixture(params=METHODS, ids=lambda each: each.mount.type)
def method(request: pytest.FixtureRequest, runs: list[str]) -> Method:
    found: Method = request.param
    return found


async def given(tenant: Tenant, method: Method, **spec: Any) -> Issued:
    """Write a role, and return a token of ten minutes as its logins give it."""
    await tenant.ask(method.write(method.mount.number, {"token_policies": ("p",), "token_ttl": 600}))
    made = TokenSpec(
        policies=("default", "p"),
        display_name="app",
        path=f"{method.mount.path}login",
        metadata={method.named: "app"},
        ttl=600,
        renewable=True,
        mount=method.mount.number,
        **spec,
    )
    return await tenant.context.store.change(
        lambda tr: issue(tr, tenant.context, made, draw(TENANT), tenant.now), mount=None, bearers=()
    )


async def renewed(tenant: Tenant, issued: Issued, increment: int = 0) -> int:
    """Renew, and return for how many seconds."""
    found: Issued = await tenant.ask(RenewToken(issued.token, increment=increment))
    return found.spec.ttl


async def test_whose_role_or_user_is_gone_is_not_renewed(nodes: tuple[Tenant, Tenant], method: Method) -> None:
    one, other = nodes
    issued = await given(one, method)
    assert await renewed(one, issued) == 600
    await other.ask(method.delete(method.mount.number))
    with pytest.raises(InvalidRequest, match=method.gone):
        await renewed(one, issued)


async def test_what_the_role_says_now_holds(nodes: tuple[Tenant, Tenant], method: Method) -> None:
    one, other = nodes
    issued = await given(one, method)
    for sent, seconds in (
        ({"token_ttl": 300}, 300),
        ({"token_max_ttl": 900}, 300),
        ({"token_period": 60}, 60),
        ({"token_period": 0, "token_ttl": 0}, 900),
    ):
        await other.ask(method.write(method.mount.number, {"token_policies": ("p",), **sent}))
        assert await renewed(one, issued) == seconds
    assert await renewed(one, issued, 10_000) == 900


async def test_a_renewal_that_meets_a_change_is_tried_again(nodes: tuple[Tenant, Tenant], method: Method) -> None:
    one, other = nodes
    issued = await given(one, method)
    ask = one.ask

    async def then_removed(message: Message) -> Any:
        answer = await ask(message)
        if type(message).__name__ == "ReadRenewalTerms":
            await other.ask(method.delete(method.mount.number))
        return answer

    object.__setattr__(one.context, "ask", then_removed)
    with pytest.raises(Unavailable, match="changed meanwhile"):
        await renewed(one, issued)


async def test_other_policies_of_a_user_end_renewals_and_those_of_a_role_do_not(
    nodes: tuple[Tenant, Tenant], method: Method
) -> None:
    one, other = nodes
    issued = await given(one, method)
    await other.ask(method.write(method.mount.number, {"token_policies": ("q",)}))
    if method.mount is USERPASS:
        with pytest.raises(InvalidRequest, match=CHANGED):
            await renewed(one, issued)
    else:
        assert await renewed(one, issued) == 600
