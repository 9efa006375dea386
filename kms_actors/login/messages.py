"""Messages of logins that all methods share."""

from __future__ import annotations

import msgspec

from kms_actors.login.parameters import TokenParameters
from kms_actors.messages import Command, Message, Query
from kms_actors.token.spec import Issued


class OfLogins(Message, frozen=True):
    """Base of those that concern the mount of logins with this number."""

    mount: int


class Login(OfLogins, Command, frozen=True):
    """Base of those that prove who somebody is. Answer: LoggedIn.

    Raises InvalidRequest for what proves nothing, and AuthenticationFailed for a name that is locked, an address that
    may not, or an entity that is disabled.
    """

    path: str  # of the request: `auth/approle/login`
    client_ip: str


class LoggedIn(msgspec.Struct, frozen=True):
    """A token that a login gave, and the entity of its holder."""

    issued: Issued
    entity_id: str = ""
    entity_changed: bool = False  # what processes keep of the entity is out of date

    def __repr__(self) -> str:
        return "<LoggedIn>"


class RenewalTerms(msgspec.Struct, frozen=True):
    """What a renewal may give, as long as these records, by their places, are as they were.

    So must be all that lies in `span`, where there is one, which held `listed`.
    """

    parameters: TokenParameters
    records: tuple[tuple[bytes, bytes | None], ...]
    span: tuple[bytes, bytes] | None = None
    listed: tuple[tuple[bytes, bytes], ...] = ()

    def __repr__(self) -> str:
        return "<RenewalTerms>"


class ProveRenewal(OfLogins, Query, frozen=True):
    """Whether a token that a login by certificate gave may live longer. Answer: RenewalTerms.

    Raises InvalidRequest: its role is gone or gives other policies, or the certificate of the login is not shown.
    """

    role: str
    policies: tuple[str, ...]
    certificate: str  # of the token
    certificates: tuple[bytes, ...] | None

    def __repr__(self) -> str:
        return "<ProveRenewal>"


class ReadRenewalTerms(OfLogins, Query, frozen=True):
    """What the role, or the user, of a login by anything but a certificate says now. Answer: RenewalTerms.

    `metadata` and `policies` are those of the token. Raises InvalidRequest: there is no such role or user any more,
    or a user has other policies now.
    """

    metadata: dict[str, str]
    policies: tuple[str, ...]

    def __repr__(self) -> str:
        return "<ReadRenewalTerms>"


class ReadLockedNames(Query, frozen=True):
    """Names that failed logins have locked, of the mounts with these numbers. Answer: lists of names, by mount."""

    mounts: tuple[int, ...]


class UnlockName(OfLogins, Command, frozen=True):
    """Forget the failed logins of a name. Answer: None, whether or not there were any."""

    alias: str
