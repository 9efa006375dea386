"""Drawn walks over wrapped answers and a cubbyhole: what both servers are asked, and what of it is compared."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tests.differential.pair import Side, unwrapped
from tests.support.api import Answer, Api

#: Of TTLs, what both take, and what both refuse in words of their own.
TTLS: Final = ("60", "1m", "1h30m", "2m3s", " 90", "1d", "300s")
NO_TTLS: Final = ("", "0", "0s")
BAD_TTLS: Final = ("-1", "-5s", "x", "1.5", "99999999999999")
PATHS: Final = ("a", "b", "a/b", "a/c", "a/b/c", "B")
FOLDERS: Final = ("", "a", "a/b", "none")


class Seen(NamedTuple):
    """What of an answer is compared."""

    status: int
    errors: tuple[str, ...] = ()
    data: Any = None
    warnings: tuple[str, ...] = ()
    wrap_info: Any = None
    auth: Any = None


class Step(NamedTuple):
    """One request. In place of tokens, `name` leads to what each server gave; without one, there is none."""

    method: str
    path: str
    body: Any = None
    ttl: str | None = None
    bearer: str = "root"  # root, own (the wrapping token), bogus, nobody
    token: int | None = None  # which wrapped answer it is about
    in_body: bool = False
    keep: bool = False  # what it wraps is used later


@dataclass
class Server:
    """One of the two, with the wrapping tokens that it gave."""

    side: Side
    tokens: list[str] = field(default_factory=list)

    def __call__(self, step: Step) -> Seen:
        token = "" if step.token is None else self.tokens[step.token]
        bearers: Mapping[str, str | None] = {
            "root": self.side.token,
            "own": token,
            "bogus": "hvs.000001aaaaaaaaaaaaaaaaaa",
            "nobody": None,
        }
        body = step.body
        if step.in_body:
            body = {**(body or {}), "token": token}
        headers = {} if step.ttl is None else {"X-Vault-Wrap-TTL": step.ttl}
        mount, _, rest = step.path.partition("/")
        path = f"{self.side.mounts.get(mount, mount)}/{rest}" if rest else step.path
        answer = Api(self.side.address, bearers[step.bearer]).call(step.method, path, body, headers)
        seen = seen_of(answer, {own: name for name, own in self.side.mounts.items()})
        if step.keep:
            self.tokens.append(answer.json["wrap_info"]["token"] if answer.status == 200 else "gone")
        return seen


def seen_of(answer: Answer, names: Mapping[str, str]) -> Seen:
    """Return what is compared; `names` are what cases call a server's mounts."""
    text = answer.body.decode()
    for own, name in names.items():
        text = text.replace(f"{own}/", f"{name}/")
    body = json.loads(text) if text else {}
    info = body.get("wrap_info")
    auth = body.get("auth")
    return Seen(
        answer.status,
        tuple(unwrapped(text) for text in body.get("errors") or ()),
        _masked(body.get("data")),
        tuple(body.get("warnings") or ()),
        None if info is None else {name: info[name] for name in ("ttl", "creation_path")} | {"names": sorted(info)},
        None if auth is None else sorted(auth),
    )


