"""What one tenant knows of another's tokens, leases and names: worth nothing.

Each test is named after an advisory of a server of this kind.
"""

from __future__ import annotations

from typing import Any

import pytest

from kms_actors.auth.build import Privilege
from tests.advisories.conftest import token_of
from tests.auth.mint import Mint
from tests.support.api import Answer, Api
from tests.support.tenant import Tenant
from tests.support.tokens import NAMESPACE, Issuer


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


ROOTS = ("root", "Root", "ROOT", "root/", "/root/", "%72oot", "./root", "..", "../root", "%2e%2e", "%2froot", "")


@pytest.mark.parametrize("name", ROOTS)
def test_ghsa_mwr2_wmgp_crj6_no_spelling_of_root_is_the_parent(name: str, tenant: Tenant, cluster: Api) -> None:
    """CVE-2026-55775: `root`, given as a name below a namespace, was cleaned away: its operator managed the parent.

    Here names of vaults are compared whole and never cleaned, and only the cluster's operator manages vaults.
    """
    before = cluster.get("sys/key-status").data["term"]
    for operator in (tenant.operator, tenant.root, cluster):
        for folder in ("sys/namespaces", "sys/tenants"):
            answers = [operator.call(verb, f"{folder}/{name}") for verb in ("GET", "POST", "PUT", "DELETE", "PATCH")]
            answers += [operator.put(f"{folder}/{name}/{what}") for what in ("seal", "lock", "unseal", "keep")]
            assert all(_nothing_came_of(answer) for answer in answers), [(each.status, each.body) for each in answers]
    for caller in (tenant.operator, tenant.root):
        named = caller.with_headers(**{"X-Vault-Namespace": name})
        assert named.post("sys/rotate").status in {204, 403}
        status = named.get("sys/seal-status")
        assert status.status == 403 or status.json["cluster_name"] == tenant.vault_id
    named = tenant.operator.with_headers(**{"X-Vault-Namespace": name})
    sealed = named.put("sys/seal").status
    assert tenant.operator.get("sys/seal-status").json["sealed"] is (sealed == 204)  # it is his own, or refused
    assert cluster.get("sys/seal-status").json["sealed"] is False
    assert cluster.get("sys/key-status").data["term"] == before


def _nothing_came_of(answer: Answer) -> bool:
    """To remove what is not there is no error, and says so."""
    return 400 <= answer.status < 500 or b'"warnings":["requested namespace does not exist"]' in answer.body


@pytest.mark.parametrize("name", ["root", "Root", "root/", "", ".", NAMESPACE, NAMESPACE.upper(), f"{NAMESPACE}/"])
def test_ghsa_mwr2_wmgp_crj6_no_token_of_a_vault_names_the_parent(name: str, issuer: Issuer, cluster: Api) -> None:
    """The same of the name in a token: a vault that is called like the cluster would be taken for it."""
    for privilege in (Privilege.TENANT_OPERATOR, Privilege.TENANT):
        caller = cluster.with_token(Mint(issuer.keys).token_for_anything(name, privilege))
        shares = {"secret_shares": 1, "secret_threshold": 1}
        for answer in (caller.put("sys/init", shares), caller.put("sys/seal"), caller.list("sys/tenants")):
            assert answer.status == 403, answer.body
    assert cluster.get("sys/seal-status").json["sealed"] is False


def test_ghsa_mjch_vcw3_hhmf_a_policy_is_that_of_ones_own_vault(
    tenant: Tenant, other: Tenant, issuer: Issuer
) -> None:
    """A cache of policies was asked by a name with `../` in it, and gave one of another namespace.

    Here what is compiled of policies is kept by the vault that they are of, and a name is compared whole.
    """
    generous = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
    assert tenant.operator.put("sys/policies/acl/wide", {"policy": generous}).status == 204
    assert other.operator.put("sys/policies/acl/wide", {"policy": "# nothing"}).status == 204
    for _ in range(4):
        for rich in bearers(tenant, issuer, "wide"):  # it is in every cache there is
            assert rich.post("secret/data/a", {"data": {"a": "b"}}).status == 200
    places = ("", f"../{tenant.vault_id}/", f"../../{tenant.vault_id}/", f"{tenant.vault_id}/", "./")
    for name in (f"{place}wide" for place in places):
        for poor in bearers(other, issuer, name):
            for answer in (poor.get("secret/data/a"), poor.post("secret/data/a", {"data": {"a": "b"}})):
                assert answer.status == 403, (name, answer.body)


def bearers(tenant: Tenant, issuer: Issuer, policy: str) -> list[Api]:
    """Return who has one policy, by each kind of token."""
    found = [tenant.user.with_token(issuer.tenant(tenant.vault_id, policies=[policy]))]
    for kind in ("service", "batch"):
        wanted = {"policies": [policy], "no_default_policy": True, "type": kind}
        found.append(tenant.user.with_token(token_of(tenant.operator.post("auth/token/create", wanted))))
    return found
