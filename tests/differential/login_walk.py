"""A random walk over a few roles and users, made of a seed alone.

What a server made is named by symbols: `$r0` is the role id of a role as it was last read, `$s2` the third secret id
of the walk, `$a2` its accessor. A symbol that stands for nothing is an id that nothing has.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

ROLES: Final = ("r0", "r1", "R2")
USERS: Final = ("u0", "U1")
_PASSWORDS: Final = ("right", "other")

_BLOCKS: Final[tuple[Any, ...]] = (
    "127.0.0.0/8",
    ["127.0.0.1/32", "10.0.0.0/8"],
    [],
    "10.0.0.0/8",
    "x",
    ["10.1.2.3/8"],
)
_ADDRESSES: Final[tuple[Any, ...]] = ("127.0.0.0/8", ["127.0.0.1"], "", [], "10.0.0.0/8", "x", "::1", None)
_SECONDS: Final[tuple[Any, ...]] = (0, 60, "2h", "90s", "", -1, "x", "48h")
_NUMBERS: Final[tuple[Any, ...]] = (0, 1, 5, "3", -1, "x", None)

#: Values of fields of tokens, right and wrong.
_TOKENS: Final[Mapping[str, tuple[Any, ...]]] = {
    "token_ttl": _SECONDS,
    "token_max_ttl": (*_SECONDS, "9000h"),
    "token_explicit_max_ttl": (0, 3600, "24h", -1),
    "token_period": (0, 0, 60, "1h"),
    "token_num_uses": _NUMBERS,
    "token_policies": ("a,B", ["b", "a", "a"], [], "", None, "default", ["root"]),
    "token_bound_cidrs": _ADDRESSES,
    "token_no_default_policy": (True, False, "true", "x"),
    "token_type": ("default", "service", "batch", "default-service", "default-batch", "x"),
}
_ROLES: Final[Mapping[str, tuple[Any, ...]]] = {
    **_TOKENS,
    "policies": ("c", ["c", "d"], []),
    "period": (0, 30, "1m", "9000h"),
    "bind_secret_id": (True, True, False, "x"),
    "secret_id_num_uses": _NUMBERS,
    "secret_id_ttl": _SECONDS,
    "secret_id_bound_cidrs": _BLOCKS,
    "bound_cidr_list": ("127.0.0.0/8", []),
    "local_secret_ids": (True, False),
    "role_id": ("own-0", "own-1", ""),
}
_USERS: Final[Mapping[str, tuple[Any, ...]]] = {
    **_TOKENS,
    "policies": ("c", ["c", "d"], []),
    "ttl": (0, 30, "1m"),
    "max_ttl": (0, "2h"),
    "bound_cidrs": ("127.0.0.1", []),
}
_SINGLES: Final[Mapping[str, tuple[Any, ...]]] = {
    "policies": _TOKENS["token_policies"],
    "period": (0, 30, "1m", -1, "9000h"),
    "token-ttl": _SECONDS,
    "token-max-ttl": (*_SECONDS, "9000h"),
    "token-num-uses": _NUMBERS,
    "token-bound-cidrs": ("127.0.0.0/8", ["127.0.0.1"]),
    "secret-id-num-uses": _NUMBERS,
    "secret-id-ttl": _SECONDS,
    "secret-id-bound-cidrs": ("127.0.0.0/8", ["127.0.0.1/32", "10.0.0.0/8"]),
}
_SECRET_IDS: Final[Mapping[str, tuple[Any, ...]]] = {
    "metadata": ('{"a":"b"}', "a=b,c=d", "", "x", '{"a":1}', {"a": "b"}),
    "cidr_list": _BLOCKS,
    "token_bound_cidrs": ("127.0.0.1/32", [], "10.0.0.0/8"),
    "num_uses": (0, 1, 3, -1, "x"),
    "ttl": _SECONDS,
}


class LoginStep(NamedTuple):
    """One request; `keeps` names the symbols that its answer gives: a role id, or a secret id with its accessor."""

    method: str
    path: str
    body: Any = None
    keeps: str = ""


class Walk:
    """Requests about roles, secret ids and users."""

    def __init__(self, seed: str, number: int) -> None:
        self._random = random.Random(f"{seed}/logins/{number}")
        self._secret_ids = 0

    def steps(self, count: int) -> Iterator[LoginStep]:
        """Yield what makes some of each, and `count` requests."""
        for name in ROLES:
            yield LoginStep("POST", f"approle/role/{name}", {})
            yield self._role_id(name)
            yield self._new_secret_id(name, {})
        for name in USERS:
            yield LoginStep("POST", f"userpass/users/{name}", {"password": "right"})
        operations = list(_OPERATIONS)
        for operation in self._random.choices(operations, [_OPERATIONS[each] for each in operations], k=count):
            yield operation(self)

    def _one(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _seldom(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0

    def _some(self, fields: Mapping[str, tuple[Any, ...]], most: int = 3) -> dict[str, Any]:
        names = self._random.sample(sorted(fields), self._random.randrange(most + 1))
        return {name: self._one(*fields[name]) for name in names}

    def _role(self) -> str:
        return "none" if self._seldom(15) else str(self._one(*ROLES, "r2"))

    def _user(self) -> str:
        return "none" if self._seldom(15) else str(self._one(*USERS, "u1"))

    def _secret(self, kind: str = "s") -> str:
        return "nothing" if self._seldom(10) else f"${kind}{self._random.randrange(self._secret_ids)}"

    def _role_id(self, name: str = "") -> LoginStep:
        name = name or self._role()
        return LoginStep("GET", f"approle/role/{name}/role-id", None, name.lower())

    def _new_secret_id(self, name: str = "", body: dict[str, Any] | None = None) -> LoginStep:
        name, body = name or self._role(), self._some(_SECRET_IDS, 2) if body is None else body
        self._secret_ids += 1
        custom = self._seldom(6)
        if custom:
            body["secret_id"] = self._one(f"own-{self._secret_ids}", "own", "")
        path = "custom-secret-id" if custom else "secret-id"
        return LoginStep("POST", f"approle/role/{name}/{path}", body, f"s{self._secret_ids - 1}")

    def _log_in(self) -> LoginStep:
        body = {"role_id": "none" if self._seldom(15) else f"${self._one('r0', 'r1', 'r2')}"}
        if not self._seldom(8):
            body["secret_id"] = self._secret()
        return LoginStep("POST", "approle/login", body)

    def _log_in_rightly(self) -> LoginStep:
        """Log in by one of the first secret ids, each of which is of its role."""
        number = self._random.randrange(len(ROLES))
        return LoginStep("POST", "approle/login", {"role_id": f"$r{number}", "secret_id": f"$s{number}"})

    def _write_role(self) -> LoginStep:
        return LoginStep("POST", f"approle/role/{self._role()}", self._some(_ROLES))

    def _read(self) -> LoginStep:
        kind = self._one("approle/role", "userpass/users")
        if self._seldom(4):
            return LoginStep("LIST", kind)
        return LoginStep("GET", f"{kind}/{self._role() if kind == 'approle/role' else self._user()}")

    def _delete(self) -> LoginStep:
        path = self._one(f"approle/role/{self._role()}", f"userpass/users/{self._user()}")
        return LoginStep("DELETE", path)

    def _single(self) -> LoginStep:
        name = self._one(*_SINGLES)
        path, method = f"approle/role/{self._role()}/{name}", self._one("GET", "POST", "POST", "DELETE")
        if method != "POST":
            return LoginStep(method, path)
        return LoginStep(method, path, {name.replace("-", "_"): self._one(*_SINGLES[name])})

    def _write_role_id(self) -> LoginStep:
        body = {"role_id": self._one("own-0", "own-1", "own-2", "")}
        return LoginStep("POST", f"approle/role/{self._role()}/role-id", body)

    def _of_secret_id(self) -> LoginStep:
        action, by = (
            self._one("lookup", "lookup", "destroy"),
            self._one("secret-id", "secret-id", "secret-id-accessor"),
        )
        value = self._secret("s" if by == "secret-id" else "a")
        return LoginStep("POST", f"approle/role/{self._role()}/{by}/{action}", {by.replace("-", "_"): value})

    def _list_secret_ids(self) -> LoginStep:
        return LoginStep("LIST", f"approle/role/{self._role()}/secret-id")

    def _write_user(self) -> LoginStep:
        body = self._some(_USERS)
        if self._seldom(3):
            body["password"] = self._one(*_PASSWORDS, "", 5)
        return LoginStep("POST", f"userpass/users/{self._user()}", body)

    def _write_part_of_user(self) -> LoginStep:
        user = self._user().lower()
        if self._seldom(2):
            return LoginStep("POST", f"userpass/users/{user}/password", {"password": self._one(*_PASSWORDS, "")})
        body = {self._one("policies", "token_policies"): self._one("a,b", ["c"], [], "")}
        return LoginStep("POST", f"userpass/users/{user}/policies", body)

    def _log_in_user(self) -> LoginStep:
        body = {"password": self._one(*_PASSWORDS, *_PASSWORDS, "")}
        return LoginStep("POST", f"userpass/login/{self._user()}", body)


_OPERATIONS: Final = {
    Walk._log_in: 6,
    Walk._log_in_rightly: 6,
    Walk._new_secret_id: 4,
    Walk._write_role: 6,
    Walk._read: 5,
    Walk._delete: 1,
    Walk._single: 5,
    Walk._role_id: 2,
    Walk._write_role_id: 1,
    Walk._of_secret_id: 5,
    Walk._list_secret_ids: 2,
    Walk._write_user: 4,
    Walk._write_part_of_user: 2,
    Walk._log_in_user: 5,
}
