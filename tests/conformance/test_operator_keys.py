"""Keys of the operator over the wire: whose they are, who may change them, and Vault's answers."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.support.api import Api
from tests.support.node import Node
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer

TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
RANGE: Final = "max_operations must be in the range [1000000,3865470566]"


@pytest.fixture
def cluster(node: Node, issuer: Issuer) -> Api:
    """The cluster's operator."""
    return Api(node.address, issuer.cluster_operator())


@pytest.mark.parametrize("path", ["sys/rotate", "sys/rotate/keyring"])
def test_a_rotation_is_of_the_scope_of_the_token(tenant: Tenant, cluster: Api, path: str) -> None:
    tenant.user.post("secret/data/before", {"data": {"a": 1}})
    terms = [api.get("sys/key-status").data["term"] for api in (tenant.operator, cluster)]
    assert tenant.operator.call("PUT", path).status == 204
    assert [api.get("sys/key-status").data["term"] for api in (tenant.root, cluster)] == [terms[0] + 1, terms[1]]
    assert cluster.post(path, {}).status == 204
    assert [api.get("sys/key-status").data["term"] for api in (tenant.root, cluster)] == [terms[0] + 1, terms[1] + 1]
    assert tenant.user.get("secret/data/before").data["data"] == {"a": 1}


def test_the_status_shows_its_fields_twice_as_vault_does(tenant: Tenant) -> None:
    tenant.user.post("secret/data/app", {"data": {"a": 1}})
    shown = tenant.operator.get("sys/key-status").json
    assert shown["data"] == {name: shown[name] for name in ("encryptions", "install_time", "term")}
    assert TIME.fullmatch(shown["install_time"])
    assert shown["encryptions"] > 0


@pytest.mark.parametrize("path", ["sys/rotate/config", "sys/rotate/keyring/config"])
def test_the_configuration_of_rotations(tenant: Tenant, path: str) -> None:
    operator = tenant.operator
    assert operator.get(path).data == {"enabled": True, "interval": 0, "max_operations": 3_865_470_566}
    assert operator.post(path, {"max_operations": 2_000_000, "interval": "25h"}).status == 204
    assert operator.post(path, {"enabled": False}).status == 204
    assert operator.get(path).data == {"enabled": False, "interval": "25h0m0s", "max_operations": 2_000_000}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"max_operations": 5}, RANGE),
        ({"max_operations": 0}, RANGE),
        ({"max_operations": 3_865_470_567}, RANGE),
        ({"interval": "1h"}, "interval must be greater or equal to 24h0m0s"),
    ],
)
def test_a_wrong_configuration_is_refused_in_vaults_words(
    tenant: Tenant, body: dict[str, object], error: str
) -> None:
    assert tenant.operator.post("sys/rotate/config", body).errors == [error]


OPERATIONS: Final = [
    ("GET", "sys/key-status"),
    ("PUT", "sys/rotate"),
    ("GET", "sys/rotate/config"),
    ("PUT", "sys/rotate/config"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_nobody_else_may(node: Node, tenant: Tenant, method: str, path: str) -> None:
    for api in (Api(node.address), tenant.user, tenant.user.with_token("hvs.made-up")):
        assert api.call(method, path).status == 403
    tenant.root.post("sys/policies/acl/some", {"policy": f'path "{path}" {{ capabilities = ["read", "update"] }}'})
    tenant.root.post(
        "sys/policies/acl/all", {"policy": f'path "{path}" {{ capabilities = ["read", "update", "sudo"] }}'}
    )
    made = [
        tenant.root.post("auth/token/create", {"policies": [name]}).json["auth"]["client_token"]
        for name in ("some", "all")
    ]
    allowed = [tenant.root.with_token(token).call(method, path).status != 403 for token in made]
    assert allowed == [path == "sys/key-status", True]