#: What differs from server to server, or from moment to moment.
_OWN: Final = {
    "creation_time",
    "created_time",
    "deletion_time",
    "id",
    "accessor",
    "expire_time",
    "issue_time",
    "path",
}


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _mask(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    if isinstance(value, str) and value.startswith("{"):  # an answer within an answer
        return _masked({name: inner for name, inner in json.loads(value).items() if name != "mount_type"})
    return value


def _mask(name: str, value: Any) -> Any:
    if name == "request_id":
        return len(str(value))
    return "<own>" if name in _OWN and value else _masked(value)


def _wraps(chance: random.Random) -> Step:
    method, path, body = chance.choice(
        [
            ("GET", "secret/data/a", None),
            ("GET", "secret/data/a?odd=1", None),
            ("GET", "secret/data/gone", None),
            ("LIST", "secret/metadata", None),
            ("POST", "secret/data/b", {"data": {"x": [1, 2.50, None]}}),
            ("POST", "sys/wrapping/wrap", {"b": {"y": 1.50, "x": [None]}, "a": "é"}),
            ("POST", "sys/wrapping/wrap", None),
            ("GET", "cubbyhole/kept", None),
            ("POST", "sys/tools/hash", {"input": "", "odd": 1}),
        ]
    )
    return Step(method, path, body, chance.choice(TTLS), keep=True)


def _wraps_nothing(chance: random.Random) -> Step:
    method, path, body = chance.choice(
        [
            ("GET", "secret/data/none", None),
            ("LIST", "secret/metadata/none", None),
            ("DELETE", "secret/data/none", None),
            ("GET", "secret/data/a", {}),
            ("POST", "sys/wrapping/wrap", {"a": 1}),
            ("GET", "cubbyhole/none", None),
            ("POST", "cubbyhole/b", {"x": 1}),
            ("GET", "sys/wrapping/wrap", None),
            ("DELETE", "sys/wrapping/wrap", None),
        ]
    )
    ttl = chance.choice(NO_TTLS) if path.endswith("data/a") or chance.random() < 0.3 else chance.choice(TTLS)
    if path == "sys/wrapping/wrap" and method == "POST":
        ttl = chance.choice(NO_TTLS)
    return Step(method, path, body, ttl)


def _asks(tokens: int, chance: random.Random) -> Step:
    """Ask with a wrapping token, whatever became of it, or with none."""
    what = chance.choice(["lookup", "lookup", "unwrap", "unwrap", "rewrap"])
    path = f"sys/wrapping/{what}"
    if tokens and chance.random() < 0.8:
        token = chance.randrange(max(0, tokens - 4), tokens)
        if chance.random() < 0.4:
            return Step("POST", path, None, None, "own", token, in_body=False)
        return Step("POST", path, None, None, "nobody" if what == "lookup" else "root", token, in_body=True)
    if chance.random() < 0.5:
        body = chance.choice([None, {}, {"token": None}, {"token": ""}, {"token": 7}])
        return Step("POST", path, body, None, "nobody")
    body = chance.choice([None, {"token": "hvs.000001bbbbbbbbbbbbbbbbbb"}, {"token": "x"}])
    return Step("POST", path, body, None, "root" if body or what == "rewrap" else chance.choice(["root", "bogus"]))


def _misuses(tokens: int, chance: random.Random) -> Step:
    token = chance.randrange(max(0, tokens - 4), tokens)
    method, path = chance.choice(
        [("GET", "cubbyhole/response"), ("GET", "auth/token/lookup-self"), ("GET", "secret/data/a")]
    )
    return Step(method, path, None, None, "own", token)


def _keeps(chance: random.Random) -> Step:
    kind = chance.choice(["read", "write", "list", "delete", "patch"])
    path = chance.choice(PATHS)
    if kind == "list":
        return Step("LIST", f"cubbyhole/{chance.choice(FOLDERS)}")
    if kind == "write":
        body = chance.choice([{"x": 1}, {"x": [1.50, None], "path": "p", "ttl": "5m"}, {"é": {"a": {}}}])
        return Step(chance.choice(["POST", "PUT"]), f"cubbyhole/{path}", body)
    if kind == "patch":
        return Step("SCAN", "cubbyhole/")
    return Step("GET" if kind == "read" else "DELETE", f"cubbyhole/{path}{chance.choice(['', '?b=1'])}")


def drawn(chance: random.Random, tokens: int) -> Step:
    """Return a step of a walk that has so many wrapped answers."""
    draws: list[tuple[int, Callable[[], Step]]] = [
        (6, lambda: _wraps(chance)),
        (2, lambda: _wraps_nothing(chance)),
        (8, lambda: _asks(tokens, chance)),
        (6, lambda: _keeps(chance)),
        (1, lambda: Step("GET", "secret/data/a", None, chance.choice(BAD_TTLS))),
    ]
    if tokens:
        draws.append((1, lambda: _misuses(tokens, chance)))
    (draw,) = chance.choices([each for _, each in draws], [weight for weight, _ in draws])
    return draw()
