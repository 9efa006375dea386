"""What a Kubernetes API server keeps and signs by keys of a node. All tests share one; each leaves it working."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.apiserver.conftest import ACCOUNTS, SECRETS, Cluster
from tests.support.kubernetes_cluster import ISSUER

_PREFIX: Final = b"k8s:enc:kms:v2:clever-kms:"
#: Seconds until an API server has looked at a key anew: it does so 20 s after it last did where somebody asks whether
#: it is ready, else after a minute.
_PATIENCE: Final = 90.0


def wait_until(holds: Callable[[], bool], what: str) -> float:
    """Return after how many seconds it holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < _PATIENCE, f"in vain: {what}"
        time.sleep(0.5)
    return time.monotonic() - began


def sealed_by(cluster: Cluster, name: str) -> int:
    """Return the version of the key that sealed a secret, which must be sealed."""
    stored, text = cluster.stored(name), cluster.texts[name].encode()
    assert stored.startswith(_PREFIX)
    assert text not in stored
    assert base64.b64encode(text) not in stored
    (version,) = set(re.findall(rb"transit/seal/v(\d+)/", stored))
    return int(version)


def rotate(cluster: Cluster) -> int:
    """Have a new version of the key that seals; return its number once the API server seals by it."""
    assert cluster.tenant.root.post("transit/keys/seal/rotate").status == 200
    version = int(cluster.tenant.root.get("transit/keys/seal").data["latest_version"])
    took = wait_until(lambda: sealed_anew(cluster) == version, "the new version seals")
    print(f"a rotation is followed after {took:.0f} s")
    return version


def sealed_anew(cluster: Cluster) -> int:
    """Return the version that seals now: that of a secret that is made anew."""
    cluster.server.is_ready()  # has it look at the key, if the last look is long ago
    if "anew" in cluster.texts:
        cluster.server.done("DELETE", f"{SECRETS}/anew")
    cluster.write("anew")
    return sealed_by(cluster, "anew")


def health(cluster: Cluster) -> str:
    """Return the line on providers of keys of what the API server says of itself."""
    _, told = cluster.server.call("GET", "/readyz?verbose")
    (line,) = [each for each in told.splitlines() if "kms-providers" in each]
    return str(line)


# Secrets.


def test_a_secret_is_sealed_in_etcd_and_read_through_the_api(cluster: Cluster) -> None:
    cluster.write("one")
    assert cluster.read("one") == cluster.texts["one"]
    assert sealed_by(cluster, "one") == cluster.tenant.root.get("transit/keys/seal").data["latest_version"]
    cluster.server.done(
        "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "open"}, "data": {"text": "for all"}}
    )
    assert b"for all" in cluster.etcd.raw("/registry/configmaps/default/open"), "what is not to be sealed is not"


def test_the_api_server_says_that_its_keys_are_well(cluster: Cluster) -> None:
    assert health(cluster) == "[+]kms-providers ok"


def test_a_rotation_is_followed_by_new_writes_and_old_ones_are_read(cluster: Cluster) -> None:
    cluster.write("old")
    before = sealed_by(cluster, "old")
    assert rotate(cluster) == before + 1
    assert sealed_by(cluster, "old") == before
    cluster.server.restart()  # so that nothing is in its memory
    assert cluster.read_all() == cluster.texts
    cluster.write_again("old")
    assert sealed_by(cluster, "old") == before + 1
    assert cluster.read("old") == cluster.texts["old"]


def test_an_api_server_starts_while_the_node_is_away_and_seals_what_is_read_later(cluster: Cluster) -> None:
    cluster.node.kill()
    cluster.server.restart()
    assert cluster.read_all() == cluster.texts
    cluster.write("meanwhile")
    assert b"spare:vault:v%d:" % sealed_by(cluster, "meanwhile") in cluster.stored("meanwhile")
    assert cluster.read("meanwhile") == cluster.texts["meanwhile"]
    assert health(cluster) == "[+]kms-providers ok"
    cluster.start_node()
    cluster.server.restart()
    assert cluster.read_all() == cluster.texts
    cluster.program.kill()  # with its spare key
    cluster.program.start()
    cluster.server.restart()
    assert cluster.read_all() == cluster.texts


def test_the_program_is_away_which_the_api_server_tells_and_bears(cluster: Cluster) -> None:
    cluster.write("before")
    cluster.program.kill()
    wait_until(lambda: health(cluster).startswith("[-]kms-providers failed"), "it is told")
    assert cluster.read("before") == cluster.texts["before"]
    cluster.write("without")
    cluster.program.start()
    wait_until(lambda: health(cluster) == "[+]kms-providers ok", "the API server finds it again")
    assert cluster.read_all() == cluster.texts


def test_a_version_that_may_open_nothing_any_more_opens_nothing_and_is_missed_at_a_start(cluster: Cluster) -> None:
    root, server = cluster.tenant.root, cluster.server
    cluster.write("closed")
    version = rotate(cluster)
    assert root.post("transit/keys/seal/config", {"min_decryption_version": version}).status == 200
    server.kill()
    server.begin()
    try:
        server.wait_for(lambda: server.gives(f"{SECRETS}/anew"))
        assert cluster.read("anew") == cluster.texts["anew"]
        assert server.call("GET", f"{SECRETS}/closed").status == 500
        assert not server.is_ready(), "it reads all secrets before it is"
        assert health(cluster) == "[+]kms-providers ok", "the key itself is well"
    finally:
        assert root.post("transit/keys/seal/config", {"min_decryption_version": 1}).status == 200
    server.wait_for(server.is_ready)
    assert cluster.read_all() == cluster.texts


