"""What one tenant knows of another's tokens, leases and names: worth nothing.

Each test is named after an advisory of a server of this kind.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.advisories.conftest import token_of
from tests.support.api import Answer, Api
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer


def made(tenant: Tenant) -> tuple[Api, str, str]:
    """Return the bearer of a token that may be renewed, its accessor, and its lease."""
    answer = tenant.operator.post("auth/token/create", {"policies": ["default"], "ttl": "1h", "renewable": True})
    accessor = str(answer.json["auth"]["accessor"])
    (lease,) = tenant.operator.list("sys/leases/lookup/auth/token/create/").data["keys"]
    return tenant.operator.with_token(token_of(answer)), accessor, f"auth/token/create/{lease}"


def end_of(bearer: Api) -> Any:
    return bearer.get("auth/token/lookup-self").data["expire_time"]


def strangers(other: Tenant, tenant: Tenant) -> list[Api]:
    """Return who is mighty in another vault: by himself, and naming this one."""
    mighty = [other.operator, other.root]
    return mighty + [each.with_headers(**{"X-Vault-Namespace": tenant.vault_id}) for each in mighty]


def test_ghsa_c36x_h252_g9x2_leases_of_another_vault_are_not_revoked(tenant: Tenant, other: Tenant) -> None:
    """CVE-2026-55774: `sys/leases/revoke` took a lease of any namespace, once its id was known.

    Here a lease is looked up among those of the vault of who asks: there is no other table to find it in.
    """
    bearer, _, lease = made(tenant)
    end = end_of(bearer)
    for stranger in strangers(other, tenant):
        for answer in (
            stranger.put("sys/leases/revoke", {"lease_id": lease}),
            stranger.put(f"sys/leases/revoke/{lease}"),
            stranger.put("sys/leases/renew", {"lease_id": lease, "increment": 9999}),
            stranger.put("sys/leases/lookup", {"lease_id": lease}),
            stranger.put(f"sys/leases/revoke-prefix/{lease}"),
            stranger.put("sys/leases/revoke-force/auth/token"),
        ):
            assert lease not in answer.body.decode()
    assert end_of(bearer) == end
    assert tenant.operator.put("sys/leases/revoke", {"lease_id": lease}).status == 204  # by whom it concerns, it is
    assert bearer.get("auth/token/lookup-self").status == 403


def test_ghsa_v8v8_cm84_m686_there_are_no_legacy_endpoints_of_leases(tenant: Tenant, other: Tenant) -> None:
    """CVE-2026-45808: `sys/revoke` and `sys/renew`, older than namespaces, knew nothing of them.

    Here they do not exist, for anybody.
    """
    bearer, _, lease = made(tenant)
    end = end_of(bearer)
    for caller in (tenant.operator, tenant.root, *strangers(other, tenant)):
        for path in ("sys/revoke", "sys/renew", "sys/revoke-prefix/auth", "sys/revoke-force/auth"):
            for answer in (caller.put(path, {"lease_id": lease}), caller.put(f"{path}/{lease}")):
                assert answer.status in {400, 403, 404}, path
    assert end_of(bearer) == end


def test_ghsa_p49j_v9wc_wg57_accessors_of_another_vault_are_unknown(tenant: Tenant, other: Tenant) -> None:
    """CVE-2026-40264: who administers one tenant revoked and renewed tokens of another by their accessors.

    Here an accessor's record lies below the vault's own prefix of the store, and is looked for nowhere else.
    """
    bearer, accessor, _ = made(tenant)
    end = end_of(bearer)
    for stranger in strangers(other, tenant):
        for path in ("lookup-accessor", "renew-accessor", "revoke-accessor"):
            answer = stranger.post(f"auth/token/{path}", {"accessor": accessor, "increment": 9999})
            assert answer.status in {400, 403, 404} or answer.json["warnings"][0].startswith("No token found"), path
        answer = stranger.post("sys/capabilities-accessor", {"accessor": accessor, "path": "secret/data/a"})
        assert answer.status in {400, 403}
        assert accessor not in other.operator.list("auth/token/accessors").data["keys"]
    assert end_of(bearer) == end
    assert tenant.operator.post("auth/token/revoke-accessor", {"accessor": accessor}).status == 204
    assert bearer.get("auth/token/lookup-self").status == 403


def test_a_token_of_another_vault_is_not_looked_up_renewed_or_revoked(tenant: Tenant, other: Tenant) -> None:
    """The same by the token itself, which a leak shows whole."""
    bearer, _, _ = made(tenant)
    end = end_of(bearer)
    for stranger in strangers(other, tenant):
        for path in ("lookup", "renew", "revoke", "revoke-orphan"):
            answer = stranger.post(f"auth/token/{path}", {"token": bearer.token, "increment": 9999})
            assert answer.status in {204, 400, 403}, path  # 204: there is none, so none is left
    assert end_of(bearer) == end


_NONE = b'"warnings":["requested namespace does not exist"]'
ROOTS = ("root", "Root", "ROOT", "root/", "%72oot", "./root", "..", "../root", "%2e%2e", "%2froot", "%00", "")


@pytest.mark.parametrize("name", ROOTS)
def test_ghsa_mwr2_wmgp_crj6_no_spelling_of_root_is_the_parent(
    name: str, tenant: Tenant, other: Tenant, cluster: Api
) -> None:
    """CVE-2026-55775: `root`, given as a name below a namespace, was cleaned away: its operator managed the parent.

    Here names of vaults are compared whole and never cleaned, and only the cluster's operator manages vaults.
    """
    for path in ("sys/namespaces", "sys/tenants"):
        answers = [tenant.operator.call(verb, f"{path}/{name}") for verb in ("GET", "POST", "PUT", "DELETE", "PATCH")]
        answers.append(tenant.operator.put(f"{path}/{name}/seal"))
        for answer in answers:  # to remove what is not there is no error, and says so
            assert 400 <= answer.status < 500 or _NONE in answer.body, (path, answer.status, answer.body)
    if name.isprintable() and "%" not in name:
        named = tenant.operator.with_headers(**{"X-Vault-Namespace": name})
        for answer in (named.get("sys/seal-status"), named.get("sys/mounts"), named.get("sys/tenants/")):
            assert _is_of_own_vault_or_refused(answer), (answer.status, answer.body)
    for vault in (tenant, other):
        assert vault.operator.get("sys/seal-status").json["sealed"] is False
    assert cluster.get("sys/seal-status").json["sealed"] is False


def _is_of_own_vault_or_refused(answer: Answer) -> bool:
    if answer.status >= 400:
        return True
    told = answer.json
    return told.get("n") == 5 and told.get("t") == 3 if "n" in told else "secret/" in told["data"]


def test_ghsa_mjch_vcw3_hhmf_a_policy_is_that_of_ones_own_vault(
    tenant: Tenant, other: Tenant, issuer: Issuer
) -> None:
    """A cache of policies was asked by a name with `../` in it, and gave one of another namespace.

    Here a name of a policy has no slash, and what is compiled of policies is kept by the vault that they are of.
    """
    generous = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
    assert tenant.operator.put("sys/policies/acl/wide", {"policy": generous}).status == 204
    assert other.operator.put("sys/policies/acl/wide", {"policy": "# nothing"}).status == 204
    rich = tenant.user.with_token(issuer.tenant(tenant.vault_id, policies=["wide"]))
    for _ in range(3):
        assert rich.post("secret/data/a", {"data": {"a": "b"}}).status == 200  # it is in every cache there is
        for name in ("wide", f"../{tenant.vault_id}/wide", f"{tenant.vault_id}/wide", "./wide"):
            made = other.operator.post("auth/token/create", {"policies": [name], "no_default_policy": True})
            if made.status == 200:
                poor = other.user.with_token(token_of(made))
                assert poor.post("secret/data/a", {"data": {"a": "b"}}).status == 403, name
