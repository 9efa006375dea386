"""Keys of the operator over the wire: whose they are, who may change them, and Vault's answers."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final

import pysequoia
import pytest

from tests.support.api import Answer, Api
from tests.support.node import NewNode, Node
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer, new_vault_id

TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UNMARSHAL: Final = "failed to parse JSON input: json: cannot unmarshal string into Go struct field"
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
    *((method, f"sys/rekey/{step}") for step in ("init", "verify") for method in ("GET", "PUT", "DELETE")),
    *((method, f"sys/rotate/root/{step}") for step in ("init", "verify") for method in ("GET", "PUT", "DELETE")),
    *((method, f"sys/{name}/backup") for name in ("rekey", "rotate/root") for method in ("GET", "DELETE")),
    *(("PUT", f"sys/{name}/update") for name in ("rekey", "rotate/root", "generate-root", "generate-root-token")),
    *(
        (method, f"sys/{name}/attempt")
        for name in ("generate-root", "generate-root-token")
        for method in ("GET", "PUT", "DELETE")
    ),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_nobody_else_may(node: Node, tenant: Tenant, method: str, path: str) -> None:
    for api in (Api(node.address), tenant.user, tenant.user.with_token("hvs.made-up")):
        assert api.call(method, path).status == 403
    allowed = []
    for name, more in (("some", []), ("all", ["sudo"])):
        rule = {"path": {path: {"capabilities": ["read", "update", "delete", *more]}}}
        tenant.root.post(f"sys/policies/acl/{name}", {"policy": json.dumps(rule)})
        made = tenant.root.post("auth/token/create", {"policies": [name]}).json["auth"]["client_token"]
        allowed.append(tenant.root.with_token(made).call(method, path).status != 403)
    assert allowed == [path == "sys/key-status", True]


class TestRekey:
    """The answers of `sys/rekey` are those of Vault, those of `sys/rotate/root` those of OpenBao."""

    def test_a_rekey_goes_as_in_vault(self, tenant: Tenant) -> None:
        operator, shares = tenant.operator, tenant.shares
        idle = {
            "nonce": "",
            "started": False,
            "t": 0,
            "n": 0,
            "progress": 0,
            "required": 3,
            "pgp_fingerprints": None,
            "backup": False,
            "verification_required": False,
        }
        assert operator.get("sys/rekey/init").json == idle
        begun = operator.call("PUT", "sys/rekey/init", {"secret_shares": 2, "secret_threshold": 2}).json
        nonce = begun["nonce"]
        assert begun == {**idle, "nonce": nonce, "started": True, "t": 2, "n": 2}
        assert list(begun) == list(idle)
        for progress, share in enumerate(shares[:2], 1):
            given = operator.call("PUT", "sys/rekey/update", {"key": share, "nonce": nonce}).json
            assert given == {**begun, "progress": progress}
        done = operator.call("PUT", "sys/rekey/update", {"key": shares[4], "nonce": nonce}).json
        assert list(done) == [
            "nonce",
            "complete",
            "keys",
            "keys_base64",
            "pgp_fingerprints",
            "backup",
            "verification_required",
        ]
        assert (done["complete"], len(done["keys"])) == (True, 2)
        assert operator.get("sys/rekey/init").json == {**idle, "required": 2}
        operator.call("PUT", "sys/seal")
        for share in shares[:3]:
            refused = operator.call("PUT", "sys/unseal", {"key": share})
        assert refused.status == 400 or refused.json["sealed"]
        operator.call("PUT", "sys/unseal", {"reset": True})
        for share in done["keys"]:
            status = operator.call("PUT", "sys/unseal", {"key": share}).json
        assert (status["sealed"], status["t"], status["n"]) == (False, 2, 2)

    def test_a_rekey_goes_as_in_openbao_and_is_verified(self, tenant: Tenant) -> None:
        operator, shares = tenant.operator, tenant.shares
        init, update, verify = (f"sys/rotate/root/{step}" for step in ("init", "update", "verify"))
        assert operator.get(init).data == {"n": 0, "required": 3, "started": False, "t": 0}
        sent = {"secret_shares": 3, "secret_threshold": 2, "require_verification": True}
        begun = operator.post(init, sent).data
        assert begun == {
            "n": 3,
            "nonce": begun["nonce"],
            "progress": 0,
            "required": 3,
            "started": True,
            "t": 2,
            "verification_nonce": "",
            "verification_required": True,
        }
        assert operator.get(verify).data == {"n": 3, "nonce": "", "progress": 0, "started": False, "t": 2}
        for share in shares[:3]:
            given = operator.post(update, {"key": share, "nonce": begun["nonce"]}).data
        assert list(given) == [
            "backup",
            "complete",
            "keys",
            "keys_base64",
            "nonce",
            "pgp_fingerprints",
            "verification_nonce",
            "verification_required",
        ]
        nonce = given["verification_nonce"]
        once = operator.post(verify, {"key": given["keys"][0], "nonce": nonce}).data
        assert once == {"n": 3, "nonce": nonce, "progress": 1, "started": True, "t": 2}
        anew = operator.call("DELETE", verify).data
        assert (anew["progress"], anew["nonce"] != nonce) == (0, True)
        for share in given["keys"][:2]:
            done = operator.post(verify, {"key": share, "nonce": anew["nonce"]}).data
        assert done == {"complete": True, "nonce": anew["nonce"]}
        assert operator.get("sys/seal-status").json["t"] == 2

    @pytest.mark.parametrize(
        ("path", "body", "error"),
        [
            ("sys/rekey/init", {}, "invalid rekey seal configuration: shares must be at least one"),
            ("sys/rotate/root/init", {}, "invalid rotate seal configuration: shares must be at least one"),
            (
                "sys/rekey/init",
                {"secret_shares": "3"},
                f"{UNMARSHAL} RekeyRequest.secret_shares of type int",
            ),
            (
                "sys/rekey/init",
                {"secret_shares": 1, "secret_threshold": 1, "backup": True},
                "cannot request a backup of the new keys without providing PGP keys for encryption",
            ),
            ("sys/rekey/update", {"nonce": "x"}, "'key' must be specified in request body as JSON"),
            ("sys/rekey/update", {"key": "zz"}, "'key' must be a valid hex or base64 string"),
            ("sys/rekey/update", {"key": "00" * 33, "nonce": "x"}, "no barrier rekey in progress"),
            ("sys/rekey/verify", {"key": "00" * 33, "nonce": "x"}, "no rekey in progress"),
            ("sys/rotate/root/update", {"key": "00" * 33}, "missing required field 'nonce'"),
            ("sys/rotate/root/update", {"nonce": "x"}, "missing required field 'key'"),
            ("sys/rotate/root/update", {"key": "00" * 33, "nonce": "x"}, "no rotation in progress"),
        ],
    )
    def test_what_is_wrong_is_told_as_by_vault(
        self, tenant: Tenant, path: str, body: dict[str, object], error: str
    ) -> None:
        assert tenant.operator.call("PUT", path, body).errors == [error]

    def test_there_are_no_recovery_keys(self, tenant: Tenant) -> None:
        for path in ("sys/rekey-recovery-key/init", "sys/rekey/recovery-key-backup", "sys/rotate/recovery/init"):
            assert tenant.operator.delete(path).status == 204
            assert tenant.operator.get(path).errors == [
                "there are no recovery keys here: whoever has a quorum of shares may do all that they are for"
            ]

    def test_the_clusters_operator_rekeys_the_cluster(self, new_node: NewNode, issuer: Issuer) -> None:
        cluster = Api(new_node().address, issuer.cluster_operator())
        made = cluster.call("PUT", "sys/init", {"secret_shares": 3, "secret_threshold": 2}).json
        for share in made["keys"][:2]:
            cluster.call("PUT", "sys/unseal", {"key": share})
        begun = cluster.call("PUT", "sys/rekey/init", {"secret_shares": 1, "secret_threshold": 1}).json
        for share in made["keys"][1:]:
            done = cluster.call("PUT", "sys/rekey/update", {"key": share, "nonce": begun["nonce"]}).json
        cluster.call("PUT", "sys/seal")
        assert cluster.call("PUT", "sys/unseal", {"key": done["keys_base64"][0]}).json["sealed"] is False
        assert cluster.get("sys/generate-root/attempt").errors == [
            "a cluster has no root token, a vault has: its operator, or who has its shares, generates one there"
        ]


class TestRootTokens:
    @pytest.mark.parametrize("name", ["generate-root", "generate-root-token"])
    def test_a_quorum_makes_a_root_token(self, tenant: Tenant, name: str) -> None:
        operator = tenant.operator

        def shown(answer: Answer) -> dict[str, Any]:
            found: dict[str, Any] = answer.json.get("data") or answer.json
            return found

        attempt, update = f"sys/{name}/attempt", f"sys/{name}/update"
        idle = shown(operator.get(attempt))
        assert (idle["started"], idle["required"], idle["otp_length"]) == (False, 3, 28)
        begun = shown(operator.call("PUT", attempt))
        assert len(begun["otp"]) == 28
        assert shown(operator.get(attempt))["otp"] == ""
        assert operator.call("PUT", attempt).errors == ["root generation already in progress"]
        for share in tenant.shares[:3]:
            given = shown(operator.call("PUT", update, {"key": share, "nonce": begun["nonce"]}))
        assert (given["complete"], given["progress"], given["started"]) == (True, 3, True)
        sent = {"encoded_token": given["encoded_token"], "otp": begun["otp"]}
        token = operator.post("sys/decode-token", sent).data["token"]
        own = operator.with_token(token).get("auth/token/lookup-self").data
        assert (own["policies"], own["path"], own["ttl"]) == (["root"], "auth/token/root", 0)
        assert operator.with_token(token).get("sys/policies/acl?list=true").status == 200
        assert shown(operator.get(attempt)) == idle

    def test_a_wrong_quorum_makes_none(self, tenant: Tenant) -> None:
        begun = tenant.operator.call("PUT", "sys/generate-root/attempt", {"otp": "A" * 28}).json
        assert begun["otp"] == ""
        for share in [*tenant.shares[:2], "09" * 33]:
            answer = tenant.operator.call("PUT", "sys/generate-root/update", {"key": share, "nonce": begun["nonce"]})
        assert answer.errors == ["invalid key: the shares do not give the key; progress was reset"]
        assert tenant.operator.get("sys/generate-root/attempt").json["progress"] == 0
        assert tenant.operator.call("DELETE", "sys/generate-root/attempt").status == 204

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({"otp": "abc"}, "OTP string has incorrect length"),
            ({"otp": "A" * 28, "pgp_key": "AAAA"}, "either otp or pgp_key may be given, not both"),
            ({"pgp_key": "AAAA"}, "error parsing given PGP key: it is no OpenPGP certificate"),
        ],
    )
    def test_a_wrong_attempt_is_refused(self, tenant: Tenant, body: dict[str, object], error: str) -> None:
        assert tenant.operator.call("PUT", "sys/generate-root/attempt", body).errors == [error]


class TestPgp:
    """What is encrypted is read by the holder's private key alone, and opens what it should."""

    def test_shares_and_the_root_token_of_an_initialisation(self, node: Node, issuer: Issuer) -> None:
        holders = [pysequoia.Tsk.generate(f"{name} <{name}@example.org>") for name in "abc"]
        keys = [certificate_of(holder) for holder in holders]
        operator = Api(node.address, issuer.tenant_operator(new_vault_id()))
        sent = {"secret_shares": 2, "secret_threshold": 2, "pgp_keys": keys[:1], "root_token_pgp_key": keys[2]}
        refused = operator.call("PUT", "sys/init", sent)
        assert refused.errors[0].endswith("count mismatch between number of provided PGP keys and number of shares")
        made = operator.call("PUT", "sys/init", {**sent, "pgp_keys": keys[:2]}).json
        for holder, share in zip(holders, made["keys"], strict=False):
            status = operator.call("PUT", "sys/unseal", {"key": read_by(holder, bytes.fromhex(share))}).json
        assert status["sealed"] is False
        token = read_by(holders[2], base64.b64decode(made["root_token"]))
        assert operator.with_token(token).get("auth/token/lookup-self").data["policies"] == ["root"]

    def test_a_rekey_with_a_backup(self, tenant: Tenant) -> None:
        operator = tenant.operator
        holder = pysequoia.Tsk.generate("a <a@example.org>")
        fingerprint = holder.extract_certificate().fingerprint
        assert operator.get("sys/rekey/backup").errors == ["no backed-up keys found"]
        sent = {"secret_shares": 2, "secret_threshold": 2, "pgp_keys": [certificate_of(holder)] * 2, "backup": True}
        begun = operator.call("PUT", "sys/rekey/init", sent).json
        assert (begun["pgp_fingerprints"], begun["backup"]) == ([fingerprint] * 2, True)
        for share in tenant.shares[:3]:
            done = operator.call("PUT", "sys/rekey/update", {"key": share, "nonce": begun["nonce"]}).json
        kept = operator.get("sys/rekey/backup").json
        assert kept["data"] == {name: kept[name] for name in ("keys", "keys_base64", "nonce")}
        assert kept["keys"] == {fingerprint: done["keys"]}
        assert operator.get("sys/rotate/root/backup").data == kept["data"]
        assert operator.call("DELETE", "sys/rekey/backup").status == 204
        assert operator.get("sys/rekey/backup").status == 400
        operator.call("PUT", "sys/seal")
        for share in done["keys"]:
            status = operator.call("PUT", "sys/unseal", {"key": read_by(holder, bytes.fromhex(share))}).json
        assert status["sealed"] is False

    def test_a_root_token(self, tenant: Tenant) -> None:
        holder = pysequoia.Tsk.generate("a <a@example.org>")
        sent = {"pgp_key": certificate_of(holder)}
        begun = tenant.operator.call("PUT", "sys/generate-root/attempt", sent).json
        assert begun["pgp_fingerprint"] == holder.extract_certificate().fingerprint
        for share in tenant.shares[:3]:
            done = tenant.operator.call(
                "PUT", "sys/generate-root/update", {"key": share, "nonce": begun["nonce"]}
            ).json
        token = read_by(holder, base64.b64decode(done["encoded_token"]))
        assert tenant.operator.with_token(token).get("auth/token/lookup-self").data["policies"] == ["root"]


