"""Messages of the Transit engine. Those that use a missing key raise InvalidRequest, in the API's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.messages import (
    Command,
    Grants,
    Message,
    Query,
)
from kms_actors.mounts import Mount
from kms_actors.transit.derived_keys import Derivation
from kms_actors.transit.items import (
    CmacItem,
    DecryptItem,
    Encrypted,
    EncryptItem,
    HmacItem,
    MacItem,
    Plaintext,
    RewrapItem,
    SignItem,
    VerifyItem,
)
from kms_actors.transit.policy import (
    KeyChanges,
    KeyOptions,
)
from kms_actors.transit.records import KeyPolicy
from kms_actors.transit.signature import SignatureParameters
from kms_actors.transit.usage import Uses


class OfMount(Message, frozen=True):
    """Base of those that concern a mount."""

    mount: Mount


class OfKey(OfMount, frozen=True):
    """Base of those that concern the key `name` of a mount."""

    name: str


# Keys.


class WrappedMaterial(msgspec.Struct, frozen=True):
    """Key material under the mount's wrapping key, in base64; or, where that is None, the PEM of a public key."""

    wrapped: str | None
    hash_function: str
    public_key: str

    def __repr__(self) -> str:
        return "<WrappedMaterial>"


class VersionInfo(msgspec.Struct, frozen=True):
    """One version. `algorithm` is empty for symmetric keys; `public_key` is PEM, or the base64 of an Ed25519 key."""

    created: int  # nanoseconds since 1970
    algorithm: str = ""
    public_key: str = ""
    certificate_chain: str = ""


class KeyInfo(Message, frozen=True):
    """What is shown of a key. Only the versions that may decrypt or verify are in it. Only ReadKey reads `usage`."""

    policy: KeyPolicy
    versions: Mapping[int, VersionInfo]
    warnings: tuple[str, ...] = ()
    usage: Mapping[int, Uses] = {}  # of each version that was used, also of those not in `versions`

    @property
    def created(self) -> Mapping[int, int]:
        """The time of each version (nanoseconds since 1970)."""
        return {number: version.created for number, version in self.versions.items()}


class CreateKey(OfKey, Command, frozen=True):
    """Make a key, unless there is one. Answer: KeyInfo of what is there now."""

    options: KeyOptions


class ReadKey(OfKey, Query, frozen=True):
    """Answer: KeyInfo, read from the store; raises NotFound. Of derived keys it shows those of `context`."""

    context: bytes = b""


class ListKeys(OfMount, Query, frozen=True):
    """Answer: list of names in order, those behind `after`, at most `limit` of them (0: all)."""

    after: str = ""
    limit: int = 0


class RotateKey(OfKey, Command, frozen=True):
    """Add a version. Answer: KeyInfo."""


class ConfigureKey(OfKey, Command, frozen=True):
    """Answer: KeyInfo."""

    changes: KeyChanges


class TrimKey(OfKey, Command, frozen=True):
    """Destroy the versions below `min_available_version`. Answer: KeyInfo."""

    min_available_version: int | None


class DeleteKey(OfKey, Command, frozen=True):
    """Destroy a key. Answer: None."""


class SoftDeleteKey(OfKey, Command, frozen=True):
    """Disable a key, or with `deleted` False enable it again. Answer: KeyInfo, or None if there is no such key."""

    deleted: bool


class ReadWrappingKey(OfMount, Command, frozen=True):
    """Answer: the public half (SubjectPublicKeyInfo DER) of the mount's wrapping key, which is made on first use."""


class ImportKey(OfKey, Command, frozen=True):
    """Make a key of material that is given: wrapped, or a public key. Answer: None."""

    options: KeyOptions
    allow_rotation: bool
    material: WrappedMaterial


class ImportVersion(OfKey, Command, frozen=True):
    """Add a version to an imported key, or the private key to version `version` (0: the latest). Answer: None."""

    version: int
    material: WrappedMaterial


class DeriveKey(OfKey, Command, frozen=True):
    """Make a key of `type`, or its next version, of what a key on a curve and a peer agree on. Answer: None."""

    base: str
    base_version: int  # 0: the latest
    peer: str  # the PEM of a public key
    type: str


class ReadSettings(OfMount, Query, frozen=True):
    """Answer: MountSettings."""


class WriteSettings(OfMount, Command, frozen=True):
    """Change a mount's settings; None keeps what is. Answer: MountSettings."""

    disable_upsert: bool | None = None
    cache_size: int | None = None


# Cryptography.


