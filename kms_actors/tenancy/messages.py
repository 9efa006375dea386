"""Messages about tenants, from the cluster's operator to a node."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from kms_actors.activity.messages import ReadActivity
from kms_actors.messages import Command, Message, Query
from kms_actors.quota.records import RateLimit
from kms_actors.tenancy.records import Erasure, Limits, Measured


class OfTenants(Message, frozen=True):
    """Base of all; handled by the process that has them, in transactions."""


class OfTenant(OfTenants, frozen=True):
    """Base of those about one tenant."""

    vault_id: str


class State(enum.StrEnum):
    """What a tenant is."""

    CREATED = "created"  # its operator has not initialised it yet
    SEALED = "sealed"
    UNSEALED = "unsealed"
    RESTORING = "restoring"
    LEAVING = "leaving"  # sealed, and deleted once its waiting time is over
    ERASING = "erasing"


class Tenant(msgspec.Struct, frozen=True):
    """What is told of a tenant. Times are seconds since 1970, 0 where there is none."""

    vault_id: str
    number: int
    state: State
    created: float = 0.0
    threshold: int = 0
    shares: int = 0
    last_used: float = 0.0
    counts: Mapping[str, int] = {}
    limits: Mapping[str, int] = {}  # that hold, 0 for none
    own_limits: Limits = Limits()  # of these, what is not from the configuration
    rate_limit: RateLimit | None = None
    measured: Measured | None = None
    erasure: Erasure | None = None


class ListTenants(OfTenants, Query, frozen=True):
    """Answer: list of Tenant in the order of their ids, those behind `after`, `limit` at most."""

    after: str = ""
    limit: int = 100


class ReadTenant(OfTenant, Query, frozen=True):
    """Answer: Tenant; raises NotFound."""


class GrantTenant(OfTenant, Command, frozen=True):
    """Create a tenant, or change what it is given; what is not in `changes` stays. Answer: Tenant.

    `changes` are limits by kind, None for the configuration's. `rate_limit`: a new one; `lift`: none any more.
    """

    changes: Mapping[str, int | None] = {}
    rate_limit: RateLimit | None = None
    lift: bool = False


class SealTenant(OfTenant, Command, frozen=True):
    """Answer: None, also where it is sealed; raises NotFound."""


class DeleteTenant(OfTenant, Command, frozen=True):
    """Seal a tenant, and delete it in `wait` seconds; None: as the configuration says. Answer: Tenant."""

    wait: int | None = None
    by: str = ""


class KeepTenant(OfTenant, Command, frozen=True):
    """Take back a deletion that has not begun. Answer: Tenant; raises InvalidRequest."""


class ReadAllActivity(OfTenants, ReadActivity, frozen=True):
    """The same of all vaults together, whether or not they are sealed. Answer: Usage; None where nothing is kept."""


class ExportTenant(OfTenant, Query, frozen=True):
    """Read records for a backup from the key `after` on (empty: the first). Answer: ExportedPage; raises NotFound."""

    after: bytes = b""


class ExportedPage(msgspec.Struct, frozen=True):
    """Sealed records as they lie in the store. `next` is where the next page begins; empty behind the last.

    The last page has `what_it_is`: the records to be restored last, which make a vault of the others. Pages belong
    together that are of the records of one restore, `restored`; empty: of none.
    """

    number: int
    entries: tuple[tuple[bytes, bytes], ...]
    next: bytes = b""
    what_it_is: tuple[tuple[bytes, bytes], ...] = ()
    restored: bytes = b""

    def __repr__(self) -> str:
        return "<ExportedPage>"


class MeasureTenant(OfTenant, Query, frozen=True):
    """Count some records from the key `after` on (empty: the first). Answer: MeasuredPage; raises NotFound."""

    after: bytes = b""


class MeasuredPage(msgspec.Struct, frozen=True):
    """Records that were counted, by kind and mount, too. `next` as above."""

    records: int
    size: int  # bytes of keys and values
    counts: Mapping[tuple[str, int], int]
    next: bytes = b""


class NoteMeasured(OfTenant, Command, frozen=True):
    """Keep what all pages of a walk have found together; counters are set to it. Answer: Tenant; raises NotFound."""

    records: int
    size: int
    counts: Mapping[tuple[str, int], int]
