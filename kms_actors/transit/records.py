"""What is stored of a key: one policy, and one record for the material of each version."""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.keyring import stored
from kms_actors.secret import overwriting

#: Bytes of the HMAC key that every version owns, whatever its type.
HMAC_KEY_BYTES: Final = 32


class Moment(msgspec.Struct, frozen=True):
    """When something was done to a key, and which version was its latest then."""

    time: int  # nanoseconds since 1970
    version: int


class KeyPolicy(msgspec.Struct, frozen=True):
    """A key without its material. Versions count from 1; those from `min_available_version` exist."""

    name: str
    type: str
    derived: bool = False
    convergent: bool = False
    kdf: str = "hkdf_sha256"
    exportable: bool = False
    allow_plaintext_backup: bool = False
    deletion_allowed: bool = False
    soft_deleted: bool = False
    latest_version: int = 1
    min_available_version: int = 0  # 0: never trimmed
    min_decryption_version: int = 1
    min_encryption_version: int = 0  # 0: the latest only, unless a caller names an older one
    auto_rotate_period: int = 0  # nanoseconds; 0: never
    key_size: int = 0  # bytes, where the caller chose; 0: what the type says
    parameter_set: str = ""  # these three: where the type alone does not say what its keys are
    hybrid_key_type_pqc: str = ""
    hybrid_key_type_ec: str = ""
    imported: bool = False  # its first version was; stays with it through rotations
    allow_rotation: bool = True  # whether an imported key may have versions made here
    backup: Moment | None = None  # the last one
    restored: Moment | None = None
    incarnation: str = ""  # random: no other key that has or had the name has it; older keys have none
    format: int = stored.FORMAT


class VersionRecord(msgspec.Struct, frozen=True):
    """The material of one version: a key, or a key pair as its scheme stores it."""

    key: bytes  # empty where only the public key is known
    hmac_key: bytes
    created: int  # nanoseconds since 1970
    public_key: bytes = b""
    certificate_chain: tuple[bytes, ...] = ()  # DER, that of this key first
    format: int = stored.FORMAT

    def __repr__(self) -> str:
        return "<VersionRecord>"

    __del__ = overwriting("key", "hmac_key")


class WrappingKey(msgspec.Struct, frozen=True):
    """The RSA key of a mount under which callers wrap what they import: PKCS#8 and SubjectPublicKeyInfo (DER)."""

    private: bytes
    public: bytes
    format: int = stored.FORMAT

    def __repr__(self) -> str:
        return "<WrappingKey>"

    __del__ = overwriting("private")


class MountSettings(msgspec.Struct, frozen=True):
    """Settings of one Transit mount."""

    disable_upsert: bool = False
    cache_size: int = 0  # keys to keep in memory, 0 for no limit; kept for those who ask, see the compatibility page
    format: int = stored.FORMAT
