"""Messages of cubbyholes and of wrapped answers."""

from __future__ import annotations

from kms_actors.messages import Command, Grants, Message, Query


class OfCubbyhole(Message, frozen=True):
    """Base of what is asked of the cubbyhole of a token, which its accessor names.

    `counted` is that token's text if its uses are counted: this one is, in the same transaction.
    """

    accessor: str
    path: str
    counted: str = ""


class ReadEntry(OfCubbyhole, Query, frozen=True):
    """Answer: the document at `path`; raises NotFound."""


class ListEntries(OfCubbyhole, Query, frozen=True):
    """Answer: names right below the folder `path`, which is empty or ends with a slash; raises NotFound for none."""


class WriteEntry(OfCubbyhole, Command, frozen=True):
    """Answer: None; raises InvalidRequest past what a token may keep, Unavailable past what a vault may."""

    document: bytes = b"{}"
    grants: Grants = Grants()


class DeleteEntry(OfCubbyhole, Command, frozen=True):
    """Answer: None, also where there was nothing."""


class FindRoom(Query, frozen=True):
    """Ask, before an answer comes to be, whether it can be wrapped. Answer: None; raises Unavailable."""


class WrapAnswer(Command, frozen=True):
    """Keep an answer, and make a token that gives it once. Answer: Wrapped; raises InvalidRequest for a large one."""

    answer: bytes  # the body that would have gone out
    status: int
    ttl: int  # seconds
    path: str  # of the request, without /v1/


class OfWrapping(Message, frozen=True):
    """Base of what is asked with a wrapping token; raises InvalidWrappingToken.

    `counted` is the text of the caller's own token, if that is another one whose uses are counted.
    """

    token: str
    counted: str = ""


class LookUpWrapping(OfWrapping, Query, frozen=True):
    """Answer: WrapInfo."""


class Unwrap(OfWrapping, Command, frozen=True):
    """Give the answer, and end the token. Answer: Unwrapped."""


class Rewrap(OfWrapping, Command, frozen=True):
    """End the token, and put a new one in its place. Answer: Wrapped.

    `ttl` is in seconds; at most what the old one had, unless a `path` makes it an answer of its own; 0: as long.
    """

    ttl: int = 0
    path: str = ""


class Wrapped(Message, frozen=True):
    """What is told of an answer in its place."""

    token: str
    accessor: str
    ttl: int  # seconds
    created: int  # nanoseconds since 1970
    path: str


class Unwrapped(Message, frozen=True):
    """An answer that was wrapped."""

    status: int
    answer: bytes
