"""Secrets of both versions of KV: each version of each, in order, so that numbers stay; settings and deletions.

What is there already is not written again, so an interrupted copy goes on. What the API does not give is not kept:
the data of deleted versions, which only an undeletion in the other server would show. Versions that are gone there
are written as empty ones and destroyed, that those behind them get their numbers. Times are set by a path that is not
of Vault's API, so on the way out they are those of the copy.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Answer, Server, ServerFailed

#: Settings of a secret, and what they are where nobody has set them.
_SETTINGS: Final[Mapping[str, Any]] = {
    "cas_required": False,
    "custom_metadata": {},
    "delete_version_after": "0s",
    "max_versions": 0,
}
#: Settings of a mount of version 2, likewise.
_CONFIG: Final[Mapping[str, Any]] = {"cas_required": False, "delete_version_after": "0s", "max_versions": 0}
#: What ends versions by themselves, and what it is where they stay.
_EXPIRY: Final = "delete_version_after"
_STAYS: Final = "0s"
#: Versions that are kept where neither the secret nor the mount says how many.
_KEPT: Final = 10
#: Seconds that a mount which was just made may take until it serves: of Vault, and of OpenBao, it answers 400 before.
_PATIENCE: Final = 30
_NOT_YET: Final = 400
#: Of OpenBao: whoever changes metadata says which he has seen.
_SEEN: Final = "metadata_cas_required"
_NOT_SEEN: Final = f"{_SEEN} is not kept: set it once all is copied"
_NO_SUCH_PATH: Final = Answer(404, None, "")
#: Why a server sets no times, by its answer: it has no path for them, or not for this token.
_NO_TIMES: Final[Mapping[int, str]] = {
    404: "versions have the time of the copy, for the server's API sets none",
    403: "versions have the time of the copy: a token that sets times has `sudo` below `times/` of the mount",
}
_NO_DATA: Final = "deleted versions stay deleted, and cannot be undeleted: only an undeletion would show their data"

_ALIVE, _DELETED, _GONE = "readable", "deleted", "destroyed"


def paths(
    server: Server, mount: str, kind: str, leaving: Callable[[str], AbstractContextManager[None]] | None = None
) -> Iterator[str]:
    """Yield the paths of all secrets of a mount; `kind` is what engines are called here.

    A folder that is not shown raises ServerFailed, unless `leaving` it does not.
    """
    top = f"{mount}metadata/" if kind == "kv-v2" else mount
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        names: list[str] = []
        with leaving(f"{mount}{folder}") if leaving else nullcontext():
            names = server.names(f"{top}{folder}")
        for name in names:
            if name.endswith("/"):
                waiting.append(folder + name)
            else:
                yield folder + name


def configure(
    source: Server, target: Server, mount: str, report: Report, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Give a mount of version 2 its settings, before there are secrets; return how many versions of each it keeps.

    A setting of the target stays that somebody has changed there. What ends versions by themselves comes last, by
    `let_expire`: it would end those, too, that were written before it was set in the source.
    """
    known, wanted = _ready(target, mount, sleep), source.read(f"{mount}config")
    if wanted is None:
        return int(known["max_versions"])
    _set_config(target, mount, known, wanted, _CONFIG.keys() - {_EXPIRY})
    if wanted.get(_SEEN):
        report.note(_NOT_SEEN)
    return int(known["max_versions"] or wanted["max_versions"])


def let_expire(source: Server, target: Server, mount: str, _: Report) -> None:
    """Have a mount of version 2 end versions by themselves as it does in the source, once all are copied."""
    known, wanted = target.read(f"{mount}config"), source.read(f"{mount}config")
    if known is not None and wanted is not None:
        _set_config(target, mount, known, wanted, {_EXPIRY})


def _set_config(
    target: Server, mount: str, known: Mapping[str, Any], wanted: Mapping[str, Any], names: Collection[str]
) -> None:
    changes = {name: wanted[name] for name in names if known[name] == _CONFIG[name] and wanted[name] != known[name]}
    if changes:
        target.write(f"{mount}config", changes)


