"""One request on its way through the edge, and what is known of it so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.insight.messages import RequestUnderWay
from kms_actors.mounts import Mount
from kms_actors.quota.windows import Verdict
from kms_http import caller
from kms_http.caller import NOBODY
from kms_http.fields import WrongType, to_bool
from kms_http.recording import Recording
from kms_http.routing import Operation
from kms_http.wire.errors import HttpError
from kms_http.wire.request import Request

_UNKNOWN: Final = "unknown"  # the label of a request that no route takes


class Exchange:
    """One request on its way through; what is known of it so far."""

    __slots__ = (
        "audited",
        "caller",
        "help",
        "label",
        "method",
        "mount",
        "namespace",
        "now",
        "operation",
        "path",
        "query",
        "recording",
        "request",
        "request_id",
        "spelled",
        "token",
        "uncounted",
        "verdict",
        "wrap_ttl",
    )

    def __init__(self, request: Request, now: float, request_id: str) -> None:
        self.request = request
        self.request_id = request_id
        self.now = now
        self.label = _UNKNOWN
        self.method = request.method
        self.operation = Operation.READ
        self.path = ""  # as it was asked for: of entries and answers
        self.spelled = ""  # the same, with the one spelling of names in it: what decides about a request sees this
        self.query: Mapping[str, Any] = {}  # of reads, lists and deletes
        self.namespace = request.headers.get(caller.NAMESPACE, "")
        self.token = ""
        self.help = False  # what the path is about is asked for, nothing else
        self.wrap_ttl = 0  # nanoseconds for which the answer is to be wrapped
        self.caller = NOBODY
        self.uncounted = False  # by quotas, for which its role must be known
        self.verdict: Verdict | None = None  # of a quota that holds for it
        self.mount: Mount | None = None  # that it is for, once that is known
        self.audited = True  # False: of what anybody may look at, there are no entries
        self.recording: Recording | None = None  # what audit devices have of it


def under_way(exchange: Exchange) -> RequestUnderWay:
    """Return what is told of a request that is worked on."""
    principal, request = exchange.caller.principal, exchange.request
    client = caller.name_of(principal) if principal is not None else ""
    return RequestUnderWay(exchange.request_id, exchange.now, request.remote, exchange.label, request.method, client)


def asked_by(query: dict[str, Any]) -> Operation:
    """Take `list` and `scan` out of the query of a GET, and return what it asks for: one of them at most."""
    listing, scanning = _take(query, "list"), _take(query, "scan")
    if listing and scanning:
        raise HttpError(400)
    return Operation.LIST if listing else Operation.SCAN if scanning else Operation.READ


def _take(query: dict[str, Any], name: str) -> bool:
    """Tell whether a word of a query is true, and take it out if so."""
    wanted = query.get(name, "")
    first = wanted[0] if isinstance(wanted, list) else wanted
    try:
        if not to_bool(first):
            return False
    except WrongType:
        raise HttpError(400) from None
    del query[name]
    return True
