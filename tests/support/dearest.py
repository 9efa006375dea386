"""The dearest that each endpoint takes: paths and bodies that cost a node as much as one request can.

The table has a row for every operation of every route, which a test compares with the routes. A row is a list: what
is dear differs with what is looked at. Where all of a body is worked on, it is as long as `KMS_DEAREST_BYTES` says:
8 MiB, and for measuring 30, near the bound of 32.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from kms_http.api.kv.routes import ROUTES as KV_ROUTES
from kms_http.api.kv.unversioned import ROUTES as KV_V1_ROUTES
from kms_http.api.routes import ENGINES, SYSTEM_ROUTES
from kms_http.api.transit.routes import ROUTES as TRANSIT_ROUTES
from kms_http.routing import Operation
from tests.support import (
    dearest_asked,
    dearest_audit,
    dearest_identity,
    dearest_keys,
    dearest_logins,
    dearest_mounts,
    dearest_tenants,
    dearest_tokens,
)
from tests.support.dear import (
    DELETE,
    LARGE,
    LIST,
    METHODS,
    PATCH,
    READ,
    SCAN,
    WRITE,
    Dear,
    Place,
    anything,
    batch,
    fields,
    nothing,
    text,
)

__all__ = ["BODIES", "LARGE", "METHODS", "TABLES", "Dear", "places", "preparation", "rows"]


def either(path: str, field: str, **further: Any) -> list[Dear]:
    """Return a text of all bytes that are taken, one that shows at its end that it is none, and batches."""
    return [
        Dear(path, fields(**{field: text()}, **further)),
        Dear(path, fields(**{field: text(end="!")}, **further)),
        Dear(path, batch(**{field: "AAAA"}, **further)),
        Dear(path, batch(250, **{field: text(1 / 250)}, **further)),
        Dear(path, batch(300, **{field: text(1 / 300)}, **further)),
    ]


def ciphertexts(path: str) -> list[Dear]:
    return [
        Dear(path, fields(ciphertext=lambda: "vault:v1:" + text()())),
        Dear(path, fields(ciphertext=lambda: "vault:v1:" + text(end="!")())),
        Dear(path, batch(ciphertext="vault:v1:" + "AAAA" * 12)),
        Dear(path, batch(300, ciphertext=lambda: "vault:v1:" + text(1 / 300)())),
    ]


def verifications(path: str) -> list[Dear]:
    return [
        Dear(path, fields(input=text(), signature="vault:v1:AAAA")),
        Dear(path, fields(input="AAAA", signature=lambda: "vault:v1:" + text()())),
        Dear(path, batch(input="AAAA", signature="vault:v1:" + "AAAA" * 86)),
    ]


def key_makers(path: str) -> list[Dear]:
    most = (400 * 1024) / LARGE  # what is sent may be a megabyte together
    return [
        Dear(path, fields(count=10_000, bits=512)),
        Dear(path, fields(count=10_000, associated_data=text(most))),
        Dear(path, fields(count=60, associated_data=text(most), context=text(most))),
        Dear(path, fields(count=10_000, context=text())),
        Dear(path, fields(count=10_000, associated_data=text(0.5, "!"))),
    ]


@cache
def document() -> bytes:
    """Return a KV version's data of the largest size, with as many names as go into it."""
    return json.dumps({"data": {f"n{number}": 1 for number in range(75_000)}}).encode()


def paths_of_kv(verb: str) -> dict[Operation, list[Dear]]:
    return {
        operation: (anything if operation in (WRITE, PATCH) else nothing)(f"secret/{verb}/big")
        for operation in Operation
    }


_MERGE: Final = Dear("secret/data/big", document)
_VERSIONS: Final = fields(versions=lambda: list(range(190_000)))
_LONG: Final = "x" * 4000
_T: Final = "2020-01-01T00:00:00.123456789Z"

