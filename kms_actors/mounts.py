"""Mounts of a tenant, their settings, and the table that finds the one a path belongs to.

Everything that a mount may be told is a field here: stored, shown and checked by `check`, in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from sys import getsizeof
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from kms_actors.errors import InvalidRequest

#: Seconds that leases of a mount have at most, and where it says nothing.
SYSTEM_LEASE_TTL: Final = 32 * 24 * 3600

#: What the paths of mounts begin with that give tokens; no other mount's does.
LOGINS: Final = "auth/"
#: Where tokens come from that tokens make. It has a record once it is tuned, of a number that no other mount has.
TOKENS: Final = f"{LOGINS}token/"
TOKENS_NUMBER: Final = 0
#: Names the mounts that every vault has, without a record.
_OWN_MOUNTS: Final = UUID("0f7c2d5e-6d0a-4c35-9a53-0c5b1c6f2a11")


def own_mount_id(vault_id: str, kind: str) -> str:
    """Return the UUID of a mount that every vault has: of `token`, `sys` and others."""
    return str(uuid5(_OWN_MOUNTS, (kind if kind != "token" else "") + vault_id))


def token_mount_accessor(vault_id: str) -> str:
    """Return the accessor of the mount that a vault's tokens come from, which aliases of entities name."""
    return f"auth_token_{own_mount_id(vault_id, 'token')[:8]}"


def token_mount(vault_id: str, tuned: Mount | None = None) -> Mount:
    """Return the mount that a vault's tokens come from; `tuned` is its record, where it has one."""
    uuid, accessor = own_mount_id(vault_id, "token"), token_mount_accessor(vault_id)
    if tuned is None:
        return Mount(TOKENS, "token", TOKENS_NUMBER, uuid, accessor, "token based credentials")
    return msgspec.structs.replace(tuned, uuid=uuid, accessor=accessor)  # as a restored vault has another id


#: Types of mounts for logins. Each keeps its records in an area of its name.
LOGIN_TYPES: Final = ("approle", "cert", "jwt", "kubernetes", "oidc", "userpass")
#: Of these, the ones whose secrets can be guessed: failed logins lock a name for a while.
LOCKING_TYPES: Final = frozenset({"approle", "userpass"})
#: Areas of records that lie under a mount's number.
AREAS: Final = ("kv", "transit", *LOGIN_TYPES, "due")

MAX_PATH: Final = 256  # bytes
MAX_DESCRIPTION: Final = 1024  # bytes
#: Bytes of a mount's record: description, options and all settings together.
MAX_RECORD: Final = 8192
TOO_LARGE: Final = f"description, options and settings of a mount take more than {MAX_RECORD} bytes"

_LISTING: Final = frozenset({"", "hidden", "unauth"})
#: Of the kv engine; without one it is version 1.
_KV_VERSIONS: Final = frozenset({None, "", "1", "2"})
_TOKEN_TYPES: Final = frozenset({"", "default-service", "default-batch", "service", "batch"})


class LockoutConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """When failed logins lock a name, and for how long. Durations are in seconds; 0 where the system's hold."""

    threshold: int = 0
    duration: int = 0
    counter_reset: int = 0
    disable: bool = False


class MountConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """Settings of a mount. TTLs are in seconds, 0 where the system's hold; tokens of logins have them, too.

    The lists are kept for who reads them: audit devices, and engines that see headers.
    """

    default_lease_ttl: int = 0
    max_lease_ttl: int = 0
    force_no_cache: bool = False
    listing_visibility: str = ""  # `unauth`: shown without access; `hidden` and empty: not
    audit_non_hmac_request_keys: tuple[str, ...] = ()
    audit_non_hmac_response_keys: tuple[str, ...] = ()
    passthrough_request_headers: tuple[str, ...] = ()
    allowed_response_headers: tuple[str, ...] = ()
    token_type: str = ""  # of logins; empty: `default-service`
    user_lockout_config: LockoutConfig | None = None  # of logins


class Mount(msgspec.Struct, frozen=True):
    """One mounted engine. `number` names it in store keys: never reused, so a new mount never sees old data."""

    path: str  # with its trailing slash: `secret/`, `team/kv/`
    type: str  # `kv`, `transit`, or one of LOGIN_TYPES
    number: int
    uuid: str
    accessor: str
    description: str = ""
    options: dict[str, str] = {}
    config: MountConfig = MountConfig()
    local: bool = False
    seal_wrap: bool = False
    moves: int = 0  # how often it got another path; tokens of logins end by that

    @property
    def engine(self) -> str:
        """What serves requests below it: its type, but `kv-v1` for version 1 of `kv`."""
        return "kv-v1" if self.type == "kv" and self.options.get("version") != "2" else self.type

    @property
    def for_logins(self) -> bool:
        """Whether callers get tokens there: `auth/approle/`."""
        return self.path.startswith(LOGINS)

    @property
    def size(self) -> int:
        """Bytes of its record."""
        return len(msgspec.json.encode(self))

    @property
    def held(self) -> int:
        """Bytes of memory that its texts take, beside what every mount takes."""
        config = (getattr(self.config, name) for name in self.config.__struct_fields__)
        lists = [value for value in config if isinstance(value, tuple)]
        texts = [self.description, *self.options, *self.options.values(), *chain.from_iterable(lists)]
        return sum(map(getsizeof, texts)) + getsizeof(self.options) + sum(map(getsizeof, lists))


