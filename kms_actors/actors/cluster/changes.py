"""What one node writes into the store so that others hear what it has changed.

A writer appends a Change to the log and bumps the log's head in the transaction that makes the change. `feed` reads
it, `trimming` takes away what is old.

Records: (`log`, versionstamp) Change; (`log-head`,) a counter; (`log-trimmed`,) the last versionstamp that was
trimmed; (`log-era`,) 16 random bytes, absent in the first era, see `eras`.

A line says of what vault it is, whatever else it says: a node that does not know its area forgets that vault. A line
that cannot be read at all may be of any: the node forgets everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import msgspec

from kms_actors.store import keyspace
from kms_actors.store.api import Transaction

LOG: Final = keyspace.pack("log")
HEAD: Final = keyspace.pack("log-head")

#: Areas of a tenant. A change of TENANT without a name is one of its own records: seal, mounts. With a name, it is
#: the revocation of a biscuit, and the name the revocation id.
TENANT: Final = "tenant"
#: The name is the hash of a service token, in hex, and where other tokens hang on it a slash: if it is gone, its
#: accessor follows, and else anything that hangs on it may have changed. Of CLUSTER, the revocation id of an
#: operator's biscuit.
TOKEN: Final = "token"  # noqa: S105 - a name, not a token
#: The name is a mount's number, a slash, and the name of a key.
TRANSIT: Final = "transit"
#: The name is the id of an entity; empty: of groups, which anybody's rights may come from.
IDENTITY: Final = "identity"
#: The name is that of an ACL policy.
POLICY: Final = "policy"
#: The name is the mark of a name of logins (`login.remembered`): what that proves may be something else.
LOGIN: Final = "login"
#: Without a name: whether clients are counted may be another matter.
ACTIVITY: Final = "activity"
#: The vault was deleted, and another may get its id: each node forgets it.
GONE: Final = "gone"
#: Of CLUSTER, without a name: the master keyring, or its seal.
KEYRING: Final = "keyring"
#: Of CLUSTER: which pages may send requests, and further headers of the console. Without a name.
CORS: Final = "cors"
#: Of CLUSTER: its audit devices. Those of a vault are of its own records.
AUDIT: Final = "audit"
#: Never written: what a line of an unknown area is read as. Anything of the vault may have changed.
ANYTHING: Final = "*"

#: Stands in `Change.vault_id` for the cluster's own records.
CLUSTER: Final = ""

_NAMES: Final[Mapping[str, re.Pattern[str]]] = {
    TENANT: re.compile(r"[^\0]*", re.DOTALL),
    TOKEN: re.compile(r"(?:[0-9a-f]{2})+(?:/[0-9A-Za-z]*)?"),
    TRANSIT: re.compile(r"[0-9]{1,18}/.*", re.DOTALL),
    IDENTITY: re.compile(r"(?:[0-9a-f-]{36})?"),
    POLICY: re.compile(r"[^\0]+", re.DOTALL),
    LOGIN: re.compile(r"[0-9a-f]{32}"),
    ACTIVITY: re.compile(""),
    GONE: re.compile(""),
}
_CLUSTER_NAMES: Final[Mapping[str, re.Pattern[str]]] = {
    TOKEN: re.compile(r"[^\0]+"),
    KEYRING: re.compile(""),
    CORS: re.compile(""),
    AUDIT: re.compile(""),
}


class Change(msgspec.Struct, frozen=True, array_like=True):
    """What changed: an area of a tenant, and within it a name. `ends` is when a revocation is needed no more."""

    vault_id: str  # or CLUSTER
    area: str
    name: str
    time: float  # seconds since 1970
    ends: int = 0  # seconds since 1970; 0: never


_recorded: ContextVar[list[Change] | None] = ContextVar("recorded", default=None)
_decode: Final = msgspec.msgpack.Decoder(Change).decode


def record(tr: Transaction, change: Change) -> None:
    """Add `change` to the log of a transaction that makes it; each has a line of its own."""
    tr.set_versionstamped(LOG, b"", msgspec.msgpack.encode(change))
    tr.add(HEAD, 1)
    recorded = _recorded.get()
    if recorded is not None:
        recorded.append(change)


def read_line(raw: bytes) -> Change | None:
    """Return the change that a line tells of; one of ANYTHING if it is not understood, None if it says of nobody."""
    try:
        change = _decode(raw)
    except (msgspec.MsgspecError, ValueError):
        return None
    names = _CLUSTER_NAMES if change.vault_id == CLUSTER else _NAMES
    known = names.get(change.area)
    if known is not None and known.fullmatch(change.name):
        return change
    return None if change.vault_id == CLUSTER else Change(change.vault_id, ANYTHING, "", change.time)


@contextmanager
def recording() -> Iterator[list[Change]]:
    """Give the list of what is recorded within, also by attempts of a transaction that came to nothing."""
    recorded: list[Change] = []
    token = _recorded.set(recorded)
    try:
        yield recorded
    finally:
        _recorded.reset(token)
