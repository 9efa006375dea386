"""What an operator of the cluster, or of a vault, asks about its keyring: to the node, or to the tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.ceremony.rotation import RotateConfig
from kms_actors.messages import Command, Message, Query


class RotateKeyring(Command, frozen=True):
    """Add a version to the keyring, by which all is sealed from now on. Answer: KeyStatus."""


class RotateKeyringIfDue(Command, frozen=True):
    """Do so if its configuration says that it is time. Answer: KeyStatus, or False."""


class ReadKeyStatus(Query, frozen=True):
    """Answer: KeyStatus."""


class ReadRotateConfig(Query, frozen=True):
    """Answer: RotateConfig."""


class ConfigureRotation(Command, frozen=True):
    """Say when the keyring is rotated by itself; None stays as it is. `interval`: nanoseconds. Answer: RotateConfig.

    Raises InvalidRequest.
    """

    max_operations: int | None = None
    interval: int | None = None
    enabled: bool | None = None


class KeyStatus(Message, frozen=True):
    """The active version of a keyring: its number, since when (seconds since 1970), and how many it sealed."""

    term: int
    since: float
    encryptions: int


class BeginRekey(Command, frozen=True):
    """Begin to give the scope other shares, of a new key. Answer: RekeyStatus. Raises InvalidRequest.

    `pgp_keys` are certificates in base64, one a share or none at all. `newer`: it is asked by OpenBao's newer names.
    `recovery`, here and below: it is about the recovery key, of a cluster whose master key a provider keeps. Where
    there is none yet, one that is begun by the newer names is complete at once.
    """

    shares: int
    threshold: int
    pgp_keys: tuple[str, ...] = ()
    backup: bool = False
    require_verification: bool = False
    newer: bool = False
    recovery: bool = False


class ReadRekey(Query, frozen=True):
    """Answer: RekeyStatus."""

    recovery: bool = False


class CancelRekey(Command, frozen=True):
    """Forget the attempt, and what it has made. Answer: whether there was one."""

    recovery: bool = False


class GiveRekeyShare(Command, frozen=True):
    """Give a share (33 bytes) of the key that there is. Answer: RekeyStatus. Raises InvalidRequest, InvalidShares."""

    share: bytes
    nonce: str
    newer: bool = False
    recovery: bool = False


class ReadVerification(Query, frozen=True):
    """Answer: VerificationStatus. Raises InvalidRequest where there is no rekey."""

    newer: bool = False
    recovery: bool = False


class VerifyRekeyShare(Command, frozen=True):
    """Give a share of the new key. Answer: VerificationStatus. Raises InvalidRequest, InvalidShares."""

    share: bytes
    nonce: str
    newer: bool = False
    recovery: bool = False


class RestartVerification(Command, frozen=True):
    """Forget the shares of the new key that were given. Answer: VerificationStatus. Raises InvalidRequest."""

    newer: bool = False
    recovery: bool = False


class ReadRekeyBackup(Query, frozen=True):
    """Answer: RekeyBackup. Raises InvalidRequest where there is none."""

    recovery: bool = False


class DeleteRekeyBackup(Command, frozen=True):
    """Forget the shares that were backed up. Answer: whether there were any."""

    recovery: bool = False


class RekeyStatus(Message, frozen=True):
    """An attempt, if `nonce` is not empty. `required` is how many shares of the key that there is are needed.

    `keys` are the new shares, once and for this caller alone; encrypted ones where it has `fingerprints`.
    """

    required: int
    nonce: str = ""
    shares: int = 0
    threshold: int = 0
    progress: int = 0
    fingerprints: tuple[str, ...] = ()
    backup: bool = False
    require_verification: bool = False
    verification_nonce: str = ""
    complete: bool = False
    keys: tuple[bytes, ...] = ()


class VerificationStatus(Message, frozen=True):
    """How many shares of the new key were given; without a `nonce`, there is no new key yet."""

    shares: int
    threshold: int
    nonce: str = ""
    progress: int = 0
    complete: bool = False


class RekeyBackup(Message, frozen=True):
    """Encrypted shares, each with the fingerprint of whom it is for."""

    nonce: str
    fingerprints: tuple[str, ...]
    keys: tuple[bytes, ...]


class BeginRootGeneration(Command, frozen=True):
    """Begin to make a root token of the vault. Answer: RootStatus. Raises InvalidRequest.

    It will be XORed with `otp`, or encrypted to a certificate in base64; without either, with a password made here.
    """

    otp: str = ""
    pgp_key: str = ""


class ReadRootGeneration(Query, frozen=True):
    """Answer: RootStatus."""


class CancelRootGeneration(Command, frozen=True):
    """Forget the attempt. Answer: whether there was one."""


class GiveRootShare(Command, frozen=True):
    """Give a share (33 bytes). Answer: RootStatus. Raises InvalidRequest, InvalidShares."""

    share: bytes
    nonce: str


class RootStatus(Message, frozen=True):
    """An attempt, if `nonce` is not empty. `required` is how many shares are needed.

    `otp` is told once, where it was made here; `encoded_token` to who gave the last share.
    """

    required: int
    nonce: str = ""
    progress: int = 0
    fingerprint: str = ""
    otp: str = ""
    complete: bool = False
    encoded_token: str = ""


#: What each message is answered with.
ANSWERS: Final[Mapping[type[Message], Any]] = {
    RotateKeyring: KeyStatus,
    RotateKeyringIfDue: KeyStatus | bool,
    ReadKeyStatus: KeyStatus,
    ReadRotateConfig: RotateConfig,
    ConfigureRotation: RotateConfig,
    BeginRekey: RekeyStatus,
    ReadRekey: RekeyStatus,
    CancelRekey: bool,
    GiveRekeyShare: RekeyStatus,
    ReadVerification: VerificationStatus,
    VerifyRekeyShare: VerificationStatus,
    RestartVerification: VerificationStatus,
    ReadRekeyBackup: RekeyBackup,
    DeleteRekeyBackup: bool,
    BeginRootGeneration: RootStatus,
    ReadRootGeneration: RootStatus,
    CancelRootGeneration: bool,
    GiveRootShare: RootStatus,
}

#: Those about a root token, which a cluster has not.
ROOT_MESSAGES: Final = (BeginRootGeneration, ReadRootGeneration, CancelRootGeneration, GiveRootShare)
