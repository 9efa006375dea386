"""What came of a migration: how much was copied, and what could not be, with the reason of each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kms_actors.cli.migrate.server import ServerFailed, ServerGone

#: One thing to be done, by itself; it tells `Report` what came of it.
Job: TypeAlias = Callable[[], None]


@dataclass
class Report:
    """Filled by several threads."""

    copied: Counter[str] = field(default_factory=Counter)  # by kind
    left: list[tuple[str, str]] = field(default_factory=list)  # what, and why
    notes: Counter[str] = field(default_factory=Counter)  # what was not kept of what was copied
    different: list[tuple[str, str]] = field(default_factory=list)  # what a comparison found
    found: dict[str, tuple[str, int]] = field(default_factory=dict)  # of a dry run: by mount, its kind and how much
    seconds: float = 0  # that copying took
    _named: set[tuple[str, str]] = field(default_factory=set)  # what is left, to be found at once
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def copy(self, kind: str, number: int = 1) -> None:
        """Count what was copied, or was there already."""
        with self._lock:
            self.copied[kind] += number

    def leave(self, what: str, why: str) -> None:
        """Note what was not copied, once."""
        with self._lock:
            if (what, why) not in self._named:
                self._named.add((what, why))
                self.left.append((what, why))

    @contextmanager
    def leaving(self, what: str) -> Iterator[None]:
        """Note that `what` was not copied where a server refuses a part of it, and go on with the rest.

        Raises ServerGone: of a server that is away, each further thing would be waited for in vain.
        """
        try:
            yield
        except ServerGone:
            raise
        except ServerFailed as failed:
            self.leave(what, str(failed).removeprefix(f"{what}: "))

    def note(self, text: str, number: int = 1) -> None:
        """Count what of something copied could not be kept."""
        with self._lock:
            self.notes[text] += number

    def differ(self, what: str, why: str) -> None:
        """Note what is not as it was."""
        with self._lock:
            self.different.append((what, why))

    def data(self) -> dict[str, Any]:
        """Return it all, as JSON has it."""
        return {
            "found": [{"path": path, "kind": kind, "number": number} for path, (kind, number) in self.found.items()],
            "copied": dict(self.copied),
            "not_kept": dict(self.notes),
            "not_copied": [{"what": what, "why": why} for what, why in sorted(self.left)],
            "different": [{"what": what, "why": why} for what, why in sorted(self.different)],
            "seconds": round(self.seconds, 3),
        }
