"""Connections of a listener behind proxies that tell, with each request, whom they speak for."""

from __future__ import annotations

from collections.abc import Callable

from kms_http.wire.connection import Connection
from kms_http.wire.entry import Forwarding
from kms_http.wire.errors import HttpError
from kms_http.wire.head import Head
from kms_http.wire.hub import Hub
from kms_http.wire.request import Request
from kms_http.wire.shares import Share


class ForwardedConnection(Connection):
    """A connection whose requests may come from many clients."""

    __slots__ = ("_forwarding",)

    def __init__(self, hub: Hub, share: Share, peer: str, made: Callable[[], None], forwarding: Forwarding) -> None:
        super().__init__(hub, share, peer, made)
        self._forwarding = forwarding

    def _begin(self, request: Request, rest: bytes) -> None:
        if self._finds_client(request):
            super()._begin(request, rest)

    def _begin_with_body_to_come(self, request: Request, understood: Head, rest: bytes) -> None:
        if self._finds_client(request):
            super()._begin_with_body_to_come(request, understood, rest)

    def _finds_client(self, request: Request) -> bool:
        try:
            request.remote = self._forwarding.client(self.remote, request.headers)
        except HttpError as error:
            self._refuse(error)
            return False
        return True
