"""Routes as data: which path and operation becomes which message, and how its answer is shown.

A slice of the API (`api.kv`, `api.transit`, `api.sys`) is a tuple of `Route`s. Patterns are
relative to the mount (`data/{path...}`) or, for sys and auth, to `/v1/`. `{name}` matches one key-name segment
as Vault defines it; `{path...}` matches all that follows, slashes included, and may be empty.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from kms_actors.auth.principal import Capability, Principal, Right
from kms_actors.errors import InvalidRequest, UnsupportedOperation, UnsupportedPath
from kms_actors.exact_json import RawJson
from kms_actors.messages import (
    Grants,
    Message,
)
from kms_actors.mounts import (
    Mount,
    MountTable,
)
from kms_http.fields import Fields
from kms_http.wire.paths import (
    KEPT,
    LONGEST_KEPT,
)
from kms_http.wire.response import JSON

NO_FIELDS = Fields()
NO_MOUNTS = MountTable(())


class Operation(enum.StrEnum):
    """What a request does; POST and PUT are one, SCAN is OpenBao's. Strings, since other enums hash slowly."""

    READ = "read"
    LIST = "list"
    WRITE = "write"
    PATCH = "patch"
    DELETE = "delete"
    SCAN = "scan"


class Reply(msgspec.Struct, frozen=True):
    """An answer before rendering. `bare` goes out without an envelope, `mirrored` repeats data at top level.

    `lease_duration` is in seconds. `whole` is a body that was rendered before, `stream` one without an end, both of
    the type `media`; `wrap_info` is what stands for an answer that is wrapped. None of these is ever wrapped.
    """

    status: int = 200
    data: Mapping[str, Any] | RawJson | None = None
    warnings: tuple[str, ...] = ()
    auth: Mapping[str, Any] | None = None
    bare: Any = None
    mirrored: bool = False
    lease_duration: int = 0
    whole: bytes = b""
    wrap_info: Mapping[str, Any] | None = None
    media: bytes = JSON
    stream: AsyncIterator[bytes] | None = None


class Peer(Protocol):
    """Who is at the other end of a connection."""

    @property
    def certificates(self) -> tuple[bytes, ...] | None:
        """What was shown under TLS, DER, the client's own first; None without TLS."""


class Call(msgspec.Struct, frozen=True):
    """One request, authorised and with its fields checked, on its way to a message."""

    operation: Operation
    path: str  # whole, without /v1/
    captures: Mapping[str, str]  # from the route's pattern
    values: Mapping[str, Any]  # declared fields as sent, converted; absent ones absent
    mount: Mount | None
    principal: Principal | None
    grants: Grants  # meaningful where the endpoint's capability is EXISTENCE
    token: str = ""
    mounts: MountTable = NO_MOUNTS  # of the caller's tenant
    method: str = ""  # as METHODS has it
    client_ip: str = ""
    peer: Peer | None = None  # whose connection it came by
    now: float = 0.0  # seconds since 1970
    scope: str = ""  # whose seal it is: the cluster's namespace, or a vault id
    size: int = 0  # bytes of the body
    of_default_vault: bool = False  # it is of the vault that tenants.default_vault names
    unread: bool = False  # it came with a body that is not read: fields of what writes nothing are in the query
    wrap_ttl: int = 0  # nanoseconds for which the answer is to be wrapped; 0: not at all

    @property
    def certificates(self) -> tuple[bytes, ...] | None:
        """What the client has shown under TLS, DER, its own first; None without TLS."""
        return self.peer.certificates if self.peer is not None else None

    def __repr__(self) -> str:
        return f"<Call {self.operation.value}>"


#: The `method` that token checks see: one for an operation, however it was asked for.
METHODS: Mapping[Operation, str] = {
    Operation.READ: "GET",
    Operation.LIST: "LIST",
    Operation.WRITE: "POST",
    Operation.PATCH: "PATCH",
    Operation.DELETE: "DELETE",
    Operation.SCAN: "SCAN",
}

