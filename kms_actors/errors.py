"""Every error the service raises on purpose.

The tree; what HTTP makes of each is one table in `kms_http.wire.errors`, engines know no status::

    KmsError
    ├── InvalidRequest            the caller's mistake; the text is for the caller
    │   ├── AlreadyInitialized    a cluster that has a seal is to be made
    │   ├── SealChanged           the seal is not what it was when a change of it was allowed
    │   ├── InvalidShares         key shares that cannot be, or do not give the key
    │   ├── UnknownVersion        newer than the key's latest version, as far as this node knows
    │   ├── LimitReached          a vault has as much as it may have
    │   └── InvalidWrappingToken  a wrapping token that gives nothing: used, ended, or never one
    ├── AuthenticationFailed      no token, or one that proves nothing
    ├── LoginRefused              what was proved at a login does not fit; the text is for the caller
    ├── PermissionDenied          a good token without the right
    ├── NotFound                  nothing there
    │   ├── NoMount               the mount of the path is not there any more
    │   └── NamedNotFound         likewise, and the text is for the caller
    ├── UnsupportedPath           no such endpoint under a mount
    ├── UnsupportedOperation      the endpoint exists, the operation does not
    ├── Sealed                    the node or the tenant is sealed
    │   └── Leaving               likewise, since it is to be deleted
    ├── Unavailable               try again later
    │   ├── Overloaded            a mailbox is full
    │   ├── TenantFaulted         one tenant failed too often and rests
    │   ├── SealUnavailable       who keeps the master key does not answer
    │   │   └── SealRefused       it answers, and refuses: a wrong token or PIN, no such key
    │   ├── PoliciesChanged       what allowed the request may be no more
    │   └── DevicesChanged        what records the request is no more what it was
    ├── NotRecorded               no audit device could record the request, so it is refused
    ├── StoreError
    │   ├── StoreUnavailable      the database does not answer
    │   │   └── DeadlinePassed    the request's time is over
    │   ├── TransactionConflict   retries ran out
    │   ├── TransactionTooLarge   more written than one transaction may
    │   └── FormatError           written by a newer program, or damaged
    └── IntegrityError            a record does not open under its key
        └── NewerKeyVersion       it is of a version that the keyring at hand does not have yet

Texts name fields and paths, never values.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self


class KmsError(Exception):
    """Base of all deliberate errors."""


class InvalidRequest(KmsError):
    """The request is wrong; its text goes to the caller as it is."""


class AlreadyInitialized(InvalidRequest):
    """The cluster has a seal."""


class SealChanged(InvalidRequest):
    """The seal of the cluster was changed, on another node, between what allowed a change of it and that."""


class InvalidShares(InvalidRequest):
    """Shares that do not fit together or do not give the key; never says which one. Unseal progress is void."""


class UnknownVersion(InvalidRequest):
    """A key version newer than the latest; it may have been made on another node a moment ago."""


class LimitReached(InvalidRequest):
    """A vault has as many of something as the cluster's operator lets it have."""

    @classmethod
    def of(cls, kind: str, limit: int) -> Self:
        """Return what is told of a limit."""
        what = "bytes in secrets" if kind == "bytes" else kind
        return cls(f"this vault may have {limit} {what} at most: the operator of the cluster sets the limit")


class InvalidWrappingToken(InvalidRequest):
    """What was given as a wrapping token gives nothing. Whether it was used goes to the log, never to the caller."""

    def __init__(self, text: str = "wrapping token is not valid or does not exist") -> None:
        super().__init__(text)


class AuthenticationFailed(KmsError):
    """No token, or a token that proves nothing. The reason goes to the log, never to the caller.

    `scope` is that of a token which proved to be of it, and is good no more; only logs and audit devices have it.
    """

    scope: str = ""


class LoginRefused(KmsError):
    """A login that proves something, but not what it is asked for; its text goes to the caller as it is."""


class PermissionDenied(KmsError):
    """A valid token that does not allow this."""


class NotFound(KmsError):
    """There is nothing at this path."""


class NoMount(NotFound):
    """The mount that a request was for was disabled, or moved to another path, before the request took effect."""


class NamedNotFound(NotFound):
    """There is nothing, and the text says what it is that is missing."""


class UnsupportedPath(KmsError):
    """The mount has no such endpoint."""


class UnsupportedOperation(KmsError):
    """The endpoint does not take this operation."""


class Sealed(KmsError):
    """The node, or the tenant of the token, is sealed."""

    def __init__(self, text: str = "Vault is sealed") -> None:
        super().__init__(text)


class Leaving(Sealed):
    """The tenant is sealed because the operator of the cluster has it deleted."""

    @classmethod
    def by(cls, due: float, *, begun: bool = False) -> Self:
        """Return what is told of a deletion that is due, in seconds since 1970, or has begun."""
        if begun:
            return cls("this vault is being deleted")
        moment = datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"this vault is to be deleted at {moment}"
        return cls(f"{text}; until then the operator of the cluster can keep it")


class Unavailable(KmsError):
    """Not now; `retry_after` is in seconds."""

    def __init__(self, text: str = "service unavailable", *, retry_after: int = 1) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Overloaded(Unavailable):
    """A mailbox is at its bound."""


class TenantFaulted(Unavailable):
    """One tenant's actor failed too often; it rests, the node goes on."""


class SealUnavailable(Unavailable):
    """What keeps the master key (a server, an HSM) cannot be reached, or fails."""


class SealRefused(SealUnavailable):
    """It answers, and does not do it. `lasting`: asking again, as things are, is of no use or does harm."""

    def __init__(self, text: str, *, retry_after: int = 1, lasting: bool = False) -> None:
        super().__init__(text, retry_after=retry_after)
        self.lasting = lasting


class PoliciesChanged(Unavailable):
    """Policies of the vault were changed between the decision that they allow something and its commit."""

    def __init__(self, text: str = "policies were changed meanwhile, try again", *, retry_after: int = 1) -> None:
        super().__init__(text, retry_after=retry_after)


class DevicesChanged(Unavailable):
    """Audit devices of the vault were changed between the entry of a request and its commit."""

    def __init__(self, text: str = "audit devices were changed, try again", *, retry_after: int = 1) -> None:
        super().__init__(text, retry_after=retry_after)


class NotRecorded(KmsError):
    """No audit device could record a request, or its answer."""

    def __init__(self, text: str = "internal error: no audit device could record the request") -> None:
        super().__init__(text)

    @classmethod
    def of(cls, request_id: str) -> Self:
        """Return what is told of a request with this id."""
        return cls(f"internal error: no audit device could record the request {request_id}".rstrip())


class StoreError(KmsError):
    """Base of the store's errors."""


class StoreUnavailable(StoreError):
    """The database does not answer, or cannot be opened."""


class DeadlinePassed(StoreUnavailable):
    """A request's time is over: nothing more is begun for it. A commit under way may have been applied."""


class TransactionConflict(StoreError):
    """A transaction met a conflicting one more often than its retry limit."""


class TransactionTooLarge(StoreError):
    """A transaction writes more bytes than the store takes at once."""


class FormatError(StoreError):
    """Stored data is of a newer format, or damaged."""


class IntegrityError(KmsError):
    """A sealed record does not open: damaged, moved, or under another key."""


class NewerKeyVersion(IntegrityError):
    """A record is sealed by a later version than the keyring at hand has: it was rotated elsewhere a moment ago."""
