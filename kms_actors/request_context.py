"""What a request brings along on its way down: until when it may be worked on, and what logs call it.

It is set once where a request has arrived, and goes with its tasks and messages down to the store's attempts. Work
that others wait for too, or that outlives the request, is started `apart`.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable
from contextvars import ContextVar
from math import inf
from typing import Final, NamedTuple, Protocol, TypeVar

from kms_actors.clock import elapsed
from kms_actors.errors import DeadlinePassed

T = TypeVar("T")

#: Seconds a request may take to its last commit, from when it has arrived; not counted is what it computes.
REQUEST_SECONDS: Final = 5.0
#: Seconds that a transaction of batch priority may take, with all its attempts.
BATCH_SECONDS: Final = 60.0


class Bearer(NamedTuple):
    """What the end of a token is known by.

    A biscuit's revocation ids; the digest of a service token's proof, the accessors of its parents, and the number of
    the mount that gave it. A token that a biscuit made has both. `policies`: the names of its policies, each with the
    stamp of its record. `entity`: whose it is, with the stamp of what that one and its groups give. `moves`: how
    often that mount had been moved when it gave a token that ends by such a move. `accessor` is that of a token whose
    text was chosen: it has no proof, and another one may have the same text later. `counted` is the digest of a token
    of which this is a counted use: that the last one has ended it since is no objection.
    """

    revocation_ids: tuple[str, ...] = ()
    proof: bytes = b""
    line: tuple[str, ...] = ()
    mount: int | None = None
    policies: tuple[tuple[str, bytes], ...] = ()
    entity: tuple[str, bytes] = ("", b"")
    moves: int | None = None
    accessor: str = ""
    counted: bytes = b""


class Recorded(Protocol):
    """What was recorded of a request before anything is done for it."""

    @property
    def revision(self) -> int:
        """Of the devices that the vault was known to have; 0 where it never had any."""

    async def recorded(self) -> None:
        """Return once its entries are written; raises NotRecorded where no device could."""


class RequestContext(NamedTuple):
    """`ends` is of the clock `elapsed`: nothing of the request is begun in the store after it.

    `id` is the request's in answers and logs, `by` names the caller where a seal or mounts are changed. `bearer` is
    whose token the request was allowed by, which its changes rest on. `record` is what audit devices have of it.
    `below` is the mount that it is below, by number and path: it was allowed for that path alone.
    """

    ends: float = inf
    id: str = ""
    by: str = ""
    bearer: Bearer | None = None
    record: Recorded | None = None
    below: tuple[int, str] | None = None

    @property
    def revision(self) -> int:
        """That of the devices which have recorded the request."""
        return 0 if self.record is None else self.record.revision


_NONE: Final = RequestContext()
_current: Final[ContextVar[RequestContext]] = ContextVar("request", default=_NONE)

current: Final = _current.get


def begin(request_id: str = "") -> None:
    """Let a request begin, which has arrived now."""
    _current.set(RequestContext(elapsed() + REQUEST_SECONDS, request_id))


def arrived() -> None:
    """Say that the rest of the request has arrived now: its time begins anew."""
    _current.set(_current.get()._replace(ends=elapsed() + REQUEST_SECONDS))


def borne_by(bearer: Bearer | None) -> None:
    """Say by whose token the request is allowed; None: by nobody's."""
    ends, request_id, by, _, record, below = _current.get()
    # With each request: `_replace` takes twice as long.
    _current.set(RequestContext(ends, request_id, by, bearer, record, below))


def recorded_by(record: Recorded) -> None:
    """Say what audit devices have of the request."""
    ends, request_id, by, bearer, _, below = _current.get()
    _current.set(RequestContext(ends, request_id, by, bearer, record, below))


def is_below(mount: int, path: str, record: Recorded | None = None) -> None:
    """Say which mount the request is below, by its number and its path; and what audit devices have of it."""
    ends, request_id, by, bearer, known, _ = _current.get()
    _current.set(RequestContext(ends, request_id, by, bearer, record or known, (mount, path)))


def caller(name: str) -> None:
    """Say who sent the request."""
    _current.set(_current.get()._replace(by=name))


def enter(context: RequestContext) -> None:
    """Go on, from here to the end of the task or turn, for the request of `context`."""
    _current.set(context)


async def computed(work: Awaitable[T]) -> T:
    """Await what threads compute for the request: that time does not count."""
    begun = elapsed()
    try:
        return await work
    finally:
        context = _current.get()
        _current.set(context._replace(ends=context.ends + elapsed() - begun))


async def joined(work: asyncio.Future[T]) -> T:
    """Await what others wait for too, and what goes on without them: for as long as the request has.

    Raises:
        DeadlinePassed: it has not ended by then.

    """
    ends = _current.get().ends
    done, _ = await asyncio.wait([work], timeout=None if ends == inf else max(0.0, ends - elapsed()))
    if not done:
        raise DeadlinePassed("the request's time is over")
    return work.result()


def apart() -> contextvars.Context:
    """Return a context for work that belongs to no request."""
    context = contextvars.copy_context()
    context.run(_current.set, _NONE)
    return context


def ends_of_run(seconds: float = REQUEST_SECONDS) -> float:
    """Return when a transaction that begins now is to have ended with all its attempts: in `seconds` at most."""
    return min(_current.get().ends, elapsed() + seconds)
