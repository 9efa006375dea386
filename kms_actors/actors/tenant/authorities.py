"""What the rights of bearers come from: changes of it that others have to hear of."""

from __future__ import annotations

from typing import Final

from kms_actors.keyring.record import NONCE_LENGTH, header
from kms_actors.messages import Event
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys

_HEADER: Final = len(header(0))


class DutyLeft(Event, frozen=True):
    """Something of identities is left to be removed, or may be."""


def policy_key(keys: TenantKeys, name: str, kind: str = "acl") -> bytes:
    """Return where a policy lies."""
    return keys.key("policy", kind, name)


def stamp_of(sealed: bytes | None) -> bytes:
    """Return what tells a sealed record from all that were ever in its place; nothing where none is.

    That is its nonce, which it keeps when it is sealed anew by a later key, and says the same.
    """
    return b"" if sealed is None else sealed[_HEADER : _HEADER + NONCE_LENGTH]


def note_change(tr: Transaction, keys: TenantKeys) -> None:
    """Have changes that are on their way look again at what allows them."""
    tr.add(keys.key("revocations"), 1)
