"""Messages of policies. Names are lower-cased by whoever sends them; ACL policies and password policies are apart."""

from __future__ import annotations

import enum

from kms_actors.messages import Command, Message, Query
from kms_actors.policy.templates import Subject


class PolicyKind(enum.StrEnum):
    """Which of the two a policy is. A string hashes fast, and is part of the record's key."""

    ACL = "acl"
    PASSWORD = "password"  # noqa: S105 - a kind, not a password


class OfPolicy(Message, frozen=True):
    """Base of those that concern one policy."""

    kind: PolicyKind
    name: str


class ReadPolicy(OfPolicy, Query, frozen=True):
    """Answer: PolicyRecord; raises NotFound."""


class WritePolicy(OfPolicy, Command, frozen=True):
    """Make a policy, or put another in its place. Answer: None.

    With `patch`, None leaves a setting, or the text, as it is, and there must be something; else None is the default.
    `expires_at` is in nanoseconds since 1970, 0 for never. `cas` is the version that is
    to be there, -1 for none at all.
    Raises InvalidRequest for a text that is no policy, with line and column.
    """

    text: str | None
    cas: int | None = None
    cas_required: bool | None = None
    expires_at: int | None = None
    allow_slashes: bool | None = None
    allow_wildcards: bool | None = None
    patch: bool = False


class DeletePolicy(OfPolicy, Command, frozen=True):
    """Delete a policy, if it is there. Answer: None. Raises InvalidRequest for one that stays."""


class ListPolicies(Query, frozen=True):
    """Answer: the names in order, `default` and `root` among those of ACL policies.

    With a `folder`, which ends in a slash, the names of all that lies below it.
    """

    kind: PolicyKind
    folder: str = ""


class DescribePolicies(Query, frozen=True):
    """ACL policies whose names begin with `prefix`, behind `after`, `limit` at most (0: all), and `root` at the end.

    Answer: names and PolicyRecords; raises InvalidRequest where they are too long together.
    """

    prefix: str = ""
    after: str = ""
    limit: int = 0


class GeneratePassword(Query, frozen=True):
    """Answer: a password of the password policy `name`; raises NotFound."""

    name: str


class ResolveAcl(Query, frozen=True):
    """Answer: the Acl of who has the policies `names` and is `subject`. Names of no policy give nothing.

    `Acl.made_of` has what tells each of them from all that ever had its name, empty where it is not stored.
    """

    names: tuple[str, ...]
    subject: Subject | None = None
