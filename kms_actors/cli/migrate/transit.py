"""Transit keys, by the API's own backup and restore: all versions and settings, where the key may be backed up."""

from __future__ import annotations

from typing import Final

from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Server

_WHY_NOT: Final = (
    "it may not be backed up: set exportable and allow_plaintext_backup in its config, which cannot be undone, "
    "or make a new key and rewrap"
)
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


def names(server: Server, mount: str) -> list[str]:
    """Return the names of all keys of a mount."""
    return server.names(f"{mount}keys")


def copy(source: Server, target: Server, mount: str, name: str, report: Report) -> None:
    """Copy a key, unless there is one of its name."""
    key = source.read(f"{mount}keys/{name}")
    if key is None:
        return
    if target.read(f"{mount}keys/{name}") is not None:
        report.copy("transit keys")
        return
    if not (key["exportable"] and key["allow_plaintext_backup"]):
        report.leave(f"{mount}keys/{name}", _WHY_NOT)
        return
    backup = source.read(f"{mount}backup/{name}")["backup"]
    answer = target.ask("POST", f"{mount}restore/{name}", {"backup": backup})
    if answer.good:
        report.copy("transit keys")
    else:
        report.leave(f"{mount}keys/{name}", answer.why)


def compare(source: Server, target: Server, mount: str, name: str, report: Report) -> None:
    """Note where a key that could be copied is another one."""
    there, here = source.read(f"{mount}keys/{name}"), target.read(f"{mount}keys/{name}")
    if there is None or here is None:
        if there is not None and there["exportable"] and there["allow_plaintext_backup"]:
            report.differ(f"{mount}keys/{name}", "not on both sides")
        return
    for field in _COMPARED:
        if there.get(field) != here.get(field):
            report.differ(f"{mount}keys/{name}", field)
    if _public(there) != _public(here):
        report.differ(f"{mount}keys/{name}", "another key")


def _public(key: dict[str, dict[str, object]]) -> dict[str, object]:
    """Return public keys by version; of symmetric keys the versions alone, of which `hmac` keys show none."""
    return {
        number: version[_PUBLIC].strip() if isinstance(version, dict) and _PUBLIC in version else None
        for number, version in (key.get("keys") or {}).items()
    }
