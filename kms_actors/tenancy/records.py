"""What is kept of a tenant for the cluster's operator, in the open: it says nothing of what the vault holds."""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.keyring import stored
from kms_actors.quota.records import RateLimit

#: What is counted, and may be bounded, for each vault.
KINDS: Final = ("secrets", "keys", "mounts", "tokens", "policies", "bytes")


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much a vault may have; None: as the configuration says, 0: without a bound.

    `bytes` are those of the data of its secrets, all versions, as they are stored.
    """

    secrets: int | None = None
    keys: int | None = None
    mounts: int | None = None
    tokens: int | None = None
    policies: int | None = None
    bytes: int | None = None


class Grant(msgspec.Struct, frozen=True):
    """What the cluster's operator gives a vault, before it is initialised or later; it cannot change it."""

    limits: Limits = Limits()
    rate_limit: RateLimit | None = None
    format: int = stored.FORMAT


class Erasure(msgspec.Struct, frozen=True):
    """A vault that is to be deleted: sealed from `asked` on, and gone some time after `due`. Seconds since 1970.

    `begun` once records of it were removed: from then on nothing brings it back.
    """

    vault_id: str
    asked: float
    due: float
    by: str = ""
    begun: float = 0.0
    removed: int = 0
    format: int = stored.FORMAT


class Used(msgspec.Struct, frozen=True):
    """When a vault was last asked anything, in seconds since 1970."""

    at: float
    format: int = stored.FORMAT


class Measured(msgspec.Struct, frozen=True):
    """What a walk through all records of a vault has found: how many, and their bytes, keys included."""

    at: float  # seconds since 1970
    records: int
    bytes: int
    format: int = stored.FORMAT
