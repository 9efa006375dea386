"""What is known of a request and of its answer when entries are made of them, whatever the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

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


class Place(NamedTuple):
    """The mount that a request is for."""

    path: str
    type: str
    accessor: str = ""
    shown_of_requests: frozenset[str] = frozenset()  # fields of data that are not masked
    shown_of_answers: frozenset[str] = frozenset()


#: Returns what entries have of who bears a token.
Describe = Callable[[Any], Bearer]


class Asked:
    """A request, as all devices have it. `identity` is who bears its token, None: nobody; `describe` tells of him."""

    __slots__ = (
        "allowed",
        "data",
        "describe",
        "headers",
        "id",
        "identity",
        "masked",
        "namespace",
        "operation",
        "parts",
        "path",
        "place",
        "port",
        "remote",
        "size",
        "token",
        "wrap_ttl",
    )

    def __init__(
        self,
        request_id: str,
        operation: str,
        path: str,
        namespace: str,
        place: Place | None,
        *,
        token: str = "",
        identity: object = None,
        describe: Describe = lambda _: Bearer(),
        allowed: bool = True,
        data: Mapping[str, Any] | None = None,
        size: int = 0,
        remote: str = "",
        port: int = 0,
        headers: Callable[[str], list[str]] = lambda _: [],
        wrap_ttl: int = 0,
    ) -> None:
        self.id = request_id
        self.operation = operation
        self.path = path
        self.namespace = namespace
        self.place = place
        self.token = token
        self.identity = identity
        self.describe = describe
        self.allowed = allowed
        self.data = data
        self.size = size  # about how many bytes of values the data has
        self.remote = remote
        self.port = port
        self.headers = headers  # returns the values of a header
        self.wrap_ttl = wrap_ttl  # seconds
        #: By who makes the lines of a device.
        self.parts: dict[object, tuple[bytes, bytes]] = {}
        self.masked: dict[object, Any] = {}  # data that were masked in steps

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


class Answered(NamedTuple):
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