#: Operations whose paths are folders.
LISTING = frozenset({Operation.LIST, Operation.SCAN})

#: Characters of a segment that a route takes as a name.
MAX_NAME = 512

DATA_RIGHTS = frozenset({Right.ROOT, Right.DATA})
TENANT_ADMIN = frozenset({Right.ROOT})
SCOPE_ADMIN = frozenset({Right.ROOT, Right.OPERATOR})
NODE_ADMIN = frozenset({Right.OPERATOR})
ANY_RIGHT = frozenset(Right)

#: Capability of writes that need `create` where nothing is and `update` where something is.
EXISTENCE = None


class Endpoint(msgspec.Struct, frozen=True):
    """One operation on a route: what it needs, the message it becomes, how the answer is shown.

    The message goes to the caller's tenant, or to the node for an operator and for nobody (`anonymous`).
    `build` returns None where the call alone is enough for `render`, which may be a coroutine where it takes long.
    `read` may take a body that has the shape most large ones have, faster than the general way, and returns None for
    any other; `written` then returns what was sent, for entries.
    """

    build: Callable[[Call], Message | None]
    render: Callable[[Call, Any], Reply | Awaitable[Reply]]
    capability: Capability | None  # EXISTENCE: decided in the transaction, through Grants
    fields: Fields = NO_FIELDS
    rights: frozenset[Right] = DATA_RIGHTS
    anonymous: bool = False  # works without a token; one that proves nothing is ignored
    of_login_vault: bool = False  # without a token, it is of the vault that a login would be of, if that is unsealed
    of_wrapping: bool = False  # takes a wrapping token, from nobody too if he has one; who bears another is checked
    own_use: bool = False  # counts the use of the bearer's token itself, where those are counted
    sudo: bool = False  # of those whom policies allow it, only for who has `sudo` there too
    own_check: bool = False  # looks itself at what policies give; what narrows a token is checked before, as ever
    while_sealed: bool = False
    head: bool = False  # answers HEAD too
    of_node: bool = False  # the message goes to the node, whoever asks
    refuses: bool = False  # only says that this cannot be done: documents leave it out
    read: Callable[[bytes], Mapping[str, Any] | None] | None = None
    written: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None


class Route(msgspec.Struct, frozen=True):
    """A pattern and its operations; `label` names it in metrics.

    `bare` routes stand outside the mounts' framework: 405 without a text, before a look at the token. `folder`: the
    path it takes names a place, and may end in a slash whatever is done. `spelling` has, for captures that name one
    thing however they are written, what makes them its one name: whoever decides about a request sees that.
    """

    pattern: str
    operations: Mapping[Operation, Endpoint]
    bare: bool = False
    folder: bool = False
    spelling: Mapping[str, Callable[[str], str]] = {}

    @property
    def label(self) -> str:
        return self.pattern


def spelled(routes: Iterable[Route], capture: str, spelling: Callable[[str], str] = str.lower) -> tuple[Route, ...]:
    """Return routes in which this capture has one spelling."""
    return tuple(
        msgspec.structs.replace(route, spelling={**route.spelling, capture: spelling})
        if f"{{{capture}" in route.pattern
        else route
        for route in routes
    )


_SEGMENT = re.compile(r"\{(\w+)(\.\.\.)?\}")
_NAME = r"\w(?:[\w.-]*\w)?"  # Vault's GenericNameRegex; Go's \w is ASCII


def compile_pattern(pattern: str, *, folder: bool = True) -> re.Pattern[str]:
    """Return the expression of a route's pattern; without `folder`, no path it takes ends in a slash."""
    paths = ".*" if folder else "(?:.*[^/])?"
    parts: list[str] = []
    position = 0
    for found in _SEGMENT.finditer(pattern):
        parts.append(re.escape(pattern[position : found.start()]))
        body = paths if found[2] else _NAME
        parts.append(f"(?P<{found[1]}>{body})")
        position = found.end()
    parts.append(re.escape(pattern[position:]))
    return re.compile("".join(parts), re.ASCII | re.DOTALL)


