"""The command line's way to a server of the API: one connection, tried again while the server is not available."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from typing import Final
from urllib.parse import SplitResult, urlsplit

from kms_actors.cli.surroundings import connection, headers, in_namespace, warn
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes
from kms_actors.system_errors import in_words

#: Seconds waited at most between two attempts, whatever the server asks for.
MAX_WAIT: Final = 30
#: Attempts that are over before somebody wonders.
_FEW: Final = 2
#: Statuses of a server that may do later what it does not do now.
AGAIN: Final = frozenset({429, 503})
_PHRASES: Final = {each.value: each.phrase for each in HTTPStatus} | dict.fromkeys(
    (301, 302, 303, 307, 308), "a redirect, which is not followed: give the address that it leads to"
)
_SENTENCE: Final = 200  # bytes
#: What the library says of whoever answers in the clear, by its releases.
PLAIN: Final = frozenset({"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})
#: What Vault puts above several errors, which are a list then.
_COUNTED: Final = re.compile(r"\d+ errors? occurred:")


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
        namespace: str = "",
    ) -> None:
        """Connect to nothing yet. Raises InvalidRequest if `address` is no address of HTTP, TLS or a unix socket.

        An answer is waited for so many `seconds`, or as long as the environment says. It is our `own` server that
        the environment is about; of another one, `namespace` is the one that is asked.
        """
        parts = _parts(address)
        self._connection = connection(parts, seconds, own=own)
        local = parts.scheme == "unix"
        self.server: Final = f"{parts.scheme}://{parts.path if local else parts.netloc.rpartition('@')[2]}"
        self.root = "/v1/" if local else f"{parts.path.rstrip('/')}/v1/"
        self._headers = {
            "X-Vault-Token": token.reveal().decode("ascii"),
            "X-Vault-Request": "true",  # which an agent in between may ask for
            "Content-Type": "application/json",
            **(headers() if own else in_namespace(namespace, "--other-namespace")),
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
                if self._server_time is None and _stays(error):
                    raise RequestFailed(f"{self.server}: {failure}") from None
            else:
                self._server_time = _time(response.headers.get("Date", ""))
                if response.status not in self._again:
                    return response.status, content
                failure = refusal(response.status, content)
                wait = _retry_after(response, wait)
            if attempt < self._attempts - 1:
                if self._attempts > _FEW:
                    warn(f"{self.server}: {failure}; it is tried {self._attempts} times in all", programs=False)
                self._sleep(wait)
        tried = "" if self._attempts == 1 else f" ({self._attempts} attempts)"
        raise RequestFailed(f"{self.server}: {failure}{tried}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def refusal(status: int, content: bytes) -> str:
    """Return what is told of an answer that is no success: its status, and the texts of an error of the API."""
    try:
        texts = in_one_line(json.loads(content)["errors"])
    except (ValueError, LookupError, TypeError):
        texts = _sentence(content)
    return f"{status} {texts or _PHRASES.get(status, '')}".strip()


def _sentence(content: bytes) -> str:
    """Return a plain sentence, as servers and proxies before the API send it; nothing if it is more than that."""
    text = content[:_SENTENCE].decode("ascii", errors="replace").strip()
    return text if text.isascii() and text.isprintable() and text[:1].isalpha() else ""


def in_one_line(errors: Iterable[object]) -> str:
    """Return the texts of an error of the API as one: Vault tells some of them as a list, with a line for each."""
    lines = (line.strip().removeprefix("* ") for text in errors for line in str(text).splitlines())
    return "; ".join(line for line in lines if line and not _COUNTED.fullmatch(line))


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
            return parts
        found = bool(parts.hostname) and (parts.port is None or parts.port >= 0)
        str(parts.hostname).encode("idna")  # as the name is asked for: no part of it is empty, or too long
    except ValueError:
        found = False
    if found and parts.path.rstrip("/").endswith("/v1"):
        raise InvalidRequest("the address ends before /v1, which is put behind it")
    if not found or parts.scheme not in ("http", "https") or not _is_target(parts.path):
        raise InvalidRequest("the address is not like https://kms.example:8202, or unix:///run/kms.sock")
    return parts


def _is_target(path: str) -> bool:
    """Tell whether a request can begin with a path."""
    return path.isascii() and path.isprintable() and " " not in path


def _stays(error: OSError | HTTPException) -> bool:
    """Tell whether a server that never answered is not the one that was meant, however long it is waited for."""
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_NONAME
    return isinstance(error, ssl.SSLError) or not isinstance(error, OSError)


def _in_words(error: OSError | HTTPException) -> str:
    """Return why there was no answer."""
    if isinstance(error, RemoteDisconnected):
        return "the server closed the connection; if it speaks TLS, its address begins with https://"
    if isinstance(error, ssl.SSLError) and error.reason in PLAIN:
        return "the server does not speak TLS: its address begins with http://"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message} (VAULT_CACERT names whom to trust)"
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
