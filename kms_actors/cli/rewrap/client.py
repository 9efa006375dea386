"""One request of the Transit API, `rewrap` with a batch, tried again while the server is not available."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes
from kms_actors.system_errors import in_words

#: Times that one batch is sent.
ATTEMPTS: Final = 8
#: Seconds waited at most between two of them, whatever the server asks for.
MAX_WAIT: Final = 30

_TIMEOUT: Final = 60.0
_AGAIN: Final = frozenset({429, 503})
_CIPHERTEXT: Final = re.compile(r"[A-Za-z0-9]+:v[0-9]+:[A-Za-z0-9+/=:_-]+")


class Wanted(NamedTuple):
    """A ciphertext with what was given when it was made: base64, or nothing."""

    ciphertext: str
    context: str = ""
    associated_data: str = ""


class Rewrapped(NamedTuple):
    """A new ciphertext, or why there is none."""

    ciphertext: str = ""
    error: str = ""


class RequestFailed(Exception):
    """The server refused a request as a whole, or could not be reached."""


class RewrapClient:
    """Rewraps with one key. Redirects are not followed: they would take the token elsewhere."""

    def __init__(
        self,
        address: str,
        token: SecretBytes,
        *,
        mount: str,
        key: str,
        key_version: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect to nothing yet. Raises InvalidRequest if `address` is no http(s) address."""
        self._connection = connection(address)
        self._target = (
            f"{urlsplit(address).path.rstrip('/')}/v1/{quote(mount.strip('/'))}/rewrap/{quote(key, safe='')}"
        )
        self._headers = {"X-Vault-Token": token.reveal().decode("ascii"), "Content-Type": "application/json"}
        self._further: dict[str, Any] = {} if key_version is None else {"key_version": key_version}
        self._sleep = sleep

    def rewrap(self, wanted: Sequence[Wanted]) -> list[Rewrapped]:
        """Return what became of each ciphertext. Raises RequestFailed after the last attempt."""
        batch = [{name: value for name, value in item._asdict().items() if value} | self._further for item in wanted]
        answer = self._answer(json.dumps({"batch_input": batch}).encode())
        try:
            results = [_result(entry) for entry in json.loads(answer)["data"]["batch_results"]]
        except (ValueError, LookupError, TypeError, AttributeError):
            raise RequestFailed("the answer is not one of the Transit API") from None
        if len(results) != len(wanted):
            raise RequestFailed("the answer has another number of results than the request had items")
        return results

    def close(self) -> None:
        self._connection.close()

    def _answer(self, body: bytes) -> bytes:
        """Return the body of a success. Sending a batch twice does no harm, so each failure to connect is retried."""
        failure = ""
        for attempt in range(ATTEMPTS):
            wait: float = min(1 << attempt, MAX_WAIT)
            try:
                self._connection.request("POST", self._target, body, self._headers)
                response = self._connection.getresponse()
                content = response.read()
            except (OSError, HTTPException) as error:
                self._connection.close()
                failure = f"no answer: {failure_in_words(error)}"
            else:
                if response.status == 200:
                    return content
                failure = f"{response.status} {errors(content)}".strip()
                if response.status not in _AGAIN:
                    raise RequestFailed(failure)
                wait = retry_after(response, wait)
            if attempt < ATTEMPTS - 1:
                self._sleep(wait)
        raise RequestFailed(f"{failure} ({ATTEMPTS} attempts)")


def failure_in_words(error: OSError | HTTPException) -> str:
    """Return why there was no answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the server does not speak TLS as it should"
    if isinstance(error, TimeoutError):
        return "none in time"
    return in_words(error) if isinstance(error, OSError) else "the server does not speak HTTP"


def connection(address: str) -> HTTPConnection:
    """Return a connection that is not made yet. Raises InvalidRequest if `address` is no http(s) address."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise InvalidRequest("the address is not like https://kms.example:8202")
    if parts.scheme == "http":
        return HTTPConnection(host, port, timeout=_TIMEOUT)
    return HTTPSConnection(host, port, timeout=_TIMEOUT, context=ssl.create_default_context())


def _result(entry: Any) -> Rewrapped:
    if error := entry.get("error"):
        return Rewrapped(error=str(error))
    ciphertext = entry["ciphertext"]
    if not _CIPHERTEXT.fullmatch(ciphertext):
        return Rewrapped(error="the answer holds no ciphertext")
    return Rewrapped(ciphertext)


def errors(content: bytes) -> str:
    """Return the texts of an error of the API."""
    try:
        return "; ".join(map(str, json.loads(content)["errors"]))
    except (ValueError, LookupError, TypeError):
        return ""


def retry_after(response: HTTPResponse, otherwise: float) -> float:
    """Return the seconds that the server asks for, within bounds; a date is not read."""
    asked = response.headers.get("Retry-After", "")
    return min(int(asked), MAX_WAIT) if asked.isascii() and asked.isdecimal() else otherwise
