"""The system endpoints that the reference documents of itself, and one plausible request for each.

The list is the reference's own OpenAPI document, so a newer one brings its new endpoints by itself.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

TIMEOUT: Final = 60.0
WRAP: Final = "X-Vault-Wrap-TTL"
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

    `named`: the fields of the answer are names of things, of which the first is compared. `wrapped`: it is wrapped.
    """

    path: str = ""
    body: Any = None
    operator: bool = False
    query: str = ""
    named: bool = False
    wrapped: bool = False


class Known(NamedTuple):
    """What a caller has, by the words that stand for it in bodies and paths."""

    token: str
    accessor: str
    lease: str
    audit: str  # the file of a device
    wrapping: Callable[[], str]  # makes a wrapping token

    def put_into(self, text: str) -> str:
        """Return a text with it in the place of its words."""
        if "@wrapping@" in text:
            text = text.replace("@wrapping@", self.wrapping())
        for name in ("token", "accessor", "lease", "audit"):
            text = text.replace(f"@{name}@", getattr(self, name))
        return text


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


def requested(operation: Documented, example: Example, known: Known) -> str:
    """Return the path to ask for."""
    path = example.path or re.sub(r"\{(\w+)\}", lambda found: _VALUES[found[1]], operation.path)
    return known.put_into(f"{path}?{example.query}" if example.query else path)


def body_of(operation: Documented, example: Example, known: Known) -> Any:
    """Return what is sent."""
    if example.body is None:
        return {} if operation.method in {"POST", "PATCH"} else None
    return json.loads(known.put_into(json.dumps(example.body)))


def ask(address: str, token: str, operation: Documented, body: Any, example: Example) -> Told:
    """Ask for what has nothing to be filled in any more; of an answer without an end, only the status is read."""
    method, path = operation
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT)
    try:
        media = "application/merge-patch+json" if method == "PATCH" else "application/json"
        content = None if body is None else json.dumps(body).encode()
        headers = {"X-Vault-Token": token, "Content-Type": media} | ({WRAP: "60s"} if example.wrapped else {})
        connection.request(method, f"/v1/{path}", content, headers)
        response = connection.getresponse()
        if response.getheader("Content-Type", "") != "application/json" or method == "HEAD":
            return Told(response.status)
        return told(response.status, response.read(), named=example.named)
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
    "url_lease_id": "@lease@",
    "urlalgorithm": "sha2-256",
    "urlbytes": "16",
}
_POLICY: Final = {"policy": 'path "secret/*" { capabilities = ["read"] }'}
_SHARES: Final = {"secret_shares": 1, "secret_threshold": 1, "require_verification": True}
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
    ("POST", "sys/capabilities"): Example(body={"token": "@token@", "paths": ["secret/x"]}),
    ("POST", "sys/capabilities-self"): Example(body={"paths": ["secret/x"]}),
    ("POST", "sys/capabilities-accessor"): Example(body={"accessor": "@accessor@", "paths": ["secret/x"]}),
    ("POST", "sys/policies/acl/{name}"): Example(body=_POLICY),
    ("PATCH", "sys/policies/acl/{name}"): Example(body=_POLICY),
    ("POST", "sys/policy/{name}"): Example(body=_POLICY),
    ("POST", "sys/policies/password/{name}"): Example(body=_PASSWORDS),
    ("GET", "sys/leases"): Example(query="type=irrevocable"),
    ("GET", "sys/leases/count"): Example(query="type=irrevocable"),
    ("POST", "sys/leases/lookup"): Example(body={"lease_id": "@lease@"}),
    ("POST", "sys/leases/renew"): Example(body={"lease_id": "@lease@"}),
    ("POST", "sys/leases/revoke"): Example(body={"lease_id": "auth/token/create/none"}),
    ("POST", "sys/leases/revoke/{url_lease_id}"): Example("sys/leases/revoke/auth/token/create/none"),
    ("LIST", "sys/leases/lookup"): Example("sys/leases/lookup"),
    ("LIST", "sys/leases/lookup/{prefix}"): Example("sys/leases/lookup/auth/token/create"),
    ("POST", "sys/tools/hash"): Example(body={"input": "AAAA"}),
    ("POST", "sys/tools/hash/{urlalgorithm}"): Example(body={"input": "AAAA"}),
    ("POST", "sys/tools/random"): Example(body={}),
    ("POST", "sys/wrapping/lookup"): Example(body={"token": "@wrapping@"}),
    ("POST", "sys/wrapping/rewrap"): Example(body={"token": "@wrapping@"}),
    ("POST", "sys/wrapping/unwrap"): Example(body={"token": "@wrapping@"}),
    ("POST", "sys/wrapping/wrap"): Example(body={"a": "b"}, wrapped=True),
    ("POST", "sys/audit/{path}"): Example(body={"type": "file", "options": {"file_path": "@audit@.2"}}),
    ("POST", "sys/audit-hash/{path}"): Example("sys/audit-hash/doc-audit", {"input": "x"}),
    ("POST", "sys/config/auditing/request-headers/{header}"): Example(body={"hmac": True}),
    ("POST", "sys/decode-token"): Example(body={"encoded_token": "AAAA", "otp": "abc"}),
    ("POST", "sys/rotate/root/init"): Example(body=_SHARES),
    ("POST", "sys/quotas/config"): Example(body={}),
    ("POST", "sys/quotas/rate-limit/{name}"): Example(body={"rate": 1_000_000, "path": ""}),
    ("POST", "sys/remount"): Example(body={"from": "doc-moves", "to": "doc-moved"}),
    ("GET", "sys/plugins/catalog/{name}"): Example("sys/plugins/catalog/kv"),
    ("GET", "sys/plugins/catalog/{type}/{name}"): Example("sys/plugins/catalog/secret/kv"),
    ("LIST", "sys/namespaces"): Example(),
    ("GET", "sys/pprof/threadcreate"): Example(operator=True),
    ("GET", "sys/pprof/cmdline"): Example(operator=True),
    ("GET", "sys/pprof/goroutine"): Example(operator=True),
    ("GET", "sys/pprof/profile"): Example(query="seconds=1", operator=True),
    ("GET", "sys/pprof/trace"): Example(query="seconds=1", operator=True),
}
