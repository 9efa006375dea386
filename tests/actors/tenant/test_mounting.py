"""Mounts: enabling, tuning, disabling, and what they refuse."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from kms_actors import request_context
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.errors import AuthenticationFailed, InvalidRequest, NotFound
from kms_actors.kv.messages import ReadSecret, WriteSecret
from kms_actors.login.userpass import LoginUser, WriteUser
from kms_actors.messages import (
    DisableMount,
    EnableMount,
    TuneMount,
)
from kms_actors.mounts import (
    TOKENS,
    Mount,
    MountConfig,
    MountTable,
)
from kms_actors.request_context import Bearer
from tests.actors.node_service import VAULT, configuration, started, unseal_node, unseal_tenant


def mount(path: str, number: int = 1) -> Mount:
    return Mount(path, "kv", number, "uuid", "kv_accessor")


def paths(tenant: TenantHandle) -> list[str]:
    return [entry.path for entry in tenant.mounts]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("secret/data/a", ("secret/", "data/a")),
        ("secret", ("secret/", "")),
        ("secret/", ("secret/", "")),
        ("team/kv/data/a", ("team/kv/", "data/a")),
        ("team/kv", ("team/kv/", "")),
        ("team/other", None),
        ("team", None),
        ("secretx/data", None),
        ("", None),
    ],
)
def test_a_path_belongs_to_the_mount_it_lies_under(path: str, expected: tuple[str, str] | None) -> None:
    found = MountTable([mount("secret/"), mount("team/kv/"), mount("team/kv2/")]).match(path)
    assert (found and (found[0].path, found[1])) == expected


async def test_an_enabled_mount_serves_and_stays_after_a_restart(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        shares = await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(EnableMount("team/kv/", "kv-v2", "ours", {}))
        assert paths(tenant) == ["secret/", "team/kv/", "transit/"]
        number = tenant.mounts.get("team/kv/").number  # type: ignore[union-attr]
        await tenant.ask(WriteSecret(number, "a", b'{"x":1}'))
    async with started(tmp_path) as service:
        await unseal_node(service, shares)
        tenant = await service.tenant(VAULT)
        assert paths(tenant) == ["secret/", "team/kv/", "transit/"]
        assert (await tenant.ask(ReadSecret(number, "a"))).data == b'{"x":1}'


async def test_a_disabled_mount_takes_its_data_along_and_its_number_is_not_reused(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(WriteSecret(1, "a", b"{}"))
        await tenant.ask(DisableMount("secret/"))
        assert paths(tenant) == ["transit/"]
        await tenant.ask(EnableMount("secret/", "kv-v2", "", {}))
        again = tenant.mounts.get("secret/")
        assert again is not None
        assert again.number == 3
        for number in (1, 3):
            with pytest.raises(NotFound):
                await tenant.ask(ReadSecret(number, "a"))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (EnableMount("secret/", "kv-v2", "", {}), "path is already in use at secret/"),
        (EnableMount("secret/sub/", "kv-v2", "", {}), "path is already in use at secret/"),
        (EnableMount("x/", "nope", "", {}), "plugin not found in the catalog: secrets engines are kv and transit"),
        (EnableMount("auth/x/", "github", "", {}), "catalog: auth methods are approle, cert, jwt, kubernetes, oidc"),
        (EnableMount("x/", "kv", "", {"version": "3"}), "must be 1 or 2"),
        (EnableMount("x/", "kv", "", {"version": "02"}), "must be 1 or 2"),
        (EnableMount("x/", "transit", "", {"version": "2"}), "does not allow setting a version"),
        (EnableMount("x/", "kv-v2", "d" * 1025, {}), "description is longer than 1024 bytes"),
        (EnableMount("x/", "kv-v2", "", {"a": "b" * 8192}), "take more than 8192 bytes"),
        (EnableMount("x/", "kv-v2", "", {}, MountConfig(listing_visibility="all")), "invalid listing_visibility"),
        (EnableMount("x/", "kv-v2", "", {}, MountConfig(default_lease_ttl=-1)), "default_lease_ttl must not be"),
        (EnableMount("x/", "kv-v2", "", {}, MountConfig(7200, 3600)), "greater than given max lease TTL"),
        (EnableMount("x/", "kv-v2", "", {}, MountConfig(9**9)), "greater than system max lease TTL of 2764800"),
        (EnableMount("a/./b/", "kv-v2", "", {}), "a mount path has"),
        (EnableMount("a//b/", "kv-v2", "", {}), "a mount path has"),
        (EnableMount("a\n/", "kv-v2", "", {}), "a mount path has"),
        (EnableMount("é" * 128 + "/", "kv-v2", "", {}), "longer than 256 bytes"),
        (TuneMount("secret/", None, {"version": "1"}), "cannot downgrade mount from version 2"),
        (TuneMount("secret/", None, {"version": ""}), "options.version must not be empty"),
        (TuneMount("secret/", None, {"version": "3"}), "must be 1 or 2"),
        (TuneMount("secret/", None, None, {"max_lease_ttl": -1}), "max_lease_ttl must not be negative"),
        (EnableMount("sys/", "kv-v2", "", {}), "cannot mount"),
        (EnableMount("auth/x/", "kv-v2", "", {}), "plugin not found"),
        (EnableMount("auth/token/", "userpass", "", {}), "path is already in use at token/"),
        (EnableMount("auth/token/x/", "userpass", "", {}), "path is already in use at token/"),
        (EnableMount("x/", "userpass", "", {}), "plugin not found"),
        (EnableMount("/", "kv-v2", "", {}), "a mount path has"),
        (EnableMount("../", "kv-v2", "", {}), "a mount path has"),
        (TuneMount("none/", "text", None), 'tune of path "none/" failed: no mount entry found'),
    ],
)
async def test_a_wrong_change_is_refused_and_changes_nothing(tmp_path: Path, message: EnableMount, text: str) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        with pytest.raises(InvalidRequest, match=text):
            await tenant.ask(message)
        assert paths(tenant) == ["secret/", "transit/"]


async def test_a_mount_is_tuned(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(TuneMount("secret/", "new text", {"version": "2"}))
        await tenant.ask(DisableMount("none/"))
        tuned = tenant.mounts.get("secret/")
        assert tuned is not None
        assert (tuned.description, tuned.options) == ("new text", {"version": "2"})


async def test_changes_at_once_all_happen(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await asyncio.gather(*(tenant.ask(EnableMount(f"m{n}/", "kv-v2", "", {})) for n in range(8)))
        assert paths(tenant) == [*(f"m{n}/" for n in range(8)), "secret/", "transit/"]
        assert len({entry.number for entry in tenant.mounts}) == 10


@pytest.mark.parametrize("path", ["a b/", "x@y/", "x+y/", "x:y/", "x~y/", "x(y)/", ".dot/", "été/", " lead/", "-x/"])
async def test_a_path_of_any_printable_text_serves(tmp_path: Path, path: str) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(EnableMount(path, "kv-v2", "", {}))
        found = tenant.mounts.match(f"{path}data/a")
        assert found is not None
        await tenant.ask(WriteSecret(found[0].number, "a", b"{}"))
        assert (await tenant.ask(ReadSecret(found[0].number, "a"))).data == b"{}"


async def test_settings_are_kept_and_tuned_one_by_one(tmp_path: Path) -> None:
    config = MountConfig(3600, 7200, True, "unauth", ("a",), ("b", "c"), ("X-A",), ("X-B",))
    async with started(tmp_path) as service:
        shares = await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(EnableMount("x/", "kv-v2", "d", {}, config, local=True, seal_wrap=True))
        await tenant.ask(TuneMount("x/", None, None, {"default_lease_ttl": 60, "allowed_response_headers": ()}))
    async with started(tmp_path) as service:
        await unseal_node(service, shares)
        found = (await service.tenant(VAULT)).mounts.get("x/")
        assert found is not None
        assert found.config == msgspec.structs.replace(config, default_lease_ttl=60, allowed_response_headers=())
        assert (found.local, found.seal_wrap, found.description) == (True, True, "d")


async def test_mounts_are_bounded_and_counted_in_bytes(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(max_mounts=4)) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        before = service.tenant_bytes
        for number in range(2):
            await tenant.ask(EnableMount(f"m{number}/", "kv-v2", "", {"a": "b" * 7000}))
        assert service.tenant_bytes - before >= 14_000
        with pytest.raises(InvalidRequest, match="4 mounts at most"):
            await tenant.ask(EnableMount("m3/", "kv-v2", "", {}))
        await tenant.ask(DisableMount("m0/"))
        await tenant.ask(EnableMount("m3/", "kv-v2", "", {}))
        await tenant.ask(DisableMount("m1/"))
        assert service.tenant_bytes - before < 14_000


async def test_the_mount_of_tokens_is_tuned_and_stays_apart(tmp_path: Path) -> None:
    async with started(tmp_path, configuration(max_mounts=2)) as service:
        shares = await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        before = tenant.mounts.tokens
        assert before is None
        await tenant.ask(TuneMount(TOKENS, "ours", {"a": "b"}, {"max_lease_ttl": 60}))
        await tenant.ask(TuneMount(TOKENS, None, None, {"listing_visibility": "unauth"}))
        with pytest.raises(InvalidRequest, match="token_type"):
            await tenant.ask(TuneMount(TOKENS, None, None, {"token_type": "batch"}))
        with pytest.raises(InvalidRequest, match="2 mounts at most"):
            await tenant.ask(EnableMount("third/", "kv", "", {}))
        await tenant.ask(DisableMount("secret/"))
        await tenant.ask(EnableMount("third/", "kv", "", {}))  # it does not count against the limit
        await tenant.ask(DisableMount(TOKENS))
        tuned = tenant.mounts.tokens
        assert tuned is not None
        assert (tuned.description, tuned.options, tuned.number) == ("ours", {"a": "b"}, 0)
        assert tuned.config == MountConfig(max_lease_ttl=60, listing_visibility="unauth")
        assert paths(tenant) == ["third/", "transit/"]
        assert tenant.mounts.match("auth/token/create") is None
        assert tenant.mounts.numbered(0) is None
    async with started(tmp_path, configuration(max_mounts=2)) as service:
        await unseal_node(service, shares)
        tenant = await service.tenant(VAULT)
        assert tenant.mounts.tokens == tuned


def test_records_of_mounts_stay_readable() -> None:
    """Of today, and of before there were settings."""
    older = b'{"path":"x/","type":"kv","number":3,"uuid":"u","accessor":"kv_1","description":"d",'
    older += b'"options":{"version":"2"}}'
    assert msgspec.json.decode(older, type=Mount) == Mount("x/", "kv", 3, "u", "kv_1", "d", {"version": "2"})
    settings = b'{"default_lease_ttl":60,"audit_non_hmac_request_keys":["a"]}'
    today = older[:-1] + b',"config":' + settings + b',"local":true,"seal_wrap":false}'
    config = MountConfig(60, audit_non_hmac_request_keys=("a",))
    mount = Mount("x/", "kv", 3, "u", "kv_1", "d", {"version": "2"}, config, local=True)
    assert msgspec.json.decode(today, type=Mount) == mount
    assert msgspec.json.encode(mount) == today[:-1] + b',"moves":0}'


@pytest.mark.parametrize(
    ("type_name", "options", "engine", "shown"),
    [
        ("kv", {}, "kv-v1", {}),
        ("kv", {"version": ""}, "kv-v1", {"version": ""}),
        ("kv", {"version": "1"}, "kv-v1", {"version": "1"}),
        ("kv", {"version": "2"}, "kv", {"version": "2"}),
        ("kv-v1", {}, "kv-v1", {"version": "1"}),
        ("kv-v1", {"version": "2"}, "kv-v1", {"version": "1"}),
        ("generic", {}, "kv-v1", {"version": "1"}),
        ("kv-v2", {"version": "1", "note": "x"}, "kv", {"version": "2", "note": "x"}),
        ("transit", {}, "transit", {}),
    ],
)
async def test_the_version_of_a_mount_is_that_of_its_type_or_its_option(
    tmp_path: Path, type_name: str, options: dict[str, str], engine: str, shown: dict[str, str]
) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(EnableMount("x/", type_name, "", options))
        made = tenant.mounts.get("x/")
        assert made is not None
        kind = "kv" if type_name == "generic" else type_name.partition("-")[0]
        assert (made.type, made.engine, made.options) == (kind, engine, shown)


async def test_an_empty_option_takes_away_what_was(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(TuneMount("secret/", None, {"note": "x", "none": ""}))
        assert tenant.mounts.get("secret/").options == {"version": "2", "note": "x"}  # type: ignore[union-attr]
        await tenant.ask(TuneMount("secret/", None, {"note": ""}))
        assert tenant.mounts.get("secret/").options == {"version": "2"}  # type: ignore[union-attr]


async def test_a_mount_is_enabled_beside_tokens_that_end(tmp_path: Path) -> None:
    """When the vault has work to do lies at the area of schedules itself, below no mount's number."""
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(EnableMount("auth/in/", "userpass", "", {}))
        number = tenant.mounts.get("auth/in/").number  # type: ignore[union-attr]
        await tenant.ask(WriteUser(number, "ann", {}, "pw"))
        await tenant.ask(LoginUser(number, "auth/in/login/ann", "::1", "ann", "pw"))
        await tenant.ask(EnableMount("more/", "kv-v2", "", {}))
        assert "more/" in paths(tenant)


async def test_a_token_may_disable_the_mount_that_gave_it(tmp_path: Path) -> None:
    """What it rests on goes by its own change, which is no reason to refuse it; it changes nothing else then."""
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(EnableMount("auth/in/", "userpass", "", {}))
        request_context.begin()
        request_context.borne_by(Bearer(("of-login",), mount=tenant.mounts.get("auth/in/").number))  # type: ignore[union-attr]
        await tenant.ask(DisableMount("auth/in/"))
        assert tenant.mounts.get("auth/in/") is None
        with pytest.raises(AuthenticationFailed):
            await tenant.ask(EnableMount("more/", "kv-v2", "", {}))
