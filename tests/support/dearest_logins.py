"""The dearest that endpoints of logins take, as `dearest` has those of all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kms_http.api.login import userpass
from kms_http.routing import Operation, Route
from tests.support.dear import DELETE, LARGE, LIST, READ, WRITE, Dear, anything, fields, nothing, text

Table = Mapping[str, Mapping[Operation, list[Dear]]]

_MANY: Final = LARGE // 64
_LONG: Final = "x" * 4000


def _parameters(path: str) -> list[Dear]:
    """Return what fields of tokens can be made to cost."""
    return [
        *anything(path),
        Dear(path, fields(token_policies=text())),
        Dear(path, fields(token_policies=lambda: ",".join(["policy"] * (LARGE // 8)))),
        Dear(path, fields(token_bound_cidrs=lambda: [f"10.0.{n % 256}.{n // 256 % 256}/32" for n in range(190_000)])),
        Dear(path, fields(token_type=text())),
    ]


def _passwords(path: str) -> list[Dear]:
    return [Dear(path, fields(password=text())), Dear(path, fields(password="x" * 1024)), *anything(path)]


USERPASS: Final[Table] = {
    "login/{username}": {
        WRITE: [*_passwords("auth/userpass/login/dear"), *_passwords("auth/userpass/login/nobody")],
    },
    "users": {LIST: nothing("auth/userpass/users")},
    "users/{username}": {
        READ: nothing("auth/userpass/users/dear"),
        WRITE: [*_parameters("auth/userpass/users/dear"), *_passwords("auth/userpass/users/dear")],
        DELETE: nothing("auth/userpass/users/none"),
    },
    "users/{username}/password": {WRITE: _passwords("auth/userpass/users/dear/password")},
    "users/{username}/policies": {WRITE: _parameters("auth/userpass/users/dear/policies")[1:3]},
}

SYSTEM: Final[Table] = {
    "sys/mounts/auth/{path...}/tune": {
        READ: nothing("sys/mounts/auth/token/tune"),
        WRITE: anything("sys/mounts/auth/userpass/tune"),
    },
    "sys/auth": {READ: nothing("sys/auth")},
    "sys/auth/{path...}": {
        READ: nothing("sys/auth/userpass"),
        WRITE: [
            Dear("sys/auth/new", fields(type=text())),
            Dear("sys/auth/new", fields(type="userpass", description=text())),
            *anything("sys/auth/new"),
        ],
        DELETE: nothing(f"sys/auth/{_LONG}"),
    },
    "sys/auth/{path...}/tune": {
        READ: nothing("sys/auth/userpass/tune"),
        WRITE: [
            Dear("sys/auth/userpass/tune", fields(description=text())),
            Dear(
                "sys/auth/userpass/tune", fields(user_lockout_config=lambda: dict.fromkeys(map(str, range(99_000))))
            ),
        ],
    },
}

TABLES: Final[Mapping[str, Table]] = {"userpass": USERPASS}
ROUTES: Final[Mapping[str, tuple[Route, ...]]] = {"userpass": userpass.ROUTES}


def preparation() -> Iterator[tuple[str, bytes]]:
    """Yield the writes that make what the tables name: path and body."""
    yield "sys/auth/userpass", b'{"type":"userpass"}'
    yield "auth/userpass/users/dear", b'{"password":"x"}'
    for number in range(100):
        yield f"auth/userpass/users/u{number}", b'{"password":"x"}'
