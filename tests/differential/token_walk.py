"""Requests about tokens, the same for both servers: names in braces stand for what each of them gave."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tests.support.api import Answer, Api


class Step(NamedTuple):
    """A request by a named token; what it gives is called `name`.

    `apart` are fields of data that differ on purpose; without `texts`, so do texts, which name no values here.
    """

    by: str
    method: str
    path: str
    body: Any = None
    name: str = ""
    apart: tuple[str, ...] = ()
    texts: bool = True


@dataclass
class Server:
    """One server: what its tokens and accessors are called in the walk, and in texts."""

    address: str
    known: dict[str, str] = field(default_factory=dict)

    def run(self, step: Step) -> dict[str, Any]:
        """Run a step and return what can be compared."""
        token = self.known[step.by]
        answer = Api(self.address, token).call(step.method, self._filled(step.path), self._filled_body(step.body))
        return self._seen(step, answer)

    def _filled(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: self.known[found[1]], text)

    def _filled_body(self, body: Any) -> Any:
        return None if body is None else json.loads(self._filled(json.dumps(body).replace("{}", "{ }")))

    def _seen(self, step: Step, answer: Answer) -> dict[str, Any]:
        if not answer.body:
            return {"status": answer.status}
        body = answer.json
        auth, data = body.get("auth"), body.get("data")
        if step.name and auth:
            self.known[step.name] = auth["client_token"]
            self.known[f"{step.name}_accessor"] = auth["accessor"]
        seen = {
            "status": answer.status,
            "auth": auth and _masked(auth),
            "data": _masked(data, step.apart) if isinstance(data, dict) else data,
        }
        if not step.texts:
            return seen
        errors = [_unwrapped(text) for text in body.get("errors") or ()]
        return seen | {"errors": errors, "warnings": body.get("warnings") or []}


def _unwrapped(text: str) -> str:
    """Return the inner text of Go's list of one error."""
    return text.removeprefix("1 error occurred:\n\t* ").rstrip("\n")


#: Values that differ each time, and how much of them is compared.
_MASKS: Final[Mapping[str, Any]] = {
    "client_token": bool,
    "id": bool,
    "accessor": len,
    "keys": lambda value: sorted(value) if all(len(key) < 20 for key in value) else "<accessors>",
    **dict.fromkeys(("creation_time", "last_renewal_time"), lambda value: value > 1e9),
    **dict.fromkeys(("expire_time", "issue_time", "last_renewal"), lambda value: value is not None),
    "ttl": lambda value: (value + 5) // 10,
    "lease_duration": lambda value: (value + 5) // 10,
    "entity_id": bool,
}


def _masked(data: Mapping[str, Any], apart: tuple[str, ...] = ()) -> dict[str, Any]:
    """Mask what is random, and leave out what only we show: policies of an identity that has none."""
    kept = {name: value for name, value in data.items() if name not in apart}
    if not kept.get("identity_policies"):
        kept.pop("identity_policies", None)
    return {name: _MASKS[name](value) if name in _MASKS else value for name, value in kept.items()}


_ALL: Final = 'path "auth/token/*" { capabilities = ["create", "read", "update", "delete", "list"] }'
_SUDO: Final = 'path "auth/token/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
_C: Final = "auth/token/create"
#: Long enough to be chosen here.
_OWN: Final = "a-text-of-ones-own-0123456789"


def _make(by: str, name: str, path: str = _C, **body: Any) -> Step:
    return Step(by, "POST", path, body, name)


def _look(by: str, *apart: str) -> Step:
    return Step(by, "GET", "auth/token/lookup-self", apart=apart)


def _make_apart(by: str, path: str = _C, **body: Any) -> Step:
    return Step(by, "POST", path, body, "y", texts=False)


#: What a role says of a token's life is shown with the token here.
_OF_ROLES: Final = ("explicit_max_ttl", "period")


