"""Messages of tokens other than the caller's own, and of roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kms_actors.messages import Command, Grants, Message, Query
from kms_actors.token.making import Maker, Wanted


class OfToken(Message, frozen=True):
    """Base of those that concern one token, which its text or its accessor names."""

    token: str = ""
    accessor: str = ""


class CreateToken(Command, frozen=True, kw_only=True):
    """Make a token. Answer: Issued; raises InvalidRequest, with Vault's texts."""

    wanted: Wanted
    maker: Maker
    role: str = ""  # empty: none


class LookUpToken(OfToken, Query, frozen=True):
    """Answer: its Principal; None if there is none that lives."""


class RenewToken(OfToken, Command, frozen=True, kw_only=True):
    """Let a token live longer. Answer: Issued, with what it is granted now; None if there is none that lives.

    Raises InvalidRequest for one that cannot. `increment` is in seconds; 0: as long as it was granted last.
    """

    increment: int = 0
    certificates: tuple[bytes, ...] | None = None  # what the connection's client has shown; None without TLS


class EndToken(OfToken, Command, frozen=True, kw_only=True):
    """Revoke a token, in this tenant, on every node. Answer: whether there was one.

    `leave`: what it has made lives on, and has no parent.
    """

    leave: bool = False


class OfBiscuit(Message, frozen=True):
    """Base of those that concern a biscuit which is not the caller's own. The edge answers them, which verifies it.

    Answers: None where it is not of the caller's vault, was revoked, has ended, or proves nothing, whichever it is.
    """

    text: str


class LookUpBiscuit(OfBiscuit, Query, frozen=True):
    """Answer: its Principal."""


class EndBiscuit(OfBiscuit, Command, frozen=True):
    """Revoke it by the id of its last block, with all that was narrowed from it or made by it. Answer: True."""


class RevokeBiscuit(Command, frozen=True):
    """Revoke a biscuit of this tenant by a revocation id, on every node. Answer: None.

    `expires_at` is in seconds since 1970; None for one without end.
    """

    revocation_id: str
    expires_at: float | None


class CountTokens(Query, frozen=True):
    """Answer: how many service tokens there are that have not ended."""


class ListAccessors(Query, frozen=True):
    """Answer: the accessors behind `after`, sorted, at most `limit` (0: all)."""

    after: str = ""
    limit: int = 0


class LookUpLease(Query, frozen=True):
    """Answer: the ServiceToken that has this lease; None if there is none that lives."""

    lease_id: str


class ListLeases(Query, frozen=True):
    """Answer: names right below `folder`, sorted, at most `limit` (0: all) behind `after`."""

    folder: str
    after: str = ""
    limit: int = 0


class RevokeLeases(Command, frozen=True):
    """End the token of one lease, or of all below a prefix, which may be one's id. Answer: None, also if none is."""

    lease_id: str = ""
    prefix: str = ""


class TidyTokens(Command, frozen=True):
    """Begin to remove records that belong to no token. Answer: False where that is under way already."""


class WriteRole(Command, frozen=True):
    """Make a role, or change what is sent of one. Answer: texts for the sender; raises InvalidRequest."""

    name: str
    sent: Mapping[str, Any]
    grants: Grants = Grants()


class ReadRole(Query, frozen=True):
    """Answer: TokenRole; raises NotFound."""

    name: str


class DeleteRole(Command, frozen=True):
    """Delete a role, if it is there. Answer: None."""

    name: str


class ListRoles(Query, frozen=True):
    """Answer: names, sorted."""
