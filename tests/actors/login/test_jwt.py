"""Logins by signed tokens, on two nodes and both stores, and against a provider that can fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kms_actors.actors.login.issuers import AGAIN, KEEP, STALE
from kms_actors.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied, Unavailable
from kms_actors.login.jwt_config import ReadJwtConfig, WriteJwtConfig
from kms_actors.login.jwt_login import LoginByJwt
from kms_actors.login.jwt_role import DeleteJwtRole, ListJwtRoles, ReadJwtRole, WriteJwtRole
from kms_actors.login.messages import LoggedIn
from kms_actors.messages import Grants
from tests.actors.login_tenant import CLIENT, JWT, Tenant
from tests.support.identity_provider import IdentityProvider
from tests.support.jwt import Signer

M = JWT.number
ROLE = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ("kms",), "token_policies": ("p",)}
NO_KEY = (
    "error validating token: error verifying token signature: no known key successfully validated the token signature"
)


async def configure(tenant: Tenant, *, unchecked: bool = False, **sent: Any) -> tuple[str, ...]:
    warnings: tuple[str, ...] = await tenant.ask(WriteJwtConfig(M, sent, unchecked))
    return warnings


async def write_role(tenant: Tenant, name: str = "r", **changes: Any) -> None:
    await tenant.ask(WriteJwtRole(M, name, {**ROLE, **changes}))


async def log_in(tenant: Tenant, token: str, role: str = "r") -> LoggedIn:
    done: LoggedIn = await tenant.ask(LoginByJwt(M, "auth/jwt/login", CLIENT, role, token))
    return done


async def refused(tenant: Tenant, token: str, role: str = "r") -> str:
    with pytest.raises(InvalidRequest) as error:
        await log_in(tenant, token, role)
    return str(error.value)


async def test_a_token_logs_in_by_a_key_that_was_given(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    one, other = clients
    await configure(one, jwt_validation_pubkeys=(provider.signers[0].pem,), bound_issuer=provider.address)
    await write_role(other, claim_mappings={"mail": "email"}, groups_claim="groups")
    done = await log_in(one, provider.token(mail="a@b", groups=["devs"]))
    assert done.issued.spec.policies == ("default", "p")
    assert done.issued.spec.metadata == {"email": "a@b", "role": "r"}
    assert done.issued.spec.display_name == "jwt-anna"
    assert done.entity_id
    again = await log_in(other, provider.token(groups=[]))
    assert again.entity_id == done.entity_id
    assert (await other.bearer(done)).policies == ("default", "p")
    assert not provider.asked


async def test_what_is_missing_is_said_in_vaults_words(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    assert await refused(tenant, "x") == "could not load configuration"
    await configure(tenant, jwt_validation_pubkeys=(provider.signers[0].pem,))
    assert await refused(tenant, "x", "") == "missing role"
    assert await refused(tenant, "x") == "the role could not be found"
    await write_role(tenant)
    assert await refused(tenant, "") == "missing token"
    assert (await refused(tenant, "x")).startswith("error validating token: ")
    await configure(tenant, jwt_validation_pubkeys=(provider.signers[0].pem,), default_role="r")
    await log_in(tenant, provider.token(), "")
    await write_role(tenant, "browser", role_type="oidc", allowed_redirect_uris=("https://a",))
    assert await refused(tenant, "x", "browser") == "role with oidc role_type is not allowed"
    await write_role(tenant, "near", token_bound_cidrs=("10.9.0.0/16",))
    with pytest.raises(AuthenticationFailed):
        await log_in(tenant, provider.token(), "near")
    await write_role(tenant, "open", bound_audiences=(), bound_subject="anna")
    assert "no audiences bound" in await refused(tenant, provider.token(), "open")
    await log_in(tenant, provider.token(aud=None), "open")


async def test_a_token_that_does_not_fit_gives_nothing_and_writes_nothing(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, jwt_validation_pubkeys=(provider.signers[0].pem,), bound_issuer=provider.address)
    await write_role(tenant, bound_claims={"team": "red"})
    before = await tenant.snapshot()
    good = provider.token(team="red")
    for token, text in (
        (provider.token(iss="https://other", team="red"), "error validating token: invalid issuer (iss) claim"),
        (provider.token(exp=1, team="red"), "error validating token: invalid expiration time (exp) claim"),
        (provider.token(aud="x", team="red"), "error validating token: invalid audience (aud) claim"),
        (provider.token(team="blue"), "error validating claims: claim"),
        (provider.token(sub=None, team="red"), 'claim "sub" not found'),
        (Signer.make("ES256").sign({"sub": "anna"}), NO_KEY),
        (good[:-4] + "AAAA", "error validating token"),
    ):
        assert (await refused(tenant, token)).startswith(text)
    assert await tenant.snapshot() == before
    await log_in(tenant, good)


async def test_roles_are_kept_listed_and_taken_away(clients: tuple[Tenant, Tenant]) -> None:
    one, other = clients
    with pytest.raises(NotFound):
        await one.ask(ListJwtRoles(M))
    for name in ("b", "a", "c"):
        await write_role(one, name)
    assert await other.ask(ListJwtRoles(M)) == ["a", "b", "c"]
    assert await other.ask(ListJwtRoles(M, "a", 1)) == ["b"]
    await other.ask(DeleteJwtRole(M, "b"))
    with pytest.raises(NotFound):
        await one.ask(ReadJwtRole(M, "b"))
    assert (await one.ask(ReadJwtRole(M, "a"))).parameters.policies == ("p",)
    with pytest.raises(PermissionDenied):
        await one.ask(WriteJwtRole(M, "a", ROLE, (), Grants(create=True, update=False)))
    with pytest.raises(PermissionDenied):
        await one.ask(WriteJwtRole(M, "new", ROLE, (), Grants(create=False, update=True)))


async def test_a_role_that_was_changed_meanwhile_gives_nothing_by_what_it_was(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = clients
    await configure(one, jwks_url=provider.keys_url)
    await write_role(one)
    real = one.context.fetch.fetcher.send

    async def changed_meanwhile(*arguments: Any) -> Any:
        await write_role(other, token_policies=("less",))
        return await real(*arguments)

    monkeypatch.setattr(one.context.fetch.fetcher, "send", changed_meanwhile)
    with pytest.raises(Unavailable, match="changed meanwhile"):
        await log_in(one, provider.token())
    assert (await log_in(one, provider.token())).issued.spec.policies == ("default", "less")


@pytest.mark.parametrize("discovered", [False, True])
async def test_keys_of_a_url_are_fetched_once_and_kept(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider, discovered: bool
) -> None:
    tenant = clients[0]
    url: dict[str, Any] = {"oidc_discovery_url": provider.address} if discovered else {"jwks_url": provider.keys_url}
    await configure(tenant, **url)
    await write_role(tenant)
    provider.asked.clear()
    await asyncio.gather(*(log_in(tenant, provider.token(sub=f"user {number}")) for number in range(8)))
    assert provider.asked["/keys"] == 1
    tenant.now += KEEP - 1
    await log_in(tenant, provider.token(exp=int(tenant.now) + 60))
    assert provider.asked["/keys"] == 1
    tenant.now += 2
    await log_in(tenant, provider.token(exp=int(tenant.now) + 60))
    assert provider.asked["/keys"] == 2


async def test_a_key_that_the_issuer_has_made_since_is_fetched_but_only_so_often(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, jwks_url=provider.keys_url)
    await write_role(tenant)
    await log_in(tenant, provider.token())
    provider.asked.clear()
    stranger = Signer.make("ES256", "k9")
    for _ in range(5):  # anybody can make these up
        assert await refused(tenant, provider.token(stranger)) == NO_KEY
    assert provider.asked["/keys"] == 0
    tenant.now += AGAIN
    for _ in range(5):
        assert await refused(tenant, provider.token(stranger)) == NO_KEY
    assert provider.asked["/keys"] == 1
    provider.signers.append(Signer.make("ES256", "k2"))
    tenant.now += AGAIN
    await log_in(tenant, provider.token())
    assert provider.asked["/keys"] == 2


async def test_a_key_that_the_issuer_takes_back_counts_for_minutes_at_most(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, jwks_url=provider.keys_url)
    await write_role(tenant)
    await log_in(tenant, provider.token())
    stolen, provider.signers = provider.signers[0], [Signer.make("ES256", "k2")]
    tenant.now += KEEP
    assert await refused(tenant, provider.token(stolen, exp=int(tenant.now) + 60)) == NO_KEY


async def test_while_the_issuer_is_away_what_was_known_holds_on_for_an_hour(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, jwks_url=provider.keys_url)
    await write_role(tenant)
    await log_in(tenant, provider.token())
    provider.status = 503
    provider.asked.clear()
    tenant.now += KEEP + 1
    for _ in range(3):
        await log_in(tenant, provider.token(exp=int(tenant.now) + 60))
    assert provider.asked["/keys"] == 1
    tenant.now += STALE
    for _ in range(3):
        with pytest.raises(Unavailable):
            await log_in(tenant, provider.token(exp=int(tenant.now) + 60))
    assert provider.asked["/keys"] == 2  # and not for each who asks
    provider.status = 200
    tenant.now += AGAIN
    await log_in(tenant, provider.token(exp=int(tenant.now) + 60))


async def test_a_clock_that_was_set_back_keeps_no_key_for_longer(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, jwks_url=provider.keys_url)
    await write_role(tenant)
    await log_in(tenant, provider.token())
    stolen, provider.signers = provider.signers[0], [Signer.make("ES256", "k2")]
    tenant.now -= 3600
    moment = int(tenant.now)
    assert await refused(tenant, provider.token(stolen, iat=moment, exp=moment + 60)) == NO_KEY


async def test_a_configuration_is_checked_before_it_is_kept(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    provider.status = 404
    with pytest.raises(InvalidRequest, match="error checking jwks URL: it answers with status 404"):
        await configure(tenant, jwks_url=provider.keys_url)
    with pytest.raises(NotFound):
        await tenant.ask(ReadJwtConfig(M))
    warning = "error checking oidc discovery URL: it answers with status 404"
    assert await configure(tenant, unchecked=True, oidc_discovery_url=provider.address) == (warning,)
    assert (await tenant.ask(ReadJwtConfig(M))).problem == "it answers with status 404"
    provider.status = 200
    provider.document["issuer"] = "https://other"
    with pytest.raises(InvalidRequest, match="of another one"):
        await configure(tenant, oidc_discovery_url=provider.address)
    provider.document.clear()
    assert await configure(tenant, oidc_discovery_url=provider.address) == ()
    tenant.now += AGAIN
    assert (await tenant.ask(ReadJwtConfig(M))).problem == ""


async def test_no_vault_makes_a_node_go_where_its_operator_does_not_allow_it(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    """Also not by an issuer's document, and not where nobody checks the URL."""
    tenant = clients[0]
    urls: tuple[dict[str, Any], ...] = (
        {"jwks_url": "http://169.254.169.254/latest/meta-data"},
        {"jwks_url": "https://127.0.0.1/keys"},
        {"oidc_discovery_url": "https://localhost"},
        {"jwks_url": "file:///etc/passwd"},
    )
    for sent in urls:
        with pytest.raises(InvalidRequest):
            await configure(tenant, **sent)
    with pytest.raises(InvalidRequest, match="only https URLs"):
        await configure(tenant, unchecked=True, jwks_url="http://169.254.169.254/latest/meta-data")
    provider.document["jwks_uri"] = "http://127.0.0.1:1/inner"
    with pytest.raises(InvalidRequest, match="only https URLs"):
        await configure(tenant, oidc_discovery_url=provider.address)
    await configure(tenant, unchecked=True, oidc_discovery_url=provider.address)
    await write_role(tenant)
    with pytest.raises(Unavailable, match="try again") as failed:
        await log_in(tenant, provider.token())
    assert "127.0.0.1" not in str(failed.value)
