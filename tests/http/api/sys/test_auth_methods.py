"""Mounts of logins over HTTP: enabled, tuned, listed and disabled; and what anybody is shown of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kms_actors.messages import DisableMount, EnableMount, TuneMount
from kms_actors.mounts import LockoutConfig, Mount, MountConfig, MountTable, token_mount
from tests.http.api.sys.test_mount_settings import KEPT, NOTHING, SENT, SHOWN
from tests.http.conftest import VAULT_ID

if TYPE_CHECKING:
    from tests.http.conftest import Service

LOCKOUT = {
    "lockout_threshold": "7",
    "lockout_duration": "10m",
    "lockout_counter_reset": 1200,
    "lockout_disable": True,
}
CONFIG = {**SENT, "token_type": "default-batch", "user_lockout_config": LOCKOUT}
LOCKOUT_SHOWN = {
    "user_lockout_counter_reset_duration": 1200,
    "user_lockout_disable": True,
    "user_lockout_duration": 600,
    "user_lockout_threshold": 7,
}
MOUNT = Mount(
    "auth/users/",
    "userpass",
    9,
    "u",
    "auth_userpass_9",
    "ours",
    {"a": "b"},
    MountConfig(
        3600,
        7200,
        True,
        "unauth",
        ("a", "b"),
        ("c", "d"),
        ("X-A",),
        ("X-B",),
        "default-batch",
        LockoutConfig(7, 600, 1200, True),
    ),
)


async def test_one_is_enabled_with_all_its_settings(service: Service) -> None:
    body = {"type": "userpass", "config": {**NOTHING, **CONFIG}, "description": "ours", "options": {"a": "b"}}
    answer = await service.call("POST", "/v1/sys/auth/users", "root", json={**NOTHING, **body})
    assert answer.status == 204
    assert service.tenant.asked == [EnableMount("auth/users/", "userpass", "ours", {"a": "b"}, MOUNT.config)]


@pytest.mark.parametrize("path", ["sys/auth/users/tune", "sys/mounts/auth/users/tune"])
async def test_it_is_tuned_in_both_spellings(service: Service, path: str) -> None:
    answer = await service.call("POST", f"/v1/{path}", "root", json={**CONFIG, "description": "d"})
    assert answer.status == 204
    (message,) = service.tenant.asked
    assert isinstance(message, TuneMount)
    assert (message.path, message.description) == ("auth/users/", "d")
    assert message.config == {
        **{name: getattr(KEPT, name) for name in SENT},
        "token_type": "default-batch",
        "user_lockout_config": {"threshold": 7, "duration": 600, "counter_reset": 1200, "disable": True},
    }


async def test_all_are_shown(service: Service) -> None:
    service.tenant.mounts = MountTable([MOUNT])
    config = {**SHOWN, "token_type": "default-batch"}
    for path in ("sys/auth", "sys/internal/ui/mounts/auth/users", "sys/auth/users"):
        data = (await service.call("GET", f"/v1/{path}", "root")).json["data"]
        entry = data["users/"] if path == "sys/auth" else data
        assert entry["config"] == {**config, "user_lockout_config": LOCKOUT_SHOWN}
        assert entry.get("path", "users/") == "users/"
    for path in ("sys/auth/users/tune", "sys/mounts/auth/users/tune"):
        data = (await service.call("GET", f"/v1/{path}", "root")).json["data"]
        assert data == {**config, **LOCKOUT_SHOWN, "description": "ours", "options": {"a": "b"}}


@pytest.mark.parametrize("name", ["lockout_counter_reset", "lockout_counter_reset_duration"])
async def test_when_guesses_are_forgotten_is_said_in_both_spellings(service: Service, name: str) -> None:
    await service.call("POST", "/v1/sys/auth/door/tune", "root", json={"user_lockout_config": {name: "20m"}})
    config = {"user_lockout_config": {"counter_reset": 1200}}
    assert service.tenant.asked == [TuneMount("auth/door/", None, None, config)]


@pytest.mark.parametrize("path", ["door", "token"])
async def test_one_is_read_as_any_mount(service: Service, path: str) -> None:
    entry = (await service.call("GET", f"/v1/sys/mounts/auth/{path}", "root")).json["data"]
    assert entry == (await service.call("GET", f"/v1/sys/auth/{path}", "root")).json["data"]


async def test_the_token_mount_is_listed_and_stays(service: Service) -> None:
    entry = (await service.call("GET", "/v1/sys/auth/token", "data")).json["data"]
    listed = (await service.call("GET", "/v1/sys/auth", "data")).json["data"]
    assert list(listed) == ["door/", "token/"]
    assert entry == listed["token/"]
    answer = await service.call("DELETE", "/v1/sys/auth/token", "root")
    assert (answer.status, answer.errors) == (400, ["token credential backend cannot be disabled"])


async def test_one_is_disabled(service: Service) -> None:
    assert (await service.call("DELETE", "/v1/sys/auth/door", "root")).status == 204
    assert service.tenant.asked == [DisableMount("auth/door/")]


@pytest.mark.parametrize("path", ["sys/auth/token/tune", "sys/mounts/auth/token/tune"])
async def test_the_mount_of_tokens_is_tuned_like_others(service: Service, path: str) -> None:
    answer = await service.call("POST", f"/v1/{path}", "root", json={"description": "x", "max_lease_ttl": "1h"})
    assert answer.status == 204
    assert service.tenant.asked == [TuneMount("auth/token/", "x", None, {"max_lease_ttl": 3600})]
    tuned = token_mount(VAULT_ID)
    config = MountConfig(max_lease_ttl=3600, listing_visibility="unauth")
    tuned = msgspec.structs.replace(tuned, description="x", config=config, uuid="of another vault")
    service.tenant.mounts = MountTable([*service.tenant.mounts, tuned])
    shown = (await service.call("GET", "/v1/sys/auth/token", "root")).json["data"]
    assert (shown["description"], shown["config"]["max_lease_ttl"]) == ("x", 3600)
    assert shown["uuid"] == token_mount(VAULT_ID).uuid
    assert (await service.call("GET", f"/v1/{path}", "root")).json["data"]["default_lease_ttl"] == 2764800
    listed = (await service.call("GET", "/v1/sys/mounts", "root")).json["data"]
    assert not any(name.startswith("auth/") for name in listed)


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("GET", "sys/auth/none", None, "No auth engine at none/"),
        ("GET", "sys/auth/none/tune", None, 'cannot fetch sysview for path "auth/none/"'),
        ("POST", "sys/auth/x", {}, "backend type must be specified as a string"),
        (
            "POST",
            "sys/auth/x",
            {"type": "userpass", "config": {"nope": 1}},
            'unknown setting "config.nope" of a mount',
        ),
        (
            "POST",
            "sys/auth/door/tune",
            {"user_lockout_config": {"nope": 1}},
            'unknown setting "user_lockout_config.nope" of a mount',
        ),
        ("GET", "sys/mounts/auth/none", None, "No secret engine mount at auth/none/"),
        ("POST", "sys/mounts/auth/x", {"type": "userpass"}, 'cannot mount "auth/x/"'),
        ("DELETE", "sys/mounts/auth/door", None, 'cannot unmount "auth/door/"'),
    ],
)
async def test_what_is_wrong_is_said(service: Service, method: str, path: str, body: Any, text: str) -> None:
    answer = await service.call(method, f"/v1/{path}", "root", json=body)
    assert (answer.status, answer.errors) == (400, [text])
    assert service.tenant.asked == []


@pytest.mark.parametrize(
    "lockout", [{"lockout_threshold": -1}, {"lockout_threshold": "x"}, {"lockout_duration": "x"}]
)
async def test_a_lockout_that_cannot_be_is_refused(service: Service, lockout: Any) -> None:
    answer = await service.call("POST", "/v1/sys/auth/door/tune", "root", json={"user_lockout_config": lockout})
    assert answer.status == 400
    assert next(iter(lockout)) in answer.errors[0]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "sys/auth/x"), ("DELETE", "sys/auth/door"), ("POST", "sys/auth/door/tune")]
)
async def test_they_are_not_changed_by_a_data_token(service: Service, method: str, path: str) -> None:
    assert (await service.call(method, f"/v1/{path}", "data", json={})).status == 403


async def test_anybody_sees_what_is_to_be_seen_of_the_vault_of_logins(service: Service) -> None:
    service.tenant.mounts = MountTable([MOUNT, Mount("auth/hidden/", "userpass", 10, "u", "a")])
    shown = {"users/": {"description": "ours", "options": {"a": "b"}, "type": "userpass"}}
    for headers in ({}, {"X_Vault_Namespace": VAULT_ID}):
        for token in ("", "bad", "foreign-operator"):  # one that proves nothing takes nothing away
            answer = await service.call("GET", "/v1/sys/internal/ui/mounts", token, **headers)
            assert answer.json["data"] == {"auth": shown, "secret": {}}
    service.tenant.sealed = True
    answer = await service.call("GET", "/v1/sys/internal/ui/mounts")
    assert answer.json["data"] == {"auth": {}, "secret": {}}
    answer = await service.call("GET", "/v1/sys/internal/ui/mounts", X_Vault_Namespace="vault_none")
    assert answer.json["data"] == {"auth": {}, "secret": {}}


async def test_a_path_of_no_mount_is_told_to_who_may_ask(service: Service) -> None:
    assert (await service.call("POST", "/v1/auth/none/login", json={})).status == 403
    answer = await service.call("POST", "/v1/auth/none/login", "root", json={})
    text = 'no handler for route "auth/none/login". route entry not found.'
    assert (answer.status, answer.errors) == (404, [text])
