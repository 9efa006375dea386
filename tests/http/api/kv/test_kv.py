"""KV paths from request to answer, as Vault's API documentation walks them. The server itself is not needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kms_actors.auth.principal import Capability
from kms_actors.errors import NotFound, PermissionDenied, UnsupportedOperation
from kms_actors.messages import Grants
from kms_http.api.kv.routes import ROUTES
from kms_http.routing import EXISTENCE, LISTING, Operation, Router
from kms_http.wire.json_codec import dumps
from tests.actors.kv_tenant import SECOND, VERSIONED, opened
from tests.http.kv_api import Api

ROUTER = Router(ROUTES)
READ, LIST, WRITE, PATCH, DELETE, SCAN = Operation
WRONG = (
    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. "
    "If using the Vault CLI, use 'vault kv {}' for this operation."
)
ROOT = "Non-listing operations on the root of a K/V v2 mount are not supported."
NO_VERSIONS: list[Any] = [{}, {"versions": []}, {"versions": ""}, {"versions": None}]
START = "2023-11-14T22:13:20Z"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as tenant:
        yield Api(tenant, ROUTER, VERSIONED)


def written(version: int, created: str = START, deletion: str = "", custom: Any = None) -> dict[str, Any]:
    return {
        "created_time": created,
        "custom_metadata": custom,
        "deletion_time": deletion,
        "destroyed": False,
        "version": version,
    }


async def test_put_and_get(api: Api) -> None:
    first = {"user": "u", "n": {"a": 1, "b": [1, 2]}}
    second = b'{"data":{"big":12345678901234567890123,"f":1.5,"nul":null,"e":"\xc3\xa9 <&>"}}'
    assert await api(WRITE, "data/creds", {"data": first}) == (200, written(1))
    assert await api(WRITE, "data/creds", second) == (200, written(2))
    shown = {"big": 12345678901234567890123, "f": 1.5, "nul": None, "e": "é <&>"}
    for version in (None, "0", "-1", "2", 2):
        sent = {} if version is None else {"version": version}
        assert await api(READ, "data/creds", sent) == (200, {"data": shown, "metadata": written(2)})
    assert await api(READ, "data/creds", {"version": "1"}) == (200, {"data": first, "metadata": written(1)})
    with pytest.raises(NotFound):
        await api(READ, "data/creds", {"version": "99"})
    text = await api.refused(READ, "data/creds", {"version": "x"})
    assert text.startswith('Field validation failed: error converting input for field "version": ')


async def test_check_and_set(api: Api) -> None:
    data = {"data": {"a": 1}}
    mismatch = "check-and-set parameter did not match the current version"
    assert await api.refused(WRITE, "data/s", data | {"options": {"cas": 5}}) == mismatch
    assert (await api(WRITE, "data/s", data | {"options": {"cas": 0}}))[0] == 200
    assert (await api(WRITE, "data/s", data | {"options": {"cas": "1"}}))[0] == 200
    for cas in (0, 1, None, -1):
        assert await api.refused(WRITE, "data/s", data | {"options": {"cas": cas}}) == mismatch
    unfit: list[Any] = ["x", [], {}, 1.5, 2**70]
    for wrong in unfit:
        text = await api.refused(WRITE, "data/s", data | {"options": {"cas": wrong}})
        assert text == "error parsing check-and-set parameter"
    assert (await api(WRITE, "data/s", data | {"options": {"other": 1}}))[0] == 200


async def test_data_must_be_an_object(api: Api) -> None:
    empty: list[Any] = [{}, {"options": {}}]
    for sent in empty:
        assert await api.refused(WRITE, "data/s", sent) == "no data provided"
        assert await api.refused(PATCH, "data/s", sent) == "no data provided"
    for wrong in ("canary", 1, [1], True):
        text = await api.refused(WRITE, "data/s", {"data": wrong})
        assert text.startswith(
            "error converting input for field \"data\": '' expected type 'map[string]interface {}'"
        )
        assert "canary" not in text
    assert (await api(WRITE, "data/s", {"data": None}))[0] == 200
    assert (await api(READ, "data/s"))[1]["data"] == {}
    assert "at most 1048576 bytes" in await api.refused(WRITE, "data/s", {"data": {"a": "x" * 2**20}})


async def test_patch(api: Api) -> None:
    reply = await api.reply(PATCH, "data/s", {"data": {"x": 1}})
    assert (reply.status, dumps(reply.bare)) == (404, b"")
    await api(WRITE, "data/s", {"data": {"user": "u", "keep": "k", "n": {"a": 1, "b": 2}}})
    patch = {"data": {"n": {"b": None, "c": 3}, "extra": "e", "user": None}}
    assert await api(PATCH, "data/s", patch) == (200, written(2))
    assert (await api(READ, "data/s"))[1]["data"] == {"extra": "e", "keep": "k", "n": {"a": 1, "c": 3}}
    assert await api.refused(PATCH, "data/s", {"data": None}) == "Invalid JSON Patch"
    mismatch = "check-and-set parameter did not match the current version"
    assert await api.refused(PATCH, "data/s", patch | {"options": {"cas": 1}}) == mismatch
    await api(DELETE, "data/s")
    assert await api(PATCH, "data/s", patch) == (404, written(2, deletion=START))


async def test_delete_undelete_destroy(api: Api) -> None:
    for _ in range(2):
        await api(WRITE, "data/s", {"data": {"a": 1}})
    assert await api(DELETE, "data/s") == (204, None)
    assert await api(READ, "data/s") == (404, {"data": None, "metadata": written(2, deletion=START)})
    assert await api(READ, "subkeys/s") == (404, {"subkeys": None, "metadata": written(2, deletion=START)})
    assert await api(WRITE, "undelete/s", {"versions": "1,2"}) == (204, None)
    assert (await api(READ, "data/s"))[0] == 200
    assert await api(WRITE, "delete/s", {"versions": ["1"]}) == (204, None)
    assert (await api(READ, "data/s", {"version": 1}))[0] == 404
    assert await api(WRITE, "destroy/s", {"versions": 2}) == (204, None)
    gone = {"data": None, "metadata": written(2) | {"destroyed": True}}
    assert await api(READ, "data/s") == (404, gone)
    assert await api(WRITE, "undelete/s", {"versions": [2]}) == (204, None)
    assert await api(READ, "data/s") == (404, gone)
    for path in ("delete", "undelete", "destroy"):
        assert await api(WRITE, f"{path}/nosuch", {"versions": [1]}) == (204, None)
        assert await api(WRITE, f"{path}/s", {"versions": [77]}) == (204, None)
        for nothing in NO_VERSIONS:
            text = "no version number provided" if path == "destroy" else "No version number provided"
            assert await api.refused(WRITE, f"{path}/s", nothing) == text
        assert '"versions"' in await api.refused(WRITE, f"{path}/s", {"versions": ["x"]})
    assert await api(DELETE, "data/nosuch") == (204, None)


async def test_metadata(api: Api) -> None:
    settings = {
        "max_versions": 3,
        "cas_required": True,
        "delete_version_after": "3h25m19s",
        "custom_metadata": {"owner": "x", "n": 1, "t": True},
    }
    assert await api(WRITE, "metadata/s", settings) == (204, None)
    assert await api.refused(WRITE, "data/s", {"data": {}}) == "check-and-set parameter required for this call"
    later = "2023-11-15T01:38:39Z"
    custom = {"owner": "x", "n": "1", "t": "1"}
    assert await api(WRITE, "data/s", {"data": {}, "options": {"cas": 0}}) == (
        200,
        written(1, deletion=later, custom=custom),
    )
    expected = {
        "cas_required": True,
        "created_time": START,
        "current_metadata_version": 1,
        "current_version": 1,
        "custom_metadata": custom,
        "delete_version_after": "3h25m19s",
        "max_versions": 3,
        "metadata_cas_required": False,
        "oldest_version": 0,
        "updated_time": START,
        "versions": {"1": {"created_time": START, "deletion_time": later, "destroyed": False}},
    }
    assert await api(READ, "metadata/s") == (200, expected)
    assert list((await api(READ, "metadata/s"))[1]) == sorted(expected)
    patch = {"custom_metadata": {"owner": None, "z": "1"}, "max_versions": None, "delete_version_after": None}
    assert await api(PATCH, "metadata/s", patch) == (204, None)
    expected |= {"custom_metadata": {"n": "1", "t": "1", "z": "1"}, "max_versions": 0, "current_metadata_version": 2}
    assert await api(READ, "metadata/s") == (200, expected)
    assert await api(PATCH, "metadata/s", {"custom_metadata": None, "cas_required": False}) == (204, None)
    assert (await api(READ, "metadata/s"))[1]["custom_metadata"] is None
    assert await api(WRITE, "metadata/s", {}) == (204, None)
    assert await api(DELETE, "metadata/s") == (204, None)
    assert await api(DELETE, "metadata/s") == (204, None)
    with pytest.raises(NotFound):
        await api(READ, "metadata/s")


async def test_updated_time_follows_every_change_of_a_version(api: Api) -> None:
    await api(WRITE, "data/s", {"data": {}})
    for path in ("delete", "undelete", "destroy"):
        api.tenant.now += SECOND
        await api(WRITE, f"{path}/s", {"versions": [1]})
        updated = (await api(READ, "metadata/s"))[1]["updated_time"]
        assert updated == f"2023-11-14T22:13:{20 + (api.tenant.now // SECOND - 1_700_000_000)}Z"


async def test_metadata_refusals(api: Api) -> None:
    reply = await api.reply(PATCH, "metadata/nosuch", {"custom_metadata": {"z": "1"}})
    assert (reply.status, dumps(reply.bare)) == (404, b"")
    for sent in ({"max_versions": 3}, {"max_versions": None}, {"custom_metadata": None}, {"cas_required": None}):
        assert (await api.reply(PATCH, "metadata/nosuch", sent)).status == 404
    for sent in ({}, {"unknown": 1}, {"delete_version_after": None}):
        assert (await api.reply(PATCH, "metadata/nosuch", sent)).status == 204
    for wrong in ({"max_versions": "x"}, {"custom_metadata": {"": "x"}}, {"custom_metadata": {"a": [1]}}):
        assert await api.refused(PATCH, "metadata/nosuch", wrong)
    text = await api.refused(WRITE, "metadata/s", {"delete_version_after": "zz"})
    assert text.startswith('error converting input for field "delete_version_after": ')
    assert "negative" in await api.refused(WRITE, "metadata/s", {"delete_version_after": -1})
    for number in (-1, "-1", 2**32):
        for path in ("metadata/s", "config"):
            assert "max_versions" in await api.refused(WRITE, path, {"max_versions": number})
    failed = "custom_metadata validation failed: '' expected type 'string', got unconvertible type "
    nested = {"custom_metadata": {"a": {"b": "canary"}}}
    assert await api.refused(WRITE, "metadata/s", nested) == f"{failed}'map[string]interface {{}}'"
    assert await api.refused(WRITE, "metadata/s", {"custom_metadata": ["canary"]}) == f"{failed}'[]interface {{}}'"
    assert "at most 64 keys, provided 65" in await api.refused(
        WRITE, "metadata/s", {"custom_metadata": {f"k{n}": "1" for n in range(65)}}
    )
    assert "length of value for key" in await api.refused(WRITE, "metadata/s", {"custom_metadata": {"a": None}})


async def test_config(api: Api) -> None:
    defaults = {
        "cas_required": False,
        "delete_version_after": "0s",
        "max_versions": 0,
        "metadata_cas_required": False,
    }
    assert await api(READ, "config") == (200, defaults)
    assert await api(WRITE, "config", {}) == (204, None)
    assert await api(WRITE, "config", {"max_versions": "5", "delete_version_after": "1500ms"}) == (204, None)
    assert await api(READ, "config") == (200, defaults | {"max_versions": 5, "delete_version_after": "1s"})
    for negative in ("-1s", -3600, "-2h"):
        await api(WRITE, "config", {"delete_version_after": negative, "cas_required": "true"})
        assert (await api(READ, "config"))[1]["delete_version_after"] == "-1s"
    reply = await api.reply(WRITE, "metadata/s", {"cas_required": False})
    text = '"cas_required" set to false, but is mandated by backend config. This value will be ignored.'
    assert (reply.status, reply.data, reply.warnings) == (200, None, (text,))


async def test_subkeys(api: Api) -> None:
    await api(WRITE, "data/s", {"data": {"user": "u", "n": {"a": 1, "b": [1, 2]}}})
    subkeys = {"n": {"a": None, "b": None}, "user": None}
    assert await api(READ, "subkeys/s", {"version": "1"}) == (200, {"metadata": written(1), "subkeys": subkeys})
    for depth in ("1", "-1", "-7"):
        assert (await api(READ, "subkeys/s", {"depth": depth}))[1]["subkeys"] == {"n": None, "user": None}
    with pytest.raises(NotFound):
        await api(READ, "subkeys/nosuch")


async def test_list(api: Api) -> None:
    with pytest.raises(NotFound):
        await api(LIST, "metadata")
    for path in ("creds", "dir/a", "dir/b/c", "dir/b", "dirx"):
        await api(WRITE, f"data/{path}", {"data": {}})
    assert await api(LIST, "metadata") == (200, {"keys": ["creds", "dir/", "dirx"]})
    assert await api(LIST, "metadata/dir") == (200, {"keys": ["a", "b", "b/"]})
    assert await api(LIST, "metadata", {"after": "creds", "limit": "1"}) == (200, {"keys": ["dir/"]})
    assert await api(LIST, "metadata", {"limit": "-1"}) == (200, {"keys": ["creds", "dir/", "dirx"]})
    with pytest.raises(NotFound):
        await api(LIST, "metadata/creds")


@pytest.mark.parametrize("sent", [{}, {"a": "unknown fields bring no warning", "data": 1}])
@pytest.mark.parametrize(
    ("operation", "path", "text"),
    [
        (WRITE, "creds", WRONG.format("put")),
        (READ, "creds/x", WRONG.format("get")),
        (PATCH, "creds", WRONG.format("patch")),
        (DELETE, "datax/creds", WRONG.format("delete")),
        (LIST, "creds", WRONG.format("list")),
        (LIST, "config", WRONG.format("list")),
        (SCAN, "creds", WRONG.format("scan").replace("Vault CLI, use 'vault", "OpenBao CLI, use 'bao")),
        (READ, "", WRONG.format("get")),
        (READ, "metadata", ROOT),
        (READ, "data", ROOT),
        (WRITE, "destroy", ROOT),
        (DELETE, "metadata", ROOT),
    ],
)
async def test_wrong_paths_say_which_command_to_use(
    api: Api, operation: Operation, path: str, text: str, sent: dict[str, Any]
) -> None:
    _, endpoint, _ = ROUTER.resolve(path + "/" * (operation in LISTING), operation)
    assert endpoint.fields.parse(sent) == ({}, [])
    reply = await api.reply(operation, path, sent)
    assert (reply.status, reply.data, reply.warnings) == (404, None, (text,))


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (READ, "delete/s"),
        (READ, "undelete/s"),
        (DELETE, "destroy/s"),
        (DELETE, "config"),
        (WRITE, "subkeys/s"),
        (READ, "times/s"),
        (DELETE, "times/s"),
        *((operation, path) for operation in (LIST, SCAN) for path in ("data", "data/s", "delete/s", "subkeys")),
    ],
)
async def test_operations_a_path_does_not_take_are_refused(api: Api, operation: Operation, path: str) -> None:
    with pytest.raises(UnsupportedOperation, match="unsupported operation"):
        await api(operation, path)


async def test_the_empty_path_is_nothing(api: Api) -> None:
    for path in ("data/", "metadata/", "subkeys/"):
        with pytest.raises(NotFound):
            await api(READ, path)
    for path in ("data/", "metadata/", "delete/"):
        text = await api.refused(WRITE, path, {"data": {}, "versions": [1]})
        assert text == "cannot write to a path ending in '/'"
    assert await api(DELETE, "data/") == (204, None)


async def test_existence_decides_the_capability_of_writes(api: Api) -> None:
    api.grants = Grants(create=False)
    with pytest.raises(PermissionDenied):
        await api(WRITE, "data/s", {"data": {}})
    api.grants = Grants(update=False)
    assert (await api(WRITE, "metadata/s", {"max_versions": 1}))[0] == 204
    with pytest.raises(PermissionDenied):
        await api(WRITE, "data/s", {"data": {}})


_EARLY, _LATER, _LAST = "2020-01-02T03:04:05.123456789Z", "2021-01-02T03:04:05.5+02:00", "2022-01-02T03:04:05Z"


async def test_times_are_told_to_the_nanosecond_as_they_were_set(api: Api) -> None:
    for _ in range(2):
        await api(WRITE, "data/s", {"data": {"a": 1}})
    await api(WRITE, "delete/s", {"versions": [1]})
    shown = (await api(READ, "metadata/s"))[1]
    assert await api(WRITE, "times/s", {}) == (204, None)
    assert (await api(READ, "metadata/s"))[1] == shown
    sent = {
        "created_time": _EARLY,
        "updated_time": _LAST,
        "versions": {
            "1": {"created_time": _EARLY, "deletion_time": _LATER, "destroyed": False},
            "2": {"created_time": _LATER},
        },
    }
    assert await api(WRITE, "times/s", sent) == (204, None)
    after, utc = (await api(READ, "metadata/s"))[1], "2021-01-02T01:04:05.5Z"
    assert after == {
        **shown,
        "created_time": _EARLY,
        "updated_time": _LAST,
        "versions": {
            "1": {"created_time": _EARLY, "deletion_time": utc, "destroyed": False},
            "2": {"created_time": utc, "deletion_time": "", "destroyed": False},
        },
    }
    # What a server has told of a secret may be sent as it is.
    await api(WRITE, "times/s", {name: after[name] for name in sent})
    assert (await api(READ, "metadata/s"))[1] == after
    assert (await api(READ, "data/s"))[1]["data"] == {"a": 1}
    with pytest.raises(NotFound):
        await api(WRITE, "times/nosuch", sent)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({"created_time": "yesterday"}, "a time of RFC 3339 is expected"),
        ({"created_time": ""}, "a time of RFC 3339 is expected, after 1970"),
        ({"updated_time": 5}, "a time of RFC 3339 is expected"),
        ({"updated_time": "2020-13-01T00:00:00Z"}, "a time of RFC 3339 is expected"),
        ({"updated_time": "2300-01-01T00:00:00Z"}, "a time of RFC 3339 is expected"),
        ({"versions": {"x": {}}}, "versions are named by their numbers"),
        ({"versions": {"-1": {}}}, "versions are named by their numbers"),
        ({"versions": {"9" * 5000: {}}}, "versions are named by their numbers"),
        ({"versions": {"1": None}}, "version 1: created_time and deletion_time are expected"),
        ({"versions": {"1": {"created_time": None}}}, "version 1: a time of RFC 3339 is expected"),
        ({"versions": {"1": {"deletion_time": ["x"]}}}, "version 1: a time of RFC 3339 is expected"),
        ({"versions": {"7": {}}}, "there is no version 7"),
        ({"versions": {str(number): {} for number in range(10_001)}}, "no secret has more than 10000 versions"),
    ],
)
async def test_times_that_are_none_are_refused_and_change_nothing(api: Api, sent: dict[str, Any], text: str) -> None:
    await api(WRITE, "data/s", {"data": {"a": 1}})
    shown = (await api(READ, "metadata/s"))[1]
    assert text in await api.refused(WRITE, "times/s", {"created_time": _EARLY, **sent})
    assert (await api(READ, "metadata/s"))[1] == shown


def test_times_take_sudo() -> None:
    assert ROUTER.resolve("times/s", WRITE)[1].sudo


@pytest.mark.parametrize(
    ("operation", "path", "capability"),
    [
        (READ, "data/s", Capability.READ),
        (WRITE, "data/s", EXISTENCE),
        (PATCH, "data/s", Capability.PATCH),
        (DELETE, "data/s", Capability.DELETE),
        (WRITE, "destroy/s", Capability.UPDATE),
        (READ, "metadata/s", Capability.READ),
        (LIST, "metadata/", Capability.LIST),
        (LIST, "metadata/s/", Capability.LIST),
        (WRITE, "metadata/s", EXISTENCE),
        (DELETE, "metadata/s", Capability.DELETE),
        (READ, "subkeys/s", Capability.READ),
        (WRITE, "times/s", Capability.UPDATE),
        (WRITE, "config", Capability.UPDATE),
        (READ, "wrong", Capability.READ),
    ],
)
def test_capabilities(operation: Operation, path: str, capability: Capability | None) -> None:
    assert ROUTER.resolve(path, operation)[1].capability is capability


async def test_null_periods_change_nothing(api: Api) -> None:
    await api(WRITE, "config", {"delete_version_after": "5s"})
    await api(WRITE, "config", {"delete_version_after": None})
    assert (await api(READ, "config"))[1]["delete_version_after"] == "5s"
    assert await api(WRITE, "metadata/new", {"delete_version_after": None}) == (204, None)
    with pytest.raises(NotFound):
        await api(READ, "metadata/new")


async def test_empty_lists_stand_for_empty_objects(api: Api) -> None:
    assert (await api(WRITE, "data/a", {"data": [], "options": []}))[0] == 200
    assert (await api(READ, "data/a"))[1]["data"] == {}
    assert await api(WRITE, "metadata/a", {"custom_metadata": []}) == (204, None)
    assert await api.refused(WRITE, "delete/a", {"versions": {}}) == "No version number provided"


async def test_a_version_in_a_body_is_checked_though_it_plays_no_part(api: Api) -> None:
    assert (await api(WRITE, "data/a", {"data": {}, "version": 7}))[1]["version"] == 1
    assert 'field "version"' in await api.refused(WRITE, "data/a", {"data": {}, "version": ["x"]})
