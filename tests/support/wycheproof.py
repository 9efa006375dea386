"""Project Wycheproof's test vectors, from the Go module that holds them.

They are too large to keep here. `go mod download` brings the module into Go's cache the first time; without Go, or
without a way to it, the tests that need them are skipped and say so. With KMS_REQUIRE_VECTORS=1 they fail instead.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

MODULE = "github.com/c2sp/wycheproof@v0.0.0-20260902155932-3fa63dd0344a"
SECONDS = 90  # to download it


class Case(NamedTuple):
    """One test of a file, with the group it stands in."""

    group: dict[str, Any]
    test: dict[str, Any]

    def hex(self, name: str) -> bytes:
        """Return the bytes of one of the test's fields."""
        return bytes.fromhex(self.test[name])

    @property
    def valid(self) -> bool | None:
        """What an implementation must say; None where it may choose."""
        return {"valid": True, "invalid": False, "acceptable": None}[self.test["result"]]

    def __str__(self) -> str:
        return f"test {self.test['tcId']}: {self.test['comment']} {self.test['flags']}"


def cases(name: str) -> Iterator[Case]:
    """Yield every case of a file, named without its ending."""
    document = json.loads((_directory() / f"{name}_test.json").read_text(encoding="utf-8"))
    for group in document["testGroups"]:
        for test in group["tests"]:
            yield Case(group, test)


@cache
def _directory() -> Path:
    found = _download()
    if isinstance(found, Path):
        return found
    text = f"WYCHEPROOF VECTORS ARE MISSING, NOTHING WAS TESTED: {found}"
    if os.environ.get("KMS_REQUIRE_VECTORS") == "1":
        pytest.fail(text)
    pytest.skip(text)


@cache
def _download() -> Path | str:
    go = shutil.which("go")
    if go is None:
        return "there is no go command"
    try:
        done = subprocess.run(
            [go, "mod", "download", "-json", MODULE], capture_output=True, timeout=SECONDS, cwd="/", check=False
        )
        return Path(json.loads(done.stdout)["Dir"]) / "testvectors_v1"
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        return f"go mod download {MODULE} failed: {type(error).__name__}"
