"""What all login methods answer alike, and the endpoints that answer so."""

from __future__ import annotations

from collections.abc import Callable

from kms_actors.auth.principal import Capability
from kms_actors.login.messages import LoggedIn
from kms_actors.messages import Message
from kms_http.api.auth.replies import auth_reply
from kms_http.api.login.fields import PAGES
from kms_http.fields import Fields
from kms_http.routing import ANY_RIGHT, TENANT_ADMIN, Call, Endpoint, Reply


def login(build: Callable[[Call], Message], fields: Fields) -> Endpoint:
    """Return the endpoint of a login: who asks has no token yet."""
    return Endpoint(build, logged_in, Capability.UPDATE, fields, ANY_RIGHT, anonymous=True)


def listing(build: Callable[[Call], Message]) -> Endpoint:
    """Return the endpoint of a list of names."""
    return Endpoint(build, names, Capability.LIST, PAGES, TENANT_ADMIN)


def logged_in(_: Call, done: LoggedIn) -> Reply:
    """Return the answer to a login: the token."""
    return auth_reply(done.issued)


def no_content(_: Call, __: object) -> Reply:
    """Return the answer to what changes something, and says nothing."""
    return Reply(status=204)


def names(_: Call, found: list[str]) -> Reply:
    """Return the answer to a list."""
    return Reply(data={"keys": found})


def mount_number(call: Call) -> int:
    """Return the number of the mount that a request is below."""
    assert call.mount is not None
    return call.mount.number