def _ready(target: Server, mount: str, sleep: Callable[[float], None]) -> Any:
    """Return the settings of a mount, once it has any to tell."""
    for _ in range(_PATIENCE):
        answer = target.ask("GET", f"{mount}config")
        if answer.status != _NOT_YET:
            break
        sleep(1)
    if not answer.good:
        raise ServerFailed(f"{mount}config: {answer.why}")
    return answer.data


def compare_configuration(source: Server, target: Server, mount: str, report: Report) -> None:
    """Note which settings of a mount of version 2 are others."""
    wanted, found = source.read(f"{mount}config"), target.read(f"{mount}config")
    for name in _CONFIG if wanted is not None and found is not None else ():
        if wanted[name] != found[name]:
            report.differ(f"{mount}config", name)


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


def look(source: Server, target: Server, mount: str, path: str, report: Report) -> None:
    """Note a secret of version 2 that cannot be copied, of those that the target has, too."""
    metadata = f"{mount}metadata/{path}"
    wanted, known = source.read(metadata), target.read(metadata)
    if wanted is not None and known is not None:
        _follows(metadata, wanted, known, report)


def _follows(metadata: str, wanted: Any, known: Any, report: Report) -> bool:
    """Tell whether what the target has can be the first versions of what the source has; note where not."""
    last, first = int(wanted["current_version"]), int(known["current_version"])
    if first > last:
        report.leave(metadata, f"{first} versions are there already, more than the {last} to copy: others wrote them")
    return first <= last


def copy_versioned(
    source: Server, target: Server, mount: str, path: str, report: Report, *, fresh: bool = False, kept: int = 0
) -> None:
    """Copy a secret of version 2 with all its versions; a `fresh` one is none that the target lists.

    The mount there keeps `kept` versions of each, if it says so.
    """
    metadata, data = f"{mount}metadata/{path}", f"{mount}data/{path}"
    wanted = source.read(metadata)
    if wanted is None:
        return
    known = None if fresh else target.read(metadata)
    last = int(wanted["current_version"])
    first = int(known["current_version"]) if known is not None else 0
    if known is not None and not _follows(metadata, wanted, known, report):
        return
    settings = {name: wanted.get(name) or none for name, none in _SETTINGS.items()}
    theirs = _Settings(target, metadata, _SETTINGS if known is None else known)
    states = _states(wanted)
    theirs.become(settings | (_room(settings, states, last, kept) if first < last else {}), made=last == 0)
    for number in range(first + 1, last + 1):
        found = source.read(data, version=number) if states.get(number) == _ALIVE else None
        if found is None and states.get(number) == _ALIVE:  # since then
            states[number] = _DELETED
        if found is not None:
            theirs.become({_EXPIRY: _stays(wanted["versions"][str(number)])})
        _write_version(target, mount, path, number, {} if found is None else found["data"] or {})
    theirs.become(settings)
    if any(states.get(number) != _ALIVE for number in range(1, last + 1)):
        _delete(target, mount, path, states, target.read(metadata))
    if wanted.get(_SEEN):
        report.note(_NOT_SEEN)
    report.copy("secrets")
    report.copy("versions", last)
    if known is None or first < last or _times(known) != _times(wanted):
        _set_times(target, mount, path, wanted, report)
    if deleted := [number for number, state in states.items() if state == _DELETED]:
        report.note(_NO_DATA, len(deleted))


class _Settings:
    """Settings of a secret in the target; only what becomes another one is written."""

    def __init__(self, target: Server, metadata: str, known: Mapping[str, Any]) -> None:
        self._target = target
        self._metadata = metadata
        self._now = {name: known.get(name) or none for name, none in _SETTINGS.items()}

    def become(self, wanted: Mapping[str, Any], *, made: bool = False) -> None:
        """Write what is not so yet; something is always written of a secret that is only `made` by this."""
        changes = {name: value for name, value in wanted.items() if self._now[name] != value}
        if changes or made:
            self._target.write(self._metadata, changes or wanted)
            self._now |= changes


