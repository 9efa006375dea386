"""One caller of `sys/tenants`, tried again while the server is not available."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from kms_actors.cli.sender import RequestFailed, Sender, refusal
from kms_actors.secret import SecretBytes

#: Times that one request is sent: each of them may be sent again without harm.
ATTEMPTS: Final = 5
_NOT_OURS: Final = "the answer is not one of this API"
#: Tenants of a page.
PAGE: Final = 500


class TenantsClient:
    """Asks a node about tenants. Redirects are not followed: they would take the token elsewhere."""

    def __init__(self, address: str, token: SecretBytes, sleep: Callable[[float], None] = time.sleep) -> None:
        """Connect to nothing yet. Raises InvalidRequest if `address` is no http(s) address."""
        self._sender = Sender(address, token, attempts=ATTEMPTS, sleep=sleep)
        self._root = f"{self._sender.root}sys/tenants"

    def tenants(self, page: int = PAGE) -> Iterator[dict[str, Any]]:
        """Yield what is told of each tenant, in the order of their ids."""
        behind = ""
        while True:
            data = self.ask("LIST", query={"after": behind, "limit": page})
            try:
                found, keys = data["key_info"].values(), data["keys"]
            except (LookupError, TypeError, AttributeError):
                raise RequestFailed(_NOT_OURS) from None
            yield from found
            if len(keys) < page:
                return
            behind = keys[-1]

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
        status, answer = self._sender.send(method, target, content)
        if status not in {200, 204}:
            hint = "; the token is to be a cluster operator's" if status == HTTPStatus.FORBIDDEN else ""
            raise RequestFailed(refusal(status, answer) + hint)
        try:
            return json.loads(answer)["data"] if answer else None
        except (ValueError, LookupError, TypeError):
            raise RequestFailed(_NOT_OURS) from None

    def close(self) -> None:
        self._sender.close()
