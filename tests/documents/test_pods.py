"""The page on secrets for pods: its commands, its manifests, and an agent as an injector has it run.

The cluster is a key of Transit that signs tokens of service accounts, as an API server has them signed by
`kms-cli kubernetes serve`.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from kms_actors.cli.development import VAULT_ID
from kms_actors.cli.kubernetes.signer import Signer
from kms_actors.cli.kubernetes.transit import TransitKey
from kms_actors.secret import SecretBytes
from tests.documents.reader import read, serves_development, typed, worked
from tests.support.api import Api
from tests.support.documents import Commands
from tests.support.reference import find_bao

PAGE: Final = "docs/tutorials/kubernetes-secrets.md"
#: Kinds of the manifests of each file, as the page has them.
KINDS: Final = {
    "external-secrets.yaml": ["SecretStore", "ExternalSecret"],
    "secrets-operator.yaml": ["VaultConnection", "VaultAuth", "VaultStaticSecret"],
    "injected.yaml": ["Pod"],
    "issuer.yaml": ["Issuer"],
}
_ANNOTATION: Final = "vault.hashicorp.com/"
#: What the injector gives a secret that has no template of its own.
_OWN_TEMPLATE: Final = '{{ with secret "%s" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }}{{ end }}'


@pytest.fixture
def page(ports: tuple[str, ...]) -> Commands:
    return read(PAGE, ports)


def manifests(page: Commands) -> dict[str, Any]:
    """Return all manifests of the page, by kind."""
    found = {name: list(yaml.safe_load_all(text)) for name, text in page.files.items()}
    assert {name: [each["kind"] for each in found[name]] for name in found} == KINDS
    return {each["kind"]: each for documents in found.values() for each in documents}


def of_injector(pod: Any) -> dict[str, Any]:
    """Return the configuration of an agent that vault-k8s 1.7 makes of a pod, for its init container.

    Source: `newConfig` in its `agent-inject/agent/config.go`.
    """
    told = {name.removeprefix(_ANNOTATION): value for name, value in pod["metadata"]["annotations"].items()}
    volume = told["agent-service-account-token-volume-name"]
    (mount,) = (each for each in pod["spec"]["containers"][0]["volumeMounts"] if each["name"] == volume)
    (source,) = (each for each in pod["spec"]["volumes"] if each["name"] == volume)
    path = source["projected"]["sources"][0]["serviceAccountToken"]["path"]
    secrets = {
        name.removeprefix("agent-inject-secret-"): value
        for name, value in told.items()
        if name.startswith("agent-inject-secret-")
    }
    return {
        "auto_auth": {
            "method": {
                "type": "kubernetes",
                "mount_path": told["auth-path"],
                "namespace": told["namespace"],
                "config": {"role": told["role"], "token_path": f"{mount['mountPath']}/{path}"},
            },
            "sink": [{"type": "file", "config": {"path": "/home/vault/.vault-token"}}],
        },
        "exit_after_auth": True,
        "pid_file": "/home/vault/.pid",
        "vault": {"address": told["service"]},
        "template": [
            {
                "destination": f"/vault/secrets/{name}",
                "contents": told.get(f"agent-inject-template-{name}", _OWN_TEMPLATE % secret),
                "left_delimiter": "{{",
                "right_delimiter": "}}",
            }
            for name, secret in secrets.items()
        ],
        "template_config": {"exit_on_retry_failure": True},
    }


class Cluster:
    """Makes tokens of service accounts, as an API server whose tokens are signed by the key of the page."""

    def __init__(self, address: str, token: str) -> None:
        self._key = TransitKey(address, lambda: SecretBytes(token.encode()), "transit", "accounts")
        self._signer = Signer(self._key)

    def close(self) -> None:
        self._key.close()

    def token(self, audience: str, namespace: str = "prod", name: str = "app") -> str:
        now = int(time.time())
        claims = {
            "iss": "https://kubernetes.default.svc",
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "aud": [audience],
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": "uid-1"}},
        }
        text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        signed = self._signer.sign(text)
        return f"{signed.header}.{text}.{signed.signature}"


@pytest.fixture
def node(
    page: Commands, project: Path, environment: dict[str, str], ports: tuple[str, ...]
) -> Iterator[tuple[Api, Cluster]]:
    """A node as the page's reader has it at the end, and the cluster that it knows then."""
    (script,) = page.shells
    with typed("make run", project, environment) as shell:
        serves_development(project, ports)
        printed = worked(script, project, environment)
        assert '{"errors"' not in printed
        api = Api(f"http://127.0.0.1:{ports[0]}")
        token = (project / ".dev/tenant.token").read_text(encoding="ascii").strip()
        cluster = Cluster(api.address, token)
        yield api.with_headers(**{"X-Vault-Namespace": VAULT_ID}), cluster
        cluster.close()
        assert shell.poll() is None


