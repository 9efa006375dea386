"""What policies bind beside capabilities, asked of a node by those who have them."""

from __future__ import annotations

import pytest

from tests.support.api import Api
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer


def bearer(tenant: Tenant, issuer: Issuer, text: str) -> Api:
    """Return who has a policy of this text, and nothing else."""
    assert tenant.operator.put("sys/policies/acl/one", {"policy": text}).status == 204
    return tenant.user.with_token(issuer.tenant(tenant.vault_id, policies=["one"]))


def test_values_of_a_body_are_compared_as_they_were_sent(tenant: Tenant, issuer: Issuer) -> None:
    """The kind: a body that is read in a faster way looks another to a rule, which then lets it through."""
    tenant.user.post("transit/keys/k", {})
    user = bearer(
        tenant,
        issuer,
        """path "transit/encrypt/k" {
          capabilities = ["update", "create"]
          denied_parameters = { batch_input = [[{ plaintext = "QUFB" }]] }
        }""",
    )
    assert user.post("transit/encrypt/k", {"batch_input": [{"plaintext": "QUFB"}]}).status == 403
    assert user.post("transit/encrypt/k", {"batch_input": [{"plaintext": "QUFC"}]}).status == 200
    assert user.post("transit/encrypt/k", {"plaintext": "QUFB"}).status == 200


def test_kv_version_2_has_its_fields_in_data_and_options(tenant: Tenant, issuer: Issuer) -> None:
    user = bearer(
        tenant,
        issuer,
        """path "secret/data/*" {
          capabilities = ["create", "update", "read"]
          required_parameters = ["options"]
          allowed_parameters = { data = [], options = [{ cas = 0 }] }
        }""",
    )
    assert user.post("secret/data/a", {"data": {"x": "1"}}).status == 403
    assert user.post("secret/data/a", {"data": {"x": "1"}, "options": {"cas": 1}}).status == 403
    assert user.post("secret/data/a", {"data": {"x": "1"}, "options": {"cas": 0}}).status == 200
    assert user.get("secret/data/a").status == 403  # as in Vault: what is required of a write is required of a read


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["a", "b"]),
        ("&limit=1", ["a"]),
        ("&limit=max", ["a", "b"]),
        ("&limit=3", None),
        ("&limit=x", None),
    ],
)
def test_lists_are_no_longer_than_a_policy_says(
    tenant: Tenant, issuer: Issuer, query: str, names: list[str] | None
) -> None:
    for name in "abcd":
        tenant.user.post(f"secret/data/f/{name}", {"data": {}})
    text = 'path "secret/metadata/f/" { capabilities = ["list"] pagination_limit = 2 }'
    answer = bearer(tenant, issuer, text).get(f"secret/metadata/f?list=true{query}")
    if names is None:
        assert answer.status == 403
    else:
        assert answer.data == {"keys": names}


def test_a_change_counts_for_the_next_request(tenant: Tenant, issuer: Issuer) -> None:
    user = bearer(tenant, issuer, 'path "secret/data/a" { capabilities = ["create", "update", "read"] }')
    assert user.post("secret/data/a", {"data": {"x": "1"}}).status == 200
    for number in range(5):
        tenant.operator.put(f"sys/policies/acl/other-{number}", {"policy": "# nothing"})
        assert user.post("secret/data/a", {"data": {"x": "1"}}).status == 200
    bearer(tenant, issuer, 'path "secret/data/a" { capabilities = ["read"] }')
    assert user.post("secret/data/a", {"data": {"x": "1"}}).status == 403
    assert user.get("secret/data/a").status == 200
