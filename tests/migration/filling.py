"""The source is filled: secrets of both versions of KV, Transit keys, and what they have made of a text."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.migration.connection import Connection
from tests.migration.contents import VERSIONS, Key, Secret
from tests.support.api import b64

TEXT: Final = b64("what was sealed before")
CONTEXT: Final = b64("of derived keys")


class Made(NamedTuple):
    """What a version of a key gave: of a cipher a ciphertext, else a signature or a code."""

    key: Key
    version: int
    text: str


def write_secret(source: Connection, secret: Secret) -> list[None]:
    """Write all versions; what is to be deleted is, afterwards."""
    path = secret.path
    if secret.settings:
        source.good("POST", f"secret/metadata/{path}", secret.settings)
    for version in range(1, VERSIONS + 1):
        source.good("POST", f"secret/data/{path}", {"data": secret.data(version)})
    if secret.cas_required:
        source.good("POST", f"secret/metadata/{path}", {"cas_required": True})
    for verb, versions in (("delete", secret.deleted), ("destroy", secret.destroyed)):
        if versions:
            source.good("POST", f"secret/{verb}/{path}", {"versions": versions})
    if secret.number % 10 == 0:
        source.good("POST", f"old/{path}", secret.data(1))
    return []


def make_key(source: Connection, key: Key) -> list[Made]:
    """Make a key with all its versions, and use each that may be."""
    place = f"transit/keys/{key.name}"
    source.good("POST", place, key.options)
    made = []
    for version in range(1, key.latest + 1):
        if version > 1:
            source.good("POST", f"{place}/rotate")
        made.append(Made(key, version, _used(source, key)))
    if key.config:
        source.good("POST", f"{place}/config", key.config)
    return made


def _used(source: Connection, key: Key) -> str:
    asked = {"plaintext" if key.encrypts else "input": TEXT, **({"context": CONTEXT} if key.derived else {})}
    verb, named = ("encrypt", "ciphertext") if key.encrypts else ("sign", "signature")
    if key.type == "hmac":
        verb = named = "hmac"
    return str(source.good("POST", f"transit/{verb}/{key.name}", asked)[named])
