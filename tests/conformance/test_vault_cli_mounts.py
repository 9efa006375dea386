"""Mounts as the `vault` command line enables, tunes, moves and disables them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.test_vault_cli import vault_for
from tests.conformance.vault_cli import VaultCli
from tests.support.tenant import Tenant


@pytest.fixture
def root(tenant: Tenant, tmp_path: Path) -> VaultCli:
    return vault_for(tenant.root, tmp_path)


def test_secrets_are_enabled_with_all_settings_and_tuned(root: VaultCli) -> None:
    flags = {
        "-path=own": None,
        "-description=ours": None,
        "-default-lease-ttl=1h": ("default_lease_ttl", 3600),
        "-max-lease-ttl=2h": ("max_lease_ttl", 7200),
        "-listing-visibility=unauth": ("listing_visibility", "unauth"),
        "-audit-non-hmac-request-keys=a": ("audit_non_hmac_request_keys", ["a"]),
        "-audit-non-hmac-response-keys=b": ("audit_non_hmac_response_keys", ["b"]),
        "-passthrough-request-headers=X-A": ("passthrough_request_headers", ["X-A"]),
        "-allowed-response-headers=X-B": ("allowed_response_headers", ["X-B"]),
    }
    assert "Success" in root("secrets", "enable", *flags, "-version=2", "kv").out
    shown = json.loads(root("read", "-format=json", "sys/mounts/own/tune").out)["data"]
    assert {name: shown[name] for name, _ in filter(None, flags.values())} == dict(filter(None, flags.values()))
    tuned = ("-default-lease-ttl=10m", "-max-lease-ttl=20m", "-description=", "-listing-visibility=hidden")
    assert "Success" in root("secrets", "tune", *tuned, "own").out
    shown = json.loads(root("read", "-format=json", "sys/mounts/own/tune").out)["data"]
    assert (shown["default_lease_ttl"], shown["max_lease_ttl"]) == (600, 1200)
    assert (shown["description"], shown["listing_visibility"]) == ("", "hidden")
    assert shown["passthrough_request_headers"] == ["X-A"]
    listed = json.loads(root("secrets", "list", "-detailed", "-format=json").out)
    assert {"cubbyhole/", "identity/", "sys/", "own/"} <= listed.keys()
    assert listed["cubbyhole/"]["local"] is True


def test_logins_are_tuned_with_their_lockout(root: VaultCli) -> None:
    assert "Success" in root("auth", "enable", "-path=people", "userpass").out
    lockout = ("-user-lockout-threshold=7", "-user-lockout-duration=10m", "-user-lockout-counter-reset-duration=20m")
    assert "Success" in root("auth", "tune", *lockout, "-token-type=batch", "-max-lease-ttl=1h", "people").out
    shown = json.loads(root("read", "-format=json", "sys/auth/people/tune").out)["data"]
    assert (shown["token_type"], shown["max_lease_ttl"]) == ("batch", 3600)
    assert [shown[f"user_lockout_{name}"] for name in ("threshold", "duration", "counter_reset_duration")] == [
        7,
        600,
        1200,
    ]


def test_mounts_are_moved(root: VaultCli, tenant: Tenant) -> None:
    tenant.root.post("secret/data/app/db", {"data": {"a": 1}})
    moved = root("secrets", "move", "secret/", "team/kv/")
    assert "Success" in moved.out
    assert root("kv", "get", "-field=a", "-mount=team/kv", "app/db").out.strip() == "1"
    root("kv", "get", "-mount=secret", "app/db", code=2)
    root("auth", "enable", "userpass")
    assert "Success" in root("auth", "move", "auth/userpass/", "auth/people/").out
    assert "people/" in json.loads(root("auth", "list", "-format=json").out)
    assert "no matching mount" in root("secrets", "move", "none/", "x/", code=2).err
    assert "cannot remount" in root("secrets", "move", "sys/", "x/", code=2).err
    assert "Success" in root("secrets", "disable", "team/kv").out
    assert "team/kv/" not in json.loads(root("secrets", "list", "-format=json").out)
