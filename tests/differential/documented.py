"""The system endpoints that the reference documents of itself, and one plausible request for each.

The list is the reference's own OpenAPI document, so a newer one brings its new endpoints by itself.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

TIMEOUT: Final = 60.0
_VERBS: Final = {"get": "GET", "post": "POST", "patch": "PATCH", "delete": "DELETE"}
_UNSUPPORTED: Final = "unsupported path"


class Documented(NamedTuple):
    """One operation; `path` is without /v1/, as the document has it. A GET that is marked as a list is a LIST."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Told(NamedTuple):
    """What was answered: the status, the names of fields, and the texts of an error."""

    status: int
    fields: frozenset[str] = frozenset()
    errors: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """False where the server says that it has no such endpoint, or not this operation of it."""
        return self.status != 405 and not any(_UNSUPPORTED in text for text in self.errors)

    def covers(self, other: Told) -> bool:
        """Tell whether this is the same answer, or one with more fields."""
        return self.status == other.status and self.fields >= other.fields


class Example(NamedTuple):
    """How an operation is asked for: what stands in the path, what is sent, and who asks a node of ours.

    `named`: the fields of the answer are names of things, of which the first is compared.
    """

    path: str = ""
    body: Any = None
    operator: bool = False
    query: str = ""
    named: bool = False


def operations(document: Mapping[str, Any]) -> Iterator[Documented]:
    """Yield the documented operations below `sys/`."""
    for path, item in sorted(document["paths"].items()):
        if not path.startswith("/sys/"):
            continue
        for verb, method in _VERBS.items():
            if verb in item:
                yield Documented("LIST" if _only_lists(item[verb]) else method, path.strip("/"))


def _only_lists(operation: Mapping[str, Any]) -> bool:
    return any(each["name"] == "list" and each.get("required") for each in operation.get("parameters", ()))


def requested(operation: Documented, example: Example) -> str:
    """Return the path to ask for."""
    path = example.path or re.sub(r"\{(\w+)\}", lambda found: _VALUES[found[1]], operation.path)
    return f"{path}?{example.query}" if example.query else path


def body_of(operation: Documented, example: Example, token: str, accessor: str) -> Any:
    """Return what is sent, by the bearer of a token with this accessor."""
    if example.body is None:
        return {} if operation.method in {"POST", "PATCH"} else None
    text = json.dumps(example.body).replace("@own@", token).replace("@accessor@", accessor)
    return json.loads(text)


