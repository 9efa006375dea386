"""Requests drawn from what a node says of itself, sent to it over loopback: none may end in 500, none without an end.

A round has a new vault, with something of each kind in it, and callers of every kind: the cluster's operator, the
vault's, its first token, one bound by policies, nobody. What a round does to its vault (seals, unmounted engines,
quotas) is put right from time to time, so that requests go on meaning something. A round is drawn from its seed; what
answers bring back is drawn from, too, so a request is told in full where one is a finding.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from tests.fuzz.api.lane import Answered, Lane
from tests.fuzz.api.operations import Operation, operations
from tests.fuzz.api.values import MEANT, NAMES, Draw
from tests.support.api import Api, unseal
from tests.support.node import Node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

#: Requests at once.
LANES: Final = 4
#: Requests after which it is looked whether the vault can still be used.
MENDED_AFTER: Final = 400
#: Of the body of an answer, and of a request that is told.
_TOLD: Final = 4000

_ENGINES: Final = {"secret": "kv-v2", "plain": "kv", "transit": "transit"}
_LOGINS: Final = ("userpass", "approle", "jwt", "cert", "kubernetes")
_PREFIXES: Final = ("secret/", "plain/", "transit/", "sys/", "auth/", "identity/", "cubbyhole/")
_OTHER_VERBS: Final = ("LIST", "SCAN", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HELP", "TRACE", "get")
_PATCH: Final = "application/merge-patch+json"
#: Where the one who asks chooses the status.
_CHOSEN: Final = "/sys/health"
#: Why 503 may be answered: the vault cannot be used, or what was asked crossed what another did.
_FOR_NOW: Final = (b"Vault is sealed", b"is to be deleted", b"is being deleted", b"try again")


class Finding(NamedTuple):
    """A request that was answered as none may be, or not at all."""

    why: str
    request: bytes
    answer: bytes

    def __str__(self) -> str:
        return f"{self.why}\n  sent: {self.request[:_TOLD]!r}\n  got: {self.answer[:_TOLD]!r}"


class Sent(NamedTuple):
    """A request under way."""

    operation: Operation
    verb: str
    caller: int
    raw: bytes


class Storm:
    """Rounds of requests to one node; `counts` is of answers by status, `findings` is what went wrong."""

    def __init__(self, node: Node, issuer: Issuer, shares: list[str], seed: int) -> None:
        self.counts: Counter[int] = Counter()
        self.findings: list[Finding] = []
        self.asked: Counter[str] = Counter()  # of 2xx, by operation
        self._node = node
        self._issuer = issuer
        self._shares = shares
        self._seed = seed
        self._rounds = 0

    @property
    def requests(self) -> int:
        return sum(self.counts.values())

    def round(self, requests: int) -> None:
        """Send so many requests to a new vault."""
        self._rounds += 1
        draw = Draw(f"{self._seed}/{self._rounds}")
        callers = Callers(self._node, self._issuer, self._shares)
        lanes = [Lane(self._node.port) for _ in range(LANES)]
        try:
            for number in range(0, requests, LANES):
                if number % MENDED_AFTER == 0 and not callers.mend():
                    callers = Callers(self._node, self._issuer, self._shares)
                under_way = [self._send(draw, callers, lane) for lane in lanes]
                for lane, sent in zip(lanes, under_way, strict=True):
                    self._receive(draw, lane, sent)
        finally:
            for lane in lanes:
                lane.close()
            if callers.mend():
                callers.leave()

    def _send(self, draw: Draw, callers: Callers, lane: Lane) -> Sent:
        caller = draw.random.choices(range(len(callers.tokens)), _WEIGHTS)[0]
        operation = draw.random.choice(callers.operations[caller])
        if operation.template in _RARELY and draw.random.random() > 0.02:
            operation = draw.random.choice(callers.operations[caller])
        verb, raw = drawn(draw, operation, callers.tokens[caller])
        lane.send(raw)
        return Sent(operation, verb, caller, raw)

    def _receive(self, draw: Draw, lane: Lane, sent: Sent) -> None:
        try:
            answer = lane.receive(bodiless=sent.verb == "HEAD")
        except TimeoutError:
            self.findings.append(Finding("no answer", sent.raw, b""))
            lane.close()
            return
        self.counts[answer.status] += 1
        why = wrong(sent, answer)
        if why:
            self.findings.append(Finding(why, sent.raw, answer.body))
        if 200 <= answer.status < 300:
            self.asked[f"{sent.verb} {sent.operation.template}"] += 1
            if answer.body.startswith(b"{") and len(answer.body) < 1 << 16:
                draw.learn(json.loads(answer.body).get("data"))


#: How often each caller asks: the vault's operator, its first token, one bound by policies, the cluster's, nobody.
_WEIGHTS: Final = (35, 20, 30, 9, 6)


def drawn(draw: Draw, operation: Operation, token: str) -> tuple[str, bytes]:
    """Return the verb and the bytes of a request for this operation."""
    random = draw.random
    verb = operation.verb if random.random() < 0.94 else random.choice(_OTHER_VERBS)
    target = "/v1" + operation.path({name: draw.capture(name) for name in operation.captures})
    asked = [field for field in operation.query if random.random() < 0.5]
    if asked:
        pairs = [(field.name, draw.value(field.name, field.schema)) for field in asked]
        target += "?" + "&".join(f"{name}={_in_query(value)}" for name, value in pairs)
    body = b""
    if verb in {"POST", "PUT", "PATCH"} and (operation.body or random.random() < 0.2):
        body = _body(draw, operation)
    headers = [b"Host: x"]
    if token:
        headers.append(b"X-Vault-Token: " + token.encode())
    chance = random.random()
    if chance < 0.03:
        headers.append(b"X-Vault-Wrap-TTL: " + random.choice((b"60", b"1h", b"x", b"-1", b"0", b"9" * 30)))
    elif chance < 0.04:
        headers.append(b"X-Vault-Namespace: " + random.choice((b"root", b"a/b", b"../", b"\xc3\xa9", b"")))
    elif chance < 0.05:
        headers.append(b"Content-Type: " + random.choice((b"application/x-www-form-urlencoded", b"x", b"text/x;")))
    elif chance < 0.06:
        headers.append(b"Origin: https://x.example")
    if verb == "PATCH" and random.random() < 0.95:
        headers.append(b"Content-Type: " + _PATCH.encode())
    if body or verb in {"POST", "PUT", "PATCH"}:
        headers.append(b"Content-Length: %d" % len(body))
    return verb, b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (verb.encode(), target.encode(), b"\r\n".join(headers), body)


def _body(draw: Draw, operation: Operation) -> bytes:
    random = draw.random
    fields: dict[str, Any] = {}
    for field in operation.body:
        if random.random() < (0.75 if field.name in MEANT else 0.3):
            fields[field.name] = draw.value(field.name, field.schema)
    if random.random() < 0.05:
        fields[random.choice((*NAMES, *MEANT))] = draw.anything()
    body = json.dumps(fields if random.random() < 0.98 else draw.anything()).encode()
    return draw.bent(body) if random.random() < 0.04 else body


def _in_query(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return quote(text.encode("utf-8", "surrogatepass")[:2000], safe="")


def wrong(sent: Sent, answer: Answered) -> str:
    """Return what is wrong with an answer; an empty text for nothing."""
    if answer.status == 0:
        return "closed without an answer"
    if answer.status < 500 or sent.operation.template == _CHOSEN:
        return "an error that is no JSON" if answer.status >= 400 and not _says_why(answer) else ""
    if answer.status == 503 and (sent.verb == "HEAD" or any(text in answer.body for text in _FOR_NOW)):
        return ""
    return f"status {answer.status}"


def _says_why(answer: Answered) -> bool:
    return not answer.body or answer.body.startswith(b"{")


class Callers:
    """A vault of one round, and who asks it."""

    def __init__(self, node: Node, issuer: Issuer, shares: list[str]) -> None:
        self._node = node
        self._issuer = issuer
        self._shares = shares
        self._cluster = Api(node.address, issuer.cluster_operator())
        self._open_node()
        self._tenant: Tenant = make_tenant(node, issuer)
        self.tokens: list[str] = []
        self._prepare()
        self.operations = [list(self._operations(token)) for token in self.tokens]
        assert all(self.operations), [len(each) for each in self.operations]

    def mend(self) -> bool:
        """Have the vault be of use again, whatever was done to it; return False where it was ended for good.

        That is so once it was deleted, or given a quota that its own end would be within.
        """
        self._open_node()
        vault = self._tenant.vault_id
        operator = self._tenant.operator.with_token(self._issuer.tenant_operator(vault))
        self._cluster.post(f"sys/tenants/{vault}/keep")
        status = operator.get("sys/seal-status")
        if status.status != 200:
            assert status.status in {400, 403, 404, 429, 503}, (status.status, status.body)
            return False
        if status.json["sealed"]:
            unseal(operator, self._tenant.shares)
        self._tenant = self._tenant._replace(operator=operator)
        self._prepare()
        return True

    def leave(self) -> None:
        """Seal the vault: nothing of it stays in memory."""
        answer = self._tenant.operator.put("sys/seal")
        assert answer.status in {204, 429}, (answer.status, answer.body)

    def _open_node(self) -> None:
        self._cluster = self._cluster.with_token(self._issuer.cluster_operator())
        if self._cluster.get("sys/seal-status").json["sealed"]:
            unseal(self._cluster, self._shares)

    def _prepare(self) -> None:
        """Mount what is missing; give up quotas, devices and settings that would refuse all that follows."""
        operator = self._tenant.operator
        for name in _listed(operator, "sys/quotas/rate-limit"):
            operator.delete(f"sys/quotas/rate-limit/{name}")
        devices = operator.get("sys/audit")
        for name in devices.json["data"] if devices.status == 200 else ():
            operator.delete(f"sys/audit/{name}")
        for name, kind in _ENGINES.items():
            operator.post(f"sys/mounts/{name}", {"type": kind})
        for name in _LOGINS:
            operator.post(f"sys/auth/{name}", {"type": name})
        text = "".join(f'path "{prefix}*" {{ capabilities = [{_ALL}] }}\n' for prefix in _PREFIXES)
        operator.put("sys/policies/acl/bound", {"policy": text + 'path "secret/data/b" { capabilities = ["deny"] }'})
        for name in NAMES:
            operator.post(f"transit/keys/{name}")
        vault = self._tenant.vault_id
        made = operator.post("auth/token/create-orphan", {"policies": ["root"]})
        self.tokens = [
            operator.token or "",
            made.json["auth"]["client_token"] if made.status == 200 else self._tenant.root.token or "",
            self._issuer.tenant(vault, policies=["bound"]),
            self._cluster.token or "",
            "",
        ]

    def _operations(self, token: str) -> Iterator[Operation]:
        asked = Api(self._node.address, token or self.tokens[0]).get("sys/internal/specs/openapi")
        assert asked.status == 200, (asked.status, asked.body)
        return operations(asked.json)


_ALL: Final = '"create", "read", "update", "patch", "delete", "list", "scan", "sudo"'
#: What ends the vault, or the one who asks, so that what follows is refused; or makes all that follows dearer.
_RARELY: Final = frozenset(
    {
        *("/sys/seal", "/sys/rotate", "/sys/rotate/keyring", "/sys/audit/{path}"),
        *("/auth/token/revoke-self", "/sys/leases/revoke-prefix/{prefix}"),
    }
)


def _listed(api: Api, path: str) -> list[str]:
    answer = api.list(path)
    return [str(name) for name in answer.json["data"]["keys"]] if answer.status == 200 else []
