"""Mounts of a tenant and the table that finds the one a path belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec


class Mount(msgspec.Struct, frozen=True):
    """One mounted engine. `number` names it in store keys: never reused, so a new mount never sees old data."""

    path: str  # with its trailing slash: `secret/`, `team/kv/`
    type: str  # `kv` or `transit`
    number: int
    uuid: str
    accessor: str
    description: str = ""
    options: dict[str, str] = {}


class MountTable:
    """All mounts of a tenant, immutable. Paths never nest, so the first match is the only one."""

    __slots__ = ("_by_first_segment", "_mounts")

    def __init__(self, mounts: Iterable[Mount]) -> None:
        self._mounts = tuple(sorted(mounts, key=lambda mount: mount.path))
        self._by_first_segment: dict[str, list[Mount]] = {}
        for mount in self._mounts:
            self._by_first_segment.setdefault(mount.path.partition("/")[0], []).append(mount)

    def match(self, path: str) -> tuple[Mount, str] | None:
        """Return the mount `path` lies under and the rest below it; `secret` alone is the root of `secret/`."""
        for mount in self._by_first_segment.get(path.partition("/")[0], ()):
            if path.startswith(mount.path):
                return mount, path[len(mount.path) :]
            if len(path) + 1 == len(mount.path) and mount.path.startswith(path):
                return mount, ""
        return None

    def collides(self, path: str) -> Mount | None:
        """Return a mount that `path` would lie above, below or on."""
        return next((m for m in self._mounts if m.path.startswith(path) or path.startswith(m.path)), None)

    def __iter__(self) -> Iterator[Mount]:
        return iter(self._mounts)

    def get(self, path: str) -> Mount | None:
        """Return the mount at exactly `path`."""
        return next((mount for mount in self._mounts if mount.path == path), None)