def check(mount: Mount) -> None:
    """Raise InvalidRequest, naming the setting, for a mount that may not be."""
    if len(mount.description.encode()) > MAX_DESCRIPTION:
        raise InvalidRequest(f"description is longer than {MAX_DESCRIPTION} bytes")
    if mount.size > MAX_RECORD:
        raise InvalidRequest(TOO_LARGE)
    _check_config(mount.config)
    version = mount.options.get("version")
    if mount.for_logins:
        _check_login(mount)
    elif mount.type == "kv":
        if version not in _KV_VERSIONS:
            raise InvalidRequest("options.version of the kv engine must be 1 or 2")
    elif version is not None:
        raise InvalidRequest(f'secrets engine "{mount.type}" does not allow setting a version')


def _check_login(mount: Mount) -> None:
    if mount.options.get("version") is not None:
        raise InvalidRequest(f'auth method "{mount.type}" does not allow setting a version')
    if mount.number == TOKENS_NUMBER and mount.path == TOKENS and mount.config.token_type:
        raise InvalidRequest("'token_type' cannot be set for 'token' or 'ns_token' auth mounts")
    if mount.config.token_type not in _TOKEN_TYPES:
        raise InvalidRequest("invalid value for 'token_type'")
    lockout = mount.config.user_lockout_config
    if lockout is None:
        return
    if lockout.threshold < 0 or lockout.duration < 0 or lockout.counter_reset < 0:
        raise InvalidRequest("user_lockout_config must not be negative")
    if mount.type not in LOCKING_TYPES:
        raise InvalidRequest(f'tuning of user lockout configuration for auth type "{mount.type}" not allowed')


def tuned(config: MountConfig, sent: Mapping[str, Any]) -> MountConfig:
    """Return settings with those that were sent; of `user_lockout_config`, with what that has."""
    changes = sent.get("user_lockout_config")
    if changes is not None:
        lockout = config.user_lockout_config
        if changes:
            lockout = msgspec.structs.replace(lockout or LockoutConfig(), **changes)
        sent = {**sent, "user_lockout_config": lockout}
    return msgspec.structs.replace(config, **sent)


def _check_config(config: MountConfig) -> None:
    ttl, most = config.default_lease_ttl, config.max_lease_ttl
    for name, seconds in (("default_lease_ttl", ttl), ("max_lease_ttl", most)):
        if seconds < 0:
            raise InvalidRequest(f"{name} must not be negative")
    if ttl > (most or SYSTEM_LEASE_TTL):
        what = "given max lease TTL" if most else f"system max lease TTL of {SYSTEM_LEASE_TTL}"
        raise InvalidRequest(f"given default lease TTL greater than {what}")
    if config.listing_visibility not in _LISTING:
        raise InvalidRequest("invalid listing_visibility: hidden or unauth")


def check_path(path: str) -> None:
    """Raise InvalidRequest for a path, with its trailing slash, that no mount may have."""
    segments = path.removesuffix("/").split("/")
    if not path.isprintable() or any(segment in {"", ".", ".."} for segment in segments):
        raise InvalidRequest("a mount path has printable segments other than '.' and '..'")
    if len(path.encode()) > MAX_PATH:
        raise InvalidRequest(f"a mount path is longer than {MAX_PATH} bytes")


class MountTable:
    """All mounts of a tenant, immutable. Paths never nest, so the first match is the only one.

    `tokens` is apart from them: the record of `auth/token/`, or None where nobody has tuned that.
    """

    __slots__ = ("_by_first_segment", "_by_number", "_mounts", "tokens")

    def __init__(self, mounts: Iterable[Mount]) -> None:
        found = sorted(mounts, key=lambda mount: mount.path)
        self._mounts = tuple(mount for mount in found if mount.number != TOKENS_NUMBER)
        self.tokens: Final = next((mount for mount in found if mount.number == TOKENS_NUMBER), None)
        self._by_number = {mount.number: mount for mount in self._mounts}
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

    def numbered(self, number: int) -> Mount | None:
        """Return the mount of this number."""
        return self._by_number.get(number)

    def __iter__(self) -> Iterator[Mount]:
        return iter(self._mounts)

    def get(self, path: str) -> Mount | None:
        """Return the mount at exactly `path`."""
        return next((mount for mount in self._mounts if mount.path == path), None)