TRANSIT: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "encrypt/{name}": {
        WRITE: [
            *either("transit/encrypt/aes", "plaintext"),
            *either("transit/encrypt/derived", "plaintext", context="AAAA"),
            Dear("transit/encrypt/aes", fields(plaintext="AAAA", associated_data=text())),
            Dear("transit/encrypt/derived", fields(plaintext="AAAA", context=text())),
            Dear("transit/encrypt/rsa", batch(1000, plaintext="AAAA")),
        ]
    },
    "decrypt/{name}": {WRITE: [*ciphertexts("transit/decrypt/aes"), *ciphertexts("transit/decrypt/rsa")]},
    "rewrap/{name}": {WRITE: ciphertexts("transit/rewrap/aes")},
    "keys": {LIST: nothing("transit/keys")},
    "keys/{name}": {
        WRITE: [Dear("transit/keys/new", fields(type=text())), Dear("transit/keys/aes", fields(context=text()))],
        READ: [Dear("transit/keys/many"), Dear(f"transit/keys/derived?context={'AAAA' * 2000}")],
        DELETE: nothing("transit/keys/aes"),
    },
    "keys/{name}/rotate": {WRITE: [*nothing("transit/keys/many/rotate"), *anything("transit/keys/aes/rotate")]},
    "keys/{name}/config": {WRITE: anything("transit/keys/many/config")},
    "keys/{name}/trim": {WRITE: anything("transit/keys/many/trim")},
    "keys/{name}/soft-delete": {DELETE: nothing("transit/keys/gone/soft-delete")},
    "keys/{name}/soft-delete-restore": {WRITE: anything("transit/keys/gone/soft-delete-restore")},
    "config/keys": {READ: nothing("transit/config/keys"), WRITE: anything("transit/config/keys")},
    "cache-config": {READ: nothing("transit/cache-config"), WRITE: anything("transit/cache-config")},
    "hmac/{name}": {WRITE: either("transit/hmac/aes", "input")},
    "hmac/{name}/{urlalgorithm}": {WRITE: either("transit/hmac/aes/sha3-512", "input")},
    "cmac/{name}": {WRITE: either("transit/cmac/cmac", "input")},
    "cmac/{name}/{url_mac_length}": {WRITE: either("transit/cmac/cmac/8", "input")},
    "sign/{name}": {
        WRITE: [
            *either("transit/sign/curve", "input"),
            Dear("transit/sign/post-quantum", batch(2000, input="AAAA")),
            Dear("transit/sign/rsa", fields(input="AAAA", salt_length=text())),
        ]
    },
    "sign/{name}/{urlalgorithm}": {WRITE: either("transit/sign/curve/sha3-512", "input")},
    "verify/{name}": {
        WRITE: [
            *verifications("transit/verify/rsa"),
            Dear("transit/verify/aes", batch(input="", hmac="vault:v1:AAAA")),
        ]
    },
    "verify/{name}/{urlalgorithm}": {WRITE: verifications("transit/verify/curve/sha2-512")},
    "datakey/{plaintext}/{name}": {WRITE: key_makers("transit/datakey/plaintext/aes")},
    "datakeys/{plaintext}/{name}": {
        WRITE: [
            *key_makers("transit/datakeys/plaintext/aes"),
            Dear("transit/datakeys/wrapped/rsa", fields(count=10_000)),
        ]
    },
    "derivedkeys/{plaintext}/{name}": {
        WRITE: [
            Dear(
                "transit/derivedkeys/plaintext/aes",
                fields(key_index_from=0, key_index_to=count, salt=text(size), info=text(size), bits=512),
            )
            for count, size in ((10_000, 1e-6), (60, 4e5 / LARGE), (10_000, 4e5 / LARGE), (10_000, 0.5))
        ]
    },
    "hash": {WRITE: either("transit/hash", "input")[:2]},
    "hash/{urlalgorithm}": {WRITE: either("transit/hash/sha3-512", "input")[:2]},
    "random": {WRITE: [Dear("transit/random", fields(bytes=131_072, format="hex")), *anything("transit/random")]},
    "random/{source}": {WRITE: [Dear("transit/random/all", fields(bytes=131_072))]},
    "random/{source}/{urlbytes}": {WRITE: nothing("transit/random/all/131072")},
    "export/{type}/{name}": {READ: [Dear("transit/export/signing-key/many"), Dear("transit/export/public-key/many")]},
    "export/{type}/{name}/{version}": {READ: nothing("transit/export/signing-key/many/latest")},
    "wrapping_key": {READ: nothing("transit/wrapping_key")},
    "keys/{name}/import": {
        WRITE: [
            Dear("transit/keys/in/import", fields(ciphertext=text())),
            Dear("transit/keys/in/import", fields(type="rsa-2048", public_key=text())),
            Dear("transit/keys/in/import", fields(type="rsa-2048", public_key="-----BEGIN A-----\n" * 1_500_000)),
        ]
    },
    "keys/{name}/import_version": {WRITE: [Dear("transit/keys/in/import_version", fields(ciphertext=text()))]},
    "derive-key/{name}": {
        WRITE: [
            Dear("transit/derive-key/agreed", fields(base_key_name="curve", peer_public_key=text())),
            Dear("transit/derive-key/agreed", fields(base_key_name=text(), peer_public_key="x")),
        ]
    },
    "byok-export/{destination}/{name}": {READ: nothing("transit/byok-export/rsa/many")},
    "byok-export/{destination}/{name}/{version}": {READ: nothing("transit/byok-export/rsa/many/latest")},
    "backup/{name}": {READ: nothing("transit/backup/many")},
    "restore": {
        WRITE: [
            Dear("transit/restore", fields(backup=lambda: backup_of(b'{"archived_keys":[%b{}]}', b"{},"))),
            Dear(
                "transit/restore", fields(backup=lambda: backup_of(b'{"policy":{"type":[%b1]}}', b"9" * 4000 + b","))
            ),
            Dear("transit/restore", fields(backup=text(end="!"))),
        ]
    },
    "restore/{name}": {WRITE: [Dear("transit/restore/x", fields(backup=text()))]},
    "keys/{name}/csr": {WRITE: [Dear("transit/keys/curve/csr", fields(csr="-----BEGIN A-----\n" * 1_500_000))]},
    "keys/{name}/set-certificate": {
        WRITE: [
            Dear("transit/keys/curve/set-certificate", fields(certificate_chain="-----BEGIN A-----\n" * 1_500_000)),
            Dear("transit/keys/curve/set-certificate", fields(certificate_chain=text())),
        ]
    },
}


