"""Exercises hvac, the Python library: secrets of both versions, keys, logins, policies, tokens, wrapping, errors."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

import hvac
from hvac import exceptions


def did(area: str, what: str) -> None:
    """Tell what was seen."""
    print(f"did: {area}: {what}")


def equal(found: Any, expected: Any) -> None:
    """End the program unless both are equal; an assertion could be switched off."""
    if found != expected:
        raise SystemExit(f"found {found!r}, expected {expected!r}")


def refused(error: type[exceptions.VaultError], text: str, call: Callable[[], Any]) -> None:
    """End the program unless a call is refused as hvac has it."""
    try:
        call()
    except error as found:
        if text not in str(found):
            raise SystemExit(f"{found} does not say {text!r}") from found
        return
    raise SystemExit(f"was not refused: {text}")


def read(client: hvac.Client, path: str, version: int | None = None) -> Any:
    """Return a secret; a deleted one is an error, as it is by default from hvac 3.0 on."""
    return client.secrets.kv.v2.read_secret_version(path, version=version, raise_on_deleted_version=True)["data"]


def versioned(client: hvac.Client) -> None:
    kv = client.secrets.kv.v2
    for password in ("one", "two"):
        kv.create_or_update_secret("app/db", {"password": password})
    found = read(client, "app/db")
    equal((found["data"], found["metadata"]["version"]), ({"password": "two"}, 2))
    equal(read(client, "app/db", 1)["data"]["password"], "one")
    kv.patch("app/db", {"user": "app"})
    patched = read(client, "app/db")["data"]
    equal(patched, {"password": "two", "user": "app"})
    refused(exceptions.InvalidRequest, "check-and-set", lambda: kv.create_or_update_secret("app/db", {}, cas=1))
    equal(kv.list_secrets("app")["data"]["keys"], ["db"])
    did("KV 2", "versions written, read, patched, listed; check-and-set")
    kv.delete_latest_version_of_secret("app/db")
    refused(exceptions.InvalidPath, "", lambda: read(client, "app/db"))
    kv.undelete_secret_versions("app/db", [3])
    kv.destroy_secret_versions("app/db", [1])
    kv.update_metadata("app/db", max_versions=5, custom_metadata={"owner": "team"})
    metadata = kv.read_secret_metadata("app/db")["data"]
    equal((metadata["max_versions"], metadata["custom_metadata"]), (5, {"owner": "team"}))
    equal([metadata["versions"][version]["destroyed"] for version in ("1", "2", "3")], [True, False, False])
    did("KV 2", "deleted, restored, destroyed, metadata")


def unversioned(client: hvac.Client) -> None:
    client.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    client.secrets.kv.v1.create_or_update_secret("creds", {"a": "b"}, mount_point="old")
    equal(client.secrets.kv.v1.read_secret("creds", mount_point="old")["data"], {"a": "b"})
    client.sys.disable_secrets_engine("old")
    did("KV 1", "mounted, written, read, unmounted")


def keys(client: hvac.Client) -> None:
    transit, hello = client.secrets.transit, base64.b64encode(b"hello").decode()
    transit.create_key("orders")
    ciphertext = transit.encrypt_data("orders", hello)["data"]["ciphertext"]
    transit.rotate_key("orders")
    rewrapped = transit.rewrap_data("orders", ciphertext)["data"]["ciphertext"]
    equal(rewrapped.startswith("vault:v2:"), True)
    equal(transit.decrypt_data("orders", rewrapped)["data"]["plaintext"], hello)
    data_key = transit.generate_data_key("orders", "plaintext")["data"]
    equal(transit.decrypt_data("orders", data_key["ciphertext"])["data"]["plaintext"], data_key["plaintext"])
    transit.create_key("signing", key_type="ecdsa-p256")
    signature = transit.sign_data("signing", hello)["data"]["signature"]
    equal(transit.verify_signed_data("signing", hello, signature=signature)["data"]["valid"], True)
    equal(transit.verify_signed_data("signing", "AAAA", signature=signature)["data"]["valid"], False)
    mac = transit.generate_hmac("orders", hello)["data"]["hmac"]
    equal(transit.verify_signed_data("orders", hello, hmac=mac)["data"]["valid"], True)
    refused(exceptions.InvalidRequest, "", lambda: transit.decrypt_data("orders", "vault:v9:AAAA"))
    did("Transit", "encrypted, rotated, rewrapped, decrypted; data key; signed and verified; HMAC")


def login(client: hvac.Client) -> None:
    client.sys.create_or_update_policy("app", 'path "secret/data/app/*" { capabilities = ["read"] }')
    client.sys.enable_auth_method("approle")
    client.auth.approle.create_or_update_approle("app", token_policies=["app"], token_ttl="60s")
    role_id = client.auth.approle.read_role_id("app")["data"]["role_id"]
    secret_id = client.auth.approle.generate_secret_id("app")["data"]["secret_id"]
    app = hvac.Client(namespace=os.environ.get("VAULT_NAMESPACE"))
    app.token = None
    refused(exceptions.InvalidRequest, "invalid role or secret ID", lambda: app.auth.approle.login(role_id, "wrong"))
    app.auth.approle.login(role_id, secret_id)
    equal(app.is_authenticated(), True)
    equal(read(app, "app/db")["data"]["user"], "app")
    refused(
        exceptions.Forbidden, "permission denied", lambda: app.secrets.kv.v2.create_or_update_secret("app/db", {})
    )
    did("AppRole", "logged in, a wrong secret id refused; a policy allows and refuses")
    before = app.auth.token.lookup_self()["data"]
    equal(app.auth.token.renew_self(increment="30m")["auth"]["lease_duration"], 1800)
    equal(app.auth.token.lookup_self()["data"]["ttl"] > before["ttl"], True)
    app.auth.token.revoke_self()
    equal(app.is_authenticated(), False)
    did("tokens", "looked up, renewed, revoked")


def wrapping(client: hvac.Client) -> None:
    wrapped = client.auth.token.create(policies=["app"], ttl="60s", wrap_ttl="30s")["wrap_info"]["token"]
    token = client.sys.unwrap(wrapped)["auth"]["client_token"]
    equal(hvac.Client(token=token).auth.token.lookup_self()["data"]["policies"], ["app", "default"])
    refused(exceptions.InvalidRequest, "wrapping token is not valid", lambda: client.sys.unwrap(wrapped))
    did("wrapping", "a token wrapped, unwrapped once")


def main() -> None:
    """Do all of it with the server that the environment names."""
    client = hvac.Client(namespace=os.environ.get("VAULT_NAMESPACE"))
    equal((client.sys.is_initialized(), client.sys.is_sealed()), (True, False))
    versioned(client)
    unversioned(client)
    keys(client)
    login(client)
    wrapping(client)


if __name__ == "__main__":
    main()
