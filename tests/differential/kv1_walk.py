"""A random walk over a few secrets of KV version 1, made of a seed alone, and where answers differ on purpose."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.differential.deviation import Deviation
from tests.differential.draw import ODD
from tests.differential.kv_walk import PATHS
from tests.differential.pair import Answer
from tests.differential.steps import Step

#: Written as durations of leases; days go with nothing else in the reference.
LEASES: Final = (
    *("30m", "1h30m", "1.5h", ".5h", "40d", "1999ms", "-5s", "+7", "007", "5", "", "x", "5.", "1 h", "1d", "999999h"),
    *(0, 1, -5, 3600, 1.5, 9_223_372_036, 9_223_372_037, True, None, [5], {"ttl": 5}),
)


class Walk:
    """Requests below a folder of their own."""

    def __init__(self, seed: str, number: int) -> None:
        self._random = random.Random(f"{seed}/{number}/version 1")
        self._folder = f"w{number}"

    def steps(self, count: int) -> Iterator[Step]:
        """Yield `count` requests."""
        operations = list(_OPERATIONS)
        for operation in self._random.choices(operations, [_OPERATIONS[each] for each in operations], k=count):
            yield operation(self)

    def _one(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _at(self) -> str:
        return f"plain/{self._folder}/{self._one(*PATHS)}"

    def _put(self) -> Step:
        names = ("x", "y", "z", "path", "data", "keys", "versions")
        body = {self._one(*names): self._one(*ODD, 2**70, -1.5e-7) for _ in range(self._random.randrange(4))}
        return Step(self._one("POST", "PUT"), self._at(), body)

    def _put_lease(self) -> Step:
        body = {self._one("ttl", "ttl", "lease", "TTL"): self._one(*LEASES) for _ in range(self._one(1, 1, 2))}
        return Step("POST", self._at(), body)

    def _get(self) -> Step:
        return Step("GET", self._at() + self._one("", "", "", "?version=1", "?path=a&x=y", "?list=false"))

    def _delete(self) -> Step:
        return Step("DELETE", self._at())

    def _list(self) -> Step:
        folder = self._one("", "/", "/dir", "/dir/", "/dir/sub", "/none", "/a")
        method = self._one("LIST", "LIST", "SCAN")
        return Step(method, f"plain/{self._folder}{folder}{self._one('', '', '?x=1')}")

    def _by_query(self) -> Step:
        query = self._one(
            "list=true", "scan=true", "scan=T&x=1", "list=x", "scan=x", "list=1&scan=1", "list=0&scan=1"
        )
        return Step("GET", f"plain/{self._folder}?{query}")

    def _root(self) -> Step:
        step: Step = self._one(
            Step("GET", "plain"),
            Step("GET", "plain/"),
            Step("DELETE", "plain"),
            Step("POST", "plain", {"a": 1}),
            Step("POST", f"{self._at()}/", {"a": 1}),
            Step("PATCH", self._at(), {"a": 1}),
            Step("GET", "sys/mounts/nosuch"),
        )
        return step


_OPERATIONS: Final[Mapping[Callable[[Walk], Step], int]] = {
    Walk._put: 12,
    Walk._put_lease: 8,
    Walk._get: 20,
    Walk._delete: 4,
    Walk._list: 8,
    Walk._by_query: 3,
    Walk._root: 3,
}

_WRITTEN: Final = (Step("POST", "plain/w0/a", {"x": 1}), Step("POST", "plain/w0/b", {"x": 1}))


def _fewer(ours: Answer, reference: Answer) -> bool:
    mine, theirs = (answer.data.get("keys", []) if answer.data else [] for answer in (ours, reference))
    return set(mine) < set(theirs)


DEVIATIONS: Final = (
    Deviation(
        "a mount becomes one of version 2 at once, and is there all the while",
        lambda step, ours, reference: (
            step.path.endswith("/tune")
            and (ours.status, reference.status) == (204, 200)
            and "Upgrading mount" in "".join(reference.warnings)
        ),
        (Step("POST", "sys/mounts/{plain}/tune", {"options": {"version": "2"}}),),
    ),
    Deviation(
        "lists of version 1 have pages",
        lambda step, ours, reference: (
            step.method in {"LIST", "SCAN"}
            and "unrecognized parameters" in "".join(reference.warnings)
            and _fewer(ours, reference)
        ),
        (*_WRITTEN, Step("LIST", "plain/w0?limit=1")),
    ),
    Deviation(
        "a list of nothing is not found, whatever else was sent",
        lambda step, ours, reference: (
            step.method == "LIST"
            and (ours.status, reference.status, reference.data) == (404, 200, {})
            and "unrecognized parameters" in "".join(reference.warnings)
        ),
        (Step("LIST", "plain/w0/none?x=1"),),
    ),
    Deviation(
        "what does not list takes no path that ends in a slash",
        lambda step, ours, reference: (
            step.method in {"GET", "DELETE"}
            and step.path.endswith("/")
            and (ours.status, ours.errors) == (405, ("unsupported operation",))
            and reference.status in {404, 204}
        ),
        (Step("GET", "plain/w0/dir/"), Step("DELETE", "plain/w0/dir/")),
    ),
)
