"""What was asked and answered, call by call, and the verdict of a judge that is not ours (`porcupine/main.go`)."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support.programs import of_module

_MODULE: Final = Path(__file__).parent / "porcupine"
_SECONDS: Final = 1800
#: The return of a call of which nobody knows whether it took effect.
UNKNOWN: Final = -1


@dataclass
class History:
    """Calls, each with when it was invoked and answered, in nanoseconds of one clock."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, object_: str, client: int, op: str, began: int, **told: Any) -> None:
        """Note a call that is answered now."""
        self._append({"object": object_, "client": client, "op": op, "call": began}, time.monotonic_ns(), told)

    def add_unknown(self, object_: str, client: int, op: str, began: int, **told: Any) -> None:
        """Note a call that may have taken effect, at any moment since, or never."""
        self._append({"object": object_, "client": client, "op": op, "call": began}, UNKNOWN, told)

    def _append(self, asked: dict[str, Any], ended: int, told: dict[str, Any]) -> None:
        self.lines.append({**asked, "return": ended, **told})
        outcome = "unknown" if ended == UNKNOWN else "refused" if told.get("refused") else "done"
        self.outcomes[f"{asked['object'].partition('/')[0]} {asked['op']} {outcome}"] += 1


class Verdict(NamedTuple):
    """What the judge says: names of objects, and its last line."""

    illegal: list[str]
    unknown: list[str]
    summary: dict[str, int]


def judge(lines: Iterable[dict[str, Any]], *, kept: Path | None = None) -> Verdict:
    """Return the judge's verdict; the history is left at `kept`. Skips the test where the judge cannot be built."""
    absent = "the judge of histories is not here: install Go 1.26 or later and let the tests build it"
    program = of_module(_MODULE, "KMS_TEST_JUDGE", absent)
    sent = "".join(json.dumps(line) + "\n" for line in lines)
    if kept is not None:
        kept.write_text(sent, encoding="utf-8")
    done = subprocess.run([program], input=sent, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode in (0, 1, 3), done.stderr
    *found, summary = [json.loads(line) for line in done.stdout.splitlines()]
    return Verdict(
        [each["object"] for each in found if each["verdict"] == "not linearizable"],
        [each["object"] for each in found if each["verdict"] == "unknown"],
        summary,
    )
