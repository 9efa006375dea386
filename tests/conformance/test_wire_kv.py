"""KV version 2 over the wire: versions, metadata, patches, lists and refusals."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from tests.support.api import ENVELOPE, Api
from tests.support.tenant import Tenant

TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z")


def test_written_secret_answers_its_metadata(tenant: Tenant) -> None:
    written = tenant.user.post("secret/data/a", {"data": {"b": "c"}}).data
    assert list(written) == ["created_time", "custom_metadata", "deletion_time", "destroyed", "version"]
    assert TIME.fullmatch(written.pop("created_time"))
    assert written == {"custom_metadata": None, "deletion_time": "", "destroyed": False, "version": 1}


@pytest.mark.parametrize(("version", "destroyed"), [(1, True), (2, False)])
def test_unreadable_version_is_404_with_its_metadata(user: Api, version: int, *, destroyed: bool) -> None:
    answer = user.get(f"secret/data/creds?version={version}")
    assert answer.status == 404
    assert tuple(answer.json) == ENVELOPE
    data = answer.json["data"]
    assert data["data"] is None
    assert (data["metadata"]["version"], data["metadata"]["destroyed"]) == (version, destroyed)
    assert bool(data["metadata"]["deletion_time"]) is not destroyed


def test_metadata_of_a_secret(user: Api) -> None:
    metadata = user.get("secret/metadata/creds").data
    versions = metadata.pop("versions")
    assert list(versions) == ["1", "2", "3", "4"]
    assert all(set(version) == {"created_time", "deletion_time", "destroyed"} for version in versions.values())
    assert TIME.fullmatch(metadata.pop("created_time"))
    assert TIME.fullmatch(metadata.pop("updated_time"))
    assert metadata == {
        "cas_required": False,
        "current_metadata_version": 0,
        "current_version": 4,
        "custom_metadata": None,
        "delete_version_after": "0s",
        "max_versions": 0,
        "metadata_cas_required": False,
        "oldest_version": 0,
    }


def test_configuration_of_a_mount(user: Api) -> None:
    assert user.get("secret/config").data == {
        "cas_required": False,
        "delete_version_after": "0s",
        "max_versions": 0,
        "metadata_cas_required": False,
    }


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("data/creds", {}, "no data provided"),
        ("data/creds", {"options": {"cas": 4}}, "no data provided"),
        (
            "data/creds",
            {"data": {}, "options": {"cas": 1}},
            "check-and-set parameter did not match the current version",
        ),
        (
            "data/creds",
            {"data": {}, "options": {"cas": 0}},
            "check-and-set parameter did not match the current version",
        ),
        (
            "data/new",
            {"data": {}, "options": {"cas": 5}},
            "check-and-set parameter did not match the current version",
        ),
        (
            "data/gone",
            {"data": {}, "options": {"cas": 0}},
            "check-and-set parameter did not match the current version",
        ),
        ("data/creds", {"data": {}, "options": {"cas": "x"}}, "error parsing check-and-set parameter"),
        ("data/strict", {"data": {}}, "check-and-set parameter required for this call"),
        ("delete/creds", {}, "No version number provided"),
        ("undelete/creds", {"versions": []}, "No version number provided"),
        ("destroy/creds", {}, "no version number provided"),
    ],
)
def test_kv_refusals(user: Api, path: str, body: Any, error: str) -> None:
    answer = user.post(f"secret/{path}", body)
    assert (answer.status, answer.errors) == (400, [error])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "data/nothing", None),
        ("POST", "delete/nothing", {"versions": [1]}),
        ("POST", "undelete/creds", {"versions": ["77"]}),
        ("POST", "destroy/creds", {"versions": "77,78"}),
        ("DELETE", "metadata/nothing", None),
    ],
)
def test_kv_changes_of_what_is_not_there_succeed(user: Api, method: str, path: str, body: Any) -> None:
    assert user.call(method, f"secret/{path}", body).status == 204


def test_patches(tenant: Tenant) -> None:
    user = tenant.user
    patch = {"data": {"a": None, "n": {"x": 1}}}
    missing = user.patch("secret/data/p", patch)
    assert (missing.status, missing.body) == (404, b"")
    user.post("secret/data/p", {"data": {"a": 1, "b": 2, "n": {"y": [1, 2]}}})
    assert user.patch("secret/data/p", patch).data["version"] == 2
    assert user.get("secret/data/p").data["data"] == {"b": 2, "n": {"x": 1, "y": [1, 2]}}
    wrong = user.patch("secret/data/p", patch, "application/json")
    text = "PATCH requires Content-Type of application/merge-patch+json, provided application/json"
    assert (wrong.status, wrong.errors) == (415, [text])
    untyped = user.call("PATCH", "secret/data/p", patch)
    assert (untyped.status, untyped.errors) == (400, ["mime: no media type"])
    user.delete("secret/data/p")
    deleted = user.patch("secret/data/p", patch)
    assert (deleted.status, deleted.json["data"]["version"]) == (404, 2)


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [("GET", "creds", "get"), ("POST", "creds", "put"), ("DELETE", "creds", "delete"), ("LIST", "x", "list")],
)
def test_path_without_its_prefix_is_told_how_to_ask(user: Api, method: str, path: str, verb: str) -> None:
    answer = user.call(method, f"secret/{path}", {} if method == "POST" else None)
    assert answer.status == 404
    (warning,) = answer.json["warnings"]
    assert warning.startswith("Invalid path for a versioned K/V secrets engine.")
    assert f"use 'vault kv {verb}' for this operation" in warning


def test_lists_are_sorted_and_show_folders(tenant: Tenant) -> None:
    for path in ("dir/a", "dir/b/c", "dir/b", "dirx", "Z", "\u00e9"):
        assert tenant.user.post(f"secret/data/{path.replace(chr(233), '%C3%A9')}", {"data": {}}).status == 200
    assert tenant.user.list("secret/metadata").data["keys"] == ["Z", "dir/", "dirx", "\u00e9"]
    assert tenant.user.list("secret/metadata/dir").data["keys"] == ["a", "b", "b/"]


def test_old_versions_are_dropped_past_the_limit(tenant: Tenant) -> None:
    user = tenant.user
    user.post("secret/metadata/few", {"max_versions": 2})
    for number in range(4):
        user.post("secret/data/few", {"data": {"n": number}})
    metadata = user.get("secret/metadata/few").data
    assert (list(metadata["versions"]), metadata["oldest_version"]) == (["3", "4"], 3)
    dropped = user.get("secret/data/few?version=1")
    assert (dropped.status, dropped.errors) == (404, [])


def test_custom_metadata_is_bounded(user: Api) -> None:
    text = "1 error occurred:\n\t* custom_metadata validation failed: "
    for sent, error in (
        ({f"k{number}": "v" for number in range(65)}, "payload must contain at most 64 keys, provided 65\n\n"),
        ({"k": ""}, 'length of value for key "k" is 0 but must be 0 < len(value) <= 512\n\n'),
    ):
        answer = user.post("secret/metadata/creds", {"custom_metadata": sent})
        assert (answer.status, answer.errors) == (400, [text + error])
