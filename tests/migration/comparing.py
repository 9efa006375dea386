"""Both servers compared, by what each answers and by what was written: without any code of the migration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.migration.connection import Connection
from tests.migration.contents import VERSIONS, Key, Secret
from tests.migration.filling import CONTEXT, TEXT, Made

#: Of a secret's metadata.
_METADATA: Final = (
    "cas_required",
    "created_time",
    "current_version",
    "custom_metadata",
    "delete_version_after",
    "max_versions",
    "updated_time",
)
#: Of a key, without its versions.
_OF_A_KEY: Final = (
    "type",
    "latest_version",
    "min_available_version",
    "min_decryption_version",
    "min_encryption_version",
    "derived",
    "convergent_encryption",
    "exportable",
    "allow_plaintext_backup",
    "deletion_allowed",
    "auto_rotate_period",
    "imported_key",
)
_EXPORTS: Final = {
    "hmac": ("hmac-key",),
    "cipher": ("encryption-key", "hmac-key"),
    "signer": ("signing-key", "hmac-key"),
}


def names(server: Connection, folder: str) -> Iterator[str]:
    """Yield the paths of all that lies below a folder."""
    status, data = server("GET", f"{folder}/", query="?list=true")
    for name in data["keys"] if status == 200 else ():
        if name.endswith("/"):
            yield from (f"{name}{below}" for below in names(server, f"{folder}/{name.rstrip('/')}"))
        else:
            yield name


def secret_differs(source: Connection, target: Connection, secret: Secret) -> list[str]:
    """Return in what a secret is not what was written, here or there."""
    path = secret.path
    there, here = (side.good("GET", f"secret/metadata/{path}") for side in (source, target))
    found = [f"{path}: {name}" for name in _METADATA if there[name] != here[name]]
    if set(there["versions"]) != set(here["versions"]):
        found.append(f"{path}: other versions")
    elif any(
        told["created_time"] != here["versions"][number]["created_time"]
        for number, told in there["versions"].items()
        if not told["destroyed"]
    ):
        found.append(f"{path}: versions of other times")
    for version in range(1, VERSIONS + 1):
        state = secret.state(version)
        for side, metadata in ((source, there), (target, here)):
            if _state(side, path, version, metadata) != (
                state,
                secret.data(version) if state == "readable" else None,
            ):
                found.append(
                    f"{path}: version {version} is not {state} on {'both' if side is source else 'the target'}"
                )
    if secret.number % 10 == 0 and target.good("GET", f"old/{path}") != secret.data(1):
        found.append(f"old/{path}: another secret")
    return found


def _state(side: Connection, path: str, version: int, metadata: Any) -> tuple[str, Any]:
    status, data = side("GET", f"secret/data/{path}", query=f"?version={version}")
    told = metadata["versions"].get(str(version))
    if status == 200:
        return "readable", data["data"]
    return ("gone" if told is None or told["destroyed"] else "deleted"), None


def key_differs(source: Connection, target: Connection, made: Made) -> list[str]:
    """Return in what a key is another one: settings, the key itself, and what one of its versions has made."""
    key = made.key
    there = source.good("GET", f"transit/keys/{key.name}")
    status, here = target("GET", f"transit/keys/{key.name}")
    if status == 404 or not key.moves:
        return [f"{key.name}: {'is' if status == 200 else 'is not'} there"] if (status == 200) != key.moves else []
    found = [f"{key.name}: {name}" for name in _OF_A_KEY if there.get(name) != here.get(name)]
    if there.get("keys", {}).keys() != here.get("keys", {}).keys():  # `hmac` keys show none
        found.append(f"{key.name}: other versions")
    kind = "hmac" if key.type == "hmac" else "cipher" if key.encrypts else "signer"
    for export in _EXPORTS[kind]:
        both = [side.good("GET", f"transit/export/{export}/{key.name}")["keys"] for side in (source, target)]
        if both[0] != both[1]:
            found.append(f"{key.name}: another {export}")
    if made.version >= there["min_decryption_version"] and not _opens(target, made):
        found.append(f"{key.name}: what version {made.version} has made is not taken")
    return found


def _opens(target: Connection, made: Made) -> bool:
    key = made.key
    if key.encrypts:
        asked = {"ciphertext": made.text, **({"context": CONTEXT} if key.derived else {})}
        return bool(target.good("POST", f"transit/decrypt/{key.name}", asked)["plaintext"] == TEXT)
    name = "hmac" if key.type == "hmac" else "signature"
    return bool(target.good("POST", f"transit/verify/{key.name}", {"input": TEXT, name: made.text})["valid"])


def moving(keys: list[Key]) -> set[str]:
    """Return the names of the keys that must arrive."""
    return {key.name for key in keys if key.moves}
