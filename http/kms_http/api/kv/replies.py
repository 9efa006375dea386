"""Answers of KV version 2, as Vault shows them.

Times are RFC3339Nano, durations Go's. A version that cannot be read is 404 with its metadata, which clients use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kms_actors.exact_json import RawJson
from kms_actors.kv.messages import MetadataWritten, SecretVersion
from kms_actors.kv.records import Config, KeyMetadata, Version
from kms_http.routing import (
    Call,
    Operation,
    Reply,
)
from kms_http.times import (
    duration,
    rfc3339,
)

_NO_CONTENT: Final = Reply(status=204)
_EMPTY_NOT_FOUND: Final = Reply(status=404, bare=RawJson(b""))
_BARE_ROOTS: Final = frozenset({"data", "delete", "undelete", "destroy", "metadata"})
_VERBS: Final = {
    Operation.READ: "get",
    Operation.LIST: "list",
    Operation.WRITE: "put",
    Operation.PATCH: "patch",
    Operation.DELETE: "delete",
}
#: Of commands that the command line of Vault has not.
_COMMANDS: Final = {Operation.SCAN: "OpenBao CLI, use 'bao kv scan'"}


def show_config(_: Call, config: Config) -> Reply:
    """The mount's configuration."""
    return Reply(
        data={
            "cas_required": config.cas_required,
            "delete_version_after": duration(config.delete_version_after),
            "max_versions": config.max_versions,
            "metadata_cas_required": config.metadata_cas_required,
        }
    )


def show_secret(part: str) -> Callable[[Call, SecretVersion], Reply]:
    """Return what shows a version with its data as `part`: 404, but with its metadata, when it is not readable."""

    def show(_: Call, found: SecretVersion) -> Reply:
        data = RawJson(found.data) if found.data is not None else None
        return Reply(status=200 if found.readable else 404, data={part: data, "metadata": _metadata(found)})

    return show


def show_written(_: Call, written: SecretVersion | None) -> Reply:
    """Metadata of a new version; 404 with an empty body for no secret, with metadata for one that is not readable."""
    if written is None:
        return _EMPTY_NOT_FOUND
    return Reply(status=200 if written.readable else 404, data=_metadata(written))


def show_key(_: Call, metadata: KeyMetadata) -> Reply:
    """All metadata of a secret."""
    return Reply(data=key_data(metadata))


def key_data(metadata: KeyMetadata) -> dict[str, Any]:
    """Return the metadata of a secret as it is shown."""
    return {
        "cas_required": metadata.cas_required,
        "created_time": rfc3339(metadata.created),
        "current_metadata_version": metadata.metadata_version,
        "current_version": metadata.current_version,
        "custom_metadata": metadata.custom_metadata or None,
        "delete_version_after": duration(metadata.delete_version_after),
        "max_versions": metadata.max_versions,
        "metadata_cas_required": metadata.metadata_cas_required,
        "oldest_version": metadata.oldest_version,
        "updated_time": rfc3339(metadata.updated),
        "versions": {str(number): _version(version) for number, version in metadata.versions.items()},
    }


def show_metadata_written(_: Call, written: MetadataWritten | None) -> Reply:
    """Nothing, or a warning; 404 with an empty body for no secret."""
    if written is None:
        return _EMPTY_NOT_FOUND
    if not written.still_required:
        return _NO_CONTENT
    text = '"{}" set to false, but is mandated by backend config. This value will be ignored.'
    return Reply(warnings=tuple(map(text.format, written.still_required)))


def show_wrong_path(call: Call, _: None) -> Reply:
    """Tell what to use instead."""
    if call.captures["rest"] in _BARE_ROOTS:
        text = "Non-listing operations on the root of a K/V v2 mount are not supported."
    else:
        command = _COMMANDS.get(call.operation) or f"Vault CLI, use 'vault kv {_VERBS[call.operation]}'"
        text = (
            "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints "
            f"to use. If using the {command} for this operation."
        )
    return Reply(status=404, warnings=(text,))


def show_nothing(_: Call, __: None) -> Reply:
    """For changes that have no answer."""
    return _NO_CONTENT


def _metadata(found: SecretVersion) -> dict[str, Any]:
    return {
        "created_time": rfc3339(found.version.created),
        "custom_metadata": found.custom_metadata or None,
        "deletion_time": rfc3339(found.version.deletion),
        "destroyed": found.version.destroyed,
        "version": found.number,
    }


def _version(version: Version) -> dict[str, Any]:
    return {
        "created_time": rfc3339(version.created),
        "deletion_time": rfc3339(version.deletion),
        "destroyed": version.destroyed,
    }
