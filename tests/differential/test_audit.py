"""The same requests to a node and to the reference, both with a `file` device: entries of the same shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.reference import find_bao, reference
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

#: What only one of them says: whom policies come from, counters of clients, and when a token was made.
LEFT_OUT: Final = frozenset({"granting_policies", "client_id", "mount_accessor", "entity_created"})


def shape(value: Any, *, name: str = "") -> Any:
    """Return an entry without what differs by nature: ids, times, hashes become their kinds."""
    if isinstance(value, dict):
        return {key: shape(each, name=key) for key, each in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [shape(each) for each in value]
    if isinstance(value, str):
        if value.startswith("hmac-sha256:"):
            return "hmac"
        return value if name in {"type", "path", "mount_point", "mount_type", "mount_class", "token_type"} else "text"
    return type(value).__name__ if not isinstance(value, bool) else value


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[tuple[Api, Path], tuple[Api, Path]]]:
    """Ours and the reference, each with a root token and the file of its device."""
    find_bao()
    directory = tmp_path_factory.mktemp("audit")
    issuer = Issuer()
    further = f'\n[audit]\nfolder = "{directory / "audit"}"\n'
    node = Node.for_issuer(directory, sqlite_table, issuer, further=further, forked=True)
    node.start()
    try:
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator)["keys_base64"])
        tenant = make_tenant(node, issuer)
        ours = directory / "audit/vaults" / tenant.vault_id / "audit.log"
        device = {"type": "file", "options": {"file_path": "audit.log", "proof": "off"}}
        assert tenant.root.put("sys/audit/file", device).status == 204
        there = directory / "reference"
        there.mkdir()
        with reference(there, settings="unsafe_allow_api_audit_creation = true\n") as found:
            root = Api(found.address, found.token)
            device = {"type": "file", "options": {"file_path": str(there / "audit.log")}}
            if root.put("sys/audit/file", device).status != 204:
                pytest.skip("the reference takes no devices by its API")
            assert root.put("sys/mounts/transit", {"type": "transit"}).status == 204
            yield (tenant.root, ours), (root, there / "audit.log")
    finally:
        node.close()


REQUESTS: Final = (
    ("POST", "secret/data/a", {"data": {"a": "b", "n": 5, "deep": {"x": ["y"]}}}),
    ("GET", "secret/data/a", None),
    ("GET", "secret/data/nosuch", None),
    ("LIST", "secret/metadata", None),
    ("POST", "transit/encrypt/k", {"plaintext": "YWJj"}),
    ("POST", "transit/encrypt/k", {"batch_input": [{"plaintext": "YWJj"}, {"plaintext": "YWJk"}]}),
    ("DELETE", "secret/data/a", None),
    ("GET", "auth/token/lookup-self", None),
    ("GET", "nosuch/a", None),
)


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_entries_have_the_shape_that_the_reference_gives_them(
    sides: tuple[tuple[Api, Path], tuple[Api, Path]], method: str, path: str, body: Any
) -> None:
    for api, _file in sides:
        api.post("transit/keys/k")
    found = []
    for api, file in sides:
        before = len(file.read_text().splitlines())
        api.call(method, path, body)
        found.append([json.loads(line) for line in file.read_text().splitlines()[before:]])
    ours, theirs = found
    assert [entry["type"] for entry in ours] == [entry["type"] for entry in theirs] == ["request", "response"]
    for mine, their in zip(ours, theirs, strict=True):
        if mine["type"] == "request" and "error" in theirs[1]:
            mine.pop("error", None)  # what is refused before anything is done says so in both of its entries
        assert list(mine) == list(their)
        assert set(mine["auth"]) - {"token_ttl"} == set(their["auth"]) - {"token_ttl"}
        assert shape(mine["request"]) == shape(their["request"]) | _renamed(mine, their)
        if mine["type"] == "response" and "error" not in mine:
            assert set(mine["response"]) - LEFT_OUT == set(their["response"]) - LEFT_OUT


def _renamed(mine: Any, their: Any) -> dict[str, str]:
    """Return what is told otherwise on purpose: a write that creates is an update here."""
    created = (mine["request"]["operation"], their["request"]["operation"]) == ("update", "create")
    return {"operation": "text"} if created else {}


def test_what_a_mount_has_shown_is_shown_wherever_it_stands(
    sides: tuple[tuple[Api, Path], tuple[Api, Path]],
) -> None:
    deep = {"deep": {"note": "n", "z": "z"}, "many": [{"note": "n"}]}
    body = {"data": {"note": "n", "other": "o", "tags": ["a"], **deep}}
    kept = []
    for api, file in sides:
        assert api.post("sys/mounts/open", {"type": "kv", "options": {"version": "2"}}).status == 204
        names = {"audit_non_hmac_request_keys": ["note", "tags", "data"], "audit_non_hmac_response_keys": ["note"]}
        assert api.post("sys/mounts/open/tune", names).status == 204
        before = len(file.read_text().splitlines())
        assert api.post("open/data/a", body).status == 200
        assert api.get("open/data/a").status == 200
        lines = [json.loads(line) for line in file.read_text().splitlines()[before:]]
        kept.append((_unhashed(lines[0]["request"]["data"]), _unhashed(lines[-1]["response"]["data"]["data"])))
    ours, theirs = kept
    assert ours == theirs
    assert ours[0]["data"]["note"] == "n"


def _unhashed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unhashed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_unhashed(each) for each in value]
    return "hmac" if isinstance(value, str) and value.startswith("hmac-sha256:") else value
