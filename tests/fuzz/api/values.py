"""Values to send: of the right type and meant seriously, of the right type and odd, or of no right type at all."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final
from urllib.parse import quote

#: Names of what is made, few, so that requests meet: keys, secrets, roles, policies, mounts.
NAMES: Final = ("a", "b", "c", "d", "one", "two")
#: Of answers, so many values are kept for each name of a field.
_KEPT: Final = 12

_B64: Final = tuple(base64.b64encode(raw).decode() for raw in (b"", b"x", b"hello", bytes(16), bytes(32), b"y" * 700))
ODD: Final = (
    *("", " ", "/", ".", "..", "../a", "a/../b", "a/b", "a//b", "root", "Root", "default", "*", "+", "a*", "-", "--"),
    *(
        "\x00",
        "\n",
        "\u00e9",
        "\u202e",
        "\U0001d54f",
        "\ud800",
        "%2e%2e",
        "%00",
        "a b",
        "a;b",
        "{{identity.entity.id}}",
    ),
    *("true", "false", "null", "0", "-1", "1", "1h", "-1h", "9999999h", "1e400", "NaN", "0x10", "1.5", "latest"),
    *("9" * 30, "x" * 300, "x" * 5000, "$(id)", "'\"", "<a>", "${a}", "%s", "a=b", "a,b", "[]", "{}"),
    *(
        "vault:v1:AAAA",
        "vault:v0:",
        "vault:v99999999999:AAAA",
        "vault:v1:",
        "hvs.AAAAAAAAAAAAAAAAAAAAAAAA",
        "hvb.AAAA",
    ),
    *("127.0.0.1/32", "::1/128", "10.0.0.0/33", "https://127.0.0.1:1/x", "2026-01-01T00:00:00Z", "ewogfQ.e30.AAAA"),
    *("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN PUBLIC KEY-----\n"),
)
_NUMBERS: Final = (0, 1, -1, 2, 3, 8, 32, 64, 256, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, 2**64, 10**30)
_POLICIES: Final = (
    'path "secret/*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "scan"] }',
    'path "transit/+/a" { capabilities = ["update", "create"] denied_parameters = { "plaintext" = ["eA=="] } }',
    'path "*" { capabilities = ["sudo", "create", "read", "update", "delete", "list"] min_wrapping_ttl = "1s" }',
    'path "secret/data/{{identity.entity.name}}/*" { capabilities = ["read"] pagination_limit = 2 }',
    'path "a" { policy = "write" } path "a" { capabilities = ["deny"] expiration = "2030-01-01T00:00:00Z" }',
    '{"path": {"secret/*": {"capabilities": ["read"]}}}',
    'path "x" { capabilities = [',
    'length = 20 rule "charset" { charset = "abcdef" min-chars = 1 }',
)
_KEY_TYPES: Final = (
    *("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "ed25519", "ecdsa-p256"),
    *("ecdsa-p384", "ecdsa-p521", "hmac", "aes128-cmac", "aes256-cmac", "ml-dsa", "mldsa-44", "hybrid"),
)
_MOUNTS: Final = (
    "kv",
    "kv-v2",
    "transit",
    "userpass",
    "approle",
    "jwt",
    "cert",
    "kubernetes",
    "oidc",
    "token",
    "pki",
)
_HASHES: Final = ("none", "sha1", "sha2-224", "sha2-256", "sha2-384", "sha2-512", "sha3-256", "sha3-512")

#: What fields of these names are meant to hold.
MEANT: Final[Mapping[str, tuple[Any, ...]]] = {
    "plaintext": _B64,
    "input": _B64,
    "context": _B64,
    "associated_data": _B64,
    "salt": _B64,
    "info": _B64,
    "type": (*_KEY_TYPES, *_KEY_TYPES, *_MOUNTS, "rsa-2048", "internal", "external", "service", "batch", "file"),
    "policy": _POLICIES,
    "policies": (["default"], ["one", "two"], "one,two", ["root"]),
    "token_policies": (["one"], "two"),
    "hash_algorithm": _HASHES,
    "urlalgorithm": _HASHES,
    "algorithm": _HASHES,
    "signature_algorithm": ("pss", "pkcs1v15", "x"),
    "marshaling_algorithm": ("asn1", "jws"),
    "parameter_set": ("44", "65", "87"),
    "hybrid_key_type_pqc": ("ml-dsa",),
    "hybrid_key_type_ec": ("ecdsa-p256", "ed25519"),
    "batch_input": ([], [{}], [{"plaintext": "eA=="}, {"ciphertext": "vault:v1:AAAA"}, {"input": "eA=="}], [1], [[]]),
    "data": ({}, {"a": "b"}, {"a": {"b": [1, None, 1.5, 10**25]}}, {"\u00e9": "x" * 3000}),
    "options": ({}, {"cas": 0}, {"cas": 1}, {"version": "2"}, {"version": "1"}, {"cas": "x"}),
    "custom_metadata": ({}, {"a": "b"}, {"a": None}, {"a": 1}),
    "metadata": ({}, {"a": "b"}, "a=b"),
    "versions": ([1], [1, 2], "1,2", [0], [-1], [2**63]),
    "ttl": ("1h", 60, "10s", 0),
    "delete_version_after": ("1h", "0s", "-1s"),
    "auto_rotate_period": ("1h", "0", "30m", "24h"),
    "count": (1, 2, 5),
    "bytes": (1, 32, 64),
    "urlbytes": ("1", "32"),
    "bits": (128, 256, 512),
    "format": ("base64", "hex", "raw", "der"),
    "username": NAMES,
    "password": ("p", "password-of-a-user"),
    "role": NAMES,
    "role_name": NAMES,
    "path": ("secret/data/a", "m1", "m2", "auth/m1", *NAMES),
    "paths": (["secret/data/a", "transit/encrypt/a"], "secret/*"),
    "plaintext_type": ("plaintext", "wrapped"),
    "source": ("platform", "all", "seal"),
    "list": ("true", "true", "x"),
    "scan": ("true",),
    "limit": ("1", "2", "max", "-1"),
    "secret_shares": (1, 3),
    "secret_threshold": (1, 2),
}


class Draw:
    """A source of values, all from one seed and from what answers have shown."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self._seen: dict[str, deque[Any]] = {}

    def learn(self, value: Any, name: str = "", depth: int = 0) -> None:
        """Keep the values of an answer, to send them back where they belong, and where they do not."""
        if isinstance(value, Mapping):
            for key, each in list(value.items())[:32]:
                if depth < 6:
                    self.learn(each, str(key), depth + 1)
        elif isinstance(value, list):
            for each in value[:8]:
                self.learn(each, name, depth + 1)
        elif isinstance(value, str | int) and len(str(value)) <= 6000:
            self._seen.setdefault(name, deque(maxlen=_KEPT)).append(value)

    def known(self, name: str) -> Any:
        """Return a value that an answer had under this name, or under any; None where none had."""
        seen = self._seen.get(name)
        if not seen or self.random.random() < 0.1:
            seen = self._seen[self.random.choice(list(self._seen))] if self._seen else None
        return self.random.choice(seen) if seen else None

    def capture(self, name: str) -> str:
        """Return a segment of a path, escaped as it goes over the wire."""
        chance = self.random.random()
        if chance < 0.06:
            odd = self.random.choice(ODD).encode("utf-8", "surrogatepass")
            return quote(odd[:600], safe="/" if chance < 0.03 else "")
        value: Any = None
        if chance < 0.3:
            value = self.known(name)
        elif name in MEANT:
            value = self.random.choice(MEANT[name])
        if not isinstance(value, str | int) or value == "":
            value = self.random.choice(NAMES)
        return quote(str(value).encode("utf-8", "surrogatepass")[:3000], safe="/")

    def value(self, name: str, schema: Mapping[str, Any]) -> Any:
        chance = self.random.random()
        if chance < 0.08:
            return self.anything()
        if chance < 0.3 and (known := self.known(name)) is not None:
            return known
        if chance < 0.8 and name in MEANT:
            return self.random.choice(MEANT[name])
        return self._typed(schema)

    def anything(self, depth: int = 0) -> Any:
        """Return any JSON."""
        kind = self.random.randrange(9 if depth < 3 else 7)
        if kind < 3:
            return self.random.choice(ODD)
        if kind < 5:
            return self.random.choice(_NUMBERS)
        if kind < 7:
            return self.random.choice((True, False, None, 1.5, -0.0, 1e308))
        few = self.random.randrange(4)
        if kind == 7:
            return [self.anything(depth + 1) for _ in range(few)]
        return {self.random.choice((*ODD[:30], *MEANT)): self.anything(depth + 1) for _ in range(few)}

    def _typed(self, schema: Mapping[str, Any]) -> Any:
        random = self.random
        if "enum" in schema:
            return random.choice(schema["enum"])
        few = range(random.randrange(4))
        of_kind: dict[Any, Callable[[], Any]] = {
            "integer": lambda: random.choice(_NUMBERS),
            "number": lambda: random.choice((*_NUMBERS, 0.5, 1e300)),
            "boolean": lambda: random.random() < 0.5,
            "array": lambda: [random.choice((*NAMES, *ODD)) for _ in few],
            "object": lambda: {random.choice((*NAMES, *ODD)): self.anything(1) for _ in few},
        }
        return of_kind.get(schema.get("type"), lambda: random.choice((*NAMES, *NAMES, *ODD, *_B64)))()

    def bent(self, body: bytes) -> bytes:
        """Return a body with some of its bytes changed, lost, doubled or put elsewhere."""
        raw = bytearray(body or b"{}")
        for _ in range(self.random.randrange(1, 4)):
            at, end = sorted(self.random.randrange(len(raw) + 1) for _ in range(2))
            turn = self.random.randrange(4)
            if turn == 0:
                raw[at:at] = self.random.randbytes(self.random.randrange(1, 5))
            elif turn == 1:
                del raw[at:end]
            elif turn == 2:
                raw[at:at] = raw[at:end]
            else:
                raw[at:end] = json.dumps(self.anything()).encode()
            if not raw:
                break
        return bytes(raw[: 64 * 1024])
