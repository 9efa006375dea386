"""What Vault has and this server has not.

The kind: a client asks for a feature that is not there, and learns nothing but `unsupported path`. All families of
Vault's documented API are in one table, with what to use instead; a route that comes takes its path from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kms_http.api import missing
from kms_http.api.routes import SYSTEM
from kms_http.routing import Operation

if TYPE_CHECKING:
    from tests.http.conftest import Service

#: One request of each family, and a word of what is said.
ASKED = [
    ("LIST", "sys/policies/none", "sys/policies/acl/<name>"),
    ("GET", "sys/external-keys/configs/x", "Transit imports"),
    ("POST", "sys/workflows/manage/x", "no workflows"),
    ("POST", "sys/config/ui/headers/X-A", "its operator sets them"),
    ("PUT", "sys/policies/rgp/x", "Enterprise"),
    ("GET", "sys/rekey/none", "sys/rekey/init"),
    ("PUT", "sys/rekey-recovery-key/none", "sys/rekey-recovery-key/init"),
    ("PUT", "sys/generate-recovery-token/attempt", "kms-cli store check"),
    ("GET", "sys/generate-root/none", "sys/generate-root/attempt"),
    ("PUT", "sys/rotate/root", "the root key"),
    ("GET", "sys/rotate/none", "the keyring"),
    ("PUT", "sys/renew", "sys/leases/renew"),
    ("GET", "sys/plugins/runtimes/catalog", "no plugins"),
    ("POST", "sys/plugins/reload/backend", "no plugins"),
    ("PUT", "sys/plugins/catalog/secret/x", "no plugins"),
    ("PUT", "sys/namespaces/x", "made by initialising"),
    ("POST", "sys/namespaces/x/seal", "kms-cli tenants seal"),
    ("POST", "sys/namespaces/x/unseal", "by their own operators"),
    ("POST", "sys/namespaces/api-lock/lock", "not locked"),
    ("POST", "sys/namespaces/api-lock/unlock/x", "not locked"),
    ("GET", "sys/namespaces/x/seal-status", "sys/tenants/<vault id>"),
    ("POST", "sys/storage/raft/snapshot", "kms-cli restore"),
    ("GET", "sys/storage/raft/snapshot", "kms-cli backup"),
    ("POST", "sys/storage/raft/snapshot-force", "kms-cli restore"),
    ("PUT", "sys/step-down", "all nodes are equal"),
    ("POST", "sys/config/none", "its file"),
    ("GET", "sys/raw/core", "kms-cli backup"),
    ("GET", "sys/pprof/heap", "of a Go program"),
    ("GET", "sys/internal/inspect/request", "show tokens"),
    ("GET", "sys/rotate/recovery/none", "recovery shares are changed at"),
    ("POST", "identity/alias", "identity/entity-alias"),
    ("LIST", "identity/persona/id", "identity/entity-alias"),
    ("GET", "identity/oidc/token/role", "not issued"),
    ("LIST", "identity/oidc/provider", "OpenID"),
    ("POST", "identity/mfa/method/totp", "no MFA"),
]


@pytest.mark.parametrize(("method", "path", "said"), ASKED)
async def test_each_family_is_answered_with_one_sentence(service: Service, method: str, path: str, said: str) -> None:
    answer = await service.call(method, f"/v1/{path}", "root", json={} if method in {"POST", "PUT"} else None)
    assert answer.status == 400
    (text,) = answer.errors
    assert said in text
    assert "unsupported path" not in text


def test_the_table_has_all_of_them_and_no_path_that_is_there() -> None:
    families = {family for _, path, _ in ASKED for family in missing._SENTENCES if path.startswith(family)}
    untested = set(missing._SENTENCES) - families
    assert all(missing.sentence(family) for family in untested - {"auth/token", "sys/quotas"})
    for family in set(missing._SENTENCES) - {"sys/rotate"}:  # which is there itself: what is told is of paths below
        found = SYSTEM.find(family, Operation.WRITE)
        assert found is None or found.endpoint is None


@pytest.mark.parametrize("path", ["auth/token/create", "sys/policies/rgp/x", "identity/oidc/key/x"])
async def test_all_else_is_told_to_who_has_a_token(service: Service, path: str) -> None:
    answer = await service.call("POST", f"/v1/{path}", json={})
    assert (answer.status, answer.errors) == (403, ["permission denied"])
    service.authenticator.principals["root"].allowed = lambda access: access.path.startswith("secret/")
    answer = await service.call("POST", f"/v1/{path}", "root", json={})
    assert answer.status == 403


@pytest.mark.parametrize("path", ["sys/nosuch", "sys/policiesx", "auth/token/nosuch", "nosuch/x"])
async def test_what_vault_has_not_either_is_not_found(service: Service, path: str) -> None:
    assert (await service.call("GET", f"/v1/{path}", "root")).status == 404
