"""Records of cubbyholes. Entries and wrapped answers themselves are stored as they are, JSON both."""

from __future__ import annotations

import msgspec

from kms_actors.keyring import stored


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """How much a token keeps: `bytes` of paths and contents, or of a wrapped answer.

    There is one as long as it keeps anything.
    """

    entries: int = 0
    bytes: int = 0
    format: int = stored.FORMAT


class WrapInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a wrapped answer without giving it away."""

    path: str  # of the request that it answers, without /v1/
    created: int  # nanoseconds since 1970
    ttl: int  # seconds, when it was wrapped
    status: int = 200  # that it would have gone out with
    format: int = stored.FORMAT


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """That a wrapping token was used, kept until it would have ended: it tells those who come late what happened."""

    accessor: str
    taken: float  # seconds since 1970
    request_id: str  # of who took it
    format: int = stored.FORMAT
