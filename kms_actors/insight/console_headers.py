"""Headers that answers of the console have beside its own: named by the cluster's operator, and never in their place.

Source: Vault's API page `sys/config/ui`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.messages import Command, Query

#: Headers, values of each, and characters of a value, at most.
MOST: Final = 20
MOST_VALUES: Final = 10
LONGEST: Final = 2048
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
#: What the console says itself, and what belongs to the connection. A second `Content-Security-Policy` is none of
#: them: browsers hold a page to all that it has, so another one only forbids more.
_FIXED: Final = frozenset(
    (
        "allow",
        "cache-control",
        "clear-site-data",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "date",
        "etag",
        "keep-alive",
        "link",
        "location",
        "permissions-policy",
        "referrer-policy",
        "refresh",
        "retry-after",
        "service-worker-allowed",
        "set-cookie",
        "set-cookie2",
        "sourcemap",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "x-content-type-options",
        "x-frame-options",
        "x-sourcemap",
    )
)
_FAMILIES: Final = ("x-vault-", "access-control-", "proxy-", "sec-")


class ConsoleHeaders(msgspec.Struct, frozen=True):
    """By canonical name; kept sealed by the master keyring."""

    headers: Mapping[str, tuple[str, ...]]
    format: int = stored.FORMAT

    @property
    def pairs(self) -> list[tuple[bytes, bytes]]:
        """A name and a value a line."""
        return [(name.encode(), value.encode()) for name, values in self.headers.items() for value in values]


class ReadConsoleHeaders(Query, frozen=True):
    """Answer: ConsoleHeaders; raises Sealed while the node is."""


class WriteConsoleHeader(Command, frozen=True):
    """Have a header sent with these values, on all nodes; none: have it sent no more. Answer: None.

    Raises InvalidRequest where there are too many, Sealed while the node is.
    """

    name: str
    values: tuple[str, ...] = ()


def canonical(name: str) -> str:
    """Return the one spelling of a name."""
    return "-".join(part.capitalize() for part in name.split("-"))


def checked(name: str, values: Sequence[str]) -> WriteConsoleHeader:
    """Return what has a header sent.

    Raises:
        InvalidRequest: no name, no value, or what would take the place of what the console says.

    """
    lower = name.lower()
    if not _NAME.fullmatch(name):
        raise InvalidRequest("a header's name has letters, digits and `-`, up to 64 of them")
    if lower.startswith("x-vault-"):
        raise InvalidRequest("X-Vault headers cannot be set")
    if lower in _FIXED or lower.startswith(_FAMILIES):
        raise InvalidRequest("the console says this itself, and nothing may be said in its place")
    if not values:
        raise InvalidRequest("values must be supplied")
    if len(values) > MOST_VALUES or any(len(value) > LONGEST for value in values):
        raise InvalidRequest(f"a header has at most {MOST_VALUES} values of {LONGEST} characters")
    if not all(_VALUE.fullmatch(value) for value in values):
        raise InvalidRequest("a value is printable ASCII, without spaces around it")
    return WriteConsoleHeader(canonical(name), tuple(values))


def changed(before: ConsoleHeaders, message: WriteConsoleHeader) -> ConsoleHeaders:
    """Return what is sent after a change. Raises InvalidRequest for too many."""
    rest = {name: values for name, values in before.headers.items() if name != message.name}
    after = {**rest, message.name: message.values} if message.values else rest
    if len(after) > MOST:
        raise InvalidRequest(f"at most {MOST} headers of the console")
    return ConsoleHeaders(dict(sorted(after.items())))