def backup_of(around: bytes, each: bytes) -> str:
    """Return a text as long as a backup may be."""
    content = around % (each * (LARGE * 3 // 4 // len(each)))
    return base64.b64encode(content).decode()


KV: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "config": {
        READ: nothing("secret/config"),
        WRITE: anything("secret/config"),
        PATCH: anything("secret/config"),
        DELETE: nothing("secret/config"),
    },
    "data/{path...}": {
        READ: nothing("secret/data/big"),
        WRITE: [
            _MERGE,
            Dear("secret/data/x", fields(data={"x": "a"}, options=lambda: dict.fromkeys(map(str, range(190_000))))),
            Dear("secret/data/x", fields(data=lambda: {str(number): "x" * 120 for number in range(190_000)})),
            Dear("secret/data/x", fields(data=lambda: {"x": text()()})),
        ],
        PATCH: [_MERGE, Dear("secret/data/big", fields(data={"a": None}))],
        **{operation: nothing("secret/data/versions") for operation in (DELETE, LIST, SCAN)},
    },
    "delete/{path...}": paths_of_kv("delete") | {WRITE: [Dear("secret/delete/versions", _VERSIONS)]},
    "undelete/{path...}": paths_of_kv("undelete") | {WRITE: [Dear("secret/undelete/versions", _VERSIONS)]},
    "destroy/{path...}": paths_of_kv("destroy") | {WRITE: [Dear("secret/destroy/versions", _VERSIONS)]},
    "metadata": {LIST: nothing("secret/metadata"), SCAN: nothing("secret/metadata")},
    "metadata/{path...}": {
        READ: nothing("secret/metadata/versions"),
        WRITE: [
            Dear("secret/metadata/m", fields(custom_metadata=lambda: {str(n): "x" * 99 for n in range(190_000)})),
            Dear("secret/metadata/m", fields(custom_metadata=lambda: {"x": text()()})),
        ],
        PATCH: [
            Dear("secret/metadata/m", fields(custom_metadata=lambda: {str(n): "\u00e9" for n in range(190_000)}))
        ],
        DELETE: nothing("secret/metadata/none"),
        LIST: nothing("secret/metadata/folder"),
        SCAN: nothing("secret/metadata/folder"),
    },
    "detailed-metadata": {operation: nothing("secret/detailed-metadata") for operation in (LIST, SCAN)},
    "detailed-metadata/{path...}": paths_of_kv("detailed-metadata")
    | {operation: nothing("secret/detailed-metadata/many") for operation in (LIST, SCAN)},
    "times/{path...}": paths_of_kv("times")
    | {
        WRITE: [
            Dear(
                "secret/times/versions",
                fields(versions=lambda: {str(n): {"deletion_time": ""} for n in range(190_000)}),
            ),
            Dear(
                "secret/times/versions",
                fields(versions=lambda: {str(n): {"created_time": _T} for n in range(1, 10_001)}),
            ),
        ]
    },
    "subkeys/{path...}": paths_of_kv("subkeys"),
    "{rest...}": {
        **{operation: nothing(f"secret/{_LONG}") for operation in (READ, LIST, DELETE, SCAN)},
        **{operation: anything(f"secret/{_LONG}") for operation in (WRITE, PATCH)},
    },
}

KV_V1: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "{path...}": {
        READ: nothing("plain/big"),
        WRITE: [
            Dear("plain/big", lambda: json.dumps({f"n{number}": 1 for number in range(75_000)}).encode()),
            Dear("plain/x", lambda: json.dumps({str(number): "x" * 120 for number in range(190_000)}).encode()),
            Dear("plain/x", fields(x=text())),
        ],
        DELETE: nothing("plain/none"),
        LIST: nothing("plain"),
        SCAN: nothing("plain"),
    }
}

