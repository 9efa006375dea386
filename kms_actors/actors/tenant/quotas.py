"""Where the quotas of a vault lie: (`flow`,) Quotas, sealed; read with what else a wake needs."""

from __future__ import annotations

from typing import Final

from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.quota.records import Quotas
from kms_actors.store.keyspace import TenantKeys

#: Lies between `epoch` and `keyring`, which a wake reads as one range.
QUOTAS: Final = "flow"


def open_quotas(keyring: Keyring, key: bytes, raw: bytes | None) -> Quotas:
    """Return the quotas that were read; those of a vault that never had any where there is no record."""
    return Quotas() if raw is None else stored.decode(keyring.open(key, raw), Quotas, "quotas")


def quotas_record(keys: TenantKeys, keyring: Keyring, quotas: Quotas) -> tuple[bytes, bytes]:
    """Return key and sealed record."""
    key = keys.key(QUOTAS)
    return key, keyring.seal(key, stored.encode(quotas))
