"""Making tokens, and narrowing them.

`build_token` needs both private keys; `attenuate` needs nothing but a token, since it can only take away: a biscuit,
or a batch token, which is one behind a prefix.

A path pattern is exact; with `*` at its end it is a prefix; `+` stands for one whole segment: as in
Vault's policies. Paths are those of the HTTP API without `/v1/`, so a secret of KV version 2 is
`secret/data/app/db`, and listing needs `secret/metadata/app/*` besides. What a client calls on behalf of
the token itself stays allowed (`self_service`). Several paths are alternatives, and so are several
operations or mounts; path and operation must both hold.
"""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from biscuit_auth import Algorithm, BiscuitBuilder, BlockBuilder, KeyPair, PrivateKey

from kms_actors.auth import batch_token, wire
from kms_actors.auth.append import append
from kms_actors.auth.biscuit import RIGHTS, policy_names, with_policies
from kms_actors.auth.cost import MAX_FACT, require_cheap
from kms_actors.auth.principal import Capability, Right
from kms_actors.auth.scope import require_scope
from kms_actors.auth.wire import TokenRefused
from kms_actors.errors import InvalidRequest
from kms_actors.secret import SecretBytes


class Privilege(enum.StrEnum):
    """What `kms-cli biscuit` calls the three kinds of token."""

    CLUSTER_OPERATOR = "cluster-operator"
    TENANT_OPERATOR = "tenant-operator"
    TENANT = "tenant"


RIGHT_OF: Final = {
    Privilege.CLUSTER_OPERATOR: Right.OPERATOR,
    Privilege.TENANT_OPERATOR: Right.ROOT,
    Privilege.TENANT: Right.DATA,
}


def build_token(
    root_private: SecretBytes,
    service_private: SecretBytes,
    resource: str,
    privilege: Privilege,
    *,
    owner: str,
    now: float,
    ttl: int | None = None,
    namespace: str | None = None,
    policies: Iterable[str] = (),
) -> str:
    """Return a token in URL-safe base64 without padding.

    `resource` is the cluster's namespace or a vault id; keys are 32 bytes of Ed25519; `ttl` is in seconds,
    None for a token without end; `now` is in seconds since 1970. `namespace` is the cluster's, where it is known.
    `policies` of the vault give the bearer what they say in place of all data; for a tenant's token only.

    Raises:
        InvalidRequest: no server would take it; the text says the rule.
        TokenRefused: it would be longer than a server takes, or name policies that no token may.

    """
    names = policy_names(policies)
    with_policies(RIGHT_OF[privilege], names)
    require_scope(RIGHT_OF[privilege], resource, namespace)
    if any("\ud800" <= character <= "\udfff" for character in owner):  # a shell hands over bytes of any kind
        raise InvalidRequest("the owner is no text in UTF-8")
    code = f"resource({{resource}}); {RIGHTS[RIGHT_OF[privilege]]}; owner({{owner}});"
    parameters: dict[str, Any] = {"resource": resource, "owner": owner}
    for number, name in enumerate(names):
        code += f" policy({{policy{number}}});"
        parameters[f"policy{number}"] = name
    if ttl is not None:
        code += _EXPIRY
        parameters["end"] = _end(ttl, now)
    service = KeyPair.from_private_key(_private(service_private))
    authority = BiscuitBuilder("").build(_private(root_private))
    block = authority.third_party_request().create_block(service.private_key, BlockBuilder(code, parameters))
    return _finished(bytes(authority.append_third_party(service.public_key, block).to_bytes()))


