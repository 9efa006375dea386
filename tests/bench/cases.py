"""What is measured. A case is one request, repeated; what it needs is made before."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

#: Sends (method, path, body) and returns the answer's `data`.
Send = Callable[[str, str, Mapping[str, Any] | None], dict[str, Any]]

#: Different paths that `{n}` in a path stands for.
SPREAD: Final = 1000

#: Kinds of token. A server that has but one sends that.
PLAIN, ATTENUATED, SERVICE = "plain biscuit", "attenuated biscuit", "service token"
#: Who logs in has none.
NOBODY = "nobody"

#: Connections, most often, and where it matters how a case takes few and many.
SOME: Final = (16,)
FEW_TO_MANY: Final = (1, 16, 128)


class Request(NamedTuple):
    """One HTTP request; `path` is without `/v1/`. `{n}` in it is a number that changes with each.

    It is sent with `token`, if it has one, else with the server's of the kind `holder`.
    """

    method: str
    path: str
    body: str = ""
    holder: str = PLAIN
    token: str = ""
    closes: bool = False  # the connection after it


@dataclass(frozen=True)
class Case:
    """A named request. `make` prepares what it needs and returns it."""

    name: str
    make: Callable[[Send], Request] = field(repr=False)
    connections: Sequence[int] = SOME
    half_load: bool = False  # also at half the rate that the reference reaches
    one_worker: bool = False  # also on a node of one worker
    stored: bool = False  # also on the other store


class Pass(NamedTuple):
    """A kind of node, and the cases it is measured with. 0 workers: as many as the run is given."""

    store: str
    workers: int
    cases: Sequence[Case]


def _b64(size: int) -> str:
    return base64.b64encode(b"0123456789abcdef" * (size // 16)).decode()


def _post(path: str, body: Mapping[str, Any]) -> Request:
    return Request("POST", path, json.dumps(body))


#: Returns the request about a key, given how to send and the key's name.
About = Callable[[Send, str], Request]


def _with_key(request: About, **options: str) -> Callable[[Send], Request]:
    """Make a key by the options of the API, and its name of them."""
    options = options or {"type": "aes256-gcm96"}
    key = "-".join(("bench", *options.values()))

    def make(send: Send) -> Request:
        send("POST", f"transit/keys/{key}", options)
        return request(send, key)

    return make


def _encrypt(_: Send, key: str) -> Request:
    return _post(f"transit/encrypt/{key}", {"plaintext": _b64(32)})


def _decrypt(send: Send, key: str) -> Request:
    made = send("POST", f"transit/encrypt/{key}", {"plaintext": _b64(32)})
    return _post(f"transit/decrypt/{key}", {"ciphertext": made["ciphertext"]})


def _batch(count: int) -> About:
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


def _unversioned(send: Send, request: Request) -> Request:
    """Return a request below a mount of KV version 1."""
    with contextlib.suppress(RuntimeError):  # it is there: made by an earlier case
        send("POST", "sys/mounts/plain", {"type": "kv", "options": {"version": "1"}})
    return request


def _kv1_get(send: Send) -> Request:
    request = _unversioned(send, Request("GET", "plain/bench/get"))
    send("POST", request.path, _SECRET["data"])
    return request


def _approle(send: Send, role: str, **options: Any) -> Request:
    """Make a role; return a login by it."""
    with contextlib.suppress(RuntimeError):
        send("POST", "sys/auth/approle", {"type": "approle"})
    of_role = f"auth/approle/role/{role}"
    send("POST", of_role, {"token_ttl": "1h", **options})
    role_id = send("GET", f"{of_role}/role-id", None)["role_id"]
    secret_id = send("POST", f"{of_role}/secret-id", {})["secret_id"]
    return _post("auth/approle/login", {"role_id": role_id, "secret_id": secret_id})._replace(holder=NOBODY)


def _under_policies(count: int, about: About) -> Callable[[Send], Request]:
    """Return what sends a request about a key with a service token of so many policies, of which one allows it."""

    def make(send: Send) -> Request:
        request = _with_key(about)(send)
        names = [f"bench-{number}" for number in range(count)]
        for number, name in enumerate(names):
            send("POST", f"sys/policies/acl/{name}", {"policy": _policy(number)})
        login = _approle(send, "policies", token_policies=names)
        return request._replace(token=_token(send(login.method, login.path, json.loads(login.body))))

    return make


def _policy(number: int) -> str:
    paths = ["transit/encrypt/bench-*" if not number else f"transit/encrypt/of-{number}"]
    paths += [f"secret/data/of-{number}/{each}/*" for each in range(9)]
    return "\n".join(f'path "{path}" {{ capabilities = ["read", "update"] }}' for path in paths)


def _token(answer: Mapping[str, Any]) -> str:
    token: str = answer["auth"]["client_token"]
    return token


def _lookup_self(_: Send) -> Request:
    return Request("GET", "auth/token/lookup-self")


def _ml_dsa(parameter_set: str) -> dict[str, str]:
    return {"type": "ml-dsa", "parameter_set": parameter_set}


def _hybrid(curve: str) -> dict[str, str]:
    return {"type": "hybrid", "parameter_set": "65", "hybrid_key_type_pqc": "ml-dsa", "hybrid_key_type_ec": curve}


_CLASSIC: Final = ("ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "rsa-3072", "rsa-4096")

#: Keys that sign, by what their cases are called.
SIGNING: Final[Mapping[str, dict[str, str]]] = {
    **{name: {"type": name} for name in _CLASSIC},
    **{f"ml-dsa {parameters}": _ml_dsa(parameters) for parameters in ("44", "65", "87")},
    **{f"hybrid ml-dsa 65 {curve}": _hybrid(curve) for curve in ("ed25519", "ecdsa-p256")},
}

_CRYPT = (
    Case("encrypt 32 B", _with_key(_encrypt), FEW_TO_MANY, half_load=True, one_worker=True, stored=True),
    Case("decrypt 32 B", _with_key(_decrypt)),
    Case("encrypt batch of 1", _with_key(_batch(1))),
    Case("encrypt batch of 10", _with_key(_batch(10))),
    Case("encrypt batch of 400", _with_key(_batch(400)), half_load=True, one_worker=True),
    Case("encrypt batch of 1000", _with_key(_batch(1000))),
    Case("hmac", _with_key(_hmac), half_load=True),
    Case("datakey", _with_key(_datakey)),
)
_SIGN = (
    *(
        Case(f"sign {name}", _with_key(_sign, **options), half_load=name in {"ed25519", "rsa-2048"})
        for name, options in SIGNING.items()
    ),
    *(Case(f"verify {name}", _with_key(_verify, **options)) for name, options in SIGNING.items()),
)
_KV = (
    Case("kv get", _kv_get, FEW_TO_MANY, half_load=True, one_worker=True, stored=True),
    Case("kv put", lambda _: _post("secret/data/bench/put/{n}", _SECRET), FEW_TO_MANY, half_load=True, stored=True),
    Case("kv put, one path", lambda _: _post("secret/data/bench/put", _SECRET), stored=True),
    Case("kv list of 20", _kv_list, stored=True),
)
_KV1 = (
    Case("kv v1 get", _kv1_get),
    Case("kv v1 put", lambda send: _unversioned(send, _post("plain/bench/put/{n}", _SECRET["data"]))),
)
_LOGINS = (
    Case("approle login", lambda send: _approle(send, "service"), stored=True),
    Case("approle login, batch token", lambda send: _approle(send, "batch", token_type="batch"), stored=True),
    Case("encrypt 32 B, 100 policies", _under_policies(100, _encrypt)),
)
_SYSTEM = (
    Case("seal-status", lambda _: Request("GET", "sys/seal-status"), FEW_TO_MANY),
    Case("lookup-self", _lookup_self),
)


def _held_by(holder: str, case: Case) -> Case:
    """Return the case with another kind of token."""
    return Case(f"{case.name}, {holder}", lambda send: case.make(send)._replace(holder=holder))


CASES: Final = (
    *_CRYPT,
    *_SIGN,
    *_KV,
    *_KV1,
    *_LOGINS,
    *_SYSTEM,
    *(_held_by(holder, case) for holder in (ATTENUATED, SERVICE) for case in (_CRYPT[0], _KV[0], _SYSTEM[1])),
)


def passes(only: str, stores: Sequence[str]) -> Iterator[Pass]:
    """Yield each kind of node with those of its cases whose name contains `only`."""
    chosen = [case for case in CASES if only in case.name]
    alone = [replace(case, connections=SOME, half_load=False) for case in chosen if case.one_worker]
    for one in (
        Pass("sqlite", 0, chosen),
        Pass("sqlite", 1, alone),
        Pass("foundationdb", 0, [case for case in chosen if case.stored]),
    ):
        if one.cases and one.store in stores:
            yield one
