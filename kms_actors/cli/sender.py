"""The command line's way to a server of the API: one connection, tried again while the server is not available."""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult, urlsplit

from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes
from kms_actors.system_errors import in_words

#: Seconds waited at most between two attempts, whatever the server asks for.
MAX_WAIT: Final = 30
#: Statuses of a server that may do later what it does not do now.
AGAIN: Final = frozenset({429, 503})

_TIMEOUT: Final = 60.0
_CERTIFICATES: Final = "VAULT_CACERT"


class RequestFailed(Exception):
    """The server refused a request as a whole, or could not be reached."""


class Sender:
    """What is sent here may be sent twice. Redirects are not followed: they would take the token elsewhere.

    `root` is what targets begin with, up to the API's version.
    """

    def __init__(
        self,
        address: str,
        token: SecretBytes,
        *,
        attempts: int = 1,
        again: frozenset[int] = AGAIN,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect to nothing yet. Raises InvalidRequest if `address` is no http(s) address."""
        parts = _parts(address)
        self._connection = _connection(parts)
        self.root = f"{parts.path.rstrip('/')}/v1/"
        self._headers = {
            "X-Vault-Token": token.reveal().decode("ascii"),
            "X-Vault-Request": "true",  # which an agent in between may ask for
            "Content-Type": "application/json",
        }
        self._attempts = attempts
        self._again = again
        self._sleep = sleep

    def send(self, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return status and body of an answer. Raises RequestFailed after the last attempt."""
        failure = ""
        for attempt in range(self._attempts):
            wait: float = min(1 << attempt, MAX_WAIT)
            try:
                self._connection.request(method, target, body, self._headers)
                response = self._connection.getresponse()
                content = response.read()
            except (OSError, HTTPException) as error:
                self._connection.close()
                failure = f"no answer: {_in_words(error)}"
            else:
                if response.status not in self._again:
                    return response.status, content
                failure = refusal(response.status, content)
                wait = _retry_after(response, wait)
            if attempt < self._attempts - 1:
                self._sleep(wait)
        raise RequestFailed(failure if self._attempts == 1 else f"{failure} ({self._attempts} attempts)")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def refusal(status: int, content: bytes) -> str:
    """Return what is told of an answer that is no success: its status, and the texts of an error of the API."""
    try:
        texts = "; ".join(map(str, json.loads(content)["errors"]))
    except (ValueError, LookupError, TypeError):
        texts = ""
    return f"{status} {texts}".strip()


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        found = bool(parts.hostname) and (parts.port is None or parts.port >= 0)
    except ValueError:
        found = False
    if not found or parts.scheme not in ("http", "https"):
        raise InvalidRequest("the address is not like https://kms.example:8202")
    return parts


def _connection(parts: SplitResult) -> HTTPConnection:
    """Return a connection that is not made yet, which trusts the system's authorities, or those of VAULT_CACERT."""
    host = parts.hostname or ""
    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=_TIMEOUT)
    file = os.environ.get(_CERTIFICATES) or None
    try:
        context = ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        raise InvalidRequest(f"{_CERTIFICATES}: {file} holds no certificates in PEM") from None
    except OSError as error:
        raise InvalidRequest(f"{_CERTIFICATES}: {file} cannot be read: {in_words(error)}") from None
    return HTTPSConnection(host, parts.port, timeout=_TIMEOUT, context=context)


def _in_words(error: OSError | HTTPException) -> str:
    """Return why there was no answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the server does not speak TLS as it should"
    if isinstance(error, TimeoutError):
        return "none in time"
    return in_words(error) if isinstance(error, OSError) else "the server does not speak HTTP"


def _retry_after(response: HTTPResponse, otherwise: float) -> float:
    """Return the seconds that the server asks for, within bounds; a date is not read."""
    asked = response.headers.get("Retry-After", "")
    return min(int(asked), MAX_WAIT) if asked.isascii() and asked.isdecimal() else otherwise
