"""A plain HTTP client that shows an answer as it went over the wire."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

TIMEOUT = 30.0

#: Fields of a successful answer, in the order in which they come.
ENVELOPE: Final = (
    "request_id",
    "lease_id",
    "renewable",
    "lease_duration",
    "data",
    "wrap_info",
    "warnings",
    "auth",
    "mount_type",
)

#: Sent as it is, where `body` would be made JSON.
Raw = bytes


@dataclass(frozen=True)
class Answer:
    """Status, headers in lower case, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """What a successful answer carries."""
        assert self.status == 200, (self.status, self.body)
        return self.json["data"]

    @property
    def errors(self) -> list[str]:
        """The texts of an error; its body must hold nothing else."""
        assert self.status >= 400, (self.status, self.body)
        body = self.json
        assert list(body) == ["errors"]
        errors: list[str] = body["errors"]
        return errors


@dataclass(frozen=True)
class Api:
    """One caller of one node: `api.get("secret/data/creds")`."""

    address: str
    token: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def with_token(self, token: str | None) -> Api:
        return Api(self.address, token, self.headers)

    def with_headers(self, **headers: str) -> Api:
        return Api(self.address, self.token, self.headers | headers)

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def list(self, path: str) -> Answer:
        return self.call("LIST", path)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any = None) -> Answer:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)

    def patch(self, path: str, body: Any, media_type: str = "application/merge-patch+json") -> Answer:
        return self.call("PATCH", path, body, {"Content-Type": media_type})

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send one request on a connection of its own; `path` is without /v1/, unless it begins with a slash."""
        sent = dict(self.headers) | (headers or {})
        if self.token is not None:
            sent["X-Vault-Token"] = self.token
        content = body if body is None or isinstance(body, Raw) else json.dumps(body).encode()
        return exchange(self.address, method, path if path.startswith("/") else f"/v1/{path}", content, sent)


def exchange(address: str, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    """Send one request as it is and return the answer."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT)
    try:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())
    finally:
        connection.close()


def initialise(api: Api, shares: int = 5, threshold: int = 3) -> Any:
    """Initialise the scope of the token; return keys, keys_base64 and root_token."""
    answer = api.put("sys/init", {"secret_shares": shares, "secret_threshold": threshold})
    assert answer.status == 200, (answer.status, answer.body)
    return answer.json


def unseal(api: Api, keys: Sequence[str]) -> None:
    """Give shares until the scope of the token is unsealed."""
    status: dict[str, Any] = {"sealed": True}
    for key in keys:
        answer = api.put("sys/unseal", {"key": key})
        assert answer.status == 200, (answer.status, answer.body)
        status = answer.json
        if not status["sealed"]:
            return
    raise AssertionError(f"still sealed after {len(keys)} shares: {status}")


def sealed(api: Api) -> bool:
    """Tell whether the scope of the token is sealed."""
    status: Literal[True, False] = api.get("sys/seal-status").json["sealed"]
    return status


def b64(data: bytes | str) -> str:
    """Return base64 as Transit takes it."""
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()
