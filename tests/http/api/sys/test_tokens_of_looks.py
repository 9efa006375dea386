"""What a token changes at what anybody may ask, and at a sealed vault.

The kind: a look that needs no token fails because of one, or speaks of another scope than the token's. A token that
proves nothing is dropped in the one place that turns tokens into callers, so no look can differ; and a service token
is known by a proof that is readable while its vault is sealed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from kms_actors import messages
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import TokenProof
from kms_actors.errors import AuthenticationFailed
from kms_actors.messages import SealStatus
from kms_actors.observe import bounded
from tests.http.conftest import VAULT_ID

if TYPE_CHECKING:
    from tests.http.conftest import Service

LOOKS = ("sys/seal-status", "sys/health", "sys/leader", "sys/init", "sys/internal/ui/mounts")
ROOT_TOKEN = "hvs.000007" + "a" * 18
PROOF = TokenProof(right=Right.ROOT, created=1_795_503_611.0)
DENIED = ["permission denied"]


def comparable(body: Any) -> Any:
    return {name: value for name, value in body.items() if name not in {"server_time_utc", "request_id"}}


@pytest.mark.parametrize("path", LOOKS)
@pytest.mark.parametrize("token", ["bad", "foreign-operator", "revoked", "unknown", "hvs.000008" + "a" * 18])
@pytest.mark.parametrize("sealed", [False, True])
async def test_a_token_that_proves_nothing_is_ignored(service: Service, path: str, token: str, sealed: bool) -> None:
    service.backend.node_sealed = sealed
    service.tenant.answers[messages.AuthenticateToken] = AuthenticationFailed("no such token")
    if token == "revoked":
        service.backend.revoked_ids = {"r1"}
        token = "operator"
    answer = await service.call("GET", f"/v1/{path}", ROOT_TOKEN if token == "unknown" else token)
    without = await service.call("GET", f"/v1/{path}")
    assert (answer.status, comparable(answer.json)) == (without.status, comparable(without.json))


async def test_why_a_token_is_refused_is_in_the_log_with_the_request(service: Service) -> None:
    service.tenant.revoked_ids = {"r1"}
    with capture_logs() as logs:
        await service.call("GET", "/v1/sys/mounts", "root")
        await service.call("GET", "/v1/sys/mounts", "hvs.000008" + "a" * 18)
    assert [(entry["event"], entry["reason"], entry.get("scope")) for entry in logs] == [
        ("token refused", "token was revoked", VAULT_ID),
        ("token refused", "unknown service token", None),
    ]
    assert all(len(entry["request_id"]) == 36 for entry in logs)
    assert "hvs." not in str(logs)


async def test_refusals_do_not_fill_the_log(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST", 3)
    with capture_logs() as logs:
        for number in range(20):
            await service.call("GET", "/v1/sys/mounts", f"hvs.000008{number:018}")
    assert sum(entry["event"] == "token refused" for entry in logs) < 20


class TestServiceTokenOfASealedVault:
    @pytest.fixture(autouse=True)
    def _sealed(self, service: Service) -> None:
        service.tenant.sealed = True
        service.backend.proof = PROOF
        service.tenant.answers[messages.ReadSealStatus] = SealStatus(
            initialized=True, sealed=True, threshold=2, shares=3
        )

    async def test_sees_its_vaults_state(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/seal-status", ROOT_TOKEN)
        assert (answer.status, answer.json["sealed"], answer.json["n"]) == (200, True, 3)
        assert (await service.call("GET", "/v1/sys/health", ROOT_TOKEN)).status == 503

    async def test_unseals_what_it_sealed(self, service: Service) -> None:
        open_again = SealStatus(initialized=True, sealed=False, threshold=2, shares=3)
        service.tenant.answers[messages.Unseal] = open_again
        answer = await service.call("PUT", "/v1/sys/unseal", ROOT_TOKEN, json={"key": "01" * 33})
        assert (answer.status, answer.json["sealed"]) == (200, False)

    async def test_is_looked_up(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/auth/token/lookup-self", ROOT_TOKEN)
        assert (answer.json["data"]["policies"], answer.json["data"]["creation_time"]) == (["root"], 1_795_503_611)

    async def test_opens_nothing_else(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/toy/names/a", ROOT_TOKEN)
        assert (answer.status, answer.errors) == (503, ["Vault is sealed"])

    @pytest.mark.parametrize("proof", [None, TokenProof(right=Right.ROOT, created=0.0, expires_at=1.0)])
    async def test_that_is_of_an_older_program_or_over_proves_nothing(
        self, service: Service, proof: TokenProof | None
    ) -> None:
        service.backend.proof = proof
        answer = await service.call("PUT", "/v1/sys/unseal", ROOT_TOKEN, json={"key": "01" * 33})
        assert (answer.status, answer.errors) == (403, DENIED)
        assert service.tenant.asked == []


@pytest.mark.parametrize("path", ["auth/token/lookup-self", "toy/names/a", "sys/mounts"])
async def test_made_up_tokens_are_answered_alike_whatever_they_name(service: Service, path: str) -> None:
    service.tenant.answers[messages.AuthenticateToken] = AuthenticationFailed("no such token")
    answers = [await service.call("GET", f"/v1/{path}", f"hvs.00000{n}" + "b" * 18) for n in (7, 8)]
    assert [(answer.status, answer.errors) for answer in answers] == [(403, DENIED)] * 2
    assert answers[0].body == answers[1].body
