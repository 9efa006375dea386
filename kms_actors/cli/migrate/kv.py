"""Secrets of both versions of KV: each version of each, in order, so that numbers stay; settings and deletions.

What is there already is not written again, so an interrupted copy goes on. What the API does not give is not kept:
the times of versions, and the data of deleted versions, which only an undeletion in the other server would show.
Versions that are gone there are written as empty ones and destroyed, that those behind them get their numbers.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Server, ServerFailed

#: Settings of a secret, and what they are where nobody has set them.
_SETTINGS: Final[Mapping[str, Any]] = {
    "cas_required": False,
    "custom_metadata": None,
    "delete_version_after": "0s",
    "max_versions": 0,
}
_TIMES: Final = "versions have the time of the copy"
_NO_DATA: Final = "deleted versions stay deleted, and cannot be undeleted: only an undeletion would show their data"

_ALIVE, _DELETED, _GONE = "readable", "deleted", "destroyed"


def paths(server: Server, mount: str, kind: str) -> Iterator[str]:
    """Yield the paths of all secrets of a mount; `kind` is what engines are called here."""
    folder = f"{mount}metadata/" if kind == "kv-v2" else mount
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for name in server.names(f"{folder}{prefix}"):
            if name.endswith("/"):
                waiting.append(prefix + name)
            else:
                yield prefix + name


def copy_unversioned(source: Server, target: Server, mount: str, path: str, report: Report) -> None:
    """Copy a secret of version 1."""
    place = f"{mount}{path}"
    data = source.read(place)
    if data is not None and target.read(place) != data:
        target.write(place, data)
    report.copy("secrets")


def compare_unversioned(source: Server, target: Server, mount: str, path: str, report: Report) -> None:
    """Note where a secret of version 1 is another one."""
    place = f"{mount}{path}"
    if source.read(place) != target.read(place):
        report.differ(place, "another secret")


def copy_versioned(
    source: Server, target: Server, mount: str, path: str, report: Report, *, fresh: bool = False
) -> None:
    """Copy a secret of version 2 with all its versions; a `fresh` one is none that the target lists."""
    metadata, data = f"{mount}metadata/{path}", f"{mount}data/{path}"
    wanted = source.read(metadata)
    if wanted is None:
        return
    known = None if fresh else target.read(metadata)
    last = int(wanted["current_version"])
    first = int(known["current_version"]) if known is not None else 0
    if first > last:
        report.leave(metadata, f"the other one has {first} versions, and this one {last}")
        return
    settings = {name: wanted[name] for name in _SETTINGS if wanted.get(name) is not None}
    theirs = _SETTINGS if known is None else known
    if last == 0 or any(theirs.get(name) != value for name, value in settings.items()):
        target.write(metadata, settings)
    states = _states(wanted)
    for number in range(first + 1, last + 1):
        kept = source.read(data, version=number) if states.get(number) == _ALIVE else None
        written = {} if kept is None else kept["data"]
        _write_version(target, mount, path, number, written)
    if any(states.get(number) != _ALIVE for number in range(1, last + 1)):
        _delete(target, mount, path, states, target.read(metadata))
    report.copy("secrets")
    report.copy("versions", last)
    if last:
        report.note(_TIMES, last)
    if deleted := [number for number, state in states.items() if state == _DELETED]:
        report.note(_NO_DATA, len(deleted))


def compare_versioned(source: Server, target: Server, mount: str, path: str, report: Report) -> None:
    """Note where a secret of version 2 is another one: settings, what of it is readable, and each such version."""
    metadata, data = f"{mount}metadata/{path}", f"{mount}data/{path}"
    wanted, found = source.read(metadata), target.read(metadata)
    if wanted is None or found is None:
        if wanted is not found:
            report.differ(metadata, "not on both sides")
        return
    for name in (*_SETTINGS, "current_version"):
        if wanted.get(name) != found.get(name):
            report.differ(metadata, name)
    states, theirs = _states(wanted), _states(found)
    for number in range(1, int(wanted["current_version"]) + 1):
        state = states.get(number, _GONE)
        if state != theirs.get(number, _GONE):
            report.differ(metadata, f"version {number} is {state} there, and {theirs.get(number, _GONE)} here")
        elif state == _ALIVE:
            there, here = source.read(data, version=number), target.read(data, version=number)
            if there is None or here is None or there["data"] != here["data"]:
                report.differ(data, f"version {number} is another one")


def _write_version(target: Server, mount: str, path: str, number: int, data: Any) -> None:
    """Write a version with its number. One that was written, and whose answer was lost, is there already."""
    answer = target.ask("POST", f"{mount}data/{path}", {"data": data, "options": {"cas": number - 1}})
    if not answer.good:
        known = target.read(f"{mount}metadata/{path}")
        if known is None or int(known["current_version"]) != number:
            raise ServerFailed(f"{mount}data/{path}: {answer.why}")


def _delete(target: Server, mount: str, path: str, states: dict[int, str], found: Any) -> None:
    """Delete and destroy what is so on the other side."""
    theirs = _states(found)
    last = int(found["current_version"])
    wrong = [number for number in range(1, last + 1) if theirs.get(number, _GONE) != states.get(number, _GONE)]
    for verb, state in (("destroy", _GONE), ("delete", _DELETED)):
        numbers = [number for number in wrong if states.get(number, _GONE) == state]
        if numbers:
            target.write(f"{mount}{verb}/{path}", {"versions": numbers})


def _states(metadata: Any) -> dict[int, str]:
    """Return what of each version there is; those that are gone altogether are not in it."""
    return {int(number): _state(version) for number, version in (metadata["versions"] or {}).items()}


def _state(version: Any) -> str:
    if version["destroyed"]:
        return _GONE
    time = version["deletion_time"]
    if not time:
        return _ALIVE
    # Nanoseconds are more than the library reads.
    ends = datetime.datetime.fromisoformat(time[:19]).replace(tzinfo=datetime.UTC)
    return _DELETED if ends <= datetime.datetime.now(datetime.UTC) else _ALIVE
