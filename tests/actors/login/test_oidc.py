"""The browser flow, begun on one node and ended on another."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from kms_actors.errors import AuthenticationFailed, InvalidRequest, Overloaded, Unavailable, UnsupportedOperation
from kms_actors.login import oidc_requests
from kms_actors.login.jwt_config import WriteJwtConfig
from kms_actors.login.jwt_login import LoginByJwt
from kms_actors.login.jwt_role import WriteJwtRole
from kms_actors.login.messages import LoggedIn
from kms_actors.login.oidc_messages import BeginFlow, EndFlow, TakeForm
from kms_actors.login.oidc_requests import LIFETIME
from tests.actors.login_tenant import CLIENT, OIDC, Tenant
from tests.support.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, form_of
from tests.support.jwt import Signer

M = OIDC.number
URI = "http://localhost:8250/oidc/callback"
ROLE = {"user_claim": "sub", "allowed_redirect_uris": (URI,), "token_policies": ("p",)}
FAILED = "Vault login failed. "
GONE = FAILED + "Expired or missing OAuth state."


async def configure(tenant: Tenant, provider: IdentityProvider, role: dict[str, Any] = ROLE, **sent: Any) -> None:
    flow = {
        "oidc_discovery_url": provider.address,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "jwt_supported_algs": ("ES256",),
    }
    await tenant.ask(WriteJwtConfig(M, {**flow, **sent}))
    await tenant.ask(WriteJwtRole(M, "r", role))


async def begin(tenant: Tenant, client_nonce: str = "c1", uri: str = URI) -> str:
    url: str = await tenant.ask(BeginFlow(M, "r", uri, client_nonce))
    return url


async def browse(url: str) -> tuple[str, dict[str, str]]:
    """Return where the provider sends the browser, and with what."""
    async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as answer:
        if answer.status == 200:
            return form_of(await answer.read())
        place = urlsplit(answer.headers["Location"])
        return place._replace(query="").geturl(), {name: found[0] for name, found in parse_qs(place.query).items()}


async def end(tenant: Tenant, state: str, **sent: str) -> LoggedIn:
    fields = {"client_nonce": "c1", **sent}
    done: LoggedIn = await tenant.ask(EndFlow(M, "auth/oidc/oidc/callback", CLIENT, state, **fields))
    return done


async def refused(tenant: Tenant, state: str, **sent: str) -> str:
    with pytest.raises(InvalidRequest) as error:
        await end(tenant, state, **sent)
    return str(error.value)


async def test_a_flow_is_begun_on_one_node_and_ended_on_another(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    one, other = clients
    provider.user_info = {"sub": "anna", "email": "a@b", "groups": ["devs"]}
    await configure(one, provider, {**ROLE, "claim_mappings": {"email": "email"}, "groups_claim": "groups"})
    place, found = await browse(await begin(one))
    assert place == URI
    done = await end(other, found["state"], code=found["code"])
    assert done.issued.spec.policies == ("default", "p")
    assert done.issued.spec.metadata == {"email": "a@b", "role": "r"}
    assert done.issued.spec.display_name == "oidc-anna"
    assert done.issued.spec.path == "auth/oidc/oidc/callback"
    assert (await one.bearer(done)).policies == ("default", "p")


async def test_a_state_counts_once_whoever_races(clients: tuple[Tenant, Tenant], provider: IdentityProvider) -> None:
    one, other = clients
    await configure(one, provider)
    _, found = await browse(await begin(one))
    ends = [end(node, found["state"], code=found["code"]) for node in (one, other, one, other)]
    outcomes = await asyncio.gather(*ends, return_exceptions=True)
    assert sum(isinstance(outcome, LoggedIn) for outcome in outcomes) == 1
    assert sorted({str(outcome) for outcome in outcomes if isinstance(outcome, Exception)}) == [GONE]
    assert provider.asked["/token"] == 1
    assert await refused(one, found["state"], code=found["code"]) == GONE


async def test_a_state_is_good_for_ten_minutes(clients: tuple[Tenant, Tenant], provider: IdentityProvider) -> None:
    tenant = clients[0]
    await configure(tenant, provider)
    _, found = await browse(await begin(tenant))
    tenant.now += LIFETIME
    assert await refused(tenant, found["state"], code=found["code"]) == GONE
    for state in ("", "st_made_up", found["state"] + "x", "x" * 5000, "\ud800"):
        assert await refused(tenant, state, code="c") == GONE


async def test_only_the_client_that_began_a_flow_ends_it(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, provider)
    _, found = await browse(await begin(tenant))
    assert await refused(tenant, found["state"], code=found["code"], client_nonce="c2") == "invalid client_nonce"
    assert await refused(tenant, found["state"], code=found["code"]) == GONE
    assert provider.asked["/token"] == 0


async def test_what_an_issuer_says_in_place_of_a_code(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, provider)
    for error, text in (("access_denied", "access_denied"), ("<script>", "The issuer refused it.")):
        _, found = await browse(await begin(tenant))
        assert await refused(tenant, found["state"], error=error) == FAILED + text
        assert await refused(tenant, found["state"], code=found["code"]) == GONE
    _, found = await browse(await begin(tenant))
    assert await refused(tenant, found["state"]) == FAILED + "No code or id_token received."


async def test_a_token_that_is_not_of_this_flow_gives_nothing(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, provider)
    stranger = Signer.make("ES256", "k1")
    for answer, text in (
        ({"id_token": provider.token(aud=CLIENT_ID, nonce="n_other")}, "invalid ID token nonce."),
        ({"id_token": provider.token(aud="other", nonce="n")}, "not of this client"),
        ({"id_token": provider.token(stranger, aud=CLIENT_ID)}, "no known key"),
        ({"id_token": "x"}, "not a compact JWS"),
        ({}, "no id_token"),
    ):
        provider.token_answer = answer
        _, found = await browse(await begin(tenant))
        assert text in await refused(tenant, found["state"], code=found["code"])
    provider.token_answer = None
    _, found = await browse(await begin(tenant))
    assert await refused(tenant, found["state"], code="made up") == FAILED + "Error exchanging oidc code."


async def test_userinfo_need_not_answer_and_says_nothing_of_others(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, provider, {**ROLE, "claim_mappings": {"email": "email"}})
    for info in (None, {"sub": "bob", "email": "b@b"}):
        provider.user_info = info
        _, found = await browse(await begin(tenant))
        done = await end(tenant, found["state"], code=found["code"])
        assert done.issued.spec.metadata == {"role": "r"}


async def test_roles_and_addresses_bound_a_flow(clients: tuple[Tenant, Tenant], provider: IdentityProvider) -> None:
    tenant = clients[0]
    await configure(tenant, provider, {**ROLE, "bound_claims": {"team": "red"}})
    _, found = await browse(await begin(tenant))
    assert 'claim "team" is missing' in await refused(tenant, found["state"], code=found["code"])
    provider.claims["team"] = "red"
    _, found = await browse(await begin(tenant))
    await end(tenant, found["state"], code=found["code"])
    await configure(tenant, provider, {**ROLE, "token_bound_cidrs": ("10.9.0.0/16",)})
    _, found = await browse(await begin(tenant))
    with pytest.raises(AuthenticationFailed):
        await end(tenant, found["state"], code=found["code"])


async def test_a_redirect_that_the_role_does_not_name_gives_no_url(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, provider)
    assert await begin(tenant, uri="https://evil.com/cb") == ""
    assert await begin(tenant, client_nonce="x" * 5000) == ""
    assert (await begin(tenant, uri="http://localhost:1234/oidc/callback")).startswith(provider.address)
    with pytest.raises(InvalidRequest, match="could not be found"):
        await tenant.ask(BeginFlow(M, "none", URI))
    await tenant.ask(WriteJwtConfig(M, {"oidc_discovery_url": provider.address}))
    with pytest.raises(InvalidRequest, match="OIDC login is not configured for this mount"):
        await begin(tenant)


async def test_requests_take_only_so_many_places_and_those_that_are_over_are_used_again(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = clients
    await configure(one, provider)
    monkeypatch.setattr(oidc_requests, "PLACES", 4)
    begun = 0
    for turn in range(60):
        try:
            await begin((one, other)[turn % 2])
            begun += 1
        except Overloaded:
            continue
    assert begun == 4
    assert len(await one.places("oidc", M, "flow")) == 4
    for node in clients:
        node.now += LIFETIME
    await begin(one)
    assert len(await one.places("oidc", M, "flow")) == 4


async def test_an_issuer_that_is_away_is_said_so_and_can_be_tried_again(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    one, other = clients
    await configure(one, provider)
    provider.status = 503
    with pytest.raises(Unavailable):
        await begin(other)


async def test_a_form_brings_a_token_and_the_client_comes_for_it(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    one, other = clients
    await configure(one, provider, oidc_response_mode="form_post", oidc_response_types=("id_token",))
    place, found = await browse(await begin(one))
    assert place == URI
    await other.ask(TakeForm(M, found["state"], "", found["id_token"]))
    done = await end(one, found["state"])
    assert done.issued.spec.display_name == "oidc-anna"
    assert await refused(one, found["state"]) == GONE


async def test_a_mount_of_a_flow_takes_tokens_of_its_issuer_too(
    clients: tuple[Tenant, Tenant], provider: IdentityProvider
) -> None:
    tenant = clients[0]
    await configure(tenant, provider, {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ("kms",)})
    await tenant.ask(LoginByJwt(M, "auth/oidc/login", CLIENT, "r", provider.token()))


async def test_a_form_may_bring_a_code_too(clients: tuple[Tenant, Tenant], provider: IdentityProvider) -> None:
    one, other = clients
    await configure(one, provider, oidc_response_mode="form_post")
    _, found = await browse(await begin(one))
    await other.ask(TakeForm(M, found["state"], found["code"]))
    await end(one, found["state"], code="no_code")


async def test_what_anybody_makes_up_is_not_kept(clients: tuple[Tenant, Tenant], provider: IdentityProvider) -> None:
    tenant = clients[0]
    await configure(tenant, provider)
    with pytest.raises(UnsupportedOperation):
        await tenant.ask(TakeForm(M, "st_x", "c"))
    await configure(tenant, provider, oidc_response_mode="form_post", oidc_response_types=("id_token",))
    _, found = await browse(await begin(tenant))
    before = await tenant.snapshot()
    stranger = Signer.make("ES256", "k1")
    for message, text in (
        (TakeForm(M, "st_made_up", "", found["id_token"]), "Expired or missing"),
        (TakeForm(M, found["state"], "", provider.token(stranger, aud=CLIENT_ID)), "Token verification failed"),
        (TakeForm(M, found["state"], "x" * 5000), "longer than"),
    ):
        with pytest.raises(InvalidRequest, match=text):
            await tenant.ask(message)
    assert await tenant.snapshot() == before
    # One that is good for somebody else's request does not fit this one.
    _, others = await browse(await begin(tenant))
    await tenant.ask(TakeForm(M, found["state"], "", others["id_token"]))
    assert "invalid ID token nonce" in await refused(tenant, found["state"])