def _room(settings: Mapping[str, Any], states: Mapping[int, str], last: int, kept: int) -> dict[str, int]:
    """Return what keeps all versions while they are written.

    Where somebody has lowered the settings, the source has more of them than these say, until it gets the next one.
    """
    number = last + 1 - min(states, default=last)
    return {"max_versions": number} if number > (max(settings["max_versions"], kept) or _KEPT) else {}


def _stays(version: Mapping[str, Any]) -> str:
    """Return how long a version is to stay that is written now, as settings say it."""
    ends = _end(version)
    if ends is None:
        return _STAYS
    return f"{max(1, math.ceil((ends - datetime.datetime.now(datetime.UTC)).total_seconds()))}s"


def compare_versioned(source: Server, target: Server, mount: str, path: str, report: Report) -> None:
    """Note where a secret of version 2 is another one: settings, what of it is readable, and each such version."""
    metadata, data = f"{mount}metadata/{path}", f"{mount}data/{path}"
    wanted, found = source.read(metadata), target.read(metadata)
    if wanted is None or found is None:
        if wanted is not found:
            report.differ(metadata, "not on both sides")
        return
    for name in (*_SETTINGS, "current_version"):
        if (wanted.get(name) or None) != (found.get(name) or None):
            report.differ(metadata, name)
    if report.notes.keys().isdisjoint(_NO_TIMES.values()) and _times(wanted) != _times(found):
        report.differ(metadata, "times")
    states, theirs = _states(wanted), _states(found)
    for number in range(1, int(wanted["current_version"]) + 1):
        state = states.get(number, _GONE)
        if state != theirs.get(number, _GONE):
            report.differ(metadata, f"version {number} is {state} there, and {theirs.get(number, _GONE)} here")
        elif state == _ALIVE:
            there, here = source.read(data, version=number), target.read(data, version=number)
            if there is None or here is None or (there["data"] or {}) != (here["data"] or {}):
                report.differ(data, f"version {number} is another one")
            ends, end = (_end(each["versions"][str(number)]) for each in (wanted, found))
            if (ends is None) != (end is None):
                report.differ(metadata, f"version {number} will be deleted {'here' if end else 'there'} alone")


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


def _set_times(target: Server, mount: str, path: str, wanted: Any, report: Report) -> None:
    """Have a secret say when it was made, changed and deleted, where the server lets that be said."""
    answer = target.ask("POST", f"{mount}times/{path}", _times(wanted)) if target.own else _NO_SUCH_PATH
    if why := _NO_TIMES.get(answer.status):
        report.note(why, int(wanted["current_version"]))
    elif not answer.good:
        raise ServerFailed(f"{mount}times/{path}: {answer.why}")


def _times(metadata: Any) -> dict[str, Any]:
    """Return the times of a secret and of its versions, of those that are not gone."""
    versions = (metadata["versions"] or {}).items()
    return {
        **{name: metadata[name] for name in ("created_time", "updated_time")},
        "versions": {
            number: {name: version[name] for name in ("created_time", "deletion_time")}
            for number, version in versions
            if not version["destroyed"]
        },
    }


def _states(metadata: Any) -> dict[int, str]:
    """Return what of each version there is; those that are gone altogether are not in it."""
    return {int(number): _state(version) for number, version in (metadata["versions"] or {}).items()}


def _state(version: Mapping[str, Any]) -> str:
    if version["destroyed"]:
        return _GONE
    ends = _end(version)
    return _ALIVE if ends is None or ends > datetime.datetime.now(datetime.UTC) else _DELETED


def _end(version: Mapping[str, Any]) -> datetime.datetime | None:
    """Return when a version is or was deleted; None if never."""
    time = version["deletion_time"]
    # Nanoseconds are more than the library reads.
    return datetime.datetime.fromisoformat(time[:19]).replace(tzinfo=datetime.UTC) if time else None
