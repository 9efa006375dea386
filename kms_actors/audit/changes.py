"""What devices become by a change of them: the same rules for those of a vault and for those of the node."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from kms_actors.audit import options
from kms_actors.audit.device import MAX_DESCRIPTION, MAX_HEADER, MAX_HEADERS, Device, Devices, require_apart
from kms_actors.audit.options import DISCARD, STDOUT, FileOptions, Options
from kms_actors.errors import InvalidRequest

#: Names of headers (RFC 9110, section 5.1).
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Headers whose values are secrets: their HMACs alone are shown.
_SECRET: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-vault-token"})


def enabled(devices: Devices, device: Device) -> Devices:
    """Return the devices with one more; raises InvalidRequest."""
    require_apart(devices, device.path)
    if len(device.description.encode()) > MAX_DESCRIPTION:
        raise InvalidRequest(f"description is longer than {MAX_DESCRIPTION} bytes")
    file = _file(options.read(device.type, device.options))
    if file is not None and file in {_file(options.read(known.type, known.options)) for known in devices.all}:
        raise InvalidRequest("another device writes to this file")
    return _changed(devices, all=(*devices.all, device))


def disabled(devices: Devices, path: str) -> Devices:
    """Return the devices without one; the same if it is not there."""
    rest = tuple(device for device in devices.all if device.path != path)
    return devices if len(rest) == len(devices.all) else _changed(devices, all=rest)


def shown(devices: Devices, name: str, *, hmac: bool) -> Devices:
    """Return them with a header that entries show; raises InvalidRequest."""
    if len(name) > MAX_HEADER or _NAME.fullmatch(name) is None:
        raise InvalidRequest("this is no name of a header")
    name = name.lower()
    if name in _SECRET and not hmac:
        raise InvalidRequest("the value of this header is a secret: set hmac")
    headers = {**devices.headers.shown, name: hmac}
    if len(headers) > MAX_HEADERS:
        raise InvalidRequest(f"entries show {MAX_HEADERS} headers at most")
    return _with_headers(devices, headers)


def hidden(devices: Devices, name: str) -> Devices:
    """Return them without a header; the same if it is not shown."""
    headers = {known: hmac for known, hmac in devices.headers.shown.items() if known != name.lower()}
    return devices if headers == devices.headers.shown else _with_headers(devices, headers)


def _with_headers(devices: Devices, headers: dict[str, bool]) -> Devices:
    return _changed(devices, headers=msgspec.structs.replace(devices.headers, shown=headers))


def _changed(devices: Devices, **fields: object) -> Devices:
    return msgspec.structs.replace(devices, revision=devices.revision + 1, **fields)


def _file(chosen: Options) -> str | None:
    outlet = chosen.outlet
    return outlet.name if isinstance(outlet, FileOptions) and outlet.name not in {STDOUT, DISCARD} else None