# Tokens of service accounts.


def part(token: str, number: int) -> bytes:
    text = token.split(".")[number]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def kid(token: str) -> str:
    return str(json.loads(part(token, 0))["kid"])


def key_set(cluster: Cluster) -> dict[str, Any]:
    """Return the keys that the API server tells all the world, by their ids."""
    return {each["kid"]: each for each in cluster.server.done("GET", "/openid/v1/jwks")["keys"]}


def verified_by(token: str, keys: dict[str, Any]) -> str:
    """Return the id of the key that has signed a token, and verify that."""
    header = json.loads(part(token, 0))
    told = keys[header["kid"]]
    assert (header["alg"], told["alg"], told["crv"]) == ("ES256", "ES256", "P-256")
    x, y = (int.from_bytes(part(f"{told[name]}..", 0)) for name in ("x", "y"))
    signature, signed = part(token, 2), token.rpartition(".")[0].encode()
    pair = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key().verify(pair, signed, ec.ECDSA(hashes.SHA256()))
    return str(header["kid"])


def signs(cluster: Cluster) -> bool:
    """Tell whether the API server makes a token."""
    asked = {"spec": {"expirationSeconds": 3600}}
    return cluster.server.call("POST", f"{ACCOUNTS}/app/token", asked).status == 201


def who(cluster: Cluster, token: str) -> str:
    """Return as whom the API server knows the bearer of a token."""
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    found = cluster.server.done("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", asked, token)
    return str(found["status"]["userInfo"]["username"])


def test_tokens_are_signed_by_the_key_of_the_node_and_let_their_bearer_in(cluster: Cluster) -> None:
    token, keys = cluster.account_token("app"), key_set(cluster)
    verified_by(token, keys)
    claims = json.loads(part(token, 1))
    assert (claims["iss"], claims["sub"]) == (ISSUER, "system:serviceaccount:default:app")
    assert who(cluster, token) == "system:serviceaccount:default:app"
    other = cluster.account_token("app")
    mixed = ".".join([*token.split(".")[:2], other.split(".")[2]])
    with pytest.raises(InvalidSignature):
        verified_by(mixed, keys)
    assert cluster.server.call("GET", "/api/v1/namespaces", token=mixed).status == 401
    told = cluster.server.done("GET", "/.well-known/openid-configuration")
    assert (told["issuer"], told["id_token_signing_alg_values_supported"]) == (ISSUER, ["ES256"])


def test_after_a_rotation_new_tokens_are_of_the_new_key_and_old_ones_hold(cluster: Cluster) -> None:
    old = cluster.account_token("app")
    before = verified_by(old, key_set(cluster))
    assert cluster.tenant.root.post("transit/keys/accounts/rotate").status == 200
    took = wait_until(lambda: kid(cluster.account_token("app")) != before, "the new key signs")
    print(f"a rotation signs after {took:.0f} s")
    new = cluster.account_token("app")
    wait_until(lambda: {before, kid(new)} <= key_set(cluster).keys(), "both keys are told")
    keys = key_set(cluster)
    assert [verified_by(token, keys) for token in (old, new)] == [before, kid(new)]
    for token in (old, new):
        assert who(cluster, token) == "system:serviceaccount:default:app"


def test_what_was_signed_holds_while_the_node_is_away_and_nothing_new_is_signed(cluster: Cluster) -> None:
    token = cluster.account_token("app")
    cluster.node.kill()
    assert who(cluster, token) == "system:serviceaccount:default:app"
    assert not signs(cluster)
    cluster.server.restart()
    assert who(cluster, token) == "system:serviceaccount:default:app", "the program still tells the keys"
    cluster.start_node()
    wait_until(lambda: signs(cluster), "it signs again")


# The other way round: a node that has an API server review tokens.


def test_a_service_account_logs_in_at_the_node(cluster: Cluster) -> None:
    root, server = cluster.tenant.root, cluster.server
    cluster.make_account("pod")
    cluster.make_account("other")
    binding = {
        "metadata": {"name": "reviewed"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": "pod", "namespace": "default"}],
    }
    server.done("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    assert root.post("sys/auth/kubernetes", {"type": "kubernetes"}).status == 204
    config = {"kubernetes_host": server.address, "kubernetes_ca_cert": server.authority.read_text()}
    assert root.post("auth/kubernetes/config", config).status == 204
    role = {"bound_service_account_names": "pod", "bound_service_account_namespaces": "default", "ttl": "10m"}
    assert root.post("auth/kubernetes/role/app", role).status in {200, 204}

    nobody = root.with_token(None).with_headers(**{"X-Vault-Namespace": cluster.tenant.vault_id})

    def log_in(token: str) -> int:
        return nobody.post("auth/kubernetes/login", {"role": "app", "jwt": token}).status

    good = cluster.account_token("pod")
    wait_until(lambda: log_in(good) == 200, "the binding holds")
    assert log_in(cluster.account_token("other")) == 403
    server.done("DELETE", f"{ACCOUNTS}/pod")
    wait_until(lambda: log_in(good) == 403, "one whose account is gone counts for nothing")