@pytest.mark.parametrize("programs", ["bao"], indirect=True)
def test_what_the_page_sets_up_lets_in_what_it_says(
    node: tuple[Api, Cluster], page: Commands, project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    api, cluster = node

    # The agent of an injected pod.
    files = tmp_path / "files"
    text = json.dumps(of_injector(manifests(page)["Pod"]))
    for place in ("/vault/secrets", "/home/vault", "/var/run/secrets/kms"):
        (files / place.strip("/")).mkdir(parents=True)
        text = text.replace(place, f"{files}{place}")
    text = text.replace("https://kms.example:" + api.address.rpartition(":")[2], api.address)
    (files / "agent.json").write_text(text.replace("vault_a", VAULT_ID), encoding="utf-8")
    (files / "var/run/secrets/kms/token").write_text(cluster.token("kms"), encoding="ascii")
    done = subprocess.run(
        [str(find_bao()), "agent", f"-config={files / 'agent.json'}"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    secrets = files / "vault/secrets"
    assert (secrets / "db").read_text() == "password=my-long-passcode\n"
    assert "data: map[password:my-long-passcode user:app]" in (secrets / "all").read_text()

    # Logins of the others, with tokens that they ask the cluster for.
    def login(role: str, token: str) -> Any:
        return api.post("auth/cluster-a/login", {"role": role, "jwt": token})

    made = login("app", cluster.token("kms")).json["auth"]
    assert (made["policies"], made["lease_duration"], made["renewable"]) == (["app", "default"], 1200, True)
    issuer = login("issuer", cluster.token("vault://prod/kms")).json["auth"]
    for role, token in (
        ("app", cluster.token("vault://prod/kms")),
        ("issuer", cluster.token("kms")),
        ("app", cluster.token("kms", namespace="test")),
        ("app", cluster.token("kms", name="other")),
    ):
        assert login(role, token).status == 403

    # What Vault Secrets Operator does with its token, and by a role that may use the key of its cache.
    operator = api.with_token(made["client_token"])
    secret = manifests(page)["VaultStaticSecret"]["spec"]
    read_back = operator.get(f"{secret['mount']}/data/{secret['path']}").data["data"]
    assert read_back == {"user": "app", "password": "my-long-passcode"}
    assert operator.put("auth/token/renew-self").json["auth"]["lease_duration"] == 1200
    owner = api.with_token((project / ".dev/tenant-operator.token").read_text(encoding="ascii").strip())
    rule = 'path "transit/{}/cache" {{ capabilities = ["update"] }}\n'
    rules = "".join(map(rule.format, ("encrypt", "decrypt")))
    bound = {"bound_service_account_names": "app", "bound_service_account_namespaces": "prod", "audience": "kms"}
    for place, body in (
        ("transit/keys/cache", {}),
        ("sys/policies/acl/cache", {"policy": rules}),
        ("auth/cluster-a/role/cache", {**bound, "token_policies": "cache"}),
    ):
        assert owner.post(place, body).status in {200, 204}
    keeper = api.with_token(login("cache", cluster.token("kms")).json["auth"]["client_token"])
    plain = base64.b64encode(b"tokens").decode()
    sealed = keeper.put("transit/encrypt/cache", {"name": "cache", "plaintext": plain}).data["ciphertext"]
    assert keeper.put("transit/decrypt/cache", {"name": "cache", "ciphertext": sealed}).data["plaintext"] == plain
    assert keeper.get("secret/data/app/db").status == 403
    for each in (operator, keeper):
        assert each.put("auth/token/revoke-self").status == 204
        assert each.get("auth/token/lookup-self").status == 403

    # What cert-manager asks for then, and does not get.
    assert Api(api.address).get("sys/health").status == 200  # without a namespace, as that is about the node
    refused = api.with_token(issuer["client_token"]).post("pki/sign/web", {"csr": "", "common_name": "web.example"})
    assert refused.status == 404
    assert refused.errors == ['no handler for route "pki/sign/web". route entry not found.']


def test_manifests_agree_with_what_is_set(page: Commands) -> None:
    """Mount, roles, audiences and paths of the manifests are those of the commands."""
    found = manifests(page)
    script = page.shells[0]
    store = found["SecretStore"]["spec"]["provider"]["vault"]
    login = store["auth"]["kubernetes"]
    operator = found["VaultAuth"]["spec"]
    issuer = found["Issuer"]["spec"]["vault"]["auth"]["kubernetes"]
    roles = {("cluster-a", "app", "kms"), ("cluster-a", "issuer", "vault://prod/kms")}
    assert {
        (login["mountPath"], login["role"], *login["serviceAccountRef"]["audiences"]),
        (operator["mount"], operator["kubernetes"]["role"], *operator["kubernetes"]["audiences"]),
        (issuer["mountPath"].removeprefix("/v1/auth/"), issuer["role"], "vault://prod/kms"),
    } == roles
    for mount, role, audience in roles:
        assert f"auth/{mount}/role/{role} " in script
        assert f"audience={audience} " in script
    secret = found["VaultStaticSecret"]["spec"]
    read_by = {found["ExternalSecret"]["spec"]["data"][0]["remoteRef"]["key"], secret["path"]}
    assert read_by == {"app/db"}
    assert {each["metadata"]["namespace"] for each in found.values()} == {"prod"}
    assert {store["namespace"], operator["namespace"], found["Issuer"]["spec"]["vault"]["namespace"]} == {"vault_a"}
