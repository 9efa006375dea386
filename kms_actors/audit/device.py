"""Audit devices as they are stored, and the headers of requests that entries show."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored

#: Devices of one vault, or of the node, and headers that their entries show.
MAX_DEVICES: Final = 8
MAX_HEADERS: Final = 32

MAX_PATH: Final = 128  # bytes
MAX_DESCRIPTION: Final = 1024  # bytes
MAX_HEADER: Final = 128  # characters

_KEY_BYTES: Final = 32
#: Bytes of memory that an open device takes beside its texts.
_HELD: Final = 4_096


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One device. `key` is that of its HMACs: 32 random bytes, which no other device has."""

    path: str  # with its trailing slash: `file/`
    type: str
    uuid: str
    key: bytes
    description: str = ""
    options: dict[str, str] = {}
    local: bool = False
    format: int = stored.FORMAT

    def __repr__(self) -> str:
        return f"<Device {self.type}>"


class Headers(msgspec.Struct, frozen=True):
    """Names of headers, in lower case, and whether an entry shows their HMACs or the values themselves."""

    shown: dict[str, bool] = {}
    format: int = stored.FORMAT


class Devices(msgspec.Struct, frozen=True):
    """All devices of a vault, or of the node. `revision` counts their changes."""

    revision: int = 0
    all: tuple[Device, ...] = ()
    headers: Headers = Headers()

    def get(self, path: str) -> Device | None:
        """Return the device at exactly `path`."""
        return next((device for device in self.all if device.path == path), None)

    @property
    def held(self) -> int:
        """About how many bytes of memory they take."""
        return sum(_HELD + len(device.description) + len(str(device.options)) for device in self.all)


def new(
    path: str,
    kind: str,
    options: dict[str, str],
    *,
    description: str = "",
    local: bool = False,
    random: Callable[[int], bytes] = os.urandom,
) -> Device:
    """Return a new device with a key of its own."""
    return Device(
        path=path,
        type=kind,
        uuid=str(uuid.uuid4()),
        key=random(_KEY_BYTES),
        description=description,
        options=options,
        local=local,
    )


def check_path(path: str) -> None:
    """Raise InvalidRequest for a path, with its trailing slash, that no device may have."""
    segments = path.removesuffix("/").split("/")
    if not path.isprintable() or any(segment in {"", ".", ".."} for segment in segments):
        raise InvalidRequest("the path of an audit device has printable segments other than '.' and '..'")
    if len(path.encode()) > MAX_PATH:
        raise InvalidRequest(f"the path of an audit device is longer than {MAX_PATH} bytes")


def require_apart(devices: Devices, path: str) -> None:
    """Raise InvalidRequest for a path at, above or below that of another device, or where there are enough."""
    if any(path.startswith(known.path) or known.path.startswith(path) for known in devices.all):
        raise InvalidRequest("path already in use")
    if len(devices.all) >= MAX_DEVICES:
        raise InvalidRequest(f"there are {MAX_DEVICES} audit devices at most")