class Encrypt(OfKey, Command, frozen=True):
    """Encrypt items; make the key if it is missing. Answer: list of EncryptResult.

    A key made on the way is of `type`, derived if `with_context`; `grants` decides over use and making.
    """

    items: Sequence[EncryptItem | Plaintext | InvalidRequest]
    grants: Grants
    with_context: bool
    type: str
    convergent: bool


class Decrypt(OfKey, Query, frozen=True):
    """Answer: list of DecryptResult."""

    items: Sequence[DecryptItem | InvalidRequest]


class Rewrap(OfKey, Query, frozen=True):
    """Answer: list of EncryptResult."""

    items: Sequence[RewrapItem | InvalidRequest]


class MakeDataKey(OfKey, Query, frozen=True):
    """Make a random key of `length` bytes, encrypted as `item` says. Answer: list of one DataKey."""

    length: int
    item: EncryptItem | InvalidRequest


class MakeDataKeys(OfKey, Query, frozen=True):
    """Make `count` data keys. Answer: DataKeys."""

    length: int
    item: EncryptItem
    count: int


class MakeDerivedKeys(OfKey, Query, frozen=True):
    """Derive the keys with these indices, and encrypt them as `item` says. Answer: DataKeys."""

    derivation: Derivation
    indices: range
    item: EncryptItem | InvalidRequest


class DataKey(Message, frozen=True):
    """A data key, encrypted and in the clear."""

    encrypted: Encrypted
    plaintext: bytes


class MakeHmac(OfKey, Query, frozen=True):
    """Answer: list of MacResult. `key_version` 0 means the latest."""

    items: Sequence[HmacItem | InvalidRequest]
    algorithm: str
    key_version: int = 0


class VerifyHmacs(OfKey, Query, frozen=True):
    """Answer: list of VerifyResult."""

    items: Sequence[MacItem | InvalidRequest]
    algorithm: str


class MakeCmac(OfKey, Query, frozen=True):
    """Answer: list of MacResult. `key_version` 0 means the latest."""

    items: Sequence[CmacItem | InvalidRequest]
    key_version: int = 0


class VerifyCmacs(OfKey, Query, frozen=True):
    """Answer: list of VerifyResult."""

    items: Sequence[MacItem | InvalidRequest]


class Sign(OfKey, Query, frozen=True):
    """Answer: list of SignResult. `key_version` 0 means the latest."""

    items: Sequence[SignItem | InvalidRequest]
    parameters: SignatureParameters
    key_version: int = 0


class Verify(OfKey, Query, frozen=True):
    """Answer: list of VerifyResult."""

    items: Sequence[VerifyItem | InvalidRequest]
    parameters: SignatureParameters


class ExportKey(OfKey, Query, frozen=True):
    """Give out key material; see `transit.export`. Answer: ExportedKey; raises NotFound."""

    kind: str
    version: str = ""  # empty: all
    form: str = ""


class MakeSigningRequest(OfKey, Query, frozen=True):
    """Ask for a certificate for version `version` (0: the latest). Answer: Certified, with the PEM of the request."""

    version: int
    template: str  # PEM of a request whose subject and extensions are taken; may be empty


class SetCertificate(OfKey, Command, frozen=True):
    """Give version `version` (0: the latest) its certificate chain, in PEM. Answer: Certified, with that chain."""

    version: int
    chain: str


class Certified(Message, frozen=True):
    """A request, or a chain."""

    type: str
    pem: str


class WrapKey(OfMount, Query, frozen=True):
    """Give out the versions of a key wrapped for another server: under the RSA key `destination`.

    Answer: ExportedKey, with the blobs (base64) by which the other imports them.
    """

    destination: str
    name: str
    hash_function: str
    version: str = ""  # empty: all


class BackUpKey(OfKey, Command, frozen=True):
    """Take a backup of a key, which keeps when. Answer: its text; see `transit.key_backup`."""


class RestoreKey(OfKey, Command, frozen=True):
    """Make a key of a backup, with `force` in place of the one that is there. Answer: None.

    `name` is empty for the name that the backup has.
    """

    backup: str
    force: bool


class ExportedKey(Message, frozen=True):
    """Material in the form asked for, by version."""

    type: str
    keys: Mapping[int, str]


class MakeHash(Query, frozen=True):
    """Answer: list of digests, one of each item."""

    items: Sequence[HmacItem | InvalidRequest]
    algorithm: str


class MakeRandom(Query, frozen=True):
    """Answer: `length` random bytes."""

    length: int