_PATHS: Final = fields(paths=lambda: [f"secret/data/{number}/{'x' * 40}" for number in range(1000)])


def policies(path: str, field: str = "policy") -> list[Dear]:
    """Return policies of as many rules, as long rules and as deep ones as are taken, and what is too much."""
    rule = 'path "a/+/%d" {capabilities=["read","deny"]}\n'
    texts = {
        "rules": "".join(rule % number for number in range(2_000)),
        "more rules": "".join(f'path "{number}" {{}}' for number in range(17_000)),
        "a long rule": 'path "a" {allowed_parameters={a=[%s]}}' % ("1," * 1_900),
        "comments": "/**/" * 60_000,
        "strings": 'path "a" {comment="%s"}' % ("\\n" * 120_000),
        "documents": 'path "a" {comment=<<E\n%s}' % ("E \n" * 80_000),
        "templates": 'path "%s" {}' % ("{{a}}" * 200),
        "depth": "a = " + "[" * 200_000,
        "json": json.dumps({"path": {f"a/{number}": {"capabilities": ["read"]} for number in range(2_000)}}),
    }
    return [Dear(path, fields(**{field: value})) for value in texts.values()] + [
        Dear(path, fields(**{field: text()}))
    ]


def password_policies(path: str) -> list[Dear]:
    charset = "".join(map(chr, range(0x4E00, 0x4F00)))
    rule = f'rule "charset" {{ charset = "{charset}" min-chars = 1 }}\n'
    return [
        Dear(path, fields(policy="length = 100\n" + rule * 64)),
        Dear(path, fields(policy="length = 100\n" + rule * 300)),
        Dear(path, fields(policy=text())),
    ]


