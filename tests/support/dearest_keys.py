"""The dearest that endpoints of keyrings, rekeys and root tokens take, as `dearest` has those of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.routing import Operation
from tests.support.dear import DELETE, READ, WRITE, Dear, anything, fields, nothing, text

_CONFIG: Final = {
    READ: nothing("sys/rotate/config"),
    WRITE: [Dear("sys/rotate/config", fields(interval=text())), *anything("sys/rotate/config")],
}


def begins(path: str) -> list[Dear]:
    """Return rekeys that are refused for the last of what costs something."""
    return [
        Dear(path, fields(secret_shares=255, secret_threshold=2, pgp_keys=lambda: ["AAAA" * 700] * 255)),
        Dear(path, fields(secret_shares=1, secret_threshold=1, pgp_keys=lambda: [text()()])),
        Dear(path, fields(secret_shares=1, secret_threshold=1, pgp_keys=lambda: ["AAAA" * 16_000])),
        Dear(path, fields(secret_shares=255, secret_threshold=255, pgp_keys=lambda: ["A"] * 190_000)),
    ]


def shares(path: str) -> list[Dear]:
    return [Dear(path, fields(key=text(), nonce="n")), Dear(path, fields(key="ff" * 33, nonce=text()))]


def ceremony(name: str, init: str) -> dict[str, dict[Operation, list[Dear]]]:
    begun = f"sys/{name}/{init}"
    return {begun: {READ: nothing(begun), WRITE: begins(begun), DELETE: nothing(begun)}}


def rekeys(name: str, kept: str = "") -> dict[str, dict[Operation, list[Dear]]]:
    backup = kept or f"sys/{name}/backup"
    return {
        **ceremony(name, "init"),
        f"sys/{name}/update": {WRITE: shares(f"sys/{name}/update")},
        f"sys/{name}/verify": {
            READ: nothing(f"sys/{name}/verify"),
            WRITE: shares(f"sys/{name}/verify"),
            DELETE: nothing(f"sys/{name}/verify"),
        },
        backup: {READ: nothing(backup), DELETE: nothing(backup)},
    }


def root_tokens(name: str) -> dict[str, dict[Operation, list[Dear]]]:
    attempt = f"sys/{name}/attempt"
    return {
        attempt: {
            READ: nothing(attempt),
            WRITE: [Dear(attempt, fields(otp=text())), Dear(attempt, fields(pgp_key=text()))],
            DELETE: nothing(attempt),
        },
        f"sys/{name}/update": {WRITE: shares(f"sys/{name}/update")},
    }


ROWS: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "sys/key-status": {READ: nothing("sys/key-status")},
    "sys/rotate": {WRITE: nothing("sys/rotate")},
    "sys/rotate/config": _CONFIG,
    "sys/rotate/keyring": {WRITE: nothing("sys/rotate/keyring")},
    "sys/rotate/keyring/config": _CONFIG,
    **rekeys("rekey"),
    **rekeys("rotate/root"),
    **rekeys("rekey-recovery-key", "sys/rekey/recovery-key-backup"),
    **rekeys("rotate/recovery"),
    **root_tokens("generate-root"),
    **root_tokens("generate-root-token"),
    "sys/decode-token": {WRITE: [Dear("sys/decode-token", fields(encoded_token=text(), otp=text()))]},
}
