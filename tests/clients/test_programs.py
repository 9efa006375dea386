"""Programs, driven as their users do: what they print or write is what lies in the vault, and refusals are told."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.clients.building import command_of
from tests.clients.matrix import named
from tests.clients.running import run, running
from tests.clients.server import Server
from tests.support.api import b64
from tests.support.node import wait_until
from tests.support.programs import named_by
from tests.support.reference import clean_environment

Done = dict[str, list[str]]


def child_token(server: Server, **fields: object) -> str:
    """Return a token of the root token's making that may read secrets below app/ and decrypt by a key."""
    rules = (
        'path "secret/data/app/*" { capabilities = ["read"] }\n'
        'path "secret/metadata/app" { capabilities = ["list"] }\n'
        'path "transit/decrypt/orders" { capabilities = ["update"] }\n'
    )
    assert server.root.put("sys/policies/acl/app", {"policy": rules}).status == 204
    answer = server.root.post("auth/token/create", {"policies": ["app"], **fields})
    token: str = answer.json["auth"]["client_token"]
    return token


def test_sops(server: Server, tmp_path: Path, done: Done) -> None:
    sops, user = command_of(named("sops")), server.environment(tmp_path, server.user)
    content = "database:\n    user: app\n    password: my-long-passcode\n"
    (tmp_path / "plain.yaml").write_text(content)
    key = f"{server.address}/v1/transit/keys/dev"
    file = tmp_path / "app.yaml"
    file.write_text(run([*sops, "encrypt", "--hc-vault-transit", key, "plain.yaml"], user, tmp_path))
    assert "my-long-passcode" not in file.read_text()
    assert run([*sops, "decrypt", "app.yaml"], user, tmp_path) == content
    assert server.root.post("transit/keys/dev/rotate").status in {200, 204}
    run([*sops, "rotate", "--in-place", "app.yaml"], user, tmp_path)
    assert re.findall(r"vault:v(\d+):", file.read_text()) == ["2"]
    extract = ["decrypt", "--extract", '["database"]["password"]', "app.yaml"]
    assert run([*sops, *extract], user, tmp_path) == "my-long-passcode"
    (tmp_path / ".sops.yaml").write_text(f"creation_rules:\n  - hc_vault_transit_uri: {key.replace('dev', 'next')}\n")
    run([*sops, "updatekeys", "--yes", "app.yaml"], user, tmp_path)
    assert run([*sops, "decrypt", "app.yaml"], user, tmp_path) == content
    stranger = server.environment(tmp_path, child_token(server))
    refused = run([*sops, "decrypt", "app.yaml"], stranger, tmp_path, code=128)
    assert "permission denied" in refused
    assert "my-long-passcode" not in refused
    done["sops"] = [
        "Transit: a file encrypted, decrypted, rotated to a newer version, moved to another key; refused to others"
    ]


def test_consul_template(server: Server, tmp_path: Path, done: Done) -> None:
    program = command_of(named("consul-template"))
    server.root.put("secret/data/app/db", {"data": {"password": "one"}})
    server.root.post("transit/keys/orders")
    ciphertext = server.root.post("transit/encrypt/orders", {"plaintext": b64("hello")}).data["ciphertext"]
    token = child_token(server, ttl="4s")
    (tmp_path / "in.tpl").write_text(
        '{{ with secret "secret/data/app/db" }}{{ .Data.data.password }}{{ end }}\n'
        '{{ range secrets "secret/metadata/app" }}{{ . }} {{ end }}\n'
        f'{{{{ with secret "transit/decrypt/orders" "ciphertext={ciphertext}" }}}}'
        "{{ .Data.plaintext | base64Decode }}{{ end }}\n"
    )
    (tmp_path / "config.hcl").write_text(
        'vault {\n  renew_token = true\n  default_lease_duration = "1s"\n}\n'
        f'template {{\n  source = "{tmp_path}/in.tpl"\n  destination = "{tmp_path}/out"\n}}\n'
    )
    bearer = server.root.with_token(token)
    first = bearer.get("auth/token/lookup-self").data["expire_time"]
    out = tmp_path / "out"
    with running([*program, "-config", "config.hcl"], server.environment(tmp_path, token), tmp_path) as process:
        wait_until(lambda: out.exists() or process.poll() is not None, "the template is rendered")
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert out.read_text() == "one\ndb \nhello\n"
        server.root.put("secret/data/app/db", {"data": {"password": "two"}})
        wait_until(lambda: out.read_text() == "two\ndb \nhello\n", "the template follows the secret")
        wait_until(
            lambda: bearer.get("auth/token/lookup-self").data["expire_time"] > first, "the token has been renewed"
        )
    (tmp_path / "denied.tpl").write_text('{{ with secret "secret/data/others" }}{{ .Data.data }}{{ end }}')
    environment = server.environment(tmp_path, child_token(server))
    command = [*program, "-once", "-vault-retry=false", "-vault-renew-token=false", "-template", "denied.tpl:denied"]
    assert "permission denied" in run(command, environment, tmp_path, code=14)
    assert not (tmp_path / "denied").exists()
    done["consul-template"] = [
        "KV 2: a template rendered, and again when the secret changed; listed",
        "Transit: decrypted in a template",
        "tokens: its own renewed",
        "policies: a refusal told, nothing rendered",
    ]


