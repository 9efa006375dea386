"""Where the records of one KV mount lie in the store, as `TenantKeys.key("kv", mount, area, …)` packs them.

("kv", mount, "config")                 settings of the mount
("kv", mount, "meta", path)             Head of a secret
("kv", mount, "data", path, version)    data of a version that is not in the head
("kv", mount, "list", path)             empty: names of secrets without their contents
"""

from __future__ import annotations

from typing import Final

import fdb.tuple

from kms_actors.errors import InvalidRequest
from kms_actors.store.keyspace import TenantKeys

#: Bytes of a path; FoundationDB takes keys up to 10,000.
MAX_PATH: Final = 4096


class MountKeys:
    """Keys of one mount; the parts before the path are packed once."""

    __slots__ = ("_data", "_list", "_meta", "config", "mount")

    def __init__(self, keys: TenantKeys, mount: int) -> None:
        self.mount = mount
        self.config = keys.key("kv", mount, "config")
        self._meta = keys.key("kv", mount, "meta")
        self._data = keys.key("kv", mount, "data")
        self._list = keys.key("kv", mount, "list")

    def head(self, path: str) -> bytes:
        return self._meta + _element(path)

    def data(self, path: str, version: int) -> bytes:
        packed: bytes = fdb.tuple.pack((version,))
        return self._data + _element(path) + packed

    def all_data(self, path: str) -> tuple[bytes, bytes]:
        """Return the range of the data of all versions."""
        begin = self._data + _element(path)
        return begin, begin + b"\xff"

    def name(self, path: str) -> bytes:
        return self._list + _element(path)

    def names(self, folder: str) -> tuple[bytes, bytes]:
        """Return the range of all names that begin with `folder`: empty, or with its trailing slash."""
        begin = self._list + _element(folder)[:-1]
        return begin, begin + b"\xff"

    def path(self, name: bytes) -> str:
        """Return the path of a key made by `name`."""
        return name[len(self._list) + 1 : -1].replace(b"\0\xff", b"\0").decode()


def _element(path: str) -> bytes:
    """Pack one string as a tuple element, as `fdb.tuple.pack` does.

    Raises:
        InvalidRequest: the path is too long, or no Unicode.

    """
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("the path is not UTF-8") from None
    if len(encoded) > MAX_PATH:
        raise InvalidRequest(f"the path is longer than {MAX_PATH} bytes")
    return b"\x02" + encoded.replace(b"\0", b"\0\xff") + b"\0"
