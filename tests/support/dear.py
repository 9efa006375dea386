"""What the table of the dearest requests is made of: requests, and bodies as large as are taken."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from kms_http.routing import Operation

#: Characters of the one text in a body.
LARGE: Final = int(os.environ.get("KMS_DEAREST_BYTES", "0")) or 8 << 20
#: Items of a batch: each is an object with one or two members, of 200,000 elements in all.
MANY: Final = 60_000 if LARGE > 16 << 20 else 12_000

READ, LIST, WRITE, PATCH, DELETE, SCAN = Operation
METHODS: Final = {READ: "GET", LIST: "LIST", WRITE: "POST", PATCH: "PATCH", DELETE: "DELETE", SCAN: "SCAN"}

#: Mount type (empty: sys and auth), pattern, operation.
Place = tuple[str, str, Operation]


class Dear(NamedTuple):
    """A request: its path below /v1/, and what makes its body."""

    path: str
    body: Callable[[], bytes] = bytes


def fields(**values: Any) -> Callable[[], bytes]:
    """Return a body of these fields, made when it is asked for."""
    return lambda: json.dumps(
        {name: value() if callable(value) else value for name, value in values.items()}
    ).encode()


def text(part: float = 1.0, end: str = "") -> Callable[[], str]:
    """Return base64 as long as a body may be, or a part of that."""
    return lambda: "AAAA" * int(LARGE * part / 4) + end


def batch(count: int = MANY, /, **row: Any) -> Callable[[], bytes]:
    """Return a body with a batch of equal items."""
    made = {name: value() if callable(value) else value for name, value in row.items()}
    one = json.dumps(made)

    def made_of() -> bytes:
        return f'{{"batch_input":[{",".join([one] * count)}]}}'.encode()

    return made_of


def nothing(path: str) -> list[Dear]:
    return [Dear(path)]


def anything(path: str) -> list[Dear]:
    """Return what costs most of a body that nobody looks at."""
    return [Dear(path, fields(nobody=text())), Dear(path, lambda: b'{"nobody":[%b1]}' % (b'"AAAAAAAA",' * 199_000))]
