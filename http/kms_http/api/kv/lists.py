"""Lists of secrets: their names, all paths below a folder, and their metadata.

Source: Vault's KV API; SCAN and `detailed-metadata` are OpenBao's. There, whoever may scan a folder sees all that is
below it; here, what lies in those folders below it that he may scan, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from kms_actors.auth.principal import Access, Capability
from kms_actors.errors import InvalidRequest
from kms_actors.exact_json import RawJson, dumps
from kms_actors.kv.messages import ListMetadata, ListSecrets, ScanSecrets
from kms_actors.kv.records import KeyMetadata
from kms_actors.messages import Message
from kms_actors.runtime import Turns
from kms_http.api.kv.replies import key_data
from kms_http.api.kv.requests import mount_of
from kms_http.authorization import allows, unlimited
from kms_http.fields import Fields, to_int, to_str
from kms_http.routing import Call, Operation, Reply

PAGES: Final = Fields(after=to_str, limit=to_int)

#: Folders that one answer may reach into for a caller whose token does not allow everything.
_MOST_FOLDERS: Final = 10_000
#: Entries that are written before others are answered.
_SLICE: Final = 100
_TURNS: Final = Turns()


def folder_of(call: Call) -> str:
    """Return the folder that a list is of: empty, or with its trailing slash."""
    folder = call.captures.get("path", "").removesuffix("/")
    return f"{folder}/" if folder else ""


def page_of(call: Call) -> tuple[str, int]:
    """Return the name behind which a list begins, and how many it has at most."""
    return call.values.get("after", ""), max(0, call.values.get("limit", 0))


def list_secrets(call: Call) -> Message:
    """Ask for the names of a level."""
    return ListSecrets(mount_of(call), folder_of(call), *page_of(call))


def scan_secrets(call: Call) -> Message:
    """Ask for all paths below a folder."""
    return ScanSecrets(mount_of(call), folder_of(call), *page_of(call))


def list_metadata(call: Call) -> Message:
    """Ask for either, with metadata."""
    recursive = call.operation is Operation.SCAN
    return ListMetadata(mount_of(call), folder_of(call), *page_of(call), recursive=recursive)


def show_names(_: Call, names: list[str]) -> Reply:
    """Names of a level."""
    return Reply(data={"keys": names})


async def show_scanned(call: Call, paths: list[str]) -> Reply:
    """Paths of all that lies below; nothing at all where there are none."""
    shown = await _reached(call, paths)
    return Reply(data={"keys": shown} if shown else {})


async def show_listed_metadata(call: Call, found: Mapping[str, KeyMetadata | None]) -> Reply:
    """Names, and for each its metadata; nothing of folders."""
    names = [*found]
    if call.operation is Operation.SCAN:
        names = await _reached(call, names)
        if not names:
            return Reply(data={})
    shown: dict[str, Any] = {}
    for number, name in enumerate(names, 1):
        metadata = found[name]
        shown[name] = RawJson(dumps(key_data(metadata))) if metadata is not None else {}
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return Reply(data={"key_info": shown, "keys": names})


async def _reached(call: Call, paths: list[str]) -> list[str]:
    """Leave out what lies in folders that the caller may not scan."""
    principal = call.principal
    if principal is None or unlimited(principal):
        return paths
    assert call.mount is not None
    may: dict[str, bool] = {"": True}
    for path in paths:
        folder = path[: path.rfind("/") + 1]
        if folder not in may:
            if len(may) > _MOST_FOLDERS:
                raise InvalidRequest(f"there are more than {_MOST_FOLDERS} folders: use limit and after")
            await _TURNS.turn(principal.resource)
            place = call.path + folder
            access = Access(Capability.SCAN, place, call.mount.path, call.method, call.client_ip, call.now)
            may[folder] = allows(principal, access)
    return [path for path in paths if may[path[: path.rfind("/") + 1]]]
