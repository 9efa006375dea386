"""What is known of a request and of its answer when entries are made of them, whatever the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

#: Bytes of values from which they are masked in steps.
LARGE: Final = 16 << 10


class Bearer(NamedTuple):
    """Who bears a token, as entries have it. Times and durations are in seconds; 0: it is not said."""

    accessor: str = ""
    display_name: str = ""
    policies: tuple[str, ...] = ()
    token_policies: tuple[str, ...] = ()
    identity_policies: tuple[str, ...] = ()
    metadata: Mapping[str, str] | None = None
    entity_id: str = ""
    token_type: str = "service"  # noqa: S105 - a type, not a token
    token_ttl: int = 0
    issued: int = 0


class Place(msgspec.Struct, frozen=True):
    """The mount that a request is for."""

    path: str
    type: str
    accessor: str = ""
    shown_of_requests: frozenset[str] = frozenset()  # fields of data that are not masked
    shown_of_answers: frozenset[str] = frozenset()


#: Returns what entries have of who bears a token.
Describe = Callable[[Any], Bearer]


#: What both entries of a request hold, as a device shows it: its bearer, the request, fields of the answer's mount.
Parts = tuple[bytes, bytes, bytes]


class Asked(msgspec.Struct, eq=False):
    """A request, as all devices have it. `identity` is who bears its token, None: nobody; `describe` tells of him."""

    id: str
    operation: str
    path: str
    namespace: str
    place: Place | None
    token: str = ""
    identity: object = None
    describe: Describe = lambda _: Bearer()
    allowed: bool = True
    data: Mapping[str, Any] | None = None
    size: int = 0  # about how many bytes of values the data has
    remote: str = ""
    port: int = 0
    headers: Callable[[str], list[str]] = lambda _: []  # returns the values of a header
    wrap_ttl: int = 0  # seconds
    #: By who makes the lines of a device.
    parts: dict[object, Parts] = {}
    masked: dict[object, Any] = {}  # data that were masked in steps
    masked_answer: dict[object, Any] = {}  # likewise, of the answer

    @property
    def large(self) -> bool:
        """Whether its data are to be masked in steps, before its first line."""
        return self.size > LARGE and bool(self.data)

    @property
    def facts(self) -> Mapping[str, str]:
        """What filters look at."""
        place = self.place
        return {
            "mount_point": "" if place is None else place.path,
            "mount_type": "" if place is None else place.type,
            "namespace": self.namespace,
            "operation": self.operation,
            "path": self.path,
        }


class Answered(msgspec.Struct, frozen=True, eq=False):
    """What an answer gives. `auth` and `wrap_info` are as answers show them; `error` is the text of a refusal."""

    data: Mapping[str, Any] | None = None
    size: int = 0
    auth: Mapping[str, Any] | None = None
    wrap_info: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    error: str = ""

    @property
    def large(self) -> bool:
        """Whether its data are to be masked in steps, before its line."""
        return self.size > LARGE and bool(self.data)


class Entered:
    """A request of which entries are written. What they tell is put together with the first one that is made.

    An answer that is there before an entry of its request was made is `answered`, at `answered_at`: both are made
    together. `made`: too late for that.
    """

    __slots__ = ("_asked", "_tell", "answered", "answered_at", "lost", "made")

    def __init__(self, tell: Callable[[], Asked]) -> None:
        self._tell: Callable[[], Asked] | None = tell
        self._asked: Asked | None = None
        self.answered: Answered | None = None
        self.answered_at = 0
        self.made = False
        self.lost = False  # an entry could not be made of it, on any device

    @property
    def asked(self) -> Asked:
        """The request as entries tell it."""
        if self._tell is not None:
            self._asked, self._tell = self._tell(), None  # which may lead back here
        assert self._asked is not None
        return self._asked


#: What entries are made of: a request, the answer if it is only of that, the error of a request that is refused, and
#: when it was, in nanoseconds since 1970.
Entry = tuple[Entered, Answered | None, str, int]
