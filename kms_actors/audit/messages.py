"""Messages of audit devices: the same for a vault and for the node."""

from __future__ import annotations

import msgspec

from kms_actors.audit.log.anchors import StoredAnchor
from kms_actors.audit.log.findings import Trust
from kms_actors.messages import Command, Query


class ReadDevices(Query, frozen=True):
    """Answer: Devices."""


class EnableDevice(Command, frozen=True):
    """Write entries to one more device, at `path` (with its trailing slash). Answer: None."""

    path: str
    type: str
    description: str
    options: dict[str, str]
    local: bool = False


class DisableDevice(Command, frozen=True):
    """Write no more to a device, and forget its key. Answer: whether there was one."""

    path: str


class HashInput(Query, frozen=True):
    """Answer: what stands for a text in the entries of a device. Raises InvalidRequest where there is none."""

    path: str
    text: str


class Checkpoints(msgspec.Struct, frozen=True):
    """How far the logs of a device are known to go, and the key that signs them."""

    trust: Trust
    logs: tuple[StoredAnchor, ...]


class ReadCheckpoints(Query, frozen=True):
    """Answer: Checkpoints. Raises InvalidRequest where there is no device, or none with proofs."""

    path: str


class WriteHeader(Command, frozen=True):
    """Show a header of requests in entries, as its HMAC or as it is. Answer: None."""

    name: str
    hmac: bool


class DeleteHeader(Command, frozen=True):
    """Show a header no more. Answer: None."""

    name: str


#: All of them.
AUDIT_MESSAGES = (ReadDevices, EnableDevice, DisableDevice, HashInput, ReadCheckpoints, WriteHeader, DeleteHeader)
