"""Settings of mounts over HTTP.

The kind: a setting is accepted and dropped, so a client that reads back what it wrote finds something else. One table
(`mount_settings`) has every setting: each is a field of `Mount` that is stored and shown, or is refused by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.messages import EnableMount, TuneMount
from kms_actors.mounts import Mount, MountConfig, MountTable

if TYPE_CHECKING:
    from tests.http.conftest import Service

SENT = {
    "default_lease_ttl": "1h",
    "max_lease_ttl": 7200,
    "force_no_cache": True,
    "listing_visibility": "unauth",
    "audit_non_hmac_request_keys": ["a", "b"],
    "audit_non_hmac_response_keys": "c,d",
    "passthrough_request_headers": ["X-A"],
    "allowed_response_headers": ["X-B"],
}
KEPT = MountConfig(3600, 7200, True, "unauth", ("a", "b"), ("c", "d"), ("X-A",), ("X-B",))
SHOWN = {
    "allowed_response_headers": ["X-B"],
    "audit_non_hmac_request_keys": ["a", "b"],
    "audit_non_hmac_response_keys": ["c", "d"],
    "default_lease_ttl": 3600,
    "force_no_cache": True,
    "listing_visibility": "unauth",
    "max_lease_ttl": 7200,
    "passthrough_request_headers": ["X-A"],
}
#: What the command line and Terraform send beside what their users set.
NOTHING: dict[str, Any] = {
    "options": None,
    "plugin_version": "",
    "token_type": "",
    "identity_token_key": "",
    "user_lockout_config": None,
    "delegated_auth_accessors": [],
    "external_entropy_access": False,
}


def test_every_setting_is_in_this_test() -> None:
    of_logins = {"token_type", "user_lockout_config"}  # see `test_auth_methods`
    assert set(SENT) == set(SHOWN) == set(MountConfig.__struct_fields__) - of_logins


async def test_all_are_kept_when_a_mount_is_enabled(service: Service) -> None:
    body = {"type": "kv-v2", "config": {**NOTHING, **SENT}, "local": "true", "seal_wrap": True, "description": "d"}
    answer = await service.call("POST", "/v1/sys/mounts/x", "root", json={**NOTHING, **body})
    assert answer.status == 204
    assert service.tenant.asked == [EnableMount("x/", "kv-v2", "d", {}, KEPT, True, True)]


async def test_all_are_kept_when_it_is_tuned(service: Service) -> None:
    answer = await service.call("POST", "/v1/sys/mounts/toy/tune", "root", json={**NOTHING, **SENT})
    assert answer.status == 204
    assert service.tenant.asked == [TuneMount("toy/", None, None, {name: getattr(KEPT, name) for name in SENT})]


async def test_all_are_shown(service: Service) -> None:
    mount = Mount("x/", "kv", 9, "u", "a", "d", {"version": "2"}, KEPT, local=True, seal_wrap=True)
    service.tenant.mounts = MountTable([mount])
    for path in ("sys/mounts", "sys/internal/ui/mounts/x", "sys/mounts/x"):
        data = (await service.call("GET", f"/v1/{path}", "root")).json["data"]
        entry = data["x/"] if path == "sys/mounts" else data
        assert (entry["config"], entry["local"], entry["seal_wrap"]) == (SHOWN, True, True)
    data = (await service.call("GET", "/v1/sys/mounts/x/tune", "root")).json["data"]
    assert data == {**SHOWN, "description": "d", "options": {"version": "2"}}


@pytest.mark.parametrize("options", ["version=2", ["version=2"], {"version": 2}])
async def test_options_may_be_text(service: Service, options: Any) -> None:
    await service.call("POST", "/v1/sys/mounts/x", "root", json={"type": "kv", "options": options})
    assert service.tenant.asked == [EnableMount("x/", "kv", "", {"version": "2"})]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"config": {"default_lease_ttl": "zz"}}, "default_lease_ttl"),
        ({"config": {"force_no_cache": "maybe"}}, "force_no_cache"),
        ({"config": {"audit_non_hmac_request_keys": {"a": 1}}}, "audit_non_hmac_request_keys"),
        ({"config": {"token_type": "batch"}}, "config.token_type: can only be modified on auth mounts"),
        ({"config": {"user_lockout_config": {"lockout_threshold": "3"}}}, "config.user_lockout_config"),
        ({"config": {"plugin_version": "v1"}}, "config.plugin_version"),
        ({"config": {"identity_token_key": "k"}}, "config.identity_token_key"),
        ({"config": {"nope": 1}}, 'unknown setting "config.nope" of a mount'),
        ({"config": "x"}, "config"),
        ({"plugin_version": "v1"}, "plugin_version"),
        ({"external_entropy_access": True}, "external_entropy_access"),
        ({"default_lease_ttl": "1h"}, "default_lease_ttl: this setting belongs into config"),
        ({"local": "zzz"}, "local"),
        ({"options": "version"}, "options"),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_name(service: Service, body: Any, named: str) -> None:
    answer = await service.call("POST", "/v1/sys/mounts/x", "root", json={"type": "kv-v2", **body})
    assert answer.status == 400
    assert named in answer.errors[0]
    assert service.tenant.asked == []


async def test_arguments_of_a_client_are_no_settings(service: Service) -> None:
    body = {"type": "kv-v2", "mount_point": "x"}
    answer = await service.call("POST", "/v1/sys/mounts/x", "root", json=body)
    assert answer.status == 204
    assert service.tenant.asked == [EnableMount("x/", "kv-v2", "", {})]


@pytest.mark.parametrize("path", ["sys", "identity", "cubbyhole"])
async def test_mounts_of_the_system_are_shown_and_stay(service: Service, path: str) -> None:
    assert (await service.call("GET", f"/v1/sys/mounts/{path}", "data")).status == 200
    tuning = (await service.call("GET", f"/v1/sys/mounts/{path}/tune", "data")).json["data"]
    assert tuning["max_lease_ttl"] == 2764800
    answer = await service.call("POST", f"/v1/sys/mounts/{path}/tune", "root", json={"description": "x"})
    assert (answer.status, answer.errors) == (400, [f"cannot tune parameter description of {path}/"])
    assert (await service.call("POST", f"/v1/sys/mounts/{path}/tune", "root", json={})).status == 204
    assert service.tenant.asked == []


async def test_mounts_of_the_system_have_settings_of_their_own(service: Service) -> None:
    mounts = (await service.call("GET", "/v1/sys/mounts", "data")).json["data"]
    assert [mounts[path]["local"] for path in ("cubbyhole/", "identity/", "sys/")] == [True, False, False]
    assert [mounts[path]["seal_wrap"] for path in ("cubbyhole/", "identity/", "sys/")] == [False, False, True]
    assert mounts["identity/"]["config"]["passthrough_request_headers"] == ["Authorization"]
    assert mounts["sys/"]["config"]["passthrough_request_headers"] == ["Accept"]
    for path in ("cubbyhole", "identity", "sys"):
        assert (await service.call("GET", f"/v1/sys/mounts/{path}", "data")).json["data"] == mounts[f"{path}/"]


async def test_an_empty_text_says_nothing_of_how_long_leases_last(service: Service) -> None:
    body = {"default_lease_ttl": "", "max_lease_ttl": "system"}
    await service.call("POST", "/v1/sys/mounts/toy/tune", "root", json=body)
    assert service.tenant.asked == [TuneMount("toy/", None, None, {"max_lease_ttl": 0})]


async def test_a_bound_below_a_second_is_one_second_and_not_none(service: Service) -> None:
    await service.call("POST", "/v1/sys/mounts/toy/tune", "root", json={"max_lease_ttl": "1ms"})
    assert service.tenant.asked == [TuneMount("toy/", None, None, {"max_lease_ttl": 1})]


async def test_the_token_mount_is_read_in_all_spellings(service: Service) -> None:
    entry = (await service.call("GET", "/v1/sys/auth/token", "data")).json["data"]
    assert entry == (await service.call("GET", "/v1/sys/auth", "data")).json["data"]["token/"]
    for path in ("sys/auth/token/tune", "sys/mounts/auth/token/tune"):
        answer = await service.call("GET", f"/v1/{path}", "data")
        assert answer.json["data"] == {
            "default_lease_ttl": 2764800,
            "description": "token based credentials",
            "force_no_cache": False,
            "max_lease_ttl": 2764800,
            "token_type": "default-service",
        }