class Found(msgspec.Struct, frozen=True):
    """A route that fits a path; no endpoint where it does not take the operation.

    `path` is the path with the one spelling of what it names.
    """

    route: Route
    endpoint: Endpoint | None
    captures: Mapping[str, str]
    path: str


class _Entry(NamedTuple):
    """A route and its expressions: for lists, and for all else."""

    listing: re.Pattern[str]
    other: re.Pattern[str]
    route: Route


class Router:
    """Finds the endpoint of (path, operation) among one slice's routes by first segment, then pattern.

    What lists ends in `/`, and nothing else does: else one thing would have two names, and a check of one would
    say nothing of the other.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        by_first: dict[str, list[_Entry]] = {}
        for route in routes:
            entry = _Entry(compile_pattern(route.pattern), compile_pattern(route.pattern, folder=route.folder), route)
            by_first.setdefault(route.pattern.partition("/")[0], []).append(entry)
        #: Patterns that begin with a capture fit any first segment, after all others.
        self._catch_all = [entry for first in by_first if "{" in first for entry in by_first[first]]
        self._by_first = {first: entries + self._catch_all for first, entries in by_first.items() if "{" not in first}
        self._kept = functools.lru_cache(maxsize=KEPT)(self._find)

    def find(self, path: str, operation: Operation) -> Found | None:
        """Return the route that fits, before all one that takes the operation; None where no pattern fits.

        A path of LIST and SCAN ends in `/`, which a pattern need not show. Raises InvalidRequest for a name that is
        too long.
        """
        return self._kept(path, operation) if len(path) <= LONGEST_KEPT else self._find(path, operation)

    def _find(self, path: str, operation: Operation) -> Found | None:
        listing = operation in LISTING
        first = None
        for entry in self._by_first.get(path.partition("/")[0], self._catch_all):
            endpoint = entry.route.operations.get(operation)
            match = (entry.listing if listing else entry.other).fullmatch(path)
            if match is None and listing and endpoint is not None:
                match = entry.listing.fullmatch(path.removesuffix("/"))
            if match is None:
                continue
            if endpoint is not None:
                captures = _bounded(entry.route, match.groupdict())
                return Found(entry.route, endpoint, captures, _path(entry.route, match, path))
            first = first or Found(entry.route, None, {}, _path(entry.route, match, path))
        if first is None and operation is not Operation.LIST and path.endswith("/"):
            listed = self._find(path, Operation.LIST)
            if listed is not None and listed.endpoint is not None:
                return Found(listed.route, None, {}, path)
        return first

    def one_spelling(self, path: str) -> str:
        """Return a path with the names in it as those see it who decide about requests for it."""
        found = (self.find(path, operation) for operation in Operation)
        return next((each.path for each in found if each is not None), path)

    def resolve(self, path: str, operation: Operation) -> tuple[Route, Endpoint, Mapping[str, str]]:
        """Return route, endpoint and captures.

        Raises:
            UnsupportedPath: no pattern fits.
            UnsupportedOperation: a pattern fits, but it does not take this operation.

        """
        found = self.find(path, operation)
        if found is None:
            raise UnsupportedPath("unsupported path")
        if found.endpoint is None:
            raise UnsupportedOperation("unsupported operation")
        return found.route, found.endpoint, found.captures


def _path(route: Route, match: re.Match[str], path: str) -> str:
    """Return `path`, which a route has matched, with the names in it as they are kept."""
    for name in sorted(route.spelling, key=match.start, reverse=True):
        start, end = match.span(name)
        path = path[:start] + (route.spelling[name](match[name]) or match[name]) + path[end:]
    return path


def _bounded(route: Route, captures: dict[str, str]) -> dict[str, str]:
    for name, value in captures.items():
        if len(value) > MAX_NAME and f"{{{name}}}" in route.pattern:
            raise InvalidRequest(f"a name is longer than {MAX_NAME} characters")
    return captures
