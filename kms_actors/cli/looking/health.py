"""A node asked how it is, from beside it: what a container runtime or a balancer on the machine wants to know."""

from __future__ import annotations

import json
import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final

from kms_actors.cli.looking.findings import Finding, good, warning, wrong
from kms_actors.config import Configuration, Listener
from kms_actors.system_errors import in_words

#: Seconds that an answer may take.
_SECONDS: Final = 4
_PATH: Final = "/v1/sys/health?standbyok=true"
#: Addresses that a node listens at, and where it is found then.
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - what is asked is this machine


def look(configuration: Configuration) -> Finding:
    """Return how the node with this configuration is; good only if it serves, wrong if it does not answer."""
    listener = _nearest(configuration)
    connection = _connection(listener)
    try:
        connection.request("GET", _PATH)
        told = json.loads(connection.getresponse().read())
        initialized, sealed = bool(told["initialized"]), bool(told["sealed"])
    except ssl.SSLError:
        # Who asks for certificates of clients answers nobody else; that it speaks is enough.
        return good("node", f"{listener.place} speaks TLS")
    except OSError as error:
        return wrong("node", f"{listener.place} does not answer: {in_words(error)}")
    except (HTTPException, ValueError, LookupError, TypeError):
        return wrong("node", f"{listener.place} answers what is not of this API")
    finally:
        connection.close()
    if not initialized:
        return warning("node", f"{listener.place} answers; it is not initialised")
    return warning("node", f"{listener.place} answers; it is sealed") if sealed else good("node", "it serves")


def _nearest(configuration: Configuration) -> Listener:
    """Return a unix socket if there is one, else the first address."""
    listeners = [listener for _, listener in configuration.keyed_listeners]
    return next((each for each in listeners if each.unix is not None), listeners[0])


def _connection(listener: Listener) -> HTTPConnection:
    if listener.unix is not None:
        return _OverUnix(listener.unix)
    host = _ANY.get(str(listener.host), str(listener.host))
    if listener.tls is None:
        return HTTPConnection(host, listener.port, timeout=_SECONDS)
    # Nothing is sent that anybody could not know, and the name in the certificate is that of the outside.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, listener.port, timeout=_SECONDS, context=context)


class _OverUnix(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock: Any = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)
