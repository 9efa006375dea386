"""Service accounts of Kubernetes: roles and tokens in all combinations, of which both servers decide the same."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.differential.pair import Pair, Side
from tests.support.jwt import Signer
from tests.support.kubernetes_api import KubernetesApi, kubernetes_api
from tests.support.web import Authority, make_authority


class Answer(NamedTuple):
    status: int
    data: Any
    auth: Any
    texts: tuple[str, ...]


def ask(side: Side, method: str, path: str, body: Any = None) -> Answer:
    """Ask below the mount, and return what of the answer is the same on both."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"X-Vault-Token": side.token, "Content-Type": "application/json"}
    status, raw = side._exchange(method, f"/v1/{side.mounts['kubernetes']}/{path}", content, headers)
    found = json.loads(raw) if raw else {}
    auth = found.get("auth")
    told = (
        "policies",
        "token_policies",
        "metadata",
        "lease_duration",
        "renewable",
        "token_type",
        "orphan",
        "num_uses",
    )
    shown = auth and {name: auth.get(name) or None for name in told}
    texts = tuple(text.removeprefix("1 error occurred:\n\t* ").strip() for text in found.get("errors") or ())
    return Answer(status, found.get("data"), shown, texts)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def api(authority: Authority) -> Iterator[KubernetesApi]:
    with kubernetes_api(authority.server_context()) as running:
        running.reviewers.add("reviewer")
        yield running


@pytest.fixture(scope="module")
def mounted(pair: Pair) -> Iterator[Pair]:
    path = f"kubernetes-{uuid4().hex[:8]}"
    for side in pair:
        side.mounts["kubernetes"] = f"auth/{path}"
        assert side("POST", f"sys/auth/{path}", {"type": "kubernetes"}).status == 204
    yield pair
    for side in pair:
        side("DELETE", f"sys/auth/{path}")


ROLES: list[dict[str, Any]] = [
    {"bound_service_account_names": "app", "bound_service_account_namespaces": "dev"},
    {"bound_service_account_names": "*", "bound_service_account_namespaces": ["d*", "x"], "token_policies": "p,q"},
    {"bound_service_account_names": "other,a*", "bound_service_account_namespaces": "*", "audience": "vault"},
    {
        "bound_service_account_names": "app",
        "bound_service_account_namespaces": "prod",
        "alias_name_source": "serviceaccount_name",
        "token_ttl": "1h",
        "token_max_ttl": "2h",
    },
]
WRONG: list[dict[str, Any]] = [
    {},
    {"bound_service_account_names": "a"},
    {"bound_service_account_names": "a,*", "bound_service_account_namespaces": "b"},
    {"bound_service_account_names": "a", "bound_service_account_namespaces": "b,*"},
    {"bound_service_account_names": "a", "bound_service_account_namespaces": "b", "alias_name_source": "x"},
]


def tokens(api: KubernetesApi) -> list[str]:
    now = int(time.time())
    stranger = KubernetesApi(signer=Signer.make("ES256"))
    accounts = itertools.product(("dev", "prod", "test"), ("app", "other"), ("uid-1", "uid-2"))
    return [
        *(api.token(namespace, name, uid) for namespace, name, uid in accounts),
        api.older_token(),
        api.older_token("prod"),
        api.token(aud=["vault"]),
        api.token(aud=["vault", "other"]),
        api.token(exp=now - 1000),
        api.token(exp=now - 30),
        api.token(nbf=now + 1000),
        api.token(iss="other"),
        stranger.token(),
        Signer.make("EdDSA").sign({"sub": "app"}),
        api.token()[:-8] + "AAAAAAAA",
        "x",
        "",
    ]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"pem": True},
        {"pem": True, "token_reviewer_jwt": "reviewer"},
        {"issuer": "https://kubernetes.default.svc", "disable_iss_validation": False},
        {"token_reviewer_jwt": "gone"},
    ],
)
def test_both_servers_let_in_the_same_accounts(
    mounted: Pair, api: KubernetesApi, authority: Authority, config: dict[str, Any]
) -> None:
    keys = {"pem_keys": [api.signer.pem]} if config.get("pem") else {}
    sent = {name: value for name, value in config.items() if name != "pem"}
    body = {"kubernetes_host": api.address, "kubernetes_ca_cert": authority.pem, "disable_local_ca_jwt": True, **keys}
    for side in mounted:
        assert ask(side, "POST", "config", {**body, **sent}).status == 204
    shown = [ask(side, "GET", "config") for side in mounted]
    found = [shown] if shown[0] != shown[1] else []
    let_in = 0
    for number, role in enumerate(ROLES):
        for side in mounted:
            assert ask(side, "POST", f"role/r{number}", role).status == 204
        roles = [ask(side, "GET", f"role/r{number}") for side in mounted]
        found += [roles] if roles[0] != roles[1] else []
        for token in tokens(api):
            answers = [ask(side, "POST", "login", {"role": f"r{number}", "jwt": token}) for side in mounted]
            let_in += answers[0].status == 200
            found += [answers] if answers[0] != answers[1] else []
    assert not found, "\n".join(map(str, found[:10]))
    assert let_in >= (3 if config.get("token_reviewer_jwt") != "gone" else 0)


def test_both_servers_refuse_the_same_roles_and_configurations(mounted: Pair) -> None:
    for body in WRONG:
        ours, reference = (ask(side, "POST", "role/wrong", body) for side in mounted)
        assert ours == reference, body
    for body in ({}, {"kubernetes_host": "https://x", "disable_local_ca_jwt": True}):
        ours, reference = (ask(side, "POST", "config", body) for side in mounted)
        assert ours == reference, body
