"""Transit keys, by the API's own backup and restore: all versions and settings, where the key may be backed up."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Server
from kms_actors.transit.exchange.key_backup import HMAC_OF_VAULT

_WHY_NOT: Final = (
    "it may not be backed up: set exportable and allow_plaintext_backup in its config, which cannot be undone, "
    "or make a new key and rewrap"
)
#: Types that have no backups, of any server.
_WITHOUT_BACKUP: Final = frozenset({"aes128-cmac", "aes256-cmac", "hybrid"})
_NO_BACKUP: Final = "keys of the type {} have no backup, and so cannot be copied: make a new one"
_UNKNOWN: Final = "the server does not know the type {}"
#: What a key tells of itself, that must be the same on both sides.
_COMPARED: Final = (
    "type",
    "latest_version",
    "min_available_version",
    "min_decryption_version",
    "min_encryption_version",
    "derived",
    "exportable",
    "allow_plaintext_backup",
    "deletion_allowed",
    "auto_rotate_period",
)
#: The public half of each version, of kinds that have one.
_PUBLIC: Final = "public_key"
#: What is exported of a key whose answers have the field, the first that fits; of all others the key of its HMACs.
_EXPORTS: Final = (("supports_encryption", "encryption-key"), ("supports_signing", "signing-key"))
_OF_HMACS: Final = "hmac-key"
#: OpenBao 2.7 drops the connection when a key of these is exported that was restored. Public halves tell as much.
_UNEXPORTED: Final = "mldsa-"
_HMAC: Final = "hmac"
_OTHER: Final = "there is a key of this name already, and it is another one"
_UNSEEN: Final = "keys are compared by what is shown of them: their material may not be exported by both tokens"


def names(server: Server, mount: str) -> list[str]:
    """Return the names of all keys of a mount."""
    return server.names(f"{mount}keys")


def look(source: Server, target: Server, mount: str, name: str, report: Report) -> None:
    """Note a key that cannot be copied."""
    place = f"{mount}keys/{name}"
    if (key := _to_move(source, place, report)) is None:
        return
    here = target.read(place)
    if here is not None and not _same((source, target), mount, name, (key, here)):
        report.leave(place, _OTHER)


def copy(source: Server, target: Server, mount: str, name: str, report: Report) -> None:
    """Copy a key. One that is there already must be the same; it gets what it lacks, and the settings."""
    place = f"{mount}keys/{name}"
    if (key := _to_move(source, place, report)) is None:
        return
    here = target.read(place)
    if here is not None:
        if not _same((source, target), mount, name, (key, here)):
            report.leave(place, _OTHER)
            return
        # Versions of the target alone are not written over: what they have sealed would be lost.
        if here["latest_version"] > key["latest_version"] or not _changed(key, here):
            report.copy("transit keys")
            return
    backup = source.read(f"{mount}backup/{name}")["backup"]
    answer = target.ask("POST", f"{mount}restore/{name}", {"backup": backup, "force": here is not None})
    if answer.good and target.read(place)["type"] != key["type"]:
        if key["type"] != _HMAC:
            _take_back(target, place)
            report.leave(place, _UNKNOWN.format(key["type"]))
            return
        answer = target.ask("POST", f"{mount}restore/{name}", {"backup": _for_vault(backup), "force": True})
    if answer.good:
        report.copy("transit keys")
    else:
        report.leave(place, answer.why)


def _take_back(target: Server, place: str) -> None:
    """Remove a key that was just made there, and that the server takes for another type by its number."""
    target.write(f"{place}/config", {"deletion_allowed": True})
    target.ask("DELETE", place)


def compare(source: Server, target: Server, mount: str, name: str, report: Report) -> None:
    """Note where a key that could be copied is another one."""
    place = f"{mount}keys/{name}"
    there, here = source.read(place), target.read(place)
    if there is None or not _moves(there):
        return
    if here is None:
        report.differ(place, "not on both sides")
        return
    for field in _changed(there, here):
        report.differ(place, field)
    if not _same((source, target), mount, name, (there, here), report):
        report.differ(place, "another key")


def _changed(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return [field for field in _COMPARED if there.get(field) != here.get(field)]


def _for_vault(backup: str) -> str:
    """Return the backup of an `hmac` key as Vault has it, where that type has another number than with OpenBao."""
    content = json.loads(base64.b64decode(backup))
    content["policy"]["type"] = HMAC_OF_VAULT
    return base64.b64encode(json.dumps(content).encode()).decode()


def _to_move(source: Server, place: str, report: Report) -> Any:
    """Return a key that may be copied, else None; one that may not is noted."""
    key = source.read(place)
    if key is None or _moves(key):
        return key
    kind = str(key["type"])
    report.leave(place, _NO_BACKUP.format(kind) if kind in _WITHOUT_BACKUP else _WHY_NOT)
    return None


def _moves(key: Mapping[str, Any]) -> bool:
    return bool(key["exportable"] and key["allow_plaintext_backup"]) and key["type"] not in _WITHOUT_BACKUP


def _same(
    sides: tuple[Server, Server],
    mount: str,
    name: str,
    told: tuple[Mapping[str, Any], Mapping[str, Any]],
    report: Report | None = None,
) -> bool:
    """Tell whether the versions that both sides have are the same: by their material, which such a key may show.

    What lets a key move stays with it, and cannot be undone: one without is none that came from there, whatever its
    times, of which two keys that were made within one second have the same.
    """
    if not all(map(_moves, told)):
        return False
    kind = next((export for field, export in _EXPORTS if told[0].get(field)), _OF_HMACS)
    shown = told[0]["type"].startswith(_UNEXPORTED)
    answers = [] if shown else [side.ask("GET", f"{mount}export/{kind}/{name}") for side in sides]
    if answers and all(answer.good for answer in answers):
        there, here = ({number: text.strip() for number, text in each.data["keys"].items()} for each in answers)
    else:
        there, here = map(_shown, told)
        if report is not None and not shown:
            report.note(_UNSEEN)
    both = there.keys() & here.keys()
    return bool(both) and all(there[number] == here[number] for number in both)


def _shown(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of each version: public keys, or, of symmetric keys, when they were made."""
    return {
        number: version[_PUBLIC].strip() if isinstance(version, dict) and _PUBLIC in version else version
        for number, version in (key.get("keys") or {}).items()
    }
