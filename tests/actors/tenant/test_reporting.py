"""What the log says of seals and mounts: one line a change, with its scope, the request and who sent it.

The kind: something that changes who can read what leaves no trace. Each such message is in one table, and is told of
when it is done, not when it is answered. No line has a share, a key or a token.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from kms_actors import request_context
from kms_actors.activity.messages import NoteBiscuit, WriteActivityConfig
from kms_actors.actors.tenant import reporting
from kms_actors.cli.private_file import create_private
from kms_actors.errors import AuthenticationFailed, InvalidRequest, InvalidShares
from kms_actors.insight.console_headers import WriteConsoleHeader
from kms_actors.insight.cors import Cors, DeleteCors, WriteCors
from kms_actors.login.messages import UnlockName
from kms_actors.login.userpass import LoginUser
from kms_actors.messages import (
    Command,
    DisableMount,
    EnableMount,
    Initialize,
    Message,
    ResetUnseal,
    Seal,
    TuneMount,
    Unseal,
)
from kms_actors.policy.messages import DeletePolicy, PolicyKind, WritePolicy
from kms_actors.quota.messages import DeleteRateLimit, WriteQuotaConfig, WriteRateLimit
from kms_actors.quota.records import QuotaConfig, RateLimit
from kms_actors.token.messages import RevokeLeases
from kms_http.api.routes import SYSTEM_ROUTES
from tests.actors.node_service import VAULT, configuration, started, unseal_node, unseal_tenant

Logs = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def _request() -> Iterator[None]:
    before = request_context.current()
    request_context.begin("request-1")
    request_context.caller("orga_1 abcd")
    yield
    request_context.enter(before)


def told(logs: Logs) -> list[str]:
    """Return the events of changes, each of which says where it comes from."""
    changes = [entry for entry in logs if "scope" in entry]
    assert all((entry["request_id"], entry["by"]) == ("request-1", "orga_1 abcd") for entry in changes)
    return [f"{entry['scope']}: {entry['event']}" for entry in changes]


#: What changes something and has no line of its own, by its module: what users do with their data, keys, tokens and
#: identities is for audit devices, and so is who may log in; a process's own work says itself what it has done.
UNTOLD = {
    "kms_actors.cubbyhole.messages": "all",
    "kms_actors.identity.messages": "all",
    "kms_actors.kv.messages": "all",
    "kms_actors.transit.messages": "all",
    "kms_actors.login": "all",
    "kms_actors.actors": "all",
    "kms_actors.activity.messages": {"NoteBiscuit"},
    "kms_actors.insight.messages": {"SetLevel"},
    "kms_actors.messages": {"RevokeToken", "WithdrawToken"},
    "kms_actors.token.messages": {
        *("CreateToken", "RenewToken", "EndToken", "EndBiscuit", "RevokeBiscuit", "TidyTokens", "WriteRole"),
        "DeleteRole",
    },
}


def commands(kind: type[Message] = Command) -> Iterator[type[Message]]:
    """Yield all types of messages of the program that change something."""
    for below in kind.__subclasses__():
        if below.__module__.startswith("kms_actors."):
            yield below
        yield from commands(below)


def test_each_change_has_a_line_or_is_known_to_have_none() -> None:
    assert SYSTEM_ROUTES  # with all messages there are
    missing = []
    for kind in commands():
        module = next((name for name in UNTOLD if kind.__module__.startswith(name)), None)
        untold = module is not None and (UNTOLD[module] == "all" or kind.__name__ in UNTOLD[module])
        if (kind in reporting._WHAT) == untold and kind not in (UnlockName,):
            missing.append(f"{kind.__module__}.{kind.__name__}")
    assert missing == []
    assert reporting._WHAT.keys() - reporting._FAILED.keys() == set()


async def test_changes_of_quotas_of_counting_and_of_the_clusters_settings_have_lines(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with started(tmp_path) as service:
            await unseal_node(service)
            tenant, _ = await unseal_tenant(service)
            del logs[:]
            await tenant.ask(WriteRateLimit(RateLimit("all", 10.0), ""))
            with pytest.raises(InvalidRequest):
                await tenant.ask(WriteRateLimit(RateLimit("bad", -1.0), ""))
            await tenant.ask(DeleteRateLimit("all"))
            await tenant.ask(WriteQuotaConfig(QuotaConfig()))
            await tenant.ask(WriteActivityConfig(retention_months=3))
            with pytest.raises(InvalidRequest):
                await tenant.ask(WriteActivityConfig(retention_months=-3))
            await tenant.ask(RevokeLeases(prefix="auth/userpass/"))
            await tenant.ask(NoteBiscuit("r1", None))
            await service.ask_node(WriteCors(Cors(("https://a.example",), ())))
            await service.ask_node(DeleteCors())
            await service.ask_node(WriteConsoleHeader("X-A", ("b",)))
            await service.ask_node(WriteConsoleHeader("X-A"))
    assert told(logs) == [
        *(
            f"{VAULT}: {event}"
            for event in (
                "quota written",
                "quota not written",
                "quota deleted",
                "quotas configured",
                "counting of clients configured",
                "counting of clients not configured",
                "leases revoked",
            )
        ),
        "kms-test: CORS configured",
        "kms-test: CORS configuration deleted",
        "kms-test: header of the console written",
        "kms-test: header of the console deleted",
    ]


async def test_each_change_of_a_seal_and_of_mounts_has_a_line(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with started(tmp_path) as service:
            made = await service.ask_node(Initialize(3, 2))
            for share in made.shares[:2]:
                await service.ask_node(Unseal(share))
            await service.ask_node(Unseal(made.shares[2]))  # unsealed already: nothing changes
            tenant = await service.tenant(VAULT)
            own = await tenant.ask(Initialize(3, 2))
            await tenant.ask(Unseal(own.shares[0]))
            await tenant.ask(ResetUnseal())
            for share in own.shares[:2]:
                await tenant.ask(Unseal(share))
            await tenant.ask(Unseal(own.shares[2]))
            await tenant.ask(EnableMount("x/", "kv-v2", "", {}))
            await tenant.ask(TuneMount("x/", "text", None))
            for _ in range(2):  # the second time there is nothing to do
                await tenant.ask(DisableMount("x/"))
            await tenant.ask(WritePolicy(PolicyKind.ACL, "ops", 'path "x" { capabilities = ["read"] }'))
            with pytest.raises(InvalidRequest):
                await tenant.ask(WritePolicy(PolicyKind.ACL, "root", 'path "x" { capabilities = ["read"] }'))
            await tenant.ask(DeletePolicy(PolicyKind.ACL, "ops"))
            for _ in range(2):
                await tenant.ask(Seal())
            for _ in range(2):
                await service.ask_node(Seal())
    assert told(logs) == [
        "kms-test: initialised",
        "kms-test: unseal share given",
        "kms-test: unsealed",
        *(
            f"{VAULT}: {event}"
            for event in (
                "initialised",
                "unseal share given",
                "unseal progress reset",
                "unseal share given",
                "unsealed",
                "mount enabled",
                "mount tuned",
                "mount disabled",
                "policy written",
                "policy not written",
                "policy deleted",
                "sealed",
            )
        ),
        "kms-test: sealed",
    ]
    operations = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert all(f"`{entry['event']}`" in operations for entry in logs)
    for share in (*made.shares, *own.shares):
        assert not any(form in str(logs) for form in (share.hex(), base64.b64encode(share).decode(), repr(share)))
    assert own.root_token not in str(logs)


async def test_who_drops_the_progress_of_others_is_told(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        made = await service.ask_node(Initialize(3, 2))
        wrong = made.shares[0][:1] + bytes(32)
        with capture_logs() as logs:
            await service.ask_node(Unseal(made.shares[0]))
            with pytest.raises(InvalidShares):
                await service.ask_node(Unseal(wrong))
    assert told(logs) == [
        "kms-test: unseal share given",
        "kms-test: unseal progress dropped: the shares do not give the key",
    ]
    assert logs[0]["attempt"]


async def test_what_is_refused_is_told_too(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await service.ask_node(Initialize(3, 2))
        with capture_logs() as logs, pytest.raises(InvalidRequest):
            await service.ask_node(Initialize(3, 2))
    assert told(logs) == ["kms-test: not initialised"]
    assert logs[0]["error"] == "AlreadyInitialized"


async def test_a_login_that_fails_is_told_without_saying_whose(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant = await service.tenant(VAULT)
        own = await tenant.ask(Initialize(1, 1))
        await tenant.ask(Unseal(own.shares[0]))
        await tenant.ask(EnableMount("auth/people/", "userpass", "", {}))
        mount = next(mount for mount in tenant.mounts if mount.path == "auth/people/").number
        path = "auth/people/login/somebody"
        with capture_logs() as logs:
            for _ in range(7):
                with pytest.raises((InvalidRequest, AuthenticationFailed)):  # the name is locked after some
                    await tenant.ask(LoginUser(mount, path, "127.0.0.1", "somebody", "canary-guess"))
    failed = [entry for entry in logs if entry["event"] == "login failed"]
    assert len(failed) == 7  # of more than ten a second, the rest is counted: see `BoundedLog`
    assert {(entry["scope"], entry["mount"]) for entry in failed} == {(VAULT, "auth/people/")}
    assert {entry["error"] for entry in failed} == {"InvalidRequest", "AuthenticationFailed"}
    assert "somebody" not in str(logs)
    assert "canary" not in str(logs)


async def test_a_node_with_a_key_file_says_that_it_is_unsealed(tmp_path: Path) -> None:
    key_file = tmp_path / "master.key"
    create_private(key_file, "17" * 32)
    settings = configuration()
    master = msgspec.structs.replace(settings.master_keyring_provider, name="static", key_file=str(key_file))
    with capture_logs() as logs:
        async with started(tmp_path, msgspec.structs.replace(settings, master_keyring_provider=master)):
            pass
    assert [(entry["scope"], entry["by"]) for entry in logs if entry["event"] == "unsealed"] == [
        ("kms-test", "static")
    ]