def ask(address: str, token: str, method: str, path: str, body: Any, *, named: bool = False) -> Told:
    """Ask; of an answer without an end, only the status is read."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT)
    try:
        media = "application/merge-patch+json" if method == "PATCH" else "application/json"
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, f"/v1/{path}", content, {"X-Vault-Token": token, "Content-Type": media})
        response = connection.getresponse()
        if response.getheader("Content-Type", "") != "application/json" or method == "HEAD":
            return Told(response.status)
        return told(response.status, response.read(), named=named)
    finally:
        connection.close()


def told(status: int, raw: bytes, *, named: bool = False) -> Told:
    """Return what can be compared of an answer."""
    body = json.loads(raw) if raw.strip() else {}
    if status >= 400 and "errors" in body:
        return Told(status, errors=tuple(body["errors"]))
    data = body["data"] if "request_id" in body else body
    if named:
        first = next(iter(data.values()), None)
        return Told(status, frozenset(first if isinstance(first, dict) else ()))
    if "request_id" not in body:
        return Told(status, frozenset(body))
    given = {name for name in ("auth", "wrap_info") if body.get(name)}
    return Told(status, frozenset(data if isinstance(data, dict) else ()) | given)


#: What stands for a capture where no example says it.
_VALUES: Final = {
    "alias_identifier": "nobody",
    "config": "none",
    "grants": "none",
    "header": "X-Doc",
    "key": "none",
    "migration_id": "4f2c9d52-0b6d-4d8a-9a5c-2d9f4d6b1c11",
    "mount": "none",
    "mount_accessor": "none",
    "name": "doc",
    "path": "doc",
    "prefix": "auth/none",
    "source": "platform",
    "subsystem": "license",
    "tag": "root",
    "type": "secret",
    "url_lease_id": "auth/token/create/none",
    "urlalgorithm": "sha2-256",
    "urlbytes": "16",
}
_POLICY: Final = {"policy": 'path "secret/*" { capabilities = ["read"] }'}
_PASSWORDS: Final = {"policy": 'length = 20\nrule "charset" { charset = "abcde" }'}

#: By operation; others are asked without a body, or with an empty one.
EXAMPLES: Final[Mapping[tuple[str, str], Example]] = {
    ("GET", "sys/host-info"): Example(operator=True),
    ("GET", "sys/ha-status"): Example(operator=True),
    ("GET", "sys/config/state/sanitized"): Example(operator=True),
    ("GET", "sys/in-flight-req"): Example(operator=True, named=True),
    ("GET", "sys/metrics"): Example(operator=True),
    ("GET", "sys/monitor"): Example(operator=True),
    ("GET", "sys/loggers"): Example(operator=True, named=True),
    ("POST", "sys/loggers"): Example(body={"level": "info"}, operator=True),
    ("DELETE", "sys/loggers"): Example(operator=True),
    ("GET", "sys/loggers/{name}"): Example(operator=True),
    ("POST", "sys/loggers/{name}"): Example(body={"level": "info"}, operator=True),
    ("DELETE", "sys/loggers/{name}"): Example(operator=True),
    ("GET", "sys/config/cors"): Example(operator=True),
    ("POST", "sys/config/cors"): Example(body={"allowed_origins": ["*"]}, operator=True),
    ("DELETE", "sys/config/cors"): Example(operator=True),
    ("POST", "sys/auth/{path}"): Example(body={"type": "userpass"}),
    ("GET", "sys/auth/{path}"): Example("sys/auth/doc"),
    ("POST", "sys/auth/{path}/tune"): Example("sys/auth/doc/tune", {"description": "x"}),
    ("POST", "sys/mounts/{path}"): Example(body={"type": "kv"}),
    ("POST", "sys/mounts/{path}/tune"): Example("sys/mounts/doc/tune", {"description": "x"}),
    ("POST", "sys/capabilities"): Example(body={"token": "@own@", "paths": ["secret/x"]}),
    ("POST", "sys/capabilities-self"): Example(body={"paths": ["secret/x"]}),
    ("POST", "sys/capabilities-accessor"): Example(body={"accessor": "@accessor@", "paths": ["secret/x"]}),
    ("POST", "sys/policies/acl/{name}"): Example(body=_POLICY),
    ("PATCH", "sys/policies/acl/{name}"): Example(body=_POLICY),
    ("POST", "sys/policy/{name}"): Example(body=_POLICY),
    ("POST", "sys/policies/password/{name}"): Example(body=_PASSWORDS),
    ("GET", "sys/leases"): Example(query="type=irrevocable"),
    ("GET", "sys/leases/count"): Example(query="type=irrevocable"),
    ("POST", "sys/leases/lookup"): Example(body={"lease_id": "none"}),
    ("POST", "sys/leases/renew"): Example(body={"lease_id": "none"}),
    ("POST", "sys/leases/revoke"): Example(body={"lease_id": "none"}),
    ("LIST", "sys/leases/lookup"): Example("sys/leases/lookup"),
    ("POST", "sys/tools/hash"): Example(body={"input": "AAAA"}),
    ("POST", "sys/tools/hash/{urlalgorithm}"): Example(body={"input": "AAAA"}),
    ("POST", "sys/tools/random"): Example(body={}),
    ("POST", "sys/wrapping/lookup"): Example(body={"token": "none"}),
    ("POST", "sys/wrapping/rewrap"): Example(body={"token": "none"}),
    ("POST", "sys/wrapping/unwrap"): Example(body={"token": "none"}),
    ("POST", "sys/wrapping/wrap"): Example(body={"a": "b"}),
    ("GET", "sys/wrapping/lookup"): Example(body=None),
    ("POST", "sys/audit-hash/{path}"): Example(body={"input": "x"}),
    ("POST", "sys/quotas/config"): Example(body={}),
    ("POST", "sys/quotas/rate-limit/{name}"): Example(body={"rate": 1_000_000, "path": ""}),
    ("POST", "sys/remount"): Example(body={"from": "doc-none", "to": "doc-other"}),
    ("GET", "sys/plugins/catalog/{name}"): Example("sys/plugins/catalog/kv"),
    ("GET", "sys/plugins/catalog/{type}/{name}"): Example("sys/plugins/catalog/secret/kv"),
    ("LIST", "sys/namespaces"): Example(),
    ("GET", "sys/pprof/threadcreate"): Example(operator=True),
    ("GET", "sys/pprof/cmdline"): Example(operator=True),
    ("GET", "sys/pprof/goroutine"): Example(operator=True),
    ("GET", "sys/pprof/profile"): Example(query="seconds=1", operator=True),
    ("GET", "sys/pprof/trace"): Example(query="seconds=1", operator=True),
}