WALK: Final = (
    Step("root", "PUT", "sys/policies/acl/a", {"policy": _ALL}),
    Step("root", "PUT", "sys/policies/acl/su", {"policy": _SUDO}),
    _make("root", "any"),
    _look("any"),
    _make("root", "A", policies=["a"], ttl="1h"),
    _make("root", "SU", policies=["su"], ttl="1h"),
    _make("root", "ND", policies=["a"], no_default_policy=True, ttl="1h"),
    # What root makes.
    _make("root", "x", policies=["b", "a", "A", " c ", "default"], ttl="1h", display_name="x y!é", meta={"k": "v"}),
    _look("x"),
    _make("root", "x", policies=["a"], num_uses=3, explicit_max_ttl="2h", renewable=False),
    _make("root", "x", policies=["root"], ttl="1h"),
    _look("x"),
    _make("root", "x", policies=["root", "a"]),
    _make("root", "x", policies=["a"], no_default_policy=True, period="1h"),
    _look("x"),
    _make("root", "x", policies=["a"], ttl="-1h"),
    _make("root", "x", policies=["a"], explicit_max_ttl="-1h"),
    _make("root", "x", policies=["a"], period="-1h"),
    _make("root", "x", policies=["a"], ttl="10000h"),
    _make("root", "x", policies=["a"], explicit_max_ttl="10000h"),
    _look("x"),
    _make("root", "x", policies=["a"], explicit_max_ttl="1h", ttl="2h"),
    _make("root", "x", policies=["a"], period="10000h"),
    _make("root", "x", policies=["a"], num_uses=-1),
    _make("root", "x", policies=["a"], meta={"a": 1}),
    _make("root", "x", policies="a,b", entity_alias="x"),
    _make("root", "x", policies=["a"], lease="1h"),
    _make("root", "x", policies=["a"], unknown="1h"),
    _make("root", "x", policies=["response-wrapping", "control-group"]),
    _make("root", "x", policies=["a"], no_parent=True),
    _look("x"),
    _make("root", "x", "auth/token/create-orphan", policies=["a"], no_parent=False),
    _look("x"),
    _make("root", "x", policies=["a"], type="other"),
    _make("root", "x", ttl="90m30s", explicit_max_ttl="5400"),
    _make("root", "x", ttl="90m30s", explicit_max_ttl="5430", policies=["a"], period=3661),
    _make("root", "x", ttl="1d", policies=["a"]),
    _make("root", "x", display_name="a-b.c_d-"),
    _look("x"),
    Step("root", "GET", _C),
    _make_apart("root", policies=["a"], ttl="xx"),
    _make_apart("root", policies=["a"], period="xx"),
    _make_apart("root", policies=["a"], ttl=3600.5),
    _make_apart("root", policies=["a"], meta="x"),
    _make_apart("root", policies=["a"], renewable="x"),
    _make_apart("root", f"{_C}/nope", policies=["a"]),
    # Texts that makers choose. What is told of them differs.
    *(
        _make_apart(by, path, id=text, policies=["default"])
        for by, path, text in (
            ("root", _C, f"{_OWN}-1"),
            ("root", _C, f"{_OWN}-1"),
            ("root", "auth/token/create-orphan", f"{_OWN}-orphan"),
            ("root", _C, f"s.{_OWN}"),
            ("root", _C, f"hvs.{_OWN}"),
            ("root", _C, f"{_OWN}.0"),
            ("root", _C, f"{_OWN}/+=~@:-_"),
            ("A", _C, f"{_OWN}-a"),
            ("SU", _C, f"{_OWN}-su"),
        )
    ),
    Step("root", "POST", _C, {"id": f"{_OWN}-by", "policies": ["a"], "ttl": "1h"}, "ID", texts=False),
    _look("ID"),
    _make("ID", "x"),
    Step("root", "POST", "auth/token/lookup", {"token": f"{_OWN}-by"}),
    Step("root", "POST", "auth/token/renew", {"token": f"{_OWN}-by", "increment": "2h"}),
    Step("root", "POST", "sys/capabilities", {"token": f"{_OWN}-by", "path": "auth/token/create"}),
    Step("ID", "POST", "auth/token/revoke-self"),
    _look("ID"),
    _look("x"),
    Step("root", "POST", "auth/token/lookup", {"token": f"{_OWN}-by"}),
    Step("root", "POST", _C, {"id": f"{_OWN}-by", "policies": ["a"], "num_uses": 2}, "ID", texts=False),
    *(_look("ID"),) * 3,
    # What others make.
    _make("A", "x"),
    _look("x"),
    _make("A", "x", policies=["b"]),
    _make("A", "x", policies=["a"]),
    _make("A", "x", policies=["root"]),
    _make("A", "x", policies=["default"]),
    _make("A", "x", no_default_policy=True),
    _make("A", "x", no_parent=True),
    _make("A", "x", period="1h"),
    _make("A", "x", "auth/token/create-orphan"),
    Step("root", "POST", "auth/token/roles/says-nothing", {}),
    Step("root", "POST", "auth/token/roles/forbids", {"disallowed_policies": "z"}),
    _make("A", "x", f"{_C}/says-nothing"),
    _make("A", "x", f"{_C}/says-nothing", policies=["a"]),
    _make("A", "x", f"{_C}/says-nothing", policies=["b"]),
    _make("A", "x", f"{_C}/forbids", policies=["b"]),
    _make_apart("A", f"{_C}/forbids", policies=["z"]),
    _make("ND", "x", f"{_C}/says-nothing", policies=["a"]),
    _make("SU", "x", policies=["b"]),
    _make("SU", "x", policies=["root"]),
    _make("SU", "x", no_parent=True),
    _make("SU", "x", period="1h"),
    _make("ND", "x"),
    _make("ND", "x", policies=["a"]),
    _make("root", "RT", policies=["root"], ttl="1h"),
    _make("RT", "x", policies=["root"]),
    _make("RT", "x", policies=["root"], ttl="30m"),
    _make("RT", "x", policies=["root"], ttl="300m"),
    _make("RT", "x"),
    # Uses.
    _make("root", "NU", policies=["a"], num_uses=4, ttl="1h"),
    _make("NU", "x"),
    *(_look("NU"),) * 4,
    # Looks at others.
    _make("root", "L", policies=["a"], ttl="1h", meta={"who": "me"}),
    Step("root", "POST", "auth/token/lookup", {"token": "{L}"}),
    Step("A", "POST", "auth/token/lookup", {"token": "{L}"}),
    Step("root", "POST", "auth/token/lookup-accessor", {"accessor": "{L_accessor}"}),
    Step("root", "POST", "auth/token/lookup-accessor", {"accessor": "nope"}),
    Step("root", "POST", "auth/token/lookup-accessor", {}),
    Step("root", "POST", "auth/token/lookup", {"token": "nope"}),
    Step("root", "POST", "auth/token/lookup", {}, apart=("display_name", "path")),
    Step("root", "GET", "auth/token/lookup", apart=("display_name", "path")),
    Step("root", "GET", "auth/token/lookup-accessor"),
    Step("A", "LIST", "auth/token/accessors"),
    Step("SU", "LIST", "auth/token/accessors"),
    Step("root", "GET", "auth/token/accessors"),
    # Renewals.
    Step("root", "POST", "auth/token/renew", {"token": "{L}"}),
    Step("root", "POST", "auth/token/renew", {"token": "{L}", "increment": "2h"}),
    _look("L"),
    Step("root", "POST", "auth/token/renew", {"token": "{L}"}),
    Step("root", "POST", "auth/token/renew", {"token": "nope"}),
    Step("root", "POST", "auth/token/renew", {}),
    Step("L", "POST", "auth/token/renew-self", {"increment": "0"}),
    Step("L", "POST", "auth/token/renew-self", {"increment": "60"}),
    Step("root", "POST", "auth/token/renew-accessor", {"accessor": "{L_accessor}", "increment": 600}),
    Step("root", "POST", "auth/token/renew-accessor", {"accessor": "nope", "increment": 60}),
    Step("root", "POST", "auth/token/renew-accessor", {}),
    _make("root", "NR", policies=["a"], ttl="1h", renewable=False),
    Step("NR", "POST", "auth/token/renew-self"),
    Step("root", "POST", "auth/token/renew-self"),
    Step("RT", "POST", "auth/token/renew-self"),
    _make("root", "EM", policies=["a"], ttl="1h", explicit_max_ttl="90m"),
    Step("EM", "POST", "auth/token/renew-self", {"increment": "100m"}),
    _look("EM"),
    _make("root", "PE", policies=["a"], period="90m", ttl="1h"),
    Step("PE", "POST", "auth/token/renew-self", {"increment": "100m"}),
    _look("PE"),
    # Ends.
    Step("root", "POST", "auth/token/revoke", {"token": "nope"}),
    Step("root", "POST", "auth/token/revoke", {}),
    Step("root", "POST", "auth/token/revoke", {"token": "{NR}"}),
    Step("root", "POST", "auth/token/revoke", {"token": "{NR}"}),
    _look("NR"),
    Step("root", "POST", "auth/token/revoke-accessor", {"accessor": "nope"}),
    Step("root", "POST", "auth/token/revoke-accessor", {}),
    Step("root", "POST", "auth/token/revoke-accessor", {"accessor": "{L_accessor}"}),
    _look("L"),
    _make("root", "P", policies=["a"], ttl="1h"),
    _make("P", "C", ttl="1h"),
    _make("C", "G", ttl="1h"),
    Step("A", "POST", "auth/token/revoke-orphan", {"token": "{P}"}),
    Step("root", "POST", "auth/token/revoke-orphan", {"token": "{P}"}),
    Step("root", "POST", "auth/token/revoke-orphan", {"token": "{P}"}),
    Step("root", "POST", "auth/token/revoke-orphan", {}),
    _look("P"),
    _look("C"),
    _look("G"),
    Step("C", "POST", "auth/token/revoke-self"),
    _look("C"),
    _look("G"),
    # Roles.
    Step("root", "LIST", "auth/token/roles"),
    Step("root", "GET", "auth/token/roles/r1"),
    Step("root", "POST", "auth/token/roles/r1", {}),
    Step("root", "GET", "auth/token/roles/r1"),
    Step(
        "root",
        "POST",
        "auth/token/roles/r1",
        {
            "allowed_policies": "a,B",
            "disallowed_policies": ["c"],
            "orphan": True,
            "period": "1h",
            "path_suffix": "sfx",
            "renewable": False,
            "explicit_max_ttl": "2h",
        },
    ),
    Step("root", "GET", "auth/token/roles/r1"),
    Step(
        "root",
        "POST",
        "auth/token/roles/r1",
        {
            "token_period": "2h",
            "token_explicit_max_ttl": "3h",
            "token_num_uses": 3,
            "token_bound_cidrs": ["10.0.0.0/8", "127.0.0.1"],
            "token_no_default_policy": True,
            "allowed_entity_aliases": ["A", "b*"],
            "allowed_policies_glob": ["x*"],
            "disallowed_policies_glob": ["y*"],
        },
    ),
    Step("root", "GET", "auth/token/roles/r1"),
    Step("root", "POST", "auth/token/roles/r1", {"token_type": "batch"}),
    Step("root", "POST", "auth/token/roles/r2", {"token_type": "batch"}),
    Step("root", "POST", "auth/token/roles/r2", {"token_type": "batch", "orphan": True, "renewable": False}),
    Step("root", "POST", "auth/token/roles/r3", {"path_suffix": "a b"}),
    Step("root", "POST", "auth/token/roles/r3", {"token_num_uses": -1}),
    Step("root", "POST", "auth/token/roles/r3", {"token_ttl": "1h", "token_policies": "z"}),
    Step("root", "POST", "auth/token/roles/r3", {"token_bound_cidrs": "nope"}, texts=False),
    Step("root", "POST", "auth/token/roles/r3", {"token_type": "foo"}, texts=False),
    Step("root", "POST", "auth/token/roles/r3", {"token_period": "-1h"}, texts=False),
    Step("root", "POST", "auth/token/roles/r3", {"token_explicit_max_ttl": "10000h"}, texts=False),
    Step("root", "POST", "auth/token/roles/bad%20name", {}),
    Step("root", "GET", "auth/token/roles/r3"),
    Step("root", "LIST", "auth/token/roles"),
    _make("root", "x", f"{_C}/r1", policies=["a"]),
    _look("x", *_OF_ROLES),
    Step("root", "DELETE", "auth/token/roles/r1"),
    Step("root", "DELETE", "auth/token/roles/nope"),
    Step("root", "POST", "auth/token/roles/r4", {"allowed_policies": ["dev", "a"]}),
    _make("root", "x", f"{_C}/r4"),
    _make("A", "x", f"{_C}/r4"),
    _make("A", "x", f"{_C}/r4", policies=["a"]),
    _make("A", "x", f"{_C}/r4", policies=["a"], no_default_policy=True),
    _make("SU", "x", f"{_C}/r4"),
    _make_apart("root", f"{_C}/r4", policies=["zzz"]),
    _make_apart("root", f"{_C}/r4", policies=["root"]),
    _make_apart("A", f"{_C}/r4", policies=["a", "default"], no_default_policy=True),
    _make_apart("SU", f"{_C}/r4", policies=["zzz"]),
    Step("root", "POST", "auth/token/roles/r5", {"disallowed_policies": ["dev"]}),
    _make_apart("A", f"{_C}/r5", policies=["dev"]),
    _make("A", "x", f"{_C}/r5", policies=["other"]),
    _make("A", "x", f"{_C}/r5", policies=["root"]),
    _make("root", "x", f"{_C}/r5", policies=["root"]),
    _make("A", "x", f"{_C}/r5"),
    _make("root", "x", f"{_C}/r5"),
    Step(
        "root", "POST", "auth/token/roles/r6", {"allowed_policies_glob": ["x*"], "disallowed_policies_glob": ["xy*"]}
    ),
    _make("A", "x", f"{_C}/r6", policies=["x1"]),
    _make("A", "x", f"{_C}/r6"),
    Step(
        "root",
        "POST",
        "auth/token/roles/r7",
        {
            "token_period": "1h",
            "orphan": True,
            "path_suffix": "suf",
            "token_explicit_max_ttl": "90m",
            "renewable": False,
        },
    ),
    _make("A", "x", f"{_C}/r7", period="30m", ttl="10m"),
    _make("A", "x", f"{_C}/r7", ttl="10m", renewable=True),
    _look("x", *_OF_ROLES),
    _make("root", "x", f"{_C}/r7", period="30m", explicit_max_ttl="2h", ttl="10m"),
    _look("x", *_OF_ROLES),
    _make("root", "x", f"{_C}/r7", period="130m", explicit_max_ttl="20m", ttl="10m"),
    Step("root", "POST", "auth/token/roles/r8", {"token_num_uses": 5, "token_bound_cidrs": ["127.0.0.1/32"]}),
    _make("A", "x", f"{_C}/r8", num_uses=2),
    _make("A", "x", f"{_C}/r8", num_uses=9),
    _look("x"),
    Step("root", "POST", "auth/token/roles/r9", {"token_bound_cidrs": ["10.0.0.0/8"]}),
    _make("A", "x", f"{_C}/r9"),
    _look("x"),
    _make("A", "x", f"{_C}/r9", entity_alias="x"),
    Step("root", "POST", "auth/token/roles/r10", {"allowed_entity_aliases": ["foo*", "Bar"]}),
    _make("A", "x", f"{_C}/r10", entity_alias="x"),
    _make("A", "x", f"{_C}/r10", entity_alias="fooBAR"),
    _look("x"),
    Step("root", "POST", "auth/token/roles/r11", {"allowed_policies": ["dev"], "token_no_default_policy": True}),
    _make("A", "x", f"{_C}/r11"),
    Step("root", "POST", "auth/token/roles/r13", {"token_explicit_max_ttl": "60s"}),
    _make("A", "x", f"{_C}/r13", renewable=False, ttl="100"),
    _make("A", "x", f"{_C}/r13", no_parent=True),
    _make("A", "x", f"{_C}/r13", display_name="x", meta={"c": "d"}),
    _look("x", *_OF_ROLES),
    Step("root", "POST", "auth/token/roles/r14", {"allowed_policies": ["root"]}),
    _make("A", "x", f"{_C}/r14", policies=["root"]),
    _make("A", "x", f"{_C}/r14"),
    _make("root", "x", f"{_C}/r14"),
    # Leases.
    Step("root", "POST", "sys/leases/lookup", {"lease_id": "nope"}),
    Step("root", "POST", "sys/leases/lookup", {}),
    Step("root", "POST", "sys/leases/renew", {"lease_id": "nope"}),
    Step("root", "POST", "sys/leases/renew", {}),
    Step("root", "POST", "sys/leases/renew/auth/token/create/xx"),
    Step("root", "POST", "sys/leases/revoke", {"lease_id": "nope"}),
    Step("root", "POST", "sys/leases/revoke", {}),
    Step("root", "POST", "sys/leases/revoke/auth/token/create/xx"),
    Step("root", "POST", "sys/leases/revoke-prefix/nope"),
    Step("root", "POST", "sys/leases/revoke-force/nope"),
    Step("root", "LIST", "sys/leases/lookup", apart=("keys",)),  # what others have left there, too
    Step("root", "LIST", "sys/leases/lookup/auth"),
    Step("root", "LIST", "sys/leases/lookup/nope"),
    Step("A", "LIST", "sys/leases/lookup"),
    Step("root", "POST", "sys/leases/tidy", texts=False),
    Step("root", "POST", "auth/token/tidy", texts=False),
    # Batch tokens.
    _make("root", "B", policies=["a"], type="batch", ttl="1h", meta={"k": "v"}),
    _look("B"),
    _make("B", "x"),
    Step("B", "POST", "auth/token/renew-self"),
    Step("B", "POST", "auth/token/revoke-self"),
    Step("root", "POST", "auth/token/revoke", {"token": "{B}"}),
    Step("root", "POST", "auth/token/renew", {"token": "{B}"}),
    Step("root", "POST", "auth/token/lookup", {"token": "{B}"}),
    Step("B", "POST", "cubbyhole/x", {"a": "b"}),
    _make("root", "x", policies=["a"], type="batch", ttl="10m", period="5m"),
    _make("root", "x", policies=["a"], type="batch", num_uses=5),
    _make("root", "x", policies=["a"], type="batch", explicit_max_ttl="5m"),
    _make("root", "x", policies=["root"], type="batch"),
    Step("root", "POST", "auth/token/roles/r12", {"allowed_policies": ["dev"], "token_type": "default-batch"}),
    _make("A", "x", f"{_C}/r12"),
    _make("A", "x", f"{_C}/r12", type="service"),
    _make("A", "x", f"{_C}/r2"),
    _make("A", "BC", type="batch", ttl="1h"),
    _look("BC"),
    Step("root", "POST", "auth/token/revoke", {"token": "{A}"}),
    _look("BC"),
)
