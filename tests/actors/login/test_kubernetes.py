"""Logins of service accounts, with a small API that reviews their tokens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from kms_actors.errors import (
    AuthenticationFailed,
    InvalidRequest,
    LoginRefused,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from kms_actors.login.kubernetes import (
    DeleteKubernetesRole,
    ListKubernetesRoles,
    LoginOfAccount,
    ReadKubernetesConfig,
    ReadKubernetesRole,
    WriteKubernetesConfig,
    WriteKubernetesRole,
)
from kms_actors.login.messages import LoggedIn
from kms_actors.messages import Grants
from kms_actors.store.api import Store
from tests.actors.login_tenant import CLIENT, KUBERNETES, Tenant, planted
from tests.store.engines import ENGINES, Place
from tests.support.jwt import Signer
from tests.support.kubernetes_api import KubernetesApi, kubernetes_api

M = KUBERNETES.number
ROLE = {
    "bound_service_account_names": ("app",),
    "bound_service_account_namespaces": ("dev",),
    "token_policies": ("p",),
}


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with kubernetes_api() as running:
        yield running


@pytest_asyncio.fixture
async def clients(place: Place, api: KubernetesApi) -> AsyncIterator[tuple[Tenant, Tenant]]:
    stores: list[Store] = [await ENGINES[place.engine].open(place.location) for _ in range(2)]
    keyring = await planted(stores[0])
    one, other = (Tenant(store, keyring, [api.address]) for store in stores)
    one.now = other.now = time.time()
    yield one, other
    for store in stores:
        await store.close()


async def configure(tenant: Tenant, **sent: Any) -> None:
    await tenant.ask(WriteKubernetesConfig(M, sent))


async def write_role(tenant: Tenant, name: str = "r", **changes: Any) -> None:
    await tenant.ask(WriteKubernetesRole(M, name, {**ROLE, **changes}))


async def log_in(tenant: Tenant, token: str, role: str = "r") -> LoggedIn:
    done: LoggedIn = await tenant.ask(LoginOfAccount(M, "auth/kubernetes/login", CLIENT, role, token))
    return done


async def test_an_account_logs_in_whose_cluster_says_that_its_token_is_good(
    clients: tuple[Tenant, Tenant], api: KubernetesApi
) -> None:
    one, other = clients
    await configure(one, kubernetes_host=api.address)
    await write_role(other)
    token = api.token()
    done = await log_in(one, token)
    assert done.issued.spec.policies == ("default", "p")
    assert done.issued.spec.display_name == "kubernetes-dev-app"
    assert done.issued.spec.metadata == {
        "role": "r",
        "service_account_name": "app",
        "service_account_namespace": "dev",
        "service_account_secret_name": "",
        "service_account_uid": "uid-1",
    }
    assert api.reviews[0]["spec"]["token"] == api.bearers[0] == token
    again = await log_in(other, api.older_token())
    assert again.entity_id == done.entity_id
    assert (again.issued.spec.metadata or {})["service_account_secret_name"] == "app-token"


async def test_a_token_of_its_own_reviews_if_there_is_one(clients: tuple[Tenant, Tenant], api: KubernetesApi) -> None:
    tenant = clients[0]
    api.reviewers.add("reviewer")
    await configure(tenant, kubernetes_host=api.address, token_reviewer_jwt="reviewer")
    await write_role(tenant)
    await log_in(tenant, api.token())
    assert api.bearers == ["reviewer"]


async def test_an_account_that_is_gone_or_made_anew_is_not_let_in(
    clients: tuple[Tenant, Tenant], api: KubernetesApi
) -> None:
    tenant = clients[0]
    await configure(tenant, kubernetes_host=api.address, pem_keys=(api.signer.pem,))
    await write_role(tenant)
    await log_in(tenant, api.token())
    for accounts in ({"dev:app": "uid-2"}, {}):
        api.accounts = accounts
        with pytest.raises(PermissionDenied):
            await log_in(tenant, api.token())


async def test_a_token_that_nobody_would_take_is_not_sent_anywhere(
    clients: tuple[Tenant, Tenant], api: KubernetesApi
) -> None:
    tenant = clients[0]
    await configure(tenant, kubernetes_host=api.address, pem_keys=(api.signer.pem,))
    await write_role(tenant)
    before = await tenant.snapshot()
    for token, text in (
        (api.token(namespace="prod"), "namespace not authorized"),
        (api.token(name="other"), "service account name not authorized"),
        (api.token(exp=1), "token is expired"),
        (api.signer.sign({"sub": "app"}), "not one of a service account"),
    ):
        with pytest.raises(LoginRefused, match=text):
            await log_in(tenant, token)
    stranger = KubernetesApi(signer=Signer.make("ES256"))
    for token in (stranger.token(), "x", api.token()[:-4] + "AAAA", Signer.make("EdDSA").sign({})):
        with pytest.raises(PermissionDenied):
            await log_in(tenant, token)
    assert not api.reviews
    assert await tenant.snapshot() == before


async def test_without_a_host_the_keys_alone_decide(clients: tuple[Tenant, Tenant], api: KubernetesApi) -> None:
    tenant = clients[0]
    await configure(tenant, pem_keys=(api.signer.pem,))
    await write_role(tenant)
    await log_in(tenant, api.token())
    with pytest.raises(PermissionDenied):
        await log_in(tenant, KubernetesApi(signer=Signer.make("ES256")).token())
    assert not api.reviews


async def test_without_keys_the_cluster_alone_verifies(clients: tuple[Tenant, Tenant], api: KubernetesApi) -> None:
    tenant = clients[0]
    await configure(tenant, kubernetes_host=api.address)
    await write_role(tenant)
    with pytest.raises(PermissionDenied):
        await log_in(tenant, KubernetesApi(signer=Signer.make("ES256")).token())
    assert len(api.reviews) == 1
    await write_role(tenant, audience="vault")
    with pytest.raises(LoginRefused, match="audience"):
        await log_in(tenant, api.token())
    await log_in(tenant, api.token(aud=["vault"]))
    assert api.reviews[-1]["spec"]["audiences"] == ["vault"]


async def test_a_cluster_that_is_away_can_be_tried_again(clients: tuple[Tenant, Tenant], api: KubernetesApi) -> None:
    tenant = clients[0]
    await configure(tenant, kubernetes_host=api.address)
    await write_role(tenant)
    for answer, status, refusal in (
        ({}, 503, Unavailable),
        ({}, 403, PermissionDenied),
        ("x", 201, PermissionDenied),
    ):
        api.answer_with, api.status = answer, status
        with pytest.raises(refusal):
            await log_in(tenant, api.token())


async def test_what_is_missing_is_said_in_vaults_words(clients: tuple[Tenant, Tenant], api: KubernetesApi) -> None:
    tenant = clients[0]
    for role, token, text in (("", "x", "missing role"), ("r", "", "missing jwt"), ("r", "x", "invalid role name")):
        with pytest.raises(InvalidRequest, match=text):
            await log_in(tenant, token, role)
    await write_role(tenant)
    with pytest.raises(InvalidRequest, match="could not load backend configuration"):
        await log_in(tenant, "x")
    await configure(tenant, kubernetes_host=api.address)
    await write_role(tenant, "near", token_bound_cidrs=("10.9.0.0/16",))
    with pytest.raises(AuthenticationFailed):
        await log_in(tenant, api.token(), "near")
    for host in ("http://10.0.0.1", "169.254.169.254", "http://localhost/", "10.0.0.1:6443"):
        with pytest.raises(InvalidRequest, match="kubernetes_host: "):
            await configure(tenant, kubernetes_host=host)
    await configure(tenant, kubernetes_host="https://localhost")  # what that is shows when it is looked up
    with pytest.raises(Unavailable):
        await log_in(tenant, api.token())
    assert not api.reviews


async def test_settings_are_kept_listed_and_taken_away(clients: tuple[Tenant, Tenant], api: KubernetesApi) -> None:
    one, other = clients
    with pytest.raises(NotFound):
        await one.ask(ReadKubernetesConfig(M))
    await configure(one, kubernetes_host=api.address, issuer="i")
    assert (await other.ask(ReadKubernetesConfig(M))).issuer == "i"
    with pytest.raises(NotFound):
        await one.ask(ListKubernetesRoles(M))
    for name in ("b", "a"):
        await write_role(one, name)
    assert await other.ask(ListKubernetesRoles(M)) == ["a", "b"]
    await other.ask(DeleteKubernetesRole(M, "b"))
    with pytest.raises(NotFound):
        await one.ask(ReadKubernetesRole(M, "b"))
    with pytest.raises(PermissionDenied):
        await one.ask(WriteKubernetesRole(M, "a", ROLE, (), Grants(create=True, update=False)))


async def test_a_role_that_was_changed_meanwhile_gives_nothing_by_what_it_was(
    clients: tuple[Tenant, Tenant], api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = clients
    await configure(one, kubernetes_host=api.address)
    await write_role(one)
    real = one.context.fetch.fetcher.send

    async def changed_meanwhile(*arguments: Any) -> Any:
        await write_role(other, token_policies=("less",))
        return await real(*arguments)

    monkeypatch.setattr(one.context.fetch.fetcher, "send", changed_meanwhile)
    with pytest.raises(Unavailable, match="changed meanwhile"):
        await log_in(one, api.token())
