"""A random walk over a few secrets of KV version 2, made of a seed alone.

No patch has a null below an array: here it stays there, as in RFC 7396, while the reference takes it out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.differential.draw import ODD
from tests.differential.steps import Step

FIELDS: Final = (
    *("data", "options", "versions", "version", "max_versions", "cas_required", "delete_version_after"),
    *("custom_metadata", "path"),
)
PATHS: Final = ("a", "b", "dir/a", "dir/b", "dir/sub/c", "dir")


class Walk:
    """Requests below a folder of their own."""

    def __init__(self, seed: str, number: int) -> None:
        self._random = random.Random(f"{seed}/{number}")
        self._apart = random.Random(f"{seed}/{number}/conditions")
        self._scans = random.Random(f"{seed}/{number}/scans")
        self._folder = f"w{number}"

    def steps(self, count: int) -> Iterator[Step]:
        """Yield `count` requests."""
        operations = list(_OPERATIONS)
        for operation in self._random.choices(operations, [_OPERATIONS[each] for each in operations], k=count):
            yield operation(self)

    def _one(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _seldom(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0

    def _at(self, kind: str, query: str = "") -> str:
        return f"secret/{kind}/{self._folder}/{self._one(*PATHS)}{query}"

    def _value(self, depth: int = 0) -> Any:
        if depth < 2 and self._seldom(3):
            return {self._one("x", "y", "z"): self._value(depth + 1) for _ in range(self._random.randrange(3))}
        return self._one("text", "", 1, -7, 1.5, True, None, [1, {"x": 2}], [])

    def _data(self) -> dict[str, Any]:
        return {self._one("x", "y", "z"): self._value() for _ in range(self._random.randrange(4))}

    def _written(self) -> dict[str, Any]:
        body: dict[str, Any] = (
            {} if self._seldom(20) else {"data": self._one("text", 5) if self._seldom(20) else self._data()}
        )
        if self._seldom(3):
            body["options"] = {
                "cas": self._one("x", [], 1.5) if self._seldom(8) else self._one(0, 1, 2, 3, "1", None)
            }
        return body

    def _put(self) -> Step:
        return Step("POST", self._at("data"), self._written())

    def _patch(self) -> Step:
        return Step("PATCH", self._at("data"), self._written())

    def _get(self) -> Step:
        return Step("GET", self._at("data", self._version_query()))

    def _version_query(self) -> str:
        return str(
            self._one("", "", "", "?version=0", "?version=1", "?version=2", "?version=9", "?version=-1", "?version=x")
        )

    def _subkeys(self) -> Step:
        query = self._one(self._version_query(), "?depth=1", "?depth=2", "?depth=0")
        return Step("GET", self._at("subkeys", query))

    def _delete(self) -> Step:
        return Step("DELETE", self._at("data"))

    def _versions(self) -> Step:
        odd = self._one([], "x", None, ["x"], [0], [-1])
        versions = odd if self._seldom(8) else self._one([1], [1, 2], "1,2", ["2"], [3, 9], 2)
        body = {} if self._seldom(15) else {"versions": versions}
        return Step("POST", self._at(self._one("delete", "undelete", "undelete", "destroy")), body)

    def _metadata(self) -> Step:
        return Step("GET", self._at("metadata"))

    def _settings(self) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if self._seldom(2):
            body["max_versions"] = self._one(0, 2, 3, 5, "4", "x")
        if self._seldom(4):
            body["cas_required"] = self._one(True, False, False, "x")
        if self._seldom(4):
            body["delete_version_after"] = self._one("0s", "24h", "x", 3600)
        if self._seldom(2):
            body["custom_metadata"] = self._one(
                {},
                {"team": "a"},
                {"n": 1, "b": True},
                {"a": ""},
                {"k" * 129: "v"},
                {"a": "v" * 513},
                {"a": "\t"},
                {"a": None},
                {"a": ["x"]},
                "x",
                None,
            )
        return body

    def _set_metadata(self) -> Step:
        step = Step(self._one("POST", "POST", "PATCH"), self._at("metadata"), self._settings())
        return Step(step.method, step.path, {**self._conditions(), **(step.body or {})})

    def _conditions(self) -> dict[str, Any]:
        conditions: dict[str, Any] = {}
        if self._apart.random() < 0.25:
            conditions["metadata_cas"] = self._apart.choice([0, 0, 1, 2, "1", -1, None])
        if self._apart.random() < 0.1:
            conditions["metadata_cas_required"] = self._apart.choice([True, False, False])
        return conditions

    def _configure(self) -> Step:
        """Read or set what holds for the whole mount; what demands check-and-set is soon taken back."""
        if self._seldom(3):
            return Step("GET", "secret/config")
        body = {name: value for name, value in self._settings().items() if name != "custom_metadata"}
        if self._apart.random() < 0.2:
            body["metadata_cas_required"] = self._apart.choice([True, False, False])
        if not self._seldom(3):
            body["cas_required"] = False
        return Step("POST", "secret/config", body)

    def _odd(self) -> Step:
        """Return a request with one field more, or one that is wrong."""
        step: Step = self._one(self._put, self._versions, self._set_metadata, self._configure)()
        if step.body is None:
            return step
        names = tuple(step.body) if step.body and self._seldom(2) else FIELDS
        return Step(step.method, step.path, step.body | {self._one(*names): self._one(*ODD)})

    def _forget(self) -> Step:
        return Step("DELETE", self._at("metadata"))

    def _list(self) -> Step:
        folder = self._one("", "/", "/dir", "/dir/", "/dir/sub", "/none", "/a")
        query = self._one("", "", "?limit=1", "?after=a", "?after=b&limit=1", "?after=dir/b")
        kind = self._scans.choice(["metadata", "metadata", "detailed-metadata"])
        if self._scans.random() < 0.3:
            return Step("SCAN", f"secret/{kind}/{self._folder}{folder}")
        return Step("LIST", f"secret/{kind}/{self._folder}{folder}{query}")

    def _wrong_path(self) -> Step:
        method = self._one("GET", "POST", "DELETE", "LIST")
        return Step(method, f"secret/{self._one('zz', 'a/b', 'data', 'metadata')}", {} if method == "POST" else None)

    def _wrong_method(self) -> Step:
        kind, method = self._one(("data", "LIST"), ("delete", "GET"), ("destroy", "DELETE"), ("subkeys", "POST"))
        return Step(method, self._at(kind), {} if method == "POST" else None)


_OPERATIONS: Final[Mapping[Callable[[Walk], Step], int]] = {
    Walk._put: 20,
    Walk._get: 14,
    Walk._patch: 10,
    Walk._delete: 4,
    Walk._versions: 10,
    Walk._metadata: 8,
    Walk._set_metadata: 7,
    Walk._forget: 2,
    Walk._list: 5,
    Walk._configure: 3,
    Walk._odd: 5,
    Walk._subkeys: 6,
    Walk._wrong_path: 1,
    Walk._wrong_method: 1,
}
