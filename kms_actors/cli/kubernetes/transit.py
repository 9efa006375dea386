"""One Transit key as an API server needs it: read, used, and told apart by versions. For several threads at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from queue import Empty, LifoQueue
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from kms_actors.cli.sender import RequestFailed, Sender, refusal
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes
from kms_actors.system_errors import in_words

#: Seconds for one request: API servers wait for three.
SECONDS: Final = 2.5
#: Seconds within which a connection turns out to be closed, that nobody used for long: then there is another attempt.
_AT_ONCE: Final = 0.4
_OK: Final = 200
_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
#: From here on, and where there was no answer, another attempt may go well.
_SERVERS: Final = 500


class Unreachable(RequestFailed):
    """There was no answer, or one that says nothing of the key: the server's trouble, not the caller's."""


class Rejected(RequestFailed):
    """What was sent is refused, not who sent it: a ciphertext that was changed, or that is of too old a version."""


class NoToken(RequestFailed):
    """The server has refused the token that was, and there is no other one yet."""


class KeyInfo(NamedTuple):
    """What is told of a key; `versions` are what is told of each, in order. Those below `oldest` open nothing."""

    type: str
    latest: int
    versions: Mapping[int, Any]
    oldest: int = 1


class TransitKey:
    """One key of one mount. `token` gives the token to use; a new one is asked for where the old one is refused."""

    def __init__(self, address: str, token: Callable[[], SecretBytes], mount: str, key: str) -> None:
        """Connect to nothing yet. Raises InvalidRequest if `address` is no http(s) address, or there is no token."""
        self.name: Final = f"{mount.strip('/')}/{key}"
        self._address = address
        self._token = token
        self._mount, self._key = quote(mount.strip("/")), quote(key, safe="")
        self._idle: LifoQueue[Sender] = LifoQueue()
        self._idle.put(self._sender())

    def read(self) -> KeyInfo:
        """Return what is told of the key. Raises RequestFailed."""
        data = self._ask("GET", "keys", None)
        try:
            versions = {int(number): told for number, told in data["keys"].items()}
            oldest = int(data.get("min_decryption_version", 1))
            return KeyInfo(str(data["type"]), int(data["latest_version"]), dict(sorted(versions.items())), oldest)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise Unreachable("the answer is not one of the Transit API") from None

    def ask(self, operation: str, body: Mapping[str, Any], field: str) -> str:
        """Return one field of the answer to an operation with the key. Raises RequestFailed."""
        found = self._ask("POST", operation, body).get(field)
        if not isinstance(found, str):
            raise Unreachable("the answer is not one of the Transit API")
        return found

    def close(self) -> None:
        """Close all connections that nobody uses."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    def _ask(self, method: str, operation: str, body: Mapping[str, Any] | None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        target = f"{self._mount}/{operation}/{self._key}"
        status, answer = self._send(method, target, content)
        if status == _FORBIDDEN:  # the token may have been renewed where it comes from
            self.close()
            status, answer = self._send(method, target, content)
        if status != _OK:
            kind = Unreachable if status >= _SERVERS else Rejected if status == _BAD_REQUEST else RequestFailed
            raise kind(f"{self.name}: {refusal(status, answer)}")
        try:
            return json.loads(answer)["data"]
        except (ValueError, LookupError, TypeError):
            raise Unreachable("the answer is not one of this API") from None

    def _send(self, method: str, target: str, content: bytes | None) -> tuple[int, bytes]:
        try:
            sender = self._idle.get_nowait()
        except Empty:
            sender = self._sender_anew()
        whole, began = f"{sender.root}{target}", time.monotonic()
        try:
            return sender.send(method, whole, content)
        except RequestFailed as error:
            if time.monotonic() - began > _AT_ONCE:
                raise Unreachable(str(error)) from None
            return _sent_again(sender, method, whole, content)
        finally:
            self._idle.put(sender)

    def _sender_anew(self) -> Sender:
        """Return another connection; whoever renews the token may have left no good one for a moment."""
        try:
            return self._sender()
        except InvalidRequest as error:
            raise NoToken(str(error)) from None
        except OSError as error:
            raise NoToken(f"the token cannot be read: {in_words(error)}") from None

    def _sender(self) -> Sender:
        return Sender(self._address, self._token(), again=frozenset(), seconds=SECONDS)


def _sent_again(sender: Sender, method: str, target: str, content: bytes | None) -> tuple[int, bytes]:
    try:
        return sender.send(method, target, content)
    except RequestFailed as error:
        raise Unreachable(str(error)) from None
