"""How large identities may be. Source: for metadata, the reference's own bounds and texts; all others are ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from kms_actors.errors import InvalidRequest

#: Characters of a name: of an entity, a group, or an alias.
MAX_NAME: Final = 512
#: Metadata: pairs, and characters of each part.
MAX_PAIRS: Final = 64
MAX_KEY: Final = 128
MAX_VALUE: Final = 512
#: Bytes of an alias's metadata, which a login makes up.
MAX_ALIAS_METADATA: Final = 16 * 1024
#: Policies of one entity or group.
MAX_POLICIES: Final = 256
#: Groups of a vault; so many a resolution may have to read.
MAX_GROUPS: Final = 2_000
#: Entities that are put into one group; those whom logins put there are not counted.
MAX_MEMBERS: Final = 5_000
#: Entries of one list.
MAX_LISTED: Final = 10_000
#: Names of groups that a login may say.
MAX_LOGIN_GROUPS: Final = 1_000
#: Entities of one merge, and of one deletion; those that one entity may have taken in.
MAX_MERGED: Final = 100
MAX_DELETED: Final = 500
MAX_MERGED_IDS: Final = 1_000


def check_name(name: str, what: str = "name") -> None:
    """Raise InvalidRequest for a name that nothing may have."""
    if not name or len(name) > MAX_NAME:
        raise InvalidRequest(f"{what} must have 1 to {MAX_NAME} characters")
    check_text(name, what)


def is_name(name: str) -> bool:
    """Tell whether something may have this name."""
    try:
        check_name(name)
    except InvalidRequest:
        return False
    return True


def check_text(text: str, what: str) -> None:
    """Raise InvalidRequest for a text that cannot be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{what} is not all characters") from None


def check_metadata(metadata: Mapping[str, str], what: str) -> None:
    """Raise InvalidRequest, in the reference's words but for values; `what` is `entity` or `group`."""
    if len(metadata) > MAX_PAIRS:
        raise InvalidRequest(
            f"invalid {what} metadata: metadata cannot contain more than {MAX_PAIRS} key/value pairs"
        )
    for key, value in metadata.items():
        reason = _reason(key, value)
        if reason is not None:
            raise InvalidRequest(f"invalid {what} metadata: {reason}")
        check_text(key + value, "metadata")


def check_alias_metadata(metadata: Mapping[str, str]) -> None:
    """Raise InvalidRequest for metadata of a login that are too large to be kept."""
    for key, value in metadata.items():
        check_text(key + value, "alias metadata")
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > MAX_ALIAS_METADATA:
        raise InvalidRequest(f"the metadata of an alias take more than {MAX_ALIAS_METADATA} bytes")


def normal_policies(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of policies as they are kept: in lower case, each once, sorted; raises InvalidRequest."""
    found = sorted({stripped.lower() for name in names if (stripped := name.strip())})
    if "root" in found:
        raise InvalidRequest("policies cannot contain root")
    if len(found) > MAX_POLICIES:
        raise InvalidRequest(f"policies has more than {MAX_POLICIES} names")
    for name in found:
        check_name(name, "policies: a name")
    return tuple(found)


def _reason(key: str, value: str) -> str | None:
    if not key:
        return "key cannot be blank"
    if len(key) > MAX_KEY:
        return f"key is too long (limit: {MAX_KEY} characters)"
    if len(value) > MAX_VALUE:
        return f"value is too long (limit: {MAX_VALUE} characters)"
    return None