SYSTEM: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    **{f"sys/{name}": {READ: nothing(f"sys/{name}")} for name in ("seal-status", "health", "leader", "mounts")},
    "sys/init": {READ: nothing("sys/init"), WRITE: anything("sys/init")},
    "sys/unseal": {
        WRITE: [Dear("sys/unseal", fields(key=text())), Dear("sys/unseal", fields(key="ff" * (LARGE // 2)))]
    },
    "sys/seal": {WRITE: []},  # it ends what is measured
    "sys/mounts/{path...}/tune": {
        READ: nothing("sys/mounts/secret/tune"),
        WRITE: [
            Dear("sys/mounts/secret/tune", fields(description=text())),
            Dear("sys/mounts/secret/tune", fields(options=lambda: dict.fromkeys(map(str, range(190_000)), "x"))),
        ],
    },
    "sys/mounts/{path...}": {
        READ: nothing("sys/mounts/secret"),
        WRITE: [
            Dear("sys/mounts/new", fields(type=text())),
            Dear("sys/mounts/new", fields(type="kv", description=text())),
        ],
        DELETE: nothing(f"sys/mounts/{_LONG}"),
    },
    "sys/policies/acl": {LIST: nothing("sys/policies/acl")},
    "sys/policies/acl/{name...}": {
        LIST: nothing("sys/policies/acl/folder"),
        READ: nothing("sys/policies/acl/default"),
        WRITE: policies("sys/policies/acl/new"),
        PATCH: policies("sys/policies/acl/new"),
        DELETE: nothing("sys/policies/acl/none"),
    },
    "sys/policy": {READ: nothing("sys/policy"), LIST: nothing("sys/policy")},
    "sys/policy/{name...}": {
        LIST: nothing("sys/policy/folder"),
        READ: nothing("sys/policy/default"),
        WRITE: policies("sys/policy/new", "rules"),
        DELETE: nothing("sys/policy/none"),
    },
    "sys/policies/password": {LIST: nothing("sys/policies/password")},
    "sys/policies/password/{name...}/generate": {READ: nothing("sys/policies/password/hard/generate")},
    "sys/policies/password/{name...}": {
        READ: nothing("sys/policies/password/hard"),
        WRITE: password_policies("sys/policies/password/new"),
        DELETE: nothing("sys/policies/password/none"),
    },
    **dearest_logins.SYSTEM,
    "sys/internal/ui/mounts": {READ: nothing("sys/internal/ui/mounts")},
    "sys/internal/ui/resultant-acl": {READ: nothing("sys/internal/ui/resultant-acl")},
    "sys/internal/ui/mounts/{path...}": {READ: nothing(f"sys/internal/ui/mounts/secret/{_LONG}")},
    **dearest_audit.ROWS,
    **dearest_tokens.ROWS,
    **dearest_mounts.ROWS,
    **dearest_tenants.ROWS,
    **dearest_asked.ROWS,
    "sys/capabilities": {WRITE: [Dear("sys/capabilities", fields(paths=lambda: ["x"] * 190_000))]},
    "sys/capabilities-accessor": {WRITE: [Dear("sys/capabilities-accessor", fields(paths=lambda: ["x"] * 190_000))]},
    "sys/capabilities-self": {
        WRITE: [
            Dear("sys/capabilities-self", _PATHS),
            Dear("sys/capabilities-self", fields(paths=lambda: ["x"] * 190_000)),
        ]
    },
    "sys/tools/hash": {WRITE: either("sys/tools/hash", "input")[:2]},
    "sys/tools/hash/{urlalgorithm}": {WRITE: either("sys/tools/hash/sha3-512", "input")[:2]},
    "sys/tools/random": {
        WRITE: [Dear("sys/tools/random", fields(bytes=131_072, format="hex")), *anything("sys/tools/random")]
    },
    "sys/tools/random/{source}": {WRITE: [Dear("sys/tools/random/all", fields(bytes=131_072))]},
    "sys/tools/random/{source}/{urlbytes}": {WRITE: nothing("sys/tools/random/all/131072")},
    "sys/wrapping/lookup": {
        READ: nothing("sys/wrapping/lookup"),
        WRITE: [Dear("sys/wrapping/lookup", fields(token=text())), *anything("sys/wrapping/lookup")],
    },
    "sys/wrapping/unwrap": {WRITE: [Dear("sys/wrapping/unwrap", fields(token=text()))]},
    "sys/wrapping/rewrap": {WRITE: [Dear("sys/wrapping/rewrap", fields(token=text()))]},
    "sys/wrapping/wrap": {WRITE: anything("sys/wrapping/wrap")},
    "cubbyhole/{path...}": {
        READ: nothing(f"cubbyhole/{_LONG}"),
        WRITE: [
            Dear("cubbyhole/big", lambda: json.dumps({f"n{number}": 1 for number in range(75_000)}).encode()),
            *anything("cubbyhole/x"),
        ],
        DELETE: nothing("cubbyhole/none"),
        LIST: nothing("cubbyhole"),
    },
    **dearest_identity.ROWS,
    **dearest_keys.ROWS,
}

TABLES: Final = {"transit": TRANSIT, "kv": KV, "kv-v1": KV_V1, "": SYSTEM, **dearest_logins.TABLES}

#: Bodies that are dear whatever endpoint they are sent to; each at one that takes any.
BODIES: Final[Mapping[str, Callable[[], bytes]]] = {
    "one text": fields(nobody=text()),
    "escapes": lambda: b'{"nobody":"' + b'\\"' * (LARGE // 2) + b'"}',
    "escapes of characters": lambda: b'{"nobody":"' + b"\\u00e9" * (LARGE // 6) + b'"}',
    "brackets in a text": lambda: b'{"nobody":"' + b"[{," * (LARGE // 3) + b'"}',
    "as many elements as are taken": lambda: b'{"nobody":[%b1]}' % (b"1," * 199_000),
    "as many objects": lambda: b'{"nobody":[%b1]}' % (b'{"a":1},' * 99_000),
    "long numbers": lambda: b'{"nobody":[%b1]}' % ((b"9" * 4000 + b",") * (LARGE // 4001)),
    "numbers": lambda: b'{"nobody":[%b1]}' % ((b"9" * 150 + b",") * 199_000),
    "something behind the first value": lambda: fields(nobody=text(0.9))() + b" x",
    "spaces": lambda: b" " * LARGE + b"{}",
    "brackets": lambda: b"[" * LARGE,
    "nothing that is JSON": lambda: b"x" * LARGE,
    "a form": lambda: b"nobody=" + b"%41" * (LARGE // 3),
    "a form of many fields": lambda: b"a=b&" * (LARGE // 4),
}


_KEYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "aes": {"exportable": True, "allow_plaintext_backup": True},
    "many": {"type": "ed25519", "exportable": True, "allow_plaintext_backup": True},
    "derived": {"derived": True},
    "gone": {},
    "rsa": {"type": "rsa-2048"},
    "curve": {"type": "ecdsa-p256"},
    "cmac": {"type": "aes256-cmac"},
    "post-quantum": {
        "type": "hybrid",
        "parameter_set": "87",
        "hybrid_key_type_pqc": "ml-dsa",
        "hybrid_key_type_ec": "ecdsa-p521",
    },
}


def preparation(kind: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the writes that make what the table of a type of mounts names: path and body; without one, of all."""
    if kind in dearest_logins.ROUTES:
        yield from dearest_logins.preparation(kind)
        return
    for name, options in _KEYS.items():
        yield f"transit/keys/{name}", json.dumps(options).encode()
    for _ in range(300):
        yield "transit/keys/many/rotate", b"{}"
    yield "secret/data/big", document()
    # Of a hundred characters all are to be of half of those there are: no draw is ever so.
    most, other = "abcdefghij", "".join(map(chr, range(0x4E00, 0x4EF6)))
    rules = f'rule "charset" {{ charset = "{most}" min-chars = 100 }} rule "charset" {{ charset = "{other}" }}'
    yield "sys/policies/password/hard", json.dumps({"policy": f"length = 100 {rules}"}).encode()
    for number in range(150):
        yield f"secret/metadata/many/{number}", json.dumps({"custom_metadata": {"note": "x" * 500}}).encode()
    yield from dearest_identity.preparation()
    yield "auth/token/roles/dear", b"{}"
    yield "sys/mounts/plain", b'{"type":"kv-v1"}'
    yield "plain/big", json.dumps({f"n{number}": 1 for number in range(75_000)}).encode()
    for _ in range(10):
        yield "secret/data/versions", b'{"data":{"a":1}}'
    if not kind:
        for each in dearest_logins.ROUTES:
            yield from dearest_logins.preparation(each)


def places() -> Iterator[Place]:
    """Yield each operation of each route."""
    routes_of = {"kv": KV_ROUTES, "kv-v1": KV_V1_ROUTES, "transit": TRANSIT_ROUTES, "": SYSTEM_ROUTES}
    routes_of |= dearest_logins.ROUTES
    assert routes_of.keys() == {*ENGINES, ""}
    for kind, routes in routes_of.items():
        for route in routes:
            for operation in route.operations:
                yield kind, route.pattern, operation


def rows() -> Mapping[Place, Sequence[Dear]]:
    """Return the table."""
    return {
        (kind, pattern, operation): dear
        for kind, table in TABLES.items()
        for pattern, operations in table.items()
        for operation, dear in operations.items()
    }
