"""Scans, and lists with metadata: OpenBao's additions to KV version 2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kms_actors.actors.kv import lists
from kms_actors.auth.principal import Access, Capability, Right
from kms_actors.errors import InvalidRequest, NotFound
from kms_http.api.kv import lists as shown
from kms_http.api.kv.routes import ROUTES
from kms_http.routing import Operation, Router
from tests.actors.kv_tenant import VERSIONED, opened
from tests.http.kv_api import Api

ROUTER = Router(ROUTES)
READ, LIST, WRITE, PATCH, DELETE, SCAN = Operation
PATHS = ["B", "a", "b", "b-x", "b/x", "b/y", "b/z/1", "b/z/2", "c/10", "é"]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as tenant:
        for path in PATHS:
            await tenant.put(path)
        yield Api(tenant, ROUTER, VERSIONED)


def narrowed(api: Api, *denied: str) -> list[Access]:
    """Have the caller's token refuse to scan these folders; return what it is asked."""
    asked: list[Access] = []

    def allows(access: Access) -> bool:
        asked.append(access)
        return not access.path.startswith(denied)

    principal: Any = SimpleNamespace(
        resource="vault", right=Right.DATA, narrowed=True, acl=None, under=None, allows=allows
    )
    api.principal = principal
    return asked


@pytest.mark.parametrize("place", ["metadata", "detailed-metadata"])
async def test_a_scan_names_all_that_lies_below(api: Api, place: str) -> None:
    assert (await api(SCAN, place))[1]["keys"] == PATHS
    assert (await api(SCAN, f"{place}/b"))[1]["keys"] == ["x", "y", "z/1", "z/2"]
    assert (await api(SCAN, f"{place}/b/"))[1]["keys"] == ["x", "y", "z/1", "z/2"]
    assert (await api(SCAN, place, {"after": "b/x", "limit": 2}))[1]["keys"] == ["b/y", "b/z/1"]
    assert (await api(SCAN, f"{place}/b", {"after": "x", "limit": 1}))[1]["keys"] == ["y"]
    assert (await api(SCAN, f"{place}/b", {"limit": -1}))[1]["keys"] == ["x", "y", "z/1", "z/2"]


@pytest.mark.parametrize("path", ["metadata/none", "metadata/a", "detailed-metadata/none"])
async def test_a_scan_of_nothing_is_empty_and_a_list_is_not_found(api: Api, path: str) -> None:
    assert await api(SCAN, path) == (200, {})
    with pytest.raises(NotFound):
        await api(LIST, path)


async def test_a_list_with_metadata_shows_that_of_each_secret_and_nothing_of_folders(api: Api) -> None:
    await api(WRITE, "metadata/b", {"custom_metadata": {"team": "blue"}})
    status, data = await api(LIST, "detailed-metadata")
    assert status == 200
    assert data["keys"] == ["B", "a", "b", "b-x", "b/", "c/", "é"]
    assert list(data["key_info"]) == data["keys"]
    assert data["key_info"]["b/"] == data["key_info"]["c/"] == {}
    assert data["key_info"]["b"] == (await api(READ, "metadata/b"))[1]
    page = (await api(LIST, "detailed-metadata", {"after": "b", "limit": 2}))[1]
    assert page["keys"] == list(page["key_info"]) == ["b-x", "b/"]
    below = (await api(SCAN, "detailed-metadata/b"))[1]
    assert below["key_info"]["z/2"] == (await api(READ, "metadata/b/z/2"))[1]


async def test_no_data_of_secrets_are_in_a_list(api: Api) -> None:
    await api.tenant.put("a", b'{"a":"canary"}')
    assert "canary" not in repr(await api(LIST, "detailed-metadata"))


async def test_what_is_too_much_for_one_answer_is_asked_for_in_pages(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MOST_SHOWN", 3)
    monkeypatch.setattr(lists, "MOST_SCANNED", 4)
    assert await api.refused(LIST, "detailed-metadata") == "there are more than 3 secrets: use limit and after"
    assert await api.refused(LIST, "detailed-metadata", {"limit": 4}) == (
        "there are more than 3 secrets: use limit and after"
    )
    assert (await api(LIST, "detailed-metadata", {"limit": 3}))[1]["keys"] == ["B", "a", "b"]
    assert await api.refused(SCAN, "metadata") == "there are more than 4 secrets: use limit and after"
    assert (await api(SCAN, "metadata/b"))[1]["keys"] == ["x", "y", "z/1", "z/2"]
    monkeypatch.setattr(lists, "MOST_BYTES", 200)
    assert "is too large for one answer: use limit and after" in await api.refused(
        LIST, "detailed-metadata", {"limit": 3}
    )
    assert (await api(LIST, "detailed-metadata", {"limit": 1}))[1]["keys"] == ["B"]


async def test_a_caller_sees_what_lies_in_folders_that_he_may_scan(api: Api) -> None:
    asked = narrowed(api, "secret/metadata/b/z/", "secret/detailed-metadata/b/z/", "secret/metadata/c/")
    assert (await api(SCAN, "metadata"))[1]["keys"] == ["B", "a", "b", "b-x", "b/x", "b/y", "é"]
    assert [access.path for access in asked] == [f"secret/metadata/{folder}" for folder in ("b/", "b/z/", "c/")]
    assert {(access.operation, access.method, access.mount) for access in asked} == {
        (Capability.SCAN, "SCAN", "secret/")
    }
    assert (await api(SCAN, "metadata/b"))[1]["keys"] == ["x", "y"]
    data = (await api(SCAN, "detailed-metadata/b"))[1]
    assert data["keys"] == list(data["key_info"]) == ["x", "y"]
    narrowed(api, "secret/metadata/c")
    assert (await api(SCAN, "metadata/c"))[1]["keys"] == ["10"], "the folder itself was allowed before"


async def test_policies_decide_the_same(api: Api) -> None:
    allowed = {"secret/metadata/b/": {Capability.SCAN}, "secret/metadata/c/": {Capability.LIST}}

    def rule(path: str, *, listing: bool) -> Any:
        assert listing
        return SimpleNamespace(capabilities=allowed[path]) if path in allowed else None

    common = {"resource": "vault", "right": Right.POLICY, "narrowed": False}
    principal: Any = SimpleNamespace(**common, acl=SimpleNamespace(is_root=False, rule=rule), under=None)
    api.principal = principal
    assert (await api(SCAN, "metadata"))[1]["keys"] == ["B", "a", "b", "b-x", "b/x", "b/y", "é"]
    child: Any = SimpleNamespace(**{**common, "right": Right.ROOT}, acl=None, under=principal)
    api.principal = child
    assert (await api(SCAN, "metadata/b"))[1]["keys"] == ["x", "y"], "nor may who was made by such a token do more"


async def test_the_policy_root_gives_all(api: Api) -> None:
    root: Any = SimpleNamespace(
        resource="vault", right=Right.POLICY, narrowed=False, acl=SimpleNamespace(is_root=True), under=None
    )
    api.principal = root
    assert (await api(SCAN, "metadata"))[1]["keys"] == PATHS


async def test_a_scan_of_more_folders_than_are_asked_about_is_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "_MOST_FOLDERS", 2)
    narrowed(api)
    with pytest.raises(InvalidRequest, match="there are more than 2 folders: use limit and after"):
        await api(SCAN, "metadata")
    assert (await api(SCAN, "metadata/b"))[1]["keys"] == ["x", "y", "z/1", "z/2"]
