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
from kms_actors.cli.migrate.server import Server, ServerFailed, ServerGone

#: Jobs that wait at a time.
_WINDOW: Final = 512

_Work = Callable[[Server, Server, str, str, Report], None]
_COPIES: Final[dict[str, _Work]] = {
    "kv-v1": kv.copy_unversioned,
    "transit": transit.copy,
}
_COMPARISONS: Final[dict[str, _Work]] = {
    "kv-v1": kv.compare_unversioned,
    "kv-v2": kv.compare_versioned,
    "transit": transit.compare,
}
#: Of a dry run.
_LOOKS: Final[dict[str, _Work]] = {"kv-v2": kv.look, "transit": transit.look}


class Migration:
    """From one server to another; `threads` requests are under way at a time, at most."""

    def __init__(self, source: Server, target: Server, threads: int, progress: Callable[[int], None]) -> None:
        self.report = Report()
        self._source = source
        self._target = target
        self._threads = threads
        self._progress = progress

    def found(self) -> list[tuple[Place, list[str]]]:
        """Return all secrets and keys that the source has, by mount.

        Mounts without an engine here are noted, and what is not shown to the token.
        """
        found = []
        for place in places.engines(self._source, self.report):
            with self.report.leaving(place.path):
                found.append((place, self._names(place)))
        return found

    def look(self, found: Iterable[tuple[Place, list[str]]]) -> None:
        """Note how much of everything there is, and what of it cannot be copied; nothing is written."""
        source, target, report = self._source, self._target, self.report
        in_the_way = target.read("sys/mounts").keys() - places.standing(source, target, "sys/mounts", report)
        with report.leaving("sys/auth"):
            places.standing(source, target, "sys/auth", report)
        for place, names in found:
            report.found[place.path] = (place.kind, len(names))
            if place.kind == "kv-v2":
                self._noting(_read_configuration, place)
        if number := len(list(places.policies(source, report))):
            report.found["sys/policies/"] = ("policies", number)
        for path, mount in self._methods().items():
            report.found[f"auth/{path}"] = (mount["type"], logins.found(source, path, mount["type"], report))
        places.tell_others(source, report)
        self._run(self._jobs(_LOOKS, [self._to_look_at(*each) for each in found if each[0].path not in in_the_way]))

    def copy(self, found: Iterable[tuple[Place, list[str]]]) -> None:
        """Copy all; what cannot be is noted, with the reason."""
        source, target, report = self._source, self._target, self.report
        places.tell_others(source, report)
        copied = places.make(source, target, "sys/mounts", report)
        places.copy_policies(source, target, report)
        with report.leaving("sys/auth"):
            methods = self._methods()
            for path in places.make(source, target, "sys/auth", report):
                logins.copy(source, target, path, methods[path]["type"], report)
        there = [(place, names) for place, names in found if place.path in copied]
        self._run(self._copies(there))
        for place, _ in there:
            if place.kind == "kv-v2":
                self._noting(kv.let_expire, place)

    def compare(self, found: Iterable[tuple[Place, list[str]]]) -> None:
        """Note where the target is not as the source, but for what could not be copied."""
        source, target, report = self._source, self._target, self.report
        left = {what for what, _ in report.left}
        places.compare_policies(source, target, report)
        for path, mount in self._methods().items():
            if f"sys/auth/{path}" not in left:
                logins.compare(source, target, path, mount["type"], report)
        there = [(place, names) for place, names in found if f"sys/mounts/{place.path}" not in left]
        for place, _ in there:
            if place.kind == "kv-v2":
                self._noting(kv.compare_configuration, place)
        self._run(self._jobs(_COMPARISONS, there))

    def _methods(self) -> dict[str, Any]:
        """Return the mounts of logins that the source has beside that of every server, if it shows them."""
        found: dict[str, Any] = {}
        with self.report.leaving("sys/auth"):
            found |= self._source.read("sys/auth")
        return {path: mount for path, mount in found.items() if path != "token/"}

    def _known(self, place: Place) -> set[str] | None:
        """Return the secrets that the target has; None if it does not show them."""
        try:
            return set(kv.paths(self._target, place.path, place.kind))
        except ServerGone:
            raise
        except ServerFailed:
            return None

    def _noting(self, work: Callable[[Server, Server, str, Report], None], place: Place) -> None:
        """Do something for a mount; where that fails, it is noted."""
        with self.report.leaving(f"{place.path}config"):
            work(self._source, self._target, place.path, self.report)

    def _to_look_at(self, place: Place, names: list[str]) -> tuple[Place, list[str]]:
        """Return what of a mount may be in the way: secrets of version 1 are written over."""
        if place.kind == "kv-v2":
            known = self._known(place)
            return place, [name for name in names if known is None or name in known]
        return place, names if place.kind in _LOOKS else []

    def _names(self, place: Place) -> list[str]:
        if place.kind == "transit":
            return transit.names(self._source, place.path)
        return list(kv.paths(self._source, place.path, place.kind, self.report.leaving))

    def _copies(self, found: Iterable[tuple[Place, list[str]]]) -> Iterator[Job]:
        """Yield what copies each; what the target does not list need not be looked for there."""
        for place, names in found:
            if place.kind != "kv-v2":
                yield from self._jobs(_COPIES, [(place, names)])
                continue
            kept = 0
            with self.report.leaving(f"{place.path}config"):
                kept = kv.configure(self._source, self._target, place.path, self.report)
            known = self._known(place)
            for name in names:
                fresh = known is not None and name not in known
                yield partial(self._one, partial(kv.copy_versioned, fresh=fresh, kept=kept), place, name)

    def _jobs(self, works: dict[str, _Work], found: Iterable[tuple[Place, list[str]]]) -> Iterator[Job]:
        for place, names in found:
            for name in names:
                yield partial(self._one, works[place.kind], place, name)

    def _one(self, work: _Work, place: Place, name: str) -> None:
        with self.report.leaving(f"{place.path}{name}"):
            work(self._source, self._target, place.path, name, self.report)
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


def _read_configuration(source: Server, _: Server, path: str, __: Report) -> None:
    source.read(f"{path}config")


def _call(job: Callable[[], Any]) -> None:
    job()