def test_vals(server: Server, tmp_path: Path, done: Done) -> None:
    vals, environment = command_of(named("vals")), server.environment(tmp_path, child_token(server))
    for password in ("one", "two"):
        server.root.put("secret/data/app/db", {"data": {"password": password, "user": "app"}})
    (tmp_path / "in.yaml").write_text(
        "db:\n"
        "  password: ref+vault://secret/app/db#/password\n"
        "  before: ref+vault://secret/app/db?version=1#/password\n"
        "  url: postgres://ref+vault://secret/app/db#/user+@db\n"
        "  of-bao: ref+openbao://secret/app/db#/password\n"
    )
    told = run([*vals, "eval", "-f", "in.yaml", "-o", "json"], environment, tmp_path)
    expected = {"password": "two", "before": "one", "url": "postgres://app@db", "of-bao": "two"}
    assert json.loads(told) == {"db": expected}
    (tmp_path / "env.yaml").write_text("PASSWORD: ref+vault://secret/app/db#/password\n")
    assert run([*vals, "exec", "-f", "env.yaml", "--", "printenv", "PASSWORD"], environment, tmp_path) == "two\n"
    role_id, secret_id = app_role(server)
    logged_out = {name: value for name, value in environment.items() if not name.endswith("_TOKEN")}
    query = f"auth_method=approle&role_id={role_id}&secret_id={secret_id}&namespace={server.namespace or ''}"
    assert run([*vals, "get", f"ref+vault://secret/app/db?{query}#/password"], logged_out, tmp_path).strip() == "two"
    refused = run([*vals, "get", "ref+vault://secret/others#/password"], environment, tmp_path, code=1)
    assert "permission denied" in refused
    done["vals"] = [
        "KV 2: references in a file resolved, also of a version and by `ref+openbao`; a program run with a secret",
        "AppRole: logged in",
        "policies: a refusal told",
    ]


def test_cosign(server: Server, tmp_path: Path, done: Done) -> None:
    cosign, environment = command_of(named("cosign")), server.environment(tmp_path, server.user)
    key, artefact = "hashivault://cosign", tmp_path / "artefact"
    artefact.write_text("what is signed")
    run([*cosign, "generate-key-pair", "--kms", key], environment, tmp_path)
    told = server.root.get("transit/keys/cosign").data
    assert told["type"] == "ecdsa-p256"
    assert (tmp_path / "cosign.pub").read_text().strip() == told["keys"]["1"]["public_key"].strip()
    offline = ["--tlog-upload=false", "--use-signing-config=false"]
    run(
        [*cosign, "sign-blob", "--key", key, *offline, "--bundle", "bundle", "--yes", "artefact"],
        environment,
        tmp_path,
    )
    verify = [*cosign, "verify-blob", "--insecure-ignore-tlog", "--bundle", "bundle"]
    for public in ("cosign.pub", key):
        run([*verify, "--key", public, "artefact"], environment, tmp_path)
    artefact.write_text("something else")
    run([*verify, "--key", "cosign.pub", "artefact"], environment, tmp_path, code=1)
    done["cosign"] = ["Transit: a key made, a file signed, verified by the server's key and by the public key"]


def test_envconsul(server: Server, tmp_path: Path) -> None:
    program, environment = at_hand("envconsul"), server.environment(tmp_path, child_token(server))
    server.root.put("secret/data/app/db", {"data": {"password": "one"}})
    command = [program, "-once", "-no-prefix", "-upcase", "-vault-renew-token=false", "-vault-retry=false", "-secret"]
    assert run([*command, "secret/app/db", "printenv", "PASSWORD"], environment, tmp_path) == "one\n"


def test_medusa(server: Server, tmp_path: Path) -> None:
    medusa, environment = at_hand("medusa"), server.environment(tmp_path)
    (tmp_path / "in.yaml").write_text("app:\n  db:\n    password: one\n  web:\n    key: two\n")
    run([medusa, "import", "secret", "in.yaml"], environment, tmp_path)
    assert server.root.get("secret/data/app/db").data["data"] == {"password": "one"}
    told = json.loads(run([medusa, "export", "secret/app", "--format", "json"], environment, tmp_path))
    assert told == {"app": {"db": {"password": "one"}, "web": {"key": "two"}}}
    run([medusa, "delete", "secret/app", "--auto-approve"], environment, tmp_path)
    assert server.root.get("secret/data/app/db").status == 404


