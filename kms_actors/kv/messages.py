"""Messages of KV, of version 2 unless they say otherwise; data is JSON as bytes."""

from __future__ import annotations

from kms_actors.kv.records import Version
from kms_actors.kv.settings import Settings
from kms_actors.kv.times import Times
from kms_actors.messages import (
    Command,
    Grants,
    Message,
    Query,
)


class OfMount(Message, frozen=True):
    """Base of those that concern the mount with this number."""

    mount: int


class OfSecret(OfMount, frozen=True):
    """Base of those that concern one secret; `path` is its path below the mount."""

    path: str


class ReadConfig(OfMount, Query, frozen=True):
    """Answer: Config."""


class WriteConfig(OfMount, Command, frozen=True):
    """Answer: None."""

    settings: Settings


class ReadSecret(OfSecret, Query, frozen=True):
    """A version at or below 0 is the current one. Answer: SecretVersion; raises NotFound."""

    version: int = 0


class ReadSubkeys(OfSecret, Query, frozen=True):
    """As ReadSecret, but the data holds names alone, to level `depth` where that is above 0."""

    version: int = 0
    depth: int = 0


class WriteSecret(OfSecret, Command, frozen=True):
    """Add a version. Answer: SecretVersion without data."""

    data: bytes
    cas: int | None = None
    grants: Grants = Grants()


class PatchSecret(OfSecret, Command, frozen=True):
    """Add a version, merged from the current one (RFC 7396).

    Answer: SecretVersion without data; of the current version and not readable, if that cannot be patched; None
    where no secret is.
    """

    patch: bytes
    cas: int | None = None


class DeleteVersions(OfSecret, Command, frozen=True):
    """Delete these versions, or the current one, so that they can be undeleted. Answer: None."""

    versions: tuple[int, ...] | None = None


class UndeleteVersions(OfSecret, Command, frozen=True):
    """Answer: None."""

    versions: tuple[int, ...]


class DestroyVersions(OfSecret, Command, frozen=True):
    """Remove the data of these versions for good. Answer: None."""

    versions: tuple[int, ...]


class ReadMetadata(OfSecret, Query, frozen=True):
    """Answer: KeyMetadata; raises NotFound."""


class ListSecrets(OfMount, Query, frozen=True):
    """Names at one level, sorted; folders end with a slash.

    `folder` is empty or ends with a slash. Names up to `after` are left out; `limit` 0 is all. `versioned`: whether
    the mount was one of version 2 when the request came. Answer: names; raises NotFound where there are none.
    """

    folder: str
    after: str = ""
    limit: int = 0
    versioned: bool = True


class ScanSecrets(ListSecrets, frozen=True):
    """The paths of all secrets below `folder`, relative to it and sorted; `after` is one of them. Answer: paths."""


class ListMetadata(OfMount, Query, frozen=True):
    """As ListSecrets, or as ScanSecrets where `recursive`, with the metadata of each secret.

    Answer: a dict from name to KeyMetadata, None for folders; raises InvalidRequest where that is too much.
    """

    folder: str
    after: str = ""
    limit: int = 0
    recursive: bool = False


class WriteMetadata(OfSecret, Command, frozen=True):
    """Set what `settings` holds, also before there is a version. Answer: MetadataWritten."""

    settings: Settings
    grants: Grants = Grants()


class PatchMetadata(OfSecret, Command, frozen=True):
    """As WriteMetadata, for what exists. Answer: MetadataWritten, or None where no secret is."""

    settings: Settings


class DeleteMetadata(OfSecret, Command, frozen=True):
    """Remove a secret with all its versions. Answer: None."""


class SetTimes(OfSecret, Command, frozen=True):
    """Set when a secret was made and changed, and its versions made and deleted. Answer: None; raises NotFound."""

    times: Times


class ReadUnversioned(OfSecret, Query, frozen=True):
    """Of KV version 1. Answer: its data; raises NotFound."""


class WriteUnversioned(OfSecret, Command, frozen=True):
    """Of KV version 1: replace what is there. Answer: None."""

    data: bytes
    grants: Grants = Grants()


class DeleteUnversioned(OfSecret, Command, frozen=True):
    """Of KV version 1. Answer: None."""


class SecretVersion(Message, frozen=True):
    """One version of a secret; `data` is None unless it was asked for and is readable."""

    number: int
    version: Version
    custom_metadata: dict[str, str]
    readable: bool
    data: bytes | None = None


class MetadataWritten(Message, frozen=True):
    """`still_required`: settings that were switched off, though the mount demands them."""

    still_required: tuple[str, ...] = ()
