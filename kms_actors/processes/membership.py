"""That a node is there, as long as it is: where its API is, for those who list the nodes of a cluster."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Final

from kms_actors.actors.cluster.members import Heartbeat, member_of
from kms_actors.config import Configuration
from kms_actors.store.api import Store

#: Of addresses that stand for all of a machine's.
_ANY_HOST: Final = ("", "0.0.0.0", "::")  # noqa: S104  # compared with, not listened on


async def begin_heartbeat(
    stack: contextlib.AsyncExitStack, configuration: Configuration, store: Store, sealed: Callable[[], bool]
) -> None:
    """Say that the node is there until `stack` ends."""
    master = configuration.master_keyring_provider
    heartbeat = Heartbeat(store, master.namespace, member_of(master.node_name, _address(configuration)), sealed)
    stack.push_async_callback(heartbeat.stop)
    await heartbeat.start()


def _address(configuration: Configuration) -> str:
    """Return where the API is: by the first listener with a port, or by a socket where there is none."""
    listeners = [listener for _, listener in configuration.keyed_listeners]
    first = next((each for each in listeners if each.unix is None), listeners[0])
    if first.unix is not None:
        return first.place
    host = socket.gethostname() if first.host in _ANY_HOST else first.host
    return f"{'http' if first.tls is None else 'https'}://{host}:{first.port}"
