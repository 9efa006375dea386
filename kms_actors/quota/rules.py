"""Which quotas there may be, and which of them holds for a request: the most special one alone, as in Vault.

In this order: of a role, of a path, of the longest beginning of a path (`…*`), of the mount, of the whole vault.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.mounts import LOGINS, Mount, MountTable
from kms_actors.quota.records import GROUPINGS, RateLimit

#: Quotas of one vault, exempt paths, and characters of a path or role.
MOST_RULES: Final = 100
MOST_EXEMPT: Final = 100
LONGEST: Final = 512
#: Requests an interval, at most; seconds of an interval.
MOST_RATE: Final = 1e9
LONGEST_INTERVAL: Final = 366 * 86_400

#: What no mount takes.
SYSTEM: Final = ("sys/", "auth/token/", "cubbyhole/", "identity/")
#: Methods whose logins are by roles.
_WITH_ROLES: Final = frozenset({"approle", "jwt", "kubernetes", "oidc"})


class RateTable:
    """Rate limits, and where each holds while the mounts are these."""

    def __init__(self, rules: Iterable[RateLimit], mounts: MountTable) -> None:
        self._exact: dict[str, RateLimit] = {}
        self._mounts: dict[str, RateLimit] = {}
        self._roles: dict[tuple[str, str], RateLimit] = {}
        self._whole: RateLimit | None = None
        globs: list[tuple[str, RateLimit]] = []
        for rule in rules:
            path = whole_path(rule, mounts)
            if path is None:
                continue
            if rule.role:
                self._roles[path, rule.role] = rule
            elif not path:
                self._whole = rule
            elif path.endswith("*"):
                globs.append((path[:-1], rule))
            elif rule.path == "" or path in SYSTEM:
                self._mounts[path] = rule
            else:
                self._exact[path] = rule
        self._globs = sorted(globs, key=lambda glob: len(glob[0]), reverse=True)
        self._with_roles = frozenset(path for path, _ in self._roles)

    def __bool__(self) -> bool:
        return bool(self._exact or self._mounts or self._roles or self._globs or self._whole)

    def has_roles(self, mount: str) -> bool:
        """Tell whether the role of a login at this mount decides anything."""
        return mount in self._with_roles

    def find(self, path: str, mount: str, role: str = "") -> RateLimit | None:
        """Return the one that holds for a request; `mount` is the mount's path, empty where none is."""
        if role:
            rule = self._roles.get((mount, role))
            if rule is not None:
                return rule
        rule = self._exact.get(path)
        if rule is not None:
            return rule
        for beginning, rule in self._globs:
            if path.startswith(beginning):
                return rule
        return self._mounts.get(mount or system_mount(path)) or self._whole


def system_mount(path: str) -> str:
    """Return which of SYSTEM a path is below, or nothing."""
    return next((place for place in SYSTEM if path.startswith(place)), "")


def whole_path(rule: RateLimit, mounts: MountTable) -> str | None:
    """Return the path that a quota is for, with its mount's as it is now; None where that is gone."""
    if rule.mount is None:
        return rule.path
    mount = mounts.numbered(rule.mount)
    return None if mount is None else mount.path + rule.path


def placed(rule: RateLimit, path: str, mounts: MountTable) -> RateLimit:
    """Return the quota for a path as a caller gives it. Raises InvalidRequest, in the reference's words."""
    path = path.removeprefix("/")
    if len(path) > LONGEST or len(rule.role) > LONGEST:
        raise InvalidRequest(f"'path' and 'role' have {LONGEST} characters at most")
    mount = _mount_of(path, mounts)
    if path and mount is None and not system_mount(path) and not system_mount(f"{path}/"):
        raise InvalidRequest(f'invalid mount path "{path}"')
    if mount is None:
        if f"{path}/" in SYSTEM:
            path = f"{path}/"
        if rule.role:
            raise _unsuited(path)
        return msgspec.structs.replace(rule, path=path)
    rest = path[len(mount.path) :]
    role = rule.role
    if role:
        _check_role(mount, rest)
        role = role.lower() if mount.type == "approle" else role
    return msgspec.structs.replace(rule, mount=mount.number, path=rest, role=role)


def check(rule: RateLimit) -> None:
    """Raise InvalidRequest for numbers that no quota may have."""
    if not 0 < rule.rate <= MOST_RATE or math.isnan(rule.rate):
        raise InvalidRequest("'rate' is invalid")
    if not 0 < rule.interval <= LONGEST_INTERVAL:
        raise InvalidRequest("'interval' is invalid")
    if not 0 <= rule.block_interval <= LONGEST_INTERVAL:
        raise InvalidRequest("'block_interval' is invalid")
    if rule.group_by not in GROUPINGS:
        raise InvalidRequest(f"'group_by' is one of {', '.join(GROUPINGS)}")


def added(rules: tuple[RateLimit, ...], rule: RateLimit) -> tuple[RateLimit, ...]:
    """Return the quotas with one that is new, or written anew. Raises InvalidRequest where another has its place."""
    others = tuple(each for each in rules if each.name != rule.name)
    like = next((each for each in others if each.place == rule.place), None)
    if like is not None:
        raise InvalidRequest(f'quota rule with similar properties exists under the name "{like.name}"')
    if len(others) >= MOST_RULES:
        raise InvalidRequest(f"there are {MOST_RULES} quotas, which is as many as there may be")
    return (*others, rule)


def _mount_of(path: str, mounts: MountTable) -> Mount | None:
    """Return the mount that a path is of, or below, with its last slash or without."""
    found = None if system_mount(path) else mounts.match(path)
    return None if found is None else found[0]


def _check_role(mount: Mount, rest: str) -> None:
    if not mount.for_logins:
        raise _unsuited(mount.path)
    if rest:
        raise InvalidRequest(
            "Quotas cannot contain both a path suffix and a role. If a role is provided, path must be a valid auth "
            "mount with a concept of roles"
        )
    if mount.type not in _WITH_ROLES:
        raise InvalidRequest(f'Mount path "{mount.path}" does not support use with role-based quotas')


def _unsuited(path: str) -> InvalidRequest:
    kind = "auth method" if not path.startswith(LOGINS) else "auth mount"
    return InvalidRequest(
        f'Mount path "{path}" is not a valid {kind} and therefore unsuitable for use with role-based quotas'
    )
