"""What is measured. A case is one request, repeated; what it needs is made before."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Sends (method, path, body) and returns the answer's `data`.
Send = Callable[[str, str, Mapping[str, Any] | None], dict[str, Any]]


#: Different paths that `{n}` in a path stands for.
SPREAD = 1000


@dataclass(frozen=True)
class Request:
    """One HTTP request; `path` is without `/v1/`. `{n}` in it is a number that changes with each."""

    method: str
    path: str
    body: str = ""


@dataclass(frozen=True)
class Case:
    """A named request. `make` prepares what it needs and returns it."""

    name: str
    make: Callable[[Send], Request] = field(repr=False)
    items: int = 1  # operations in one request


def _b64(size: int) -> str:
    return base64.b64encode(b"0123456789abcdef" * (size // 16)).decode()


def _post(path: str, body: Mapping[str, Any]) -> Request:
    return Request("POST", path, json.dumps(body))


def _with_key(kind: str, request: Callable[[Send, str], Request]) -> Callable[[Send], Request]:
    def make(send: Send) -> Request:
        name = f"bench-{kind}"
        send("POST", f"transit/keys/{name}", {"type": kind})
        return request(send, name)

    return make


def _encrypt(_: Send, key: str) -> Request:
    return _post(f"transit/encrypt/{key}", {"plaintext": _b64(32)})


def _decrypt(send: Send, key: str) -> Request:
    made = send("POST", f"transit/encrypt/{key}", {"plaintext": _b64(32)})
    return _post(f"transit/decrypt/{key}", {"ciphertext": made["ciphertext"]})


def _batch(count: int) -> Callable[[Send, str], Request]:
    return lambda _, key: _post(f"transit/encrypt/{key}", {"batch_input": [{"plaintext": _b64(64)}] * count})


def _hmac(_: Send, key: str) -> Request:
    return _post(f"transit/hmac/{key}", {"input": _b64(32)})


def _datakey(_: Send, key: str) -> Request:
    return _post(f"transit/datakey/plaintext/{key}", {})


def _sign(_: Send, key: str) -> Request:
    return _post(f"transit/sign/{key}", {"input": _b64(32)})


def _verify(send: Send, key: str) -> Request:
    made = send("POST", f"transit/sign/{key}", {"input": _b64(32)})
    return _post(f"transit/verify/{key}", {"input": _b64(32), "signature": made["signature"]})


_SECRET = {"data": {"username": "app", "password": "correct horse battery staple"}}


def _kv_get(send: Send) -> Request:
    send("POST", "secret/data/bench/get", _SECRET)
    return Request("GET", "secret/data/bench/get")


def _kv_list(send: Send) -> Request:
    for number in range(20):
        send("POST", f"secret/data/bench/list/{number}", _SECRET)
    return Request("GET", "secret/metadata/bench/list?list=true")


CASES = (
    Case("encrypt 32 B", _with_key("aes256-gcm96", _encrypt)),
    Case("decrypt 32 B", _with_key("aes256-gcm96", _decrypt)),
    *(
        Case(f"encrypt batch of {count}", _with_key("aes256-gcm96", _batch(count)), items=count)
        for count in (1, 10, 400, 1000)
    ),
    Case("hmac", _with_key("aes256-gcm96", _hmac)),
    Case("datakey", _with_key("aes256-gcm96", _datakey)),
    *(
        case
        for kind in ("ed25519", "ecdsa-p256", "rsa-2048")
        for case in (
            Case(f"sign {kind}", _with_key(kind, _sign)),
            Case(f"verify {kind}", _with_key(kind, _verify)),
        )
    ),
    Case("kv get", _kv_get),
    Case("kv put", lambda _: _post("secret/data/bench/put/{n}", _SECRET)),
    Case("kv put, one path", lambda _: _post("secret/data/bench/put", _SECRET)),
    Case("kv list of 20", _kv_list),
    Case("seal-status", lambda _: Request("GET", "sys/seal-status")),
    Case("lookup-self", lambda _: Request("GET", "auth/token/lookup-self")),
)
