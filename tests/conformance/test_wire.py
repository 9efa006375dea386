"""Answers as they go over the wire: form, headers, status codes and the texts that strict clients compare."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest

from tests.support.api import ENVELOPE, Api, b64
from tests.support.tenant import Tenant

HELLO: Final = b64("hello")
UUID: Final = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
DENIED: Final = "1 error occurred:\n\t* permission denied\n\n"
UNSUPPORTED_PATH: Final = "1 error occurred:\n\t* unsupported path\n\n"
UNSUPPORTED_OPERATION: Final = "1 error occurred:\n\t* unsupported operation\n\n"


def test_success_has_vaults_envelope_in_its_order(user: Api) -> None:
    answer = user.get("secret/data/creds")
    assert tuple(answer.json) == ENVELOPE
    body = answer.json
    assert UUID.fullmatch(body.pop("request_id"))
    del body["data"]
    assert body == {
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
        "mount_type": "kv",
    }


@pytest.mark.parametrize("path", ["secret/data/creds", "secret/data/nothing", "sys/health", "nothing", "/outside"])
def test_headers_are_exact(user: Api, path: str) -> None:
    headers = user.get(path).headers
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert "server" not in headers


def test_no_content_has_no_body(user: Api) -> None:
    answer = user.post("secret/metadata/creds")
    assert (answer.status, answer.body) == (204, b"")


def test_own_namespace_is_echoed(prepared: Tenant) -> None:
    answer = prepared.user.with_headers(**{"X-Vault-Namespace": prepared.vault_id}).get("secret/data/creds")
    assert (answer.status, answer.headers["x-vault-namespace"]) == (200, prepared.vault_id)


def test_post_and_put_are_one_and_so_are_list_and_its_query(user: Api) -> None:
    for method in ("POST", "PUT"):
        assert user.call(method, "transit/encrypt/orders", {"plaintext": HELLO}).status == 200
    listed = [user.list("secret/metadata"), user.list("secret/metadata/"), user.get("secret/metadata?list=true")]
    assert {json.dumps(answer.data) for answer in listed} == {'{"keys": ["creds", "gone", "strict"]}'}


def test_forms_and_untyped_bodies_are_read(user: Api) -> None:
    path = "/v1/transit/encrypt/orders"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert user.call("POST", path, f"plaintext={HELLO}".encode(), form).status == 200
    assert user.call("POST", path, json.dumps({"plaintext": HELLO}).encode(), form).status == 200
    assert user.call("POST", path, json.dumps({"plaintext": HELLO}).encode()).status == 200


def test_fields_convert_between_types_as_in_vault(user: Api) -> None:
    assert user.post("transit/encrypt/orders", {"plaintext": HELLO, "key_version": "2"}).data["key_version"] == 2
    assert user.post("secret/metadata/weak", {"max_versions": "7", "cas_required": "true"}).status == 204
    metadata = user.get("secret/metadata/weak").data
    assert (metadata["max_versions"], metadata["cas_required"]) == (7, True)
    assert user.delete("secret/metadata/weak").status == 204


def test_unknown_and_replaced_parameters_are_told_in_warnings(user: Api) -> None:
    answer = user.post("transit/encrypt/orders", {"plaintext": HELLO, "name": "other", "zz": 1, "aa": 2})
    assert answer.status == 200
    assert answer.json["warnings"] == [
        "Endpoint ignored these unrecognized parameters: [aa zz]",
        "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [name]",
    ]


def test_numbers_are_kept_exactly(user: Api) -> None:
    numbers = '{"big": 12345678901234567890123, "small": 1.5, "negative": -9007199254740993}'
    assert user.post("secret/data/numbers", f'{{"data": {numbers}}}'.encode()).status == 200
    body = user.get("secret/data/numbers").body.decode()
    assert '"big":12345678901234567890123' in body
    assert '"negative":-9007199254740993' in body
    assert user.delete("secret/metadata/numbers").status == 204


@pytest.mark.parametrize(
    ("method", "path", "status", "errors"),
    [
        ("GET", "secret/data/nothing", 404, []),
        ("GET", "secret/data/creds?version=99", 404, []),
        ("GET", "secret/metadata/nothing", 404, []),
        ("LIST", "secret/metadata/nothing", 404, []),
        ("LIST", "secret/metadata/creds", 404, []),
        ("GET", "secret/subkeys/nothing", 404, []),
        ("GET", "transit/keys/nothing", 404, []),
        ("GET", "/nothing", 404, []),
        ("GET", "nothing/x", 404, ['no handler for route "nothing/x". route entry not found.']),
        ("GET", "sys/nothing", 404, [UNSUPPORTED_PATH]),
        ("GET", "transit/nothing/x", 404, [UNSUPPORTED_PATH]),
        ("POST", "sys/health", 405, []),
        ("DELETE", "sys/seal-status", 405, []),
        ("DELETE", "sys/init", 405, []),
        ("DELETE", "secret/config", 405, [UNSUPPORTED_OPERATION]),
        ("GET", "secret/delete/creds", 405, [UNSUPPORTED_OPERATION]),
        ("GET", "transit/encrypt/orders", 405, [UNSUPPORTED_OPERATION]),
        ("POST", "secret/data/x/", 400, ["cannot write to a path ending in '/'"]),
        ("GET", "secret/metadata?list=maybe", 400, []),
        ("POST", "sys/mounts/mine", 403, [DENIED]),
        ("PUT", "sys/seal", 403, [DENIED]),
    ],
)
def test_statuses_and_texts(user: Api, method: str, path: str, status: int, errors: list[str]) -> None:
    answer = user.call(method, path)
    assert (answer.status, answer.errors) == (status, errors)


@pytest.mark.parametrize("path", ["secret/data/creds", "sys/mounts", "auth/token/lookup-self", "nothing/x", ""])
def test_no_token_and_a_wrong_token_look_alike(user: Api, path: str) -> None:
    for token in (None, "wrong", "hvs.wrong"):
        answer = user.with_token(token).get(path)
        assert (answer.status, answer.errors) == (403, ["permission denied"])


@pytest.mark.parametrize("body", [b'{"plaintext":', b"[1]", b'"x"', b"5", b"{]"])
def test_what_is_not_a_json_object_is_refused(user: Api, body: bytes) -> None:
    answer = user.post("transit/encrypt/orders", body)
    assert (answer.status, answer.errors) == (400, ["error parsing JSON"])
