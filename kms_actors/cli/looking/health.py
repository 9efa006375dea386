"""A node asked how it is, from beside it: what a container runtime or a balancer on the machine wants to know."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final

from kms_actors.cli.looking.findings import Finding, good, warning, wrong
from kms_actors.cli.over_unix import UnixConnection
from kms_actors.cli.sender import PLAIN
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
        return _told(listener, json.loads(connection.getresponse().read()))
    except ssl.SSLError as error:
        if error.reason in PLAIN:
            return wrong("node", f"{listener.place} does not speak TLS")
        # Who asks for certificates of clients answers nobody else; that it speaks is enough.
        return good("node", f"{listener.place} speaks TLS")
    except OSError as error:
        return wrong("node", f"{listener.place} does not answer: {in_words(error)}")
    except (HTTPException, ValueError, LookupError, TypeError):
        return wrong("node", f"{listener.place} answers what is not of this API")
    finally:
        connection.close()


def _told(listener: Listener, told: dict[str, Any]) -> Finding:
    if set(told) == {"errors"}:  # as of whoever wants to know for whom a proxy speaks
        text = "; ".join(told["errors"])
        return warning("node", f"{listener.place} answers, and does not say how it is: {text}")
    if not told["initialized"]:
        return warning("node", f"{listener.place} answers; it is not initialised")
    return warning("node", f"{listener.place} answers; it is sealed") if told["sealed"] else good("node", "it serves")


def _nearest(configuration: Configuration) -> Listener:
    """Return a unix socket if there is one, else the first address; those for proxies alone come last."""
    listeners = [listener for _, listener in configuration.keyed_listeners]
    return min(listeners, key=lambda each: (_is_for_proxies(each), each.unix is None))


def _is_for_proxies(listener: Listener) -> bool:
    """Tell whether somebody who is no proxy, as we are none, may not be answered there."""
    forwarded = listener.x_forwarded_for_authorized_addrs and listener.x_forwarded_for_reject_not_present
    return bool(listener.proxy_protocol_authorized_addrs or forwarded)


def _connection(listener: Listener) -> HTTPConnection:
    if listener.unix is not None:
        return UnixConnection(listener.unix, _SECONDS)
    host = _ANY.get(str(listener.host), str(listener.host))
    if listener.tls is None:
        return HTTPConnection(host, listener.port, timeout=_SECONDS)
    # Nothing is sent that anybody could not know, and the name in the certificate is that of the outside.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, listener.port, timeout=_SECONDS, context=context)
