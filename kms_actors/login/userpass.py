"""Users with passwords. Their names are lower-case, whoever writes them.

Source: Vault's API page `auth/userpass`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.login.messages import Login, OfLogins
from kms_actors.login.outcome import Outcome
from kms_actors.login.parameters import TokenParameters
from kms_actors.login.passwords import MAX_PASSWORD
from kms_actors.messages import Command, Grants, Query

FAILED: Final = "invalid username or password"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One user: the hash of a password, and what is said of the tokens of logins."""

    password: str
    parameters: TokenParameters = TokenParameters()
    spelled: tuple[str, ...] = ()  # fields of the token that were set by their older names
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> User:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "user record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def outcome(self, name: str) -> Outcome:
        """Return what a login of this user has proved."""
        return Outcome(alias=name, display_name=name, metadata={"username": name}, parameters=self.parameters)

    def __repr__(self) -> str:
        return "<User>"


class OfUser(OfLogins, frozen=True):
    """Base of those that concern one user; `name` is lower-case."""

    name: str


class LoginUser(Login, frozen=True):
    """Log in with a password."""

    name: str
    password: str


class ReadUser(OfUser, Query, frozen=True):
    """Answer: User; raises NotFound."""


class ListUsers(OfLogins, Query, frozen=True):
    """Answer: names in order, from behind `after`, `limit` at most where that is not 0; raises NotFound for none."""

    after: str = ""
    limit: int = 0


class WriteUser(OfUser, Command, frozen=True):
    """Make or change a user. Answer: None.

    `sent` are converted `token_…` fields, `spelled` those of them that came by an older name. A new user needs a
    password.
    """

    sent: dict[str, Any]
    password: str = ""
    spelled: tuple[str, ...] = ()
    grants: Grants = Grants()
    must_exist: bool = False  # else: make the user where there is none


class DeleteUser(OfUser, Command, frozen=True):
    """Answer: None, whether or not there is one."""


def check_password(password: str) -> None:
    """Raise InvalidRequest for a password that cannot be."""
    if len(password.encode(errors="surrogatepass")) > MAX_PASSWORD:
        raise InvalidRequest(f"password: at most {MAX_PASSWORD} bytes")
