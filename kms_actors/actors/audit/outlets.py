"""What the node lets devices write to: of what the API names, only what the configuration allows.

A vault's administrator must not write where he likes on a node, nor reach what the node can reach. So a file is named
without a folder, and lies in that of its scope; an address is one of the configured. The same goes for the operator
of the cluster: his token is used over the network, and whoever gets hold of it has no more of the nodes than this.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from kms_actors.actors.audit.book import Book
from kms_actors.actors.audit.proven_file import ProvenFile, Settings
from kms_actors.actors.audit.sinks.datagrams import DatagramSink, syslog_frame
from kms_actors.actors.audit.sinks.discarding import DiscardSink
from kms_actors.actors.audit.sinks.disk import AnyDisk
from kms_actors.actors.audit.sinks.file import FileSink
from kms_actors.actors.audit.sinks.output import OutputSink
from kms_actors.actors.audit.sinks.stream import StreamSink
from kms_actors.audit.device import Device
from kms_actors.audit.options import DISCARD, STDOUT, FileOptions, Options, SocketOptions, SyslogOptions
from kms_actors.audit.sink import Sink
from kms_actors.config import Audit, bytes_of
from kms_actors.errors import InvalidRequest

#: Threads that write files: of the node's devices, and of those of all vaults, of which none may hold up the former.
_NODE_THREADS: Final = 2
_VAULT_THREADS: Final = 8
_UDP: Final = "udp://"


class Scope(NamedTuple):
    """Whose devices: the cluster's, by its namespace, or those of a vault, by its id."""

    name: str
    is_node: bool = False


class Outlets:
    """What one process writes entries to."""

    def __init__(self, settings: Audit, node: str = "") -> None:
        """`node` is what anchors call this node."""
        self._settings = settings
        self._node = node
        self._node_pool = ThreadPoolExecutor(_NODE_THREADS, thread_name_prefix="audit-node")
        self._vault_pool = ThreadPoolExecutor(_VAULT_THREADS, thread_name_prefix="audit")
        self._node_disk = AnyDisk(self._node_pool)
        self._vault_disk = AnyDisk(self._vault_pool)

    def check(self, scope: Scope, device: Device, options: Options) -> None:
        """Raise InvalidRequest, naming the setting, for what the node does not let this scope write to."""
        settings, outlet = self._settings, options.outlet
        if not scope.is_node and device.type not in settings.vault_devices:
            raise InvalidRequest(f"vaults have no devices of type {device.type} here (setting audit.vault_devices)")
        if scope.is_node and options.raw:
            raise InvalidRequest("option log_raw: not of the cluster's devices, which entries of all vaults go to")
        if isinstance(outlet, FileOptions):
            if outlet.name == STDOUT and not scope.is_node:
                raise InvalidRequest("stdout is the node's: only the cluster's operator may write to it")
            if outlet.name not in {STDOUT, DISCARD} and not settings.folder:
                raise InvalidRequest("there is no folder for the files of devices here (setting audit.folder)")
        if isinstance(outlet, SocketOptions) and outlet.url not in settings.sockets:
            raise InvalidRequest("no device may write to this address here (setting audit.sockets)")

    def sink(self, scope: Scope, options: Options, book: Book) -> Sink:
        """Return where a device writes to; nothing is opened yet."""
        outlet = options.outlet
        if isinstance(outlet, FileOptions):
            return self._file(scope, options, outlet, book)
        if isinstance(outlet, SocketOptions):
            if outlet.kind == "udp":
                return DatagramSink(outlet.address, outlet.write_seconds)
            return StreamSink(outlet.address, outlet.write_seconds, local=outlet.kind == "unix")
        frame = syslog_frame(outlet.facility, outlet.tag, os.getpid())
        return DatagramSink(self._settings.syslog.removeprefix(_UDP), SocketOptions("").write_seconds, frame)

    def folder(self, scope: Scope) -> Path:
        """Return the folder of the files of a scope."""
        below = Path(self._settings.folder)
        return below / "node" if scope.is_node else below / "vaults" / scope.name

    def close(self) -> None:
        """End the threads; one that hangs is left behind."""
        self._node_disk.close()
        self._vault_disk.close()
        self._node_pool.shutdown(wait=False, cancel_futures=True)
        self._vault_pool.shutdown(wait=False, cancel_futures=True)

    def _file(self, scope: Scope, options: Options, outlet: FileOptions, book: Book) -> Sink:
        if outlet.name == DISCARD:
            return DiscardSink()
        pool = self._node_pool if scope.is_node else self._vault_pool
        if outlet.name == STDOUT:
            return OutputSink(pool)
        most = None if scope.is_node else bytes_of(self._settings.vault_file_bytes)
        path = self.folder(scope) / outlet.name
        if outlet.proof == "off":
            return FileSink(path, outlet.mode, pool, most)
        strict = outlet.proof == "strict"
        settings = Settings(path, outlet.mode, self._node, strict, options.prefix, most)
        return ProvenFile(settings, book, pool, self._node_disk if scope.is_node else self._vault_disk)


__all__ = ["Outlets", "Scope", "SyslogOptions"]
