"""Names of policies: one spelling for each, in records, tokens and answers."""

from __future__ import annotations

from typing import Final

from kms_actors.errors import InvalidRequest

#: Bytes of a name.
MAX_NAME: Final = 256


def acl_name(text: str) -> str:
    """Return the one spelling of an ACL policy's name: lower case, without space around it.

    Raises:
        InvalidRequest: no policy may have it.

    """
    return password_name(text.strip().lower())


def password_name(text: str) -> str:
    """Return the name of a password policy, which is as it was written; raises InvalidRequest."""
    if not text:
        raise InvalidRequest("policy name must be provided in the URL")
    if not text.isprintable() or "/" in text:
        raise InvalidRequest("a policy's name is printable, and has no slash")
    if len(text.encode()) > MAX_NAME:
        raise InvalidRequest(f"a policy's name is longer than {MAX_NAME} bytes")
    return text