def test_ceremonies_are_told_of_in_the_log_and_no_share_is(node: Node, tenant: Tenant) -> None:
    begun = tenant.operator.call("PUT", "sys/rekey/init", {"secret_shares": 1, "secret_threshold": 1}).json
    for share in tenant.shares[:3]:
        done = tenant.operator.call("PUT", "sys/rekey/update", {"key": share, "nonce": begun["nonce"]}).json
    log = node.log
    for event in ("rekey begun", "rekey share given", "rekeyed"):
        assert any(event in line and tenant.vault_id in line for line in log.splitlines()), event
    for secret in (*tenant.shares, *done["keys"], *done["keys_base64"]):
        assert secret not in log


def test_attempts_are_counted_also_those_that_fail(node: Node, tenant: Tenant) -> None:
    begun = tenant.operator.call("PUT", "sys/rekey/init", {"secret_shares": 1, "secret_threshold": 1}).json
    for share in [*tenant.shares[:2], "09" * 33]:
        tenant.operator.call("PUT", "sys/rekey/update", {"key": share, "nonce": begun["nonce"]})
    tenant.operator.call("PUT", "sys/rekey/update", {"key": "08" * 33, "nonce": "another"})
    shown = Api(node.metrics_address).call("GET", "/metrics").body.decode()
    for event, outcome in (
        ("rekey begun", "made"),
        ("rekey share given", "made"),
        ("rekey progress dropped", "refused"),
        ("rekey share refused", "refused"),
    ):
        assert f'kms_changes_total{{event="{event}",outcome="{outcome}"}}' in shown


def certificate_of(holder: Any) -> str:
    return base64.b64encode(bytes(holder.extract_certificate())).decode()


def read_by(holder: Any, message: bytes) -> str:
    plain = pysequoia.decrypt(message, decryptor=holder.decryptor()).bytes
    assert plain is not None
    return plain.decode()
