"""The command line's way to a server of the API: one connection, tried again while the server is not available."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.parse import SplitResult, urlsplit

from kms_actors.cli.surroundings import connection, headers
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes
from kms_actors.system_errors import in_words

#: Seconds waited at most between two attempts, whatever the server asks for.
MAX_WAIT: Final = 30
#: Statuses of a server that may do later what it does not do now.
AGAIN: Final = frozenset({429, 503})


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
        seconds: float | None = None,
        own: bool = True,
    ) -> None:
        """Connect to nothing yet. Raises InvalidRequest if `address` is no http(s) address.

        An answer is waited for so many `seconds`, or as long as the environment says. It is our `own` server that
        the environment is about.
        """
        parts = _parts(address)
        self._connection = connection(parts, seconds, own=own)
        self._server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.root = f"{parts.path.rstrip('/')}/v1/"
        self._headers = {
            "X-Vault-Token": token.reveal().decode("ascii"),
            "X-Vault-Request": "true",  # which an agent in between may ask for
            "Content-Type": "application/json",
            **(headers() if own else {}),
        }
        self._attempts = attempts
        self._again = again
        self._sleep = sleep
        self._server_time: float | None = None

    @property
    def server_time(self) -> float | None:
        """When the last answer was sent, by the server's clock, in seconds since 1970."""
        return self._server_time

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
                self._server_time = _time(response.headers.get("Date", ""))
                if response.status not in self._again:
                    return response.status, content
                failure = refusal(response.status, content)
                wait = _retry_after(response, wait)
            if attempt < self._attempts - 1:
                self._sleep(wait)
        tried = "" if self._attempts == 1 else f" ({self._attempts} attempts)"
        raise RequestFailed(f"{self._server}: {failure}{tried}")

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


def _in_words(error: OSError | HTTPException) -> str:
    """Return why there was no answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the server does not speak TLS as it should"
    if isinstance(error, TimeoutError):
        return "none in time"
    return in_words(error) if isinstance(error, OSError) else "the server does not speak HTTP"


def _time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def _retry_after(response: HTTPResponse, otherwise: float) -> float:
    """Return the seconds that the server asks for, within bounds; a date is not read."""
    asked = response.headers.get("Retry-After", "")
    return min(int(asked), MAX_WAIT) if asked.isascii() and asked.isdecimal() else otherwise
