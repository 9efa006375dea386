"""A whole key as one text: base64 of the JSON that Vault and OpenBao write, so that keys move between all three.

It holds every version that exists, in the clear. Types and their numbers are normative, as are the names, and
written as OpenBao has them: Vault has another one for `hmac`, which is read as well. Versions lie in
`archived_keys` from `archive_min_version` on, and those that may decrypt in the policy as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.transit.ciphertext import PREFIX
from kms_actors.transit.exchange.backup_entry import (
    CONVERGENT_VERSION,
    NO_TIME,
    Entry,
    entry_of,
    parse_time,
    rfc3339,
    version_of,
)
from kms_actors.transit.go_base64 import decode as decode_base64
from kms_actors.transit.go_base64 import encode as encode_base64
from kms_actors.transit.key import SOFT_DELETED
from kms_actors.transit.policy import (
    check_policy,
    new_incarnation,
)
from kms_actors.transit.records import (
    KeyPolicy,
    Moment,
    VersionRecord,
)
from kms_actors.untrusted import untrusted

#: A number as Go has it. Larger ones would not fit into a record, and show that at its writing only.
_Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

#: Types by their numbers. Those that are not here have none, or none that is known.
_TYPES: Final[Mapping[int, str]] = {
    0: "aes256-gcm96",
    1: "ecdsa-p256",
    2: "ed25519",
    3: "rsa-2048",
    4: "rsa-4096",
    5: "chacha20-poly1305",
    6: "ecdsa-p384",
    7: "ecdsa-p521",
    8: "aes128-gcm96",
    9: "rsa-3072",
    10: "hmac",
    11: "xchacha20-poly1305",
    12: "mldsa-44",
    13: "mldsa-65",
    14: "mldsa-87",
}
_NUMBERS: Final = {name: number for number, name in _TYPES.items()}
#: What is `hmac` to Vault, which has no ciphers with long nonces. Only keys of that type have a size of their own.
HMAC_OF_VAULT: Final = 11
_KDFS: Final = ("hmac-sha256-counter", "hkdf_sha256")
_TEMPLATES: Final = ("", PREFIX + "{{version}}:")
#: Objects in a backup, and bytes of each of its versions. They are read one by one, when they are needed: all that a
#: text may hold at once would take gigabytes, or a second without a break.
_MOST_OBJECTS: Final = 100_000
_MOST_ENTRY: Final = 512 * 1024
_NOT_ONE: Final = "invalid backup: it is not the JSON of one"
_NAME: Final = re.compile(r"\w(?:[\w.-]*\w)?", re.ASCII)


class _When(msgspec.Struct, frozen=True):
    time: str
    version: _Int64


class _Policy(
    msgspec.Struct, frozen=True, rename={"imported": "Imported", "allow_rotation": "AllowImportedKeyRotation"}
):
    name: str
    type: _Int64
    keys: dict[str, msgspec.Raw] = {}
    derived: bool = False
    kdf: _Int64 = 1
    convergent_encryption: bool = False
    exportable: bool = False
    min_decryption_version: _Int64 = 1
    min_encryption_version: _Int64 = 0
    latest_version: _Int64 = 1
    archive_version: _Int64 = 1
    archive_min_version: _Int64 = 0
    min_available_version: _Int64 = 0
    deletion_allowed: bool = False
    convergent_version: _Int64 = 0
    backup_info: _When | None = None
    restore_info: _When | None = None
    allow_plaintext_backup: bool = False
    version_template: str = ""
    storage_prefix: str = ""
    auto_rotate_period: _Int64 = 0  # nanoseconds
    imported: bool = False
    allow_rotation: bool = False
    soft_deleted: bool = False
    key_size: _Int64 | msgspec.UnsetType = msgspec.UNSET


class _Archive(msgspec.Struct, frozen=True):
    keys: list[msgspec.Raw] = []


class _Backup(msgspec.Struct, frozen=True):
    policy: _Policy
    archived_keys: _Archive | None = None

    def __repr__(self) -> str:
        return "<Backup>"


def backed_up(policy: KeyPolicy, now: int) -> KeyPolicy:
    """Return the policy of a key that is backed up `now`; raises InvalidRequest if it may not be."""
    if policy.soft_deleted:
        raise InvalidRequest(SOFT_DELETED)
    if not policy.exportable:
        raise InvalidRequest("exporting is disallowed on the policy")
    if not policy.allow_plaintext_backup:
        raise InvalidRequest("plaintext backup is disallowed on the policy")
    if _type_of(policy) not in _NUMBERS:
        raise InvalidRequest(f"backup is not supported for key type {policy.type}")
    return msgspec.structs.replace(policy, backup=Moment(now, policy.latest_version))


def _type_of(policy: KeyPolicy) -> str:
    """Return the type of a backup: keys of `ml-dsa` have that of the parameter set, as which they come back."""
    return f"mldsa-{policy.parameter_set}" if policy.type == "ml-dsa" else policy.type


def write(policy: KeyPolicy, versions: Mapping[int, VersionRecord]) -> str:
    """Return the backup of a key with all its versions."""
    entries = {number: _raw(entry_of(policy, version)) for number, version in sorted(versions.items())}
    archived = list(entries.values())
    if not policy.min_available_version:
        archived.insert(0, _raw(Entry()))  # of version 0, which never was
    content = _Policy(
        name=policy.name,
        type=_NUMBERS[_type_of(policy)],
        keys={str(n): entry for n, entry in entries.items() if n >= policy.min_decryption_version},
        derived=policy.derived,
        kdf=_KDFS.index(policy.kdf) if policy.derived else 0,
        convergent_encryption=policy.convergent,
        exportable=policy.exportable,
        min_decryption_version=policy.min_decryption_version,
        min_encryption_version=policy.min_encryption_version,
        latest_version=policy.latest_version,
        archive_version=policy.latest_version,
        archive_min_version=policy.min_available_version,
        min_available_version=policy.min_available_version,
        deletion_allowed=policy.deletion_allowed,
        convergent_version=-1 if policy.convergent else 0,
        backup_info=_when(policy.backup),
        restore_info=_when(policy.restored),
        allow_plaintext_backup=policy.allow_plaintext_backup,
        auto_rotate_period=policy.auto_rotate_period,
        imported=policy.imported,
        allow_rotation=policy.imported and policy.allow_rotation,
        soft_deleted=policy.soft_deleted,
        key_size=policy.key_size or msgspec.UNSET,
    )
    return encode_base64(msgspec.json.encode(_Backup(content, _Archive(archived))))


def read(text: str, name: str, now: int) -> tuple[KeyPolicy, Mapping[int, VersionRecord]]:
    """Return the key of a backup under `name` (empty: its own), restored `now`.

    Raises:
        InvalidRequest: not a backup, or not of a key that can be used here.

    """
    content = decode_base64(text)
    if content.count(b"{") + content.count(b"[") > _MOST_OBJECTS:
        raise InvalidRequest("invalid backup: it holds too many versions")
    with untrusted(_NOT_ONE):
        backup = msgspec.json.decode(content, type=_Backup)
    policy = _restored(backup.policy, name or backup.policy.name, now)
    oldest = max(1, policy.min_available_version)
    versions = {
        number: version_of(policy, _entry(backup, number)) for number in range(oldest, policy.latest_version + 1)
    }
    return policy, versions


def _restored(content: _Policy, name: str, now: int) -> KeyPolicy:
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest("key names cannot be paths")
    if content.type not in _TYPES:
        raise InvalidRequest(f"invalid backup: unknown key type {content.type}")
    if content.kdf not in range(len(_KDFS)) or content.version_template not in _TEMPLATES:
        raise InvalidRequest("invalid backup: its key derivation or its prefix is not supported")
    policy = KeyPolicy(
        name=name,
        type="hmac" if content.type == HMAC_OF_VAULT and content.key_size else _TYPES[content.type],
        derived=content.derived,
        convergent=content.convergent_encryption,
        kdf=_KDFS[content.kdf if content.derived else -1],
        exportable=content.exportable,
        allow_plaintext_backup=content.allow_plaintext_backup,
        deletion_allowed=content.deletion_allowed,
        soft_deleted=content.soft_deleted,
        latest_version=content.latest_version,
        min_available_version=content.min_available_version,
        min_decryption_version=max(1, content.min_decryption_version),
        min_encryption_version=content.min_encryption_version,
        auto_rotate_period=content.auto_rotate_period,
        key_size=content.key_size or 0,
        imported=content.imported,
        allow_rotation=content.allow_rotation or not content.imported,
        backup=_moment(content.backup_info),
        restored=Moment(now, content.latest_version),
        incarnation=new_incarnation(),
    )
    check_policy(policy)
    return policy


def _raw(entry: Entry) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(entry))


def _entry(backup: _Backup, number: int) -> Entry:
    """Return a version from the policy, or from the archive."""
    content = backup.policy
    raw = content.keys.get(str(number))
    archived = backup.archived_keys.keys if backup.archived_keys else []
    place = number - content.archive_min_version
    if raw is None and 0 <= place < len(archived):
        raw = archived[place]
    if raw is None:
        raise InvalidRequest("invalid backup: a version is missing")
    if len(memoryview(raw)) > _MOST_ENTRY:
        raise InvalidRequest("invalid backup: a version is too large")
    with untrusted(_NOT_ONE):
        entry = msgspec.json.decode(raw, type=Entry)
    version = entry.convergent_version if content.convergent_version == -1 else content.convergent_version
    if content.convergent_encryption and version != CONVERGENT_VERSION:
        raise InvalidRequest(f"refusing to support decryption with old convergent encryption key: version {version}")
    return entry


def _when(moment: Moment | None) -> _When | None:
    return None if moment is None else _When(rfc3339(moment.time), moment.version)


def _moment(when: _When | None) -> Moment | None:
    if when is None or when.time == NO_TIME:
        return None
    return Moment(parse_time(when.time, "a backup"), when.version)
