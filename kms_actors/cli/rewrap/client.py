"""One request of the Transit API, `rewrap` with a batch, tried again while the server is not available."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from kms_actors.cli.sender import RequestFailed, Sender, refusal
from kms_actors.secret import SecretBytes

#: Times that one batch is sent.
ATTEMPTS: Final = 8

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
        self._sender = Sender(address, token, attempts=ATTEMPTS, sleep=sleep)
        self._target = f"{self._sender.root}{quote(mount.strip('/'))}/rewrap/{quote(key, safe='')}"
        self._further: dict[str, Any] = {} if key_version is None else {"key_version": key_version}

    def rewrap(self, wanted: Sequence[Wanted]) -> list[Rewrapped]:
        """Return what became of each ciphertext. Raises RequestFailed after the last attempt."""
        batch = [{name: value for name, value in item._asdict().items() if value} | self._further for item in wanted]
        # Sending a batch twice does no harm.
        status, answer = self._sender.send("POST", self._target, json.dumps({"batch_input": batch}).encode())
        if status != 200:
            raise RequestFailed(refusal(status, answer))
        try:
            results = [_result(entry) for entry in json.loads(answer)["data"]["batch_results"]]
        except (ValueError, LookupError, TypeError, AttributeError):
            raise RequestFailed("the answer is not one of the Transit API") from None
        if len(results) != len(wanted):
            raise RequestFailed("the answer has another number of results than the request had items")
        return results

    def close(self) -> None:
        self._sender.close()


def _result(entry: Any) -> Rewrapped:
    if error := entry.get("error"):
        return Rewrapped(error=str(error))
    ciphertext = entry["ciphertext"]
    if not _CIPHERTEXT.fullmatch(ciphertext):
        return Rewrapped(error="the answer holds no ciphertext")
    return Rewrapped(ciphertext)
