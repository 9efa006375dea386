"""Names of policies: one spelling for each, in records, tokens and answers.

A slash makes folders of names, for lists alone: what a policy gives does not depend on its name.
"""

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
    return _checked(one_spelling(text))


def one_spelling(text: str) -> str:
    """Return what an ACL policy is called, however it is written."""
    return text.strip().lower()


def password_name(text: str) -> str:
    """Return the name of a password policy, which is as it was written; raises InvalidRequest."""
    return _checked(text)


def _checked(text: str) -> str:
    """Return a name that a path can hold: else nobody could ask for the policy, nor have a rule for it."""
    if not text:
        raise InvalidRequest("policy name must be provided in the URL")
    if not text.isprintable() or not {"", ".", ".."}.isdisjoint(text.split("/")):
        raise InvalidRequest("a policy's name is printable, and has no segment that is empty or dots")
    if len(text.encode()) > MAX_NAME:
        raise InvalidRequest(f"a policy's name is longer than {MAX_NAME} bytes")
    return text
