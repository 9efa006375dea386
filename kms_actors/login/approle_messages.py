"""Messages of AppRole. Names of roles are lower-case, whoever sends them."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from kms_actors.login.messages import Login, OfLogins
from kms_actors.messages import Command, Grants, Query


class OfRole(OfLogins, frozen=True):
    """Base of those that concern one role."""

    role: str


class LoginRole(Login, frozen=True):
    """Log in with a role id, and a secret id where the role wants one."""

    role_id: str
    secret_id: str


class ReadRoleOfId(OfLogins, Query, frozen=True):
    """Answer: the name of the role that has this role id; empty for none."""

    role_id: str


class ReadRole(OfRole, Query, frozen=True):
    """Answer: Role; raises NotFound."""


class ListRoles(OfLogins, Query, frozen=True):
    """Answer: names in order, from behind `after`, `limit` at most where that is not 0; raises NotFound for none."""

    after: str = ""
    limit: int = 0


class Missing(enum.StrEnum):
    """What becomes of a write where the role is not there."""

    MADE = "made"
    REFUSED = "refused"  # as UnsupportedPath, which Vault does
    IGNORED = "ignored"


class WriteRole(OfRole, Command, frozen=True):
    """Make or change a role. Answer: warnings.

    `sent` are converted fields of a role and of its tokens, `older` those of the tokens that came by older names.
    """

    sent: dict[str, Any]
    older: tuple[str, ...] = ()
    grants: Grants = Grants()
    missing: Missing = Missing.MADE


class DeleteRole(OfRole, Command, frozen=True):
    """Delete a role with its secret ids. Answer: None, whether or not there is one."""


class NewSecretId(OfRole, Command, frozen=True):
    """Make a secret id; of this text, if there is one. Answer: MadeSecretId; raises NamedNotFound without a role."""

    sent: dict[str, Any]
    secret_id: str = ""


class MadeSecretId(msgspec.Struct, frozen=True):
    """A secret id, told once. `ttl` is in seconds from now, 0 for one without end."""

    secret_id: str
    accessor: str
    uses: int
    ttl: int

    def __repr__(self) -> str:
        return "<MadeSecretId>"


class ListSecretIds(OfRole, Query, frozen=True):
    """Answer: accessors in order, as ListRoles; raises InvalidRequest without the role, NotFound for none."""

    after: str = ""
    limit: int = 0


class OfSecretId(OfRole, frozen=True):
    """Base of those that concern one secret id, named by itself or by its accessor.

    Raises InvalidRequest where there is no such role, and NamedNotFound for an accessor of none of its secret ids.
    """

    secret_id: str = ""
    accessor: str = ""


class LookUpSecretId(OfSecretId, Query, frozen=True):
    """Answer: SecretId, or None if it is of none that counts."""


class DestroySecretId(OfSecretId, Command, frozen=True):
    """Answer: None."""


class TidySecretIds(OfLogins, Command, frozen=True):
    """Begin to remove secret ids that have ended, and what is left of others. Answer: False if that is under way."""
