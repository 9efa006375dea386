"""Messages of the Transit engine. Those that use a missing key raise InvalidRequest, in the API's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kms_actors.actors.messages import Command, Grants, Message, Query
from kms_actors.actors.mounts import Mount
from kms_actors.errors import InvalidRequest

from .items import DecryptItem, Encrypted, EncryptItem, RewrapItem
from .policy import KeyChanges, KeyOptions
from .records import KeyPolicy

# Keys.


class KeyInfo(Message, frozen=True):
    """What is shown of a key: policy, and the time of each usable version (nanoseconds since 1970)."""

    policy: KeyPolicy
    created: Mapping[int, int]
    warnings: tuple[str, ...] = ()


class CreateKey(Command, frozen=True):
    """Make a key, unless there is one. Answer: KeyInfo of what is there now."""

    mount: Mount
    name: str
    options: KeyOptions


class ReadKey(Query, frozen=True):
    """Answer: KeyInfo, read from the store; raises NotFound."""

    mount: Mount
    name: str


class ListKeys(Query, frozen=True):
    """Answer: list of names in order, those behind `after`, at most `limit` of them (0: all)."""

    mount: Mount
    after: str = ""
    limit: int = 0


class RotateKey(Command, frozen=True):
    """Add a version. Answer: KeyInfo."""

    mount: Mount
    name: str


class ConfigureKey(Command, frozen=True):
    """Answer: KeyInfo."""

    mount: Mount
    name: str
    changes: KeyChanges


class TrimKey(Command, frozen=True):
    """Destroy the versions below `min_available_version`. Answer: KeyInfo."""

    mount: Mount
    name: str
    min_available_version: int | None


class DeleteKey(Command, frozen=True):
    """Destroy a key. Answer: None."""

    mount: Mount
    name: str


class SoftDeleteKey(Command, frozen=True):
    """Disable a key, or with `deleted` False enable it again. Answer: KeyInfo, or None if there is no such key."""

    mount: Mount
    name: str
    deleted: bool


class ReadSettings(Query, frozen=True):
    """Answer: MountSettings."""

    mount: Mount


class WriteSettings(Command, frozen=True):
    """Change a mount's settings; None keeps what is. Answer: MountSettings."""

    mount: Mount
    disable_upsert: bool | None


# Cryptography.


class Encrypt(Command, frozen=True):
    """Encrypt items; make the key if it is missing. Answer: list of EncryptResult.

    A key made on the way is of `type`, derived if `with_context`; `grants` decides over use and making.
    """

    mount: Mount
    name: str
    items: Sequence[EncryptItem | InvalidRequest]
    grants: Grants
    with_context: bool
    type: str
    convergent: bool


class Decrypt(Query, frozen=True):
    """Answer: list of DecryptResult."""

    mount: Mount
    name: str
    items: Sequence[DecryptItem | InvalidRequest]


class Rewrap(Query, frozen=True):
    """Answer: list of EncryptResult."""

    mount: Mount
    name: str
    items: Sequence[RewrapItem | InvalidRequest]


class MakeDataKey(Query, frozen=True):
    """Make a random key of `length` bytes under a key. Answer: DataKey."""

    mount: Mount
    name: str
    length: int
    context: bytes = b""
    associated_data: bytes | None = None
    key_version: int = 0


class DataKey(Message, frozen=True):
    """A data key, encrypted and in the clear."""

    encrypted: Encrypted
    plaintext: bytes


class MakeHmac(Query, frozen=True):
    """Answer: list of HmacResult. `key_version` 0 means the latest."""

    mount: Mount
    name: str
    inputs: Sequence[bytes | InvalidRequest]
    algorithm: str
    key_version: int = 0


class MakeHash(Query, frozen=True):
    """Answer: the digest."""

    data: bytes
    algorithm: str


class MakeRandom(Query, frozen=True):
    """Answer: `length` random bytes."""

    length: int
