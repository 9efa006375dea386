"""What all login methods answer alike."""

from __future__ import annotations

from kms_actors.login.messages import LoggedIn
from kms_http.api.auth.replies import auth_reply
from kms_http.routing import Call, Reply


def logged_in(_: Call, done: LoggedIn) -> Reply:
    """Return the answer to a login: the token."""
    return auth_reply(done.issued, identity_policies=done.identity_policies)


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
