"""What tokens keep for themselves: the records of cubbyholes and of wrapped answers, which end with their token.

(`cubbyhole`, accessor)                   Held
(`cubbyhole`, accessor, `entry`, path)    a document: what the token's bearer has written
(`cubbyhole`, accessor, `info`)           WrapInfo, of a wrapping token
(`cubbyhole`, accessor, `answer`)         the answer that it gives
(`cubbyhole-bytes`,)                      a counter: what all of the vault hold together

All but the counter are sealed. Nothing lies below an accessor without its `Held`, so one read tells that there is
nothing to remove.
"""

from __future__ import annotations

from typing import Final

import fdb.tuple

from kms_actors.cubbyhole.records import Held, WrapInfo
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Reads, Transaction
from kms_actors.store.keyspace import TenantKeys, after

CUBBYHOLE: Final = "cubbyhole"
ALL_BYTES: Final = "cubbyhole-bytes"
#: What a wrapped answer counts beside its bytes: the records of its token.
_TOKEN_BYTES: Final = 1024


class Cubbyholes:
    """Those of one vault, each named by an accessor."""

    def __init__(self, keys: TenantKeys, keyring: Keyring) -> None:
        self._keys = keys
        self._keyring = keyring

    async def all_bytes(self, tr: Reads) -> int:
        """Return what all hold together. Who reads it in a change waits for all others that change it."""
        raw = await tr.get(self._keys.key(ALL_BYTES))
        return 0 if raw is None else int.from_bytes(raw, "little", signed=True)

    async def held(self, tr: Reads, accessor: str) -> Held:
        """Return how much a token keeps."""
        raw = await self._open(tr, self._keys.key(CUBBYHOLE, accessor))
        return Held() if raw is None else stored.decode(raw, Held, "cubbyhole record")

    def hold(self, tr: Transaction, accessor: str, before: Held, after: Held | None) -> None:
        """Write how much a token keeps; None: nothing any more."""
        key = self._keys.key(CUBBYHOLE, accessor)
        if after is None:
            tr.clear(key)
        else:
            tr.set(key, self._keyring.seal(key, stored.encode(after)))
        tr.add(self._keys.key(ALL_BYTES), (after or Held()).bytes - before.bytes)

    async def entry(self, tr: Reads, accessor: str, path: str) -> bytes | None:
        """Return a document."""
        return await self._open(tr, self._entry_key(accessor, path))

    def set_entry(self, tr: Transaction, accessor: str, path: str, document: bytes) -> None:
        self._seal(tr, self._entry_key(accessor, path), document)

    def clear_entry(self, tr: Transaction, accessor: str, path: str) -> None:
        tr.clear(self._entry_key(accessor, path))

    async def paths(self, tr: Reads, accessor: str, folder: str, limit: int) -> list[str]:
        """Return the paths that begin with `folder` (empty, or with its slash), sorted, at most `limit`."""
        begin = self._entry_key(accessor, folder)[:-1]  # without what ends a text
        keys = await tr.get_keys(begin, after(begin), limit=limit)
        return [fdb.tuple.unpack(key)[-1] for key in keys]

    def keep_answer(self, tr: Transaction, accessor: str, info: WrapInfo, answer: bytes) -> None:
        """Write the answer that a wrapping token gives."""
        self._seal(tr, self._keys.key(CUBBYHOLE, accessor, "info"), stored.encode(info))
        self._seal(tr, self._keys.key(CUBBYHOLE, accessor, "answer"), answer)
        self.hold(tr, accessor, Held(), Held(bytes=len(answer) + len(info.path) + _TOKEN_BYTES))

    async def info(self, tr: Reads, accessor: str) -> WrapInfo | None:
        """Return what is told of a wrapped answer."""
        raw = await self._open(tr, self._keys.key(CUBBYHOLE, accessor, "info"))
        return None if raw is None else stored.decode(raw, WrapInfo, "record of a wrapped answer")

    async def answer(self, tr: Reads, accessor: str) -> bytes | None:
        """Return a wrapped answer."""
        return await self._open(tr, self._keys.key(CUBBYHOLE, accessor, "answer"))

    async def drop(self, tr: Transaction, accessor: str) -> None:
        """Remove all that a token keeps."""
        held = await self.held(tr, accessor)
        if held == Held():
            return
        self.hold(tr, accessor, held, None)
        key = self._keys.key(CUBBYHOLE, accessor)
        tr.clear_range(key, after(key))

    def _entry_key(self, accessor: str, path: str) -> bytes:
        return self._keys.key(CUBBYHOLE, accessor, "entry", path)

    async def _open(self, tr: Reads, key: bytes) -> bytes | None:
        raw = await tr.get(key)
        return None if raw is None else self._keyring.open(key, raw)

    def _seal(self, tr: Transaction, key: bytes, raw: bytes) -> None:
        tr.set(key, self._keyring.seal(key, raw))
