"""The dearest that endpoints of logins take, as `dearest` has those of all others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from kms_http.api.login import approle, cert, jwt, kubernetes, userpass
from kms_http.routing import Operation, Route
from tests.support import dearest_cert
from tests.support.dear import DELETE, LARGE, LIST, READ, WRITE, Dear, anything, fields, nothing, text
from tests.support.jwt import Signer, b64

Table = Mapping[str, Mapping[Operation, list[Dear]]]

_MANY: Final = LARGE // 64
_LONG: Final = "x" * 4000


def _parameters(path: str) -> list[Dear]:
    """Return what fields of tokens can be made to cost."""
    return [
        *anything(path),
        Dear(path, fields(token_policies=text())),
        Dear(path, fields(token_policies=lambda: ",".join(["policy"] * (LARGE // 8)))),
        Dear(path, fields(token_bound_cidrs=lambda: [f"10.0.{n % 256}.{n // 256 % 256}/32" for n in range(190_000)])),
        Dear(path, fields(token_type=text())),
    ]


def _passwords(path: str) -> list[Dear]:
    return [Dear(path, fields(password=text())), Dear(path, fields(password="x" * 1024)), *anything(path)]


USERPASS: Final[Table] = {
    "login/{username}": {
        WRITE: [*_passwords("auth/userpass/login/dear"), *_passwords("auth/userpass/login/nobody")],
    },
    "users": {LIST: nothing("auth/userpass/users")},
    "users/{username}": {
        READ: nothing("auth/userpass/users/dear"),
        WRITE: [*_parameters("auth/userpass/users/dear"), *_passwords("auth/userpass/users/dear")],
        DELETE: nothing("auth/userpass/users/none"),
    },
    "users/{username}/password": {WRITE: _passwords("auth/userpass/users/dear/password")},
    "users/{username}/policies": {WRITE: _parameters("auth/userpass/users/dear/policies")[1:3]},
}

_ROLE: Final = "auth/approle/role/dear"


def _blocks(field: str) -> Callable[[], bytes]:
    return fields(**{field: lambda: [f"10.0.{n % 256}.{n // 256 % 256}/32" for n in range(1000)]})


def _single(path: str, body: Callable[[], bytes]) -> dict[Operation, list[Dear]]:
    place = f"{_ROLE}/{path}"
    return {READ: nothing(place), WRITE: [Dear(place, body)], DELETE: nothing(place)}


def _ids(path: str, field: str) -> list[Dear]:
    return [Dear(path, fields(**{field: text()})), Dear(path, fields(**{field: "x" * 4096}))]


def _made(path: str, **further: str) -> list[Dear]:
    return [
        Dear(path, fields(metadata=text(), **further)),
        Dear(path, fields(metadata=lambda: ",".join(f"a{n}=b" for n in range(9000)), **further)),
        Dear(path, _blocks("cidr_list")),
        Dear(path, _blocks("token_bound_cidrs")),
        *anything(path),
    ]


_TO_256: Final = fields(token_bound_cidrs=lambda: [f"10.1.{n}.0/24" for n in range(256)])

APPROLE: Final[Table] = {
    "login": {
        WRITE: [
            Dear("auth/approle/login", fields(role_id=text(), secret_id="x")),
            Dear("auth/approle/login", fields(role_id="dear", secret_id=text())),
            Dear("auth/approle/login", fields(role_id="dear", secret_id="own")),
            *anything("auth/approle/login"),
        ]
    },
    "role": {LIST: nothing("auth/approle/role")},
    "role/{role_name}": {
        READ: nothing(_ROLE),
        WRITE: [*_parameters(_ROLE), Dear(_ROLE, _blocks("secret_id_bound_cidrs")), Dear(_ROLE, _TO_256)],
        DELETE: nothing("auth/approle/role/none"),
    },
    "role/{role_name}/role-id": {READ: nothing(f"{_ROLE}/role-id"), WRITE: _ids(f"{_ROLE}/role-id", "role_id")},
    "role/{role_name}/local-secret-ids": {READ: nothing(f"{_ROLE}/local-secret-ids")},
    **{
        f"role/{{role_name}}/{path}": _single(path, body)
        for path, body in {
            "policies": fields(token_policies=text()),
            "period": fields(token_period=text()),
            "token-ttl": fields(token_ttl=text()),
            "token-max-ttl": fields(token_max_ttl=text()),
            "token-num-uses": fields(token_num_uses=text()),
            "token-bound-cidrs": _TO_256,
            "bind-secret-id": fields(bind_secret_id=text()),
            "secret-id-num-uses": fields(secret_id_num_uses=text()),
            "secret-id-ttl": fields(secret_id_ttl=text()),
            "secret-id-bound-cidrs": _blocks("secret_id_bound_cidrs"),
            "bound-cidr-list": _blocks("bound_cidr_list"),
        }.items()
    },
    "role/{role_name}/secret-id": {LIST: nothing(f"{_ROLE}/secret-id"), WRITE: _made(f"{_ROLE}/secret-id")},
    "role/{role_name}/custom-secret-id": {WRITE: _made(f"{_ROLE}/custom-secret-id", secret_id="own2")},
    "role/{role_name}/secret-id/lookup": {WRITE: _ids(f"{_ROLE}/secret-id/lookup", "secret_id")},
    "role/{role_name}/secret-id/destroy": {
        WRITE: _ids(f"{_ROLE}/secret-id/destroy", "secret_id"),
        DELETE: nothing(f"{_ROLE}/secret-id/destroy?secret_id={_LONG}"),
    },
    "role/{role_name}/secret-id-accessor/lookup": {
        WRITE: _ids(f"{_ROLE}/secret-id-accessor/lookup", "secret_id_accessor")
    },
    "role/{role_name}/secret-id-accessor/destroy": {
        WRITE: _ids(f"{_ROLE}/secret-id-accessor/destroy", "secret_id_accessor"),
        DELETE: nothing(f"{_ROLE}/secret-id-accessor/destroy?secret_id_accessor={_LONG}"),
    },
    "tidy/secret-id": {WRITE: anything("auth/approle/tidy/secret-id")},
}

SYSTEM: Final[Table] = {
    "sys/mounts/auth/{path...}/tune": {
        READ: nothing("sys/mounts/auth/token/tune"),
        WRITE: anything("sys/mounts/auth/userpass/tune"),
    },
    "sys/locked-users": {READ: nothing(f"sys/locked-users?mount_accessor={_LONG}")},
    "sys/locked-users/{mount_accessor}/unlock/{alias_identifier...}": {
        WRITE: anything(f"sys/locked-users/auth_approle_1/unlock/{_LONG}")
    },
    "sys/auth": {READ: nothing("sys/auth")},
    "sys/auth/{path...}": {
        READ: nothing("sys/auth/userpass"),
        WRITE: [
            Dear("sys/auth/new", fields(type=text())),
            Dear("sys/auth/new", fields(type="userpass", description=text())),
            *anything("sys/auth/new"),
        ],
        DELETE: nothing(f"sys/auth/{_LONG}"),
    },
    "sys/auth/{path...}/tune": {
        READ: nothing("sys/auth/userpass/tune"),
        WRITE: [
            Dear("sys/auth/userpass/tune", fields(description=text())),
            Dear(
                "sys/auth/userpass/tune", fields(user_lockout_config=lambda: dict.fromkeys(map(str, range(99_000))))
            ),
        ],
    },
}


def _tokens(path: str) -> list[Dear]:
    """Return what tokens of others can be made to cost: a text as long as it may be, and one that is verified."""
    signer = Signer.make("RS256")
    header = f"{b64(signer.header())}."
    return [
        Dear(path, fields(role="dear", jwt=text())),
        Dear(path, fields(role="dear", jwt=header + "A" * 16_000 + "." + "A" * 16_000)),
        Dear(path, fields(role="dear", jwt=header + b64(b'{"a":' * 4000) + ".AAAA")),
        Dear(path, fields(role="dear", jwt=signer.sign({"sub": "dear", "a": ["x"] * 2000}))),
        Dear(path, fields(role=text())),
        *anything(path),
    ]


def _of_tokens(kind: str) -> Table:
    """Return the table of a type of mounts whose logins are by signed tokens."""
    at = f"auth/{kind}"
    return {
        "config": {
            READ: nothing(f"{at}/config"),
            WRITE: [
                *anything(f"{at}/config"),
                Dear(f"{at}/config", fields(jwt_validation_pubkeys=text())),
                Dear(f"{at}/config", fields(jwt_validation_pubkeys=lambda: [Signer.make("RS256").pem] * 1000)),
                Dear(f"{at}/config", fields(jwks_url=text())),
                Dear(f"{at}/config", fields(jwks_url="https://127.0.0.1/", jwks_ca_pem=text())),
            ],
        },
        "role": {LIST: nothing(f"{at}/role")},
        "role/{name}": {
            READ: nothing(f"{at}/role/dear"),
            WRITE: [
                *_parameters(f"{at}/role/dear"),
                Dear(f"{at}/role/dear", fields(bound_claims=lambda: dict.fromkeys(map(str, range(90_000)), "x"))),
                Dear(f"{at}/role/dear", fields(claim_mappings=lambda: dict.fromkeys(map(str, range(90_000)), "x"))),
                Dear(f"{at}/role/dear", fields(claim_mappings=lambda: "a=b," * (LARGE // 4) + "a=b")),
            ],
            DELETE: nothing(f"{at}/role/none"),
        },
        "login": {WRITE: _tokens(f"{at}/login")},
        "oidc/auth_url": {
            WRITE: [*anything(f"{at}/oidc/auth_url"), Dear(f"{at}/oidc/auth_url", fields(redirect_uri=text()))]
        },
        "oidc/callback": {
            READ: nothing(f"{at}/oidc/callback?state={_LONG}&code={_LONG}"),
            WRITE: [*anything(f"{at}/oidc/callback"), Dear(f"{at}/oidc/callback", fields(id_token=text()))],
        },
    }


def _shortest(table: Table) -> Table:
    """Return one request of each operation: of routes whose others are asked under another name."""
    return {pattern: {operation: dear[:1] for operation, dear in of.items()} for pattern, of in table.items()}


_KUBERNETES: Final = "auth/kubernetes"
KUBERNETES: Final[Table] = {
    "config": {
        READ: nothing(f"{_KUBERNETES}/config"),
        WRITE: [
            *anything(f"{_KUBERNETES}/config"),
            Dear(f"{_KUBERNETES}/config", fields(kubernetes_host=text())),
            Dear(f"{_KUBERNETES}/config", fields(kubernetes_host="x", kubernetes_ca_cert=text())),
            Dear(f"{_KUBERNETES}/config", fields(pem_keys=lambda: [Signer.make("RS256").pem] * 1000)),
        ],
    },
    "role": {LIST: nothing(f"{_KUBERNETES}/role")},
    "role/{name}": {
        READ: nothing(f"{_KUBERNETES}/role/dear"),
        WRITE: [
            *_parameters(f"{_KUBERNETES}/role/dear"),
            Dear(f"{_KUBERNETES}/role/dear", fields(bound_service_account_names=lambda: ["x"] * 190_000)),
        ],
        DELETE: nothing(f"{_KUBERNETES}/role/none"),
    },
    "login": {WRITE: _tokens(f"{_KUBERNETES}/login")},
}


TABLES: Final[Mapping[str, Table]] = {
    "approle": APPROLE,
    "cert": dearest_cert.CERT,
    "jwt": _of_tokens("jwt"),
    "kubernetes": KUBERNETES,
    "oidc": _shortest(_of_tokens("oidc")),  # the same routes
    "userpass": USERPASS,
}
ROUTES: Final[Mapping[str, tuple[Route, ...]]] = {
    "approle": approle.ROUTES,
    "cert": cert.ROUTES,
    "jwt": jwt.ROUTES,
    "kubernetes": kubernetes.ROUTES,
    "oidc": jwt.ROUTES,
    "userpass": userpass.ROUTES,
}


def preparation(kind: str) -> Iterator[tuple[str, bytes]]:
    """Yield the writes that make what the table of a type names: path and body."""
    at = f"auth/{kind}"
    yield f"sys/auth/{kind}", json.dumps({"type": kind}).encode()
    if kind == "approle":
        yield f"{at}/role/dear", b'{"role_id":"dear"}'
        for number in range(300):
            own = b'{"secret_id":"own%b"}' % (b"%d" % number if number else b"")
            yield f"{at}/role/dear/custom-secret-id", own
    elif kind == "cert":
        yield from dearest_cert.preparation()
    elif kind == "userpass":
        yield f"{at}/users/dear", b'{"password":"x"}'
        for number in range(100):
            yield f"{at}/users/u{number}", b'{"password":"x"}'
    elif kind == "kubernetes":
        yield f"{at}/config", json.dumps({"pem_keys": [Signer.make("RS256").pem] * 32}).encode()
        yield f"{at}/role/dear", b'{"bound_service_account_names":"*","bound_service_account_namespaces":"*"}'
    else:
        yield f"{at}/config", json.dumps({"jwt_validation_pubkeys": [Signer.make("RS256").pem] * 32}).encode()
        yield f"{at}/role/dear", b'{"role_type":"jwt","user_claim":"sub","bound_subject":"dear"}'
