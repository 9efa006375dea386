"""Messages of KV version 2. `mount` is the mount's number, `path` the secret's below it, data is JSON as bytes."""

from __future__ import annotations

from kms_actors.kv.records import Version
from kms_actors.kv.settings import Settings
from kms_actors.messages import (
    Command,
    Grants,
    Message,
    Query,
)


class ReadConfig(Query, frozen=True):
    """Answer: Config."""

    mount: int


class WriteConfig(Command, frozen=True):
    """Answer: None."""

    mount: int
    settings: Settings


class ReadSecret(Query, frozen=True):
    """A version at or below 0 is the current one. Answer: SecretVersion; raises NotFound."""

    mount: int
    path: str
    version: int = 0


class ReadSubkeys(Query, frozen=True):
    """As ReadSecret, but the data holds names alone, to level `depth` where that is above 0."""

    mount: int
    path: str
    version: int = 0
    depth: int = 0


class WriteSecret(Command, frozen=True):
    """Add a version. Answer: SecretVersion without data."""

    mount: int
    path: str
    data: bytes
    cas: int | None = None
    grants: Grants = Grants()


class PatchSecret(Command, frozen=True):
    """Add a version, merged from the current one (RFC 7396).

    Answer: SecretVersion without data; of the current version and not readable, if that cannot be patched; None
    where no secret is.
    """

    mount: int
    path: str
    patch: bytes
    cas: int | None = None


class DeleteVersions(Command, frozen=True):
    """Delete these versions, or the current one, so that they can be undeleted. Answer: None."""

    mount: int
    path: str
    versions: tuple[int, ...] | None = None


class UndeleteVersions(Command, frozen=True):
    """Answer: None."""

    mount: int
    path: str
    versions: tuple[int, ...]


class DestroyVersions(Command, frozen=True):
    """Remove the data of these versions for good. Answer: None."""

    mount: int
    path: str
    versions: tuple[int, ...]


class ReadMetadata(Query, frozen=True):
    """Answer: KeyMetadata; raises NotFound."""

    mount: int
    path: str


class ListSecrets(Query, frozen=True):
    """Names at one level, sorted; folders end with a slash.

    `folder` is empty or ends with a slash. Names up to `after` are left out; `limit` 0 is all. Answer: names;
    raises NotFound where there are none.
    """

    mount: int
    folder: str
    after: str = ""
    limit: int = 0


class WriteMetadata(Command, frozen=True):
    """Set what `settings` holds, also before there is a version. Answer: MetadataWritten."""

    mount: int
    path: str
    settings: Settings
    grants: Grants = Grants()


class PatchMetadata(Command, frozen=True):
    """As WriteMetadata, for what exists. Answer: MetadataWritten, or None where no secret is."""

    mount: int
    path: str
    settings: Settings


class DeleteMetadata(Command, frozen=True):
    """Remove a secret with all its versions. Answer: None."""

    mount: int
    path: str


class SecretVersion(Message, frozen=True):
    """One version of a secret; `data` is None unless it was asked for and is readable."""

    number: int
    version: Version
    custom_metadata: dict[str, str]
    readable: bool
    data: bytes | None = None


class MetadataWritten(Message, frozen=True):
    """`cas_still_required`: check-and-set was switched off, but the mount demands it."""

    cas_still_required: bool
