"""OpenBao's own programs: agent and proxy, which log in for others, and a server whose keys are those of the node."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.clients.running import running
from tests.clients.server import Server
from tests.support.api import Answer, Api, b64
from tests.support.node import free_port, wait_until
from tests.support.reference import clean_environment, find_bao, reference

Done = dict[str, list[str]]

_LOGIN = """\
vault {{
  address = "{address}"
}}
auto_auth {{
  method "approle" {{
    {namespace}
    config = {{
      role_id_file_path                   = "{home}/role-id"
      secret_id_file_path                 = "{home}/secret-id"
      remove_secret_id_file_after_reading = false
    }}
  }}
}}
template_config {{
  static_secret_render_interval = "1s"
}}
"""
_PASSWORD = '{{ with secret \\"secret/data/app/db\\" }}{{ .Data.data.password }}{{ end }}'


def configuration(server: Server, home: Path, further: str, ttl: str = "3s") -> str:
    """Write a configuration that logs in by AppRole, whose ids lie in `home`; return its name."""
    root = server.root
    root.put("secret/data/app/db", {"data": {"password": "one"}})
    rules = (
        'path "secret/data/app/*" { capabilities = ["read"] }\npath "auth/token/create" { capabilities = ["update"] }'
    )
    assert root.put("sys/policies/acl/app", {"policy": rules}).status == 204
    assert root.post("sys/auth/approle", {"type": "approle"}).status == 204
    role = {"token_policies": "app", "token_ttl": ttl, "token_max_ttl": "1h"}
    assert root.post("auth/approle/role/app", role).status == 204
    (home / "role-id").write_text(root.get("auth/approle/role/app/role-id").data["role_id"])
    (home / "secret-id").write_text(root.post("auth/approle/role/app/secret-id").data["secret_id"])
    namespace = f'namespace = "{server.namespace}"' if server.namespace else ""
    login = _LOGIN.format(address=server.address, namespace=namespace, home=home)
    (home / "config.hcl").write_text(login + further)
    return f"-config={home / 'config.hcl'}"


def read(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


def test_the_agent_renders_a_template_and_follows_the_secret(server: Server, tmp_path: Path, done: Done) -> None:
    out = tmp_path / "out"
    named = configuration(server, tmp_path, f'template {{\n  contents = "{_PASSWORD}"\n  destination = "{out}"\n}}\n')
    with running([str(find_bao()), "agent", named], clean_environment(tmp_path), tmp_path) as process:
        wait_until(lambda: out.exists() or process.poll() is not None, "the agent has rendered")
        assert read(out) == "one", (tmp_path / "log").read_text()
        server.root.put("secret/data/app/db", {"data": {"password": "two"}})
        wait_until(lambda: read(out) == "two", "the agent renders what was changed")
        wait_until(lambda: "renewed auth token" in (tmp_path / "log").read_text(), "the agent has renewed its token")
    done.setdefault("bao agent", []).append("template: logged in by AppRole, rendered, followed a change, renewed")


def test_the_agent_runs_a_program_with_secrets_in_its_environment(server: Server, tmp_path: Path, done: Done) -> None:
    told = tmp_path / "told"
    named = configuration(
        server,
        tmp_path,
        f'env_template "PASSWORD" {{\n  contents = "{_PASSWORD}"\n  error_on_missing_key = true\n}}\n'
        f'exec {{\n  command = ["sh", "-c", "echo $PASSWORD >> {told}; exec sleep 600"]\n'
        '  restart_on_secret_changes = "always"\n  restart_stop_signal = "SIGTERM"\n}\n',
        ttl="1h",
    )
    with running([str(find_bao()), "agent", named], clean_environment(tmp_path), tmp_path) as process:
        wait_until(lambda: told.exists() or process.poll() is not None, "the program runs")
        assert process.poll() is None, (tmp_path / "log").read_text()
        server.root.put("secret/data/app/db", {"data": {"password": "two"}})
        wait_until(lambda: read(told) == "one\ntwo\n", "the program is run again with what was changed")
    done.setdefault("bao agent", []).append("exec: a program run with a secret, and again when it changed")


def test_the_proxy_adds_its_token_and_keeps_answers(server: Server, tmp_path: Path, done: Done) -> None:
    port = free_port()
    named = configuration(
        server,
        tmp_path,
        'api_proxy {\n  use_auto_auth_token = "force"\n}\ncache {}\n'
        f'listener "tcp" {{\n  address = "127.0.0.1:{port}"\n  tls_disable = true\n'
        "  require_request_header = true\n}\n",
    )
    caller = Api(f"http://127.0.0.1:{port}", None, {"X-Vault-Request": "true"})
    with running([str(find_bao()), "proxy", named], clean_environment(tmp_path), tmp_path) as process:
        wait_until(lambda: process.poll() is not None or _serves(caller), "the proxy has logged in")
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert caller.get("secret/data/app/db").data["data"] == {"password": "one"}
        assert caller.put("secret/data/app/db", {"data": {}}).status == 403
        assert Api(caller.address, None).get("secret/data/app/db").status == 412
        first, second = (_child(caller.post("auth/token/create", {"ttl": "6s"})) for _ in range(2))
        assert first == second
        told = server.root.with_token(first).get("auth/token/lookup-self").data
        bearer = server.root.with_token(first)
        wait_until(
            lambda: bearer.get("auth/token/lookup-self").data["expire_time"] > told["expire_time"],
            "the proxy renews what it has made",
        )
    done["bao proxy"] = [
        "requests: sent on with the token of its login, those that are not allowed refused",
        "cache: a token kept for the same request, and renewed",
    ]


def _serves(caller: Api) -> bool:
    try:
        return caller.get("secret/data/app/db").status == 200
    except OSError:
        return False


def _child(answer: Answer) -> str:
    token: str = answer.json["auth"]["client_token"]
    return token


def test_external_keys_are_those_of_the_node(server: Server, tmp_path: Path, done: Done) -> None:
    place = tmp_path / "other"
    place.mkdir()
    keys = {"ca": "ecdsa-p256", "old-ca": "rsa-2048", "data": "aes256-gcm96"}
    for name, kind in keys.items():
        server.root.post(f"transit/keys/{name}", {"type": kind})
    with reference(place) as started:
        bao = Api(started.address, started.token)
        for path in ("pki", "transit"):
            assert bao.post(f"sys/mounts/{path}", {"type": path}).status == 204
        config = {"plugin": "transit", "address": server.address, "token": server.user, "mount_path": "transit"}
        written(bao.put("sys/external-keys/configs/kms", config))
        for name in keys:
            written(bao.put(f"sys/external-keys/configs/kms/keys/{name}", {"name": name, "version": 1}))
            for mount in ("pki", "transit"):
                written(bao.put(f"sys/external-keys/configs/kms/keys/{name}/grants/{mount}"))
        _issues(bao, server, "ca")
        _issues(bao, server, "old-ca")
        _signs(bao, server)
        _encrypts(bao, server)
    done["External Keys of a `bao` server"] = [
        "PKI: roots by ecdsa-p256 and rsa-2048 keys of the node, which sign certificates",
        "Transit: signed, verified, encrypted, decrypted by keys of the node; a rotation; a version withdrawn there",
    ]


def written(answer: Answer) -> None:
    assert answer.status in {200, 204}, answer.body


def _issues(bao: Api, server: Server, key: str) -> None:
    """A root by a key of the node signs certificates that hold."""
    made = bao.post(
        "pki/root/generate/kms", {"external_key_ref": f"kms:{key}", "common_name": key, "ttl": "24h"}
    ).data
    root = x509.load_pem_x509_certificate(made["certificate"].encode())
    root.verify_directly_issued_by(root)
    public = server.root.get(f"transit/keys/{key}").data["keys"]["1"]["public_key"]
    encoded = root.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert encoded.decode().strip() == public.strip()
    written(bao.post("pki/roles/web", {"allow_any_name": True, "key_type": "ec", "key_bits": 256, "ttl": "1h"}))
    issuer = made["issuer_id"]
    issued = bao.post(f"pki/issuer/{issuer}/issue/web", {"common_name": "web.example"}).data["certificate"]
    x509.load_pem_x509_certificate(issued.encode()).verify_directly_issued_by(root)


def _signs(bao: Api, server: Server) -> None:
    written(bao.post("transit/keys/ca", {"type": "external-key", "external_key_ref": "kms:ca"}))
    signature = bao.post("transit/sign/ca", {"input": b64("hello")}).data["signature"]
    for api in (bao, server.root):
        assert api.post("transit/verify/ca", {"input": b64("hello"), "signature": signature}).data["valid"]
        assert not api.post("transit/verify/ca", {"input": b64("other"), "signature": signature}).data["valid"]


def _encrypts(bao: Api, server: Server) -> None:
    written(bao.post("transit/keys/data", {"type": "external-key", "external_key_ref": "kms:data"}))
    ciphertext = bao.post("transit/encrypt/data", {"plaintext": b64("hello")}).data["ciphertext"]
    assert bao.post("transit/decrypt/data", {"ciphertext": ciphertext}).data["plaintext"] == b64("hello")
    assert server.root.post("transit/decrypt/data", {"ciphertext": ciphertext}).data["plaintext"] == b64("hello")
    written(server.root.post("transit/keys/data/rotate"))
    written(bao.put("sys/external-keys/configs/kms/keys/data2", {"name": "data", "version": 2}))
    written(bao.put("sys/external-keys/configs/kms/keys/data2/grants/transit"))
    written(bao.post("transit/keys/data/rotate", {"external_key_ref": "kms:data2"}))
    newer = bao.post("transit/encrypt/data", {"plaintext": b64("again")}).data["ciphertext"]
    assert newer.startswith("vault:v2:")
    for text, expected in ((ciphertext, "hello"), (newer, "again")):
        assert bao.post("transit/decrypt/data", {"ciphertext": text}).data["plaintext"] == b64(expected)
    written(server.root.post("transit/keys/data/config", {"min_decryption_version": 2}))
    assert bao.post("transit/decrypt/data", {"ciphertext": ciphertext}).status >= 400
    assert bao.post("transit/decrypt/data", {"ciphertext": newer}).data["plaintext"] == b64("again")
