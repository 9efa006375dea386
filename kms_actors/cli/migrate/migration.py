"""A migration: mounts and policies first, then what lies below them, several at once, and all compared in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, Final

from kms_actors.cli.migrate import kv, logins, places, transit
from kms_actors.cli.migrate.findings import Job, Report
from kms_actors.cli.migrate.places import Place
from kms_actors.cli.migrate.server import Server, ServerFailed

#: Jobs that wait at a time.
_WINDOW: Final = 512

_Work = Callable[[Server, Server, str, str, Report], None]
_COPIES: Final[dict[str, _Work]] = {
    "kv-v1": kv.copy_unversioned,
    "kv-v2": kv.copy_versioned,
    "transit": transit.copy,
}
#: Of a secret that the target does not list.
_FRESH: Final[_Work] = partial(kv.copy_versioned, fresh=True)
_COMPARISONS: Final[dict[str, _Work]] = {
    "kv-v1": kv.compare_unversioned,
    "kv-v2": kv.compare_versioned,
    "transit": transit.compare,
}


class Migration:
    """From one server to another; `threads` requests are under way at a time, at most."""

    def __init__(self, source: Server, target: Server, threads: int, progress: Callable[[int], None]) -> None:
        self.report = Report()
        self._source = source
        self._target = target
        self._threads = threads
        self._progress = progress

    def found(self) -> list[tuple[Place, list[str]]]:
        """Return all secrets and keys that the source has, by mount; what has no engine here is noted."""
        places.visible(self._source)
        return [(place, self._names(place)) for place in places.engines(self._source, self.report)]

    def copy(self, found: Iterable[tuple[Place, list[str]]]) -> None:
        """Copy all; what cannot be is noted, with the reason."""
        source, target, report = self._source, self._target, self.report
        report.left.clear()  # those of a look
        list(places.engines(source, report))
        copied = places.make(source, target, "sys/mounts", report)
        places.copy_policies(source, target, report)
        methods = source.read("sys/auth")
        for path in places.make(source, target, "sys/auth", report):
            logins.copy(source, target, path, str(methods[path]["type"]), report)
        self._run(self._copies((place, names) for place, names in found if place.path in copied))

    def compare(self, found: Iterable[tuple[Place, list[str]]]) -> None:
        """Note where the target is not as the source, but for what could not be copied."""
        places.compare_policies(self._source, self._target, self.report)
        left = {what for what, _ in self.report.left}
        there = ((place, names) for place, names in found if f"sys/mounts/{place.path}" not in left)
        self._run(self._jobs(_COMPARISONS, there))

    def _names(self, place: Place) -> list[str]:
        if place.kind == "transit":
            return transit.names(self._source, place.path)
        return list(kv.paths(self._source, place.path, place.kind))

    def _copies(self, found: Iterable[tuple[Place, list[str]]]) -> Iterator[Job]:
        """Yield what copies each; what the target does not list need not be looked for there."""
        for place, names in found:
            versioned = place.kind == "kv-v2"
            known = set(kv.paths(self._target, place.path, place.kind)) if versioned else set()
            for name in names:
                fresh = versioned and name not in known
                yield partial(self._one, _FRESH if fresh else _COPIES[place.kind], place, name)

    def _jobs(self, works: dict[str, _Work], found: Iterable[tuple[Place, list[str]]]) -> Iterator[Job]:
        for place, names in found:
            for name in names:
                yield partial(self._one, works[place.kind], place, name)

    def _one(self, work: _Work, place: Place, name: str) -> None:
        try:
            work(self._source, self._target, place.path, name, self.report)
        except ServerFailed as failed:
            self.report.leave(f"{place.path}{name}", str(failed))
        self._progress(1)

    def _run(self, jobs: Iterator[Job]) -> None:
        with ThreadPoolExecutor(self._threads) as threads:
            try:
                while window := list(islice(jobs, _WINDOW)):
                    for _ in threads.map(_call, window):
                        pass
            except BaseException:  # Ctrl-C, too: what waits is not begun
                threads.shutdown(wait=False, cancel_futures=True)
                raise


def _call(job: Callable[[], Any]) -> None:
    job()