def attenuate(
    token: str,
    *,
    now: float,
    ttl: int | None = None,
    paths: Iterable[str] = (),
    operations: Iterable[Capability] = (),
    mounts: Iterable[str] = (),
    services: Iterable[str] = (),
) -> str:
    """Return the token narrowed by one more block; each kind of limit that is given must hold.

    Raises:
        TokenRefused: the token is malformed or sealed, or would be past what the server takes.
        InvalidRequest: nothing to narrow by, or a pattern that could never match.

    """
    parameters: dict[str, Any] = {}
    checks = [
        _alternatives(values, query, parameters)
        for values, query in (
            (paths, _path_query),
            (operations, _equals("operation")),
            (map(_mount, mounts), _equals("mount")),
            (services, _equals("service")),
        )
    ]
    if ttl is not None:
        checks.append(_EXPIRY)
        parameters["end"] = _end(ttl, now)
    code = "\n".join(filter(None, checks))
    if not code:
        raise InvalidRequest("nothing to narrow the token by: give a ttl, a path, an operation or a mount")
    head, biscuit = batch_token.split(token)
    narrowed = append(wire.decode(biscuit), code, parameters)
    require_cheap(wire.parse(narrowed), issuers=1 if head else 2)
    return _finished(narrowed, head)


def _finished(raw: bytes, head: str = "") -> str:
    text = head + wire.encode(raw)
    if len(text) > wire.MAX_TOKEN_LENGTH:
        raise TokenRefused(
            f"the token would have {len(text):,} characters, and servers take {wire.MAX_TOKEN_LENGTH:,}: "
            "narrow by fewer or shorter paths, or by a prefix"
        )
    return text


#: The form that the server decides without running Datalog (`checks`).
_EXPIRY: Final = "check if time($t), $t < {end};"
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")

#: Returns the query for a value and the name of its parameter, and the parameter's value.
Query = Callable[[str, str], tuple[str, str]]


def _alternatives(values: Iterable[str], query: Query, parameters: dict[str, Any]) -> str:
    """Return one check that holds if any of the values does; their text enters as parameters only."""
    queries = []
    for value in values:
        name = f"p{len(parameters)}"
        source, parameters[name] = query(value, name)
        queries.append(source)
    return f"check if {' or '.join(queries)};" if queries else ""


def _equals(fact: str) -> Query:
    return lambda value, name: (f"{fact}({{{name}}})", str(value))


def _path_query(pattern: str, name: str) -> tuple[str, str]:
    path = pattern.strip()
    if path.startswith(("/", "v1/")):
        raise InvalidRequest("a path is that of the API without `/v1/`: secret/data/app/*, not /v1/secret/data/app/*")
    head, star = (path[:-1], True) if path.endswith("*") else (path, False)
    segments = head.split("/")
    if not path or "*" in head or not path.isprintable() or {".", ".."} & set(segments) or "" in segments[:-1]:
        raise InvalidRequest(
            "a path is non-empty and printable, `*` only ends it, and no segment is empty, `.` or `..`: "
            "no request has another"
        )
    if len(path.encode()) > MAX_FACT:
        raise InvalidRequest(f"a path has at most {MAX_FACT:,} bytes")
    if "+" in segments:
        parts = ("[^/]+" if segment == "+" else _SPECIAL.sub(r"\\\g<0>", segment) for segment in segments)
        return f"path($p), $p.matches({{{name}}})", f"^{'/'.join(parts)}{'' if star else '$'}"
    if star:
        return f"path($p), $p.starts_with({{{name}}})", head
    return f"path({{{name}}})", path


def _mount(mount: str) -> str:
    """Return a mount as requests name it: `secret/`."""
    name = mount.strip().strip("/")
    if not name or "*" in name or not name.isprintable() or "" in name.split("/"):
        raise InvalidRequest("a mount has a name, printable and whole: `*` stands for nothing in it")
    return f"{name}/"


def _end(ttl: int, now: float) -> datetime.datetime:
    if ttl <= 0:
        raise InvalidRequest("ttl is at least one second")
    try:
        return datetime.datetime.fromtimestamp(int(now) + ttl, datetime.UTC)
    except (OverflowError, ValueError):
        raise InvalidRequest("ttl ends past the year 9999") from None


def _private(key: SecretBytes) -> PrivateKey:
    return PrivateKey.from_bytes(key.reveal(), Algorithm.Ed25519)  # type: ignore[call-arg, attr-defined]  # stubs lag
