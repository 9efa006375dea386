"""One caller of `sys/tenants`, tried again while the server is not available."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from kms_actors.cli.rewrap.client import MAX_WAIT, RequestFailed, connection, errors, failure_in_words, retry_after
from kms_actors.secret import SecretBytes

#: Times that one request is sent: each of them may be sent again without harm.
ATTEMPTS: Final = 5
#: Tenants of a page.
PAGE: Final = 500

_AGAIN: Final = frozenset({429, 503})


class TenantsClient:
    """Asks a node about tenants. Redirects are not followed: they would take the token elsewhere."""

    def __init__(self, address: str, token: SecretBytes, sleep: Callable[[float], None] = time.sleep) -> None:
        """Connect to nothing yet. Raises InvalidRequest if `address` is no http(s) address."""
        self._connection = connection(address)
        self._root = f"{urlsplit(address).path.rstrip('/')}/v1/sys/tenants"
        self._headers = {"X-Vault-Token": token.reveal().decode("ascii"), "Content-Type": "application/json"}
        self._sleep = sleep

    def tenants(self, page: int = PAGE) -> Iterator[dict[str, Any]]:
        """Yield what is told of each tenant, in the order of their ids."""
        behind = ""
        while True:
            data = self.ask("LIST", query={"after": behind, "limit": page})
            yield from data["key_info"].values()
            if len(data["keys"]) < page:
                return
            behind = data["keys"][-1]

    def ask(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the data of a success, None where it has none. Raises RequestFailed after the last attempt."""
        target = "/".join((self._root, *(quote(part, safe="") for part in path)))
        if query:
            target += f"?{urlencode(query)}"
        content = None if body is None else json.dumps(body).encode()
        answer = self._answer(method, target, content)
        try:
            return json.loads(answer)["data"] if answer else None
        except (ValueError, LookupError, TypeError):
            raise RequestFailed("the answer is not one of this API") from None

    def close(self) -> None:
        self._connection.close()

    def _answer(self, method: str, target: str, body: bytes | None) -> bytes:
        failure = ""
        for attempt in range(ATTEMPTS):
            wait: float = min(1 << attempt, MAX_WAIT)
            try:
                self._connection.request(method, target, body, self._headers)
                response = self._connection.getresponse()
                content = response.read()
            except (OSError, HTTPException) as error:
                self._connection.close()
                failure = f"no answer: {failure_in_words(error)}"
            else:
                if response.status in {200, 204}:
                    return content
                failure = f"{response.status} {errors(content)}".strip()
                if response.status not in _AGAIN:
                    raise RequestFailed(failure)
                wait = retry_after(response, wait)
            if attempt < ATTEMPTS - 1:
                self._sleep(wait)
        raise RequestFailed(f"{failure} ({ATTEMPTS} attempts)")