_TERRAFORM: Final = """
resource "vault_mount" "kv" {
  path                      = "apps"
  type                      = "kv"
  options                   = { version = "2" }
  description               = "of applications"
  default_lease_ttl_seconds = 3600
  max_lease_ttl_seconds     = 86400
}
resource "vault_mount" "plain" {
  path = "plain"
  type = "transit"
}
resource "vault_kv_secret_v2" "db" {
  mount     = vault_mount.kv.path
  name      = "team/db"
  data_json = jsonencode({ password = "one" })
}
resource "vault_transit_secret_backend_key" "orders" {
  backend          = vault_mount.plain.path
  name             = "orders"
  deletion_allowed = true
}
resource "vault_policy" "app" {
  name   = "app"
  policy = "path \\"apps/data/*\\" { capabilities = [\\"read\\"] }"
}
resource "vault_auth_backend" "approle" {
  type = "approle"
  tune {
    default_lease_ttl = "1h"
    max_lease_ttl     = "24h"
  }
}
resource "vault_approle_auth_backend_role" "app" {
  backend        = vault_auth_backend.approle.path
  role_name      = "app"
  token_policies = [vault_policy.app.name]
  token_ttl      = 600
}
data "vault_kv_secret_v2" "db" {
  mount = vault_mount.kv.path
  name  = vault_kv_secret_v2.db.name
}
output "password" {
  value     = data.vault_kv_secret_v2.db.data["password"]
  sensitive = true
}
"""


def test_terraform_plans_nothing_after_it_has_applied(server: Server, tmp_path: Path) -> None:
    terraform, provider = at_hand("terraform"), at_hand("terraform-provider-vault")
    named = 'terraform {\n  required_providers {\n    vault = { source = "hashicorp/vault" }\n  }\n}\n'
    (tmp_path / "main.tf").write_text(named)
    (tmp_path / "vault.tf").write_text(_TERRAFORM)
    folder = tmp_path / "provider"
    folder.mkdir()
    (folder / "terraform-provider-vault").symlink_to(provider)
    settings = tmp_path / "terraform.rc"
    settings.write_text(f'provider_installation {{\n  dev_overrides {{ "hashicorp/vault" = "{folder}" }}\n}}\n')
    environment = server.environment(tmp_path) | {"TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1"}
    run([terraform, "apply", "-auto-approve", "-no-color"], environment, tmp_path)
    run(
        [terraform, "plan", "-detailed-exitcode", "-no-color"], environment, tmp_path
    )  # 2 where it would change a thing
    assert run([terraform, "output", "-raw", "password"], environment, tmp_path) == "one"
    assert server.root.get("sys/mounts/apps/tune").data["default_lease_ttl"] == 3600
    changed = _TERRAFORM.replace("= 3600", "= 7200").replace('"one"', '"two"').replace("= 600", "= 900")
    (tmp_path / "vault.tf").write_text(changed)
    run([terraform, "plan", "-detailed-exitcode", "-no-color"], environment, tmp_path, code=2)
    run([terraform, "apply", "-auto-approve", "-no-color"], environment, tmp_path)
    run([terraform, "plan", "-detailed-exitcode", "-no-color"], environment, tmp_path)
    assert run([terraform, "output", "-raw", "password"], environment, tmp_path) == "two"
    run([terraform, "destroy", "-auto-approve", "-no-color"], environment, tmp_path)
    assert "apps/" not in server.root.get("sys/mounts").data


def at_hand(name: str) -> str:
    """Return a program that no registry has in a form that could be locked; skip the test where it is not here."""
    variable = f"KMS_TEST_{name.upper().replace('-', '_')}"
    found = named_by(variable) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here: install it, or set {variable} to a binary")
    return str(found)


def app_role(server: Server) -> tuple[str, str]:
    """Return the ids of a role whose tokens have the policy `app`."""
    root = server.root
    assert root.post("sys/auth/approle", {"type": "approle"}).status == 204
    assert root.post("auth/approle/role/app", {"token_policies": "app"}).status == 204
    role_id: str = root.get("auth/approle/role/app/role-id").data["role_id"]
    secret_id: str = root.post("auth/approle/role/app/secret-id").data["secret_id"]
    return role_id, secret_id


def test_ansible(server: Server, tmp_path: Path, done: Done) -> None:
    child_token(server)  # and its policy
    role_id, secret_id = app_role(server)
    given = {
        "ansible_hashi_vault_url": server.address,
        "ansible_hashi_vault_token": server.root.token,
        "role_id": role_id,
        "secret_id": secret_id,
    }
    if server.namespace:
        given["ansible_hashi_vault_namespace"] = server.namespace
    (tmp_path / "given.json").write_text(json.dumps(given))
    client = named("Ansible's community.hashi_vault")
    command = [*command_of(client), "-i", "localhost,", "-e", "@given.json", str(client.folder / "playbook.yml")]
    told = run(command, clean_environment(tmp_path), tmp_path)
    assert re.search(r"ok=1[5-9] .*failed=0", told), told
    done[client.title] = [
        "KV 2: written, read by modules and by lookups, listed, check-and-set, deleted",
        "Transit: encrypted, decrypted",
        "AppRole: logged in, allowed and refused by a policy",
        "tokens: made",
    ]
