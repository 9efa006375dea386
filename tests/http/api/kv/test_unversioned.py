"""KV version 1 from request to answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kms_actors.errors import NotFound, PermissionDenied
from kms_actors.kv import documents
from kms_actors.messages import Grants
from kms_actors.mounts import MountConfig
from kms_http.api.kv.unversioned import ROUTES, lease_duration
from kms_http.routing import EXISTENCE, Operation, Router
from tests.actors.kv_tenant import UNVERSIONED, opened
from tests.http.kv_api import Api

ROUTER = Router(ROUTES)
READ, LIST, WRITE, PATCH, DELETE, SCAN = Operation
DEFAULT = 2_764_800


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path, UNVERSIONED) as tenant:
        yield Api(tenant, ROUTER, UNVERSIONED)


async def test_put_and_get(api: Api) -> None:
    sent = b'{"big":12345678901234567890123,"f":1.5,"nul":null,"e":"\xc3\xa9 <&>","path":"p","data":{"x":[1,{}]}}'
    assert await api(WRITE, "app/creds", sent) == (204, None)
    reply = await api.reply(READ, "app/creds")
    assert (reply.status, reply.lease_duration, reply.warnings) == (200, DEFAULT, ())
    assert (await api(READ, "app/creds"))[1] == json.loads(sent)
    assert await api(WRITE, "app/creds", {"only": None}) == (204, None)
    assert (await api(READ, "app/creds"))[1] == {"only": None}
    assert await api(DELETE, "app/creds") == (204, None)
    with pytest.raises(NotFound):
        await api(READ, "app/creds")
    assert await api(DELETE, "app/creds") == (204, None)


@pytest.mark.parametrize("path", ["config", "data/x", "metadata/x", "a b", "é", "a.b", "..."])
async def test_no_path_means_anything(api: Api, path: str) -> None:
    assert await api(WRITE, path, {"a": 1}) == (204, None)
    assert (await api(READ, path))[1] == {"a": 1}
    assert await api(SCAN, "") == (200, {"keys": [path]})


async def test_the_empty_path_is_nothing(api: Api) -> None:
    with pytest.raises(NotFound):
        await api(READ, "")
    assert await api.refused(WRITE, "", {"a": 1}) == "missing path"
    assert await api(DELETE, "") == (204, None)


async def test_nothing_is_no_secret(api: Api) -> None:
    assert await api.refused(WRITE, "a", {}) == "missing data fields"


async def test_a_secret_is_as_large_as_a_version(api: Api) -> None:
    most = b'{"a":"%b"}' % (b"x" * (documents.MAX_DOCUMENT - 8))
    assert await api(WRITE, "a", most) == (204, None)
    text = f"data must be at most {documents.MAX_DOCUMENT} bytes of JSON"
    assert await api.refused(WRITE, "a", most.replace(b"x", b"xx", 1)) == text


async def test_lists(api: Api) -> None:
    for path in ("b", "b/x", "b/y/z", "a", "b-x"):
        await api(WRITE, path, {"a": 1})
    assert await api(LIST, "") == (200, {"keys": ["a", "b", "b-x", "b/"]})
    assert await api(LIST, "b") == (200, {"keys": ["x", "y/"]})
    assert await api(LIST, "b/") == (200, {"keys": ["x", "y/"]})
    assert await api(LIST, "", {"after": "b", "limit": "1"}) == (200, {"keys": ["b-x"]})
    assert await api(SCAN, "") == (200, {"keys": ["a", "b", "b-x", "b/x", "b/y/z"]})
    assert await api(SCAN, "b", {"after": "x"}) == (200, {"keys": ["y/z"]})
    assert await api(SCAN, "none") == (200, {})
    for nothing in ("none", "a"):
        with pytest.raises(NotFound):
            await api(LIST, nothing)


async def test_existence_decides_the_capability_of_writes(api: Api) -> None:
    assert ROUTER.resolve("a", WRITE)[1].capability is EXISTENCE
    api.grants = Grants(create=False)
    with pytest.raises(PermissionDenied):
        await api(WRITE, "a", {"a": 1})
    api.grants = Grants(update=False)
    assert await api(WRITE, "a", {"a": 1}) == (204, None)
    with pytest.raises(PermissionDenied):
        await api(WRITE, "a", {"a": 2})


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        ({"ttl": "30m"}, 1800),
        ({"ttl": 3600}, 3600),
        ({"ttl": "3600", "lease": "1h30m"}, 3600),
        ({"lease": "1h30m"}, 5400),
        ({"ttl": "bad", "lease": "30m"}, DEFAULT),
        ({"ttl": 0}, 0),
        ({"ttl": None}, 0),
        ({"ttl": ""}, 0),
        ({"ttl": -5}, -5),
        ({"ttl": "-1500ms"}, -1),
        ({"ttl": "1999ms"}, 1),
        ({"ttl": ".5h"}, 1800),
        ({"ttl": "40d"}, 3_456_000),
        ({"ttl": 1.5}, DEFAULT),
        ({"ttl": 1e3}, DEFAULT),
        ({"ttl": True}, DEFAULT),
        ({"ttl": [5]}, DEFAULT),
        ({"ttl": {"ttl": 5}}, DEFAULT),
        ({"ttl": 9_223_372_036}, 9_223_372_036),
        ({"ttl": 9_223_372_037}, DEFAULT),
        ({"inner": {"ttl": "5m"}}, DEFAULT),
        ({"text": '"ttl":5'}, DEFAULT),
        ({"TTL": "30m"}, DEFAULT),
    ],
)
async def test_a_secret_says_how_long_it_is_good(api: Api, data: dict[str, Any], seconds: int) -> None:
    await api(WRITE, "a", data)
    assert (await api.reply(READ, "a")).lease_duration == seconds


async def test_where_it_does_not_the_mount_does(api: Api) -> None:
    await api(WRITE, "a", {"ttl": "x"})
    api.mount = replace(UNVERSIONED, config=MountConfig(default_lease_ttl=3600, max_lease_ttl=1800))
    assert (await api.reply(READ, "a")).lease_duration == 3600
    assert lease_duration(b'{"ttl":"2h"}', 5) == 7200
