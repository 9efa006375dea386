"""What a caller of the lowest right can send to hold a node up: a table, one row a kind.

Each sends one round of its kind, by a token that reads and writes data of one vault, or by none. Whatever is answered
is counted; what matters is what other vaults notice, see `siege`.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import random
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from kms_actors.auth.build import attenuate
from kms_actors.auth.principal import Capability
from tests.auth.mint import Mint
from tests.support.api import Answer, Api
from tests.support.tokens import Issuer

_MEGABYTE: Final = 1 << 20
#: Seconds that a half-sent request is kept open.
_HELD: Final = 2.0


@dataclass
class Attacker:
    """A node seen by the bearer of one vault's lowest token. `statuses` counts what was answered."""

    address: str
    issuer: Issuer
    vault_id: str
    metrics: str
    statuses: dict[int, int] = field(default_factory=dict)
    token: str = field(init=False, repr=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.token = self.issuer.tenant(self.vault_id)

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> Answer | None:
        """Send a request and count its answer; None where the connection was ended instead."""
        try:
            answer = Api(self.address, token or self.token).call(method, path, body)
        except (OSError, ValueError):
            self.count(0)
            return None
        self.count(answer.status)
        return answer

    def count(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def raw(self, data: bytes, *, wait: float = 0.0) -> None:
        """Send bytes on a connection, keep it for a while, and break it off."""
        url = urlsplit(self.address)
        with contextlib.suppress(OSError), socket.create_connection((url.hostname or "", url.port or 0), 5) as sock:
            sock.settimeout(5)
            sock.sendall(data)
            time.sleep(wait)

    def name(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"

    def narrowed(self, block: str) -> str:
        return Mint(self.issuer.keys).narrowed(self.token, block)


def checks_that_build_texts(a: Attacker) -> None:
    sum_of_paths = " + ".join(["$p"] * 300)
    token = a.narrowed(f"check if path($p), ({sum_of_paths}).length() > 0")
    a.call("GET", "secret/data/" + "x" * 30_000, token=token)
    a.call("POST", "sys/capabilities-self", {"paths": ["x" * _MEGABYTE]}, token=token)
    regex = a.narrowed('check if path($p), $p.matches("^(a?){40}a{40}$")')
    a.call("POST", "sys/capabilities-self", {"paths": ["a" * 4000] * 500}, token=regex)


def thousands_of_paths(a: Attacker) -> None:
    token = attenuate(a.token, now=time.time(), ttl=60, paths=("secret/data/*",), operations=(Capability.READ,))
    a.call("POST", "sys/capabilities-self", {"paths": [f"secret/data/{n}" for n in range(1000)]}, token=token)


def malformed_certificates(a: Attacker) -> None:
    name = a.name("p256")
    a.call("POST", f"transit/keys/{name}", {"type": "ecdsa-p256"})
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    der = x509.CertificateSigningRequestBuilder(subject).sign(key, SHA256()).public_bytes(Encoding.DER)
    for _ in range(20):
        broken = bytearray(der)
        for _ in range(3):
            broken[random.randrange(len(broken))] = random.randrange(256)
        pem = "-----BEGIN {0}-----\n" + base64.encodebytes(bytes(broken)).decode() + "-----END {0}-----\n"
        a.call("POST", f"transit/keys/{name}/csr", {"csr": pem.format("CERTIFICATE REQUEST")})
        a.call("POST", f"transit/keys/{name}/set-certificate", {"certificate_chain": pem.format("CERTIFICATE")})
    backup = {"policy": {"name": name, "auto_rotate_period": 2**64, "type": 0, "keys": {}}}
    a.call("POST", "transit/restore", {"backup": base64.b64encode(json.dumps(backup).encode()).decode()})


def large_keys(a: Attacker) -> None:
    name = a.name("rsa")
    a.call("POST", f"transit/keys/{name}", {"type": "rsa-4096"})


def wrong_base64(a: Attacker) -> None:
    a.call("POST", "transit/encrypt/siege", {"plaintext": "A" * (31 * _MEGABYTE - 4) + "AAA!"})


def repeated_contexts(a: Attacker) -> None:
    text = base64.b64encode(bytes(15 * _MEGABYTE)).decode()
    body = {"salt": "", "info": text, "key_index_from": 0, "key_index_to": 9_999}
    a.call("POST", "transit/derivedkeys/plaintext/siege", body)
    a.call("POST", "transit/datakeys/plaintext/siege", {"count": 10_000, "associated_data": text})


def long_batches(a: Attacker) -> None:
    items = [{"plaintext": "aGVsbG8="}] * 10_000
    a.call("POST", "transit/encrypt/siege", {"batch_input": items})


def requests_left_alone(a: Attacker) -> None:
    """Ask for much, and hang up before it is answered."""
    body = json.dumps({"count": 10_000, "bits": 512}).encode()
    head = f"POST /v1/transit/datakeys/plaintext/siege HTTP/1.1\r\nHost: a\r\nX-Vault-Token: {a.token}\r\n"
    for _ in range(20):
        a.raw(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def slashes_at_the_end(a: Attacker) -> None:
    a.call("GET", "secret/data/siege/")
    a.call("DELETE", "sys/mounts/secret/")


def long_names_and_scrapes(a: Attacker) -> None:
    for _ in range(5):
        a.call("POST", f"transit/keys/{a.name('n')}" + "n" * 30_000)
    with contextlib.suppress(OSError):
        Api(a.metrics).call("GET", "/metrics")


def wide_headers(a: Attacker) -> None:
    line = b"X-A: " + b"a" * 32_000 + b"\r\n"
    a.raw(b"GET /v1/sys/health HTTP/1.1\r\nHost: a\r\n" + line * 62, wait=_HELD / 10)


def open_bodies(a: Attacker) -> None:
    head = f"POST /v1/secret/data/siege HTTP/1.1\r\nHost: a\r\nX-Vault-Token: {a.token}\r\n"
    a.raw(f"{head}Content-Length: {31 * _MEGABYTE}\r\n\r\n".encode() + b"{" * (30 * _MEGABYTE), wait=_HELD)


def large_mounts(a: Attacker) -> None:
    a.call("POST", f"sys/mounts/{a.name('m')}", {"type": "kv-v2", "description": "d" * (8 * _MEGABYTE)})


def many_revocations(a: Attacker) -> None:
    for number in range(50):
        token = a.narrowed(f'check if operation($o), ["update"].contains($o) or {number} < 0')
        a.call("POST", "auth/token/revoke-self", token=token)


def long_lists(a: Attacker) -> None:
    for _ in range(3):
        a.call("LIST", "secret/metadata/many")
        a.call("LIST", "transit/keys")


def exponents(a: Attacker) -> None:
    a.call("POST", f"transit/keys/{a.name('import')}/import", {"type": "rsa-2048", "public_key": huge_exponent()})


def made_up_tokens(a: Attacker) -> None:
    for _ in range(20):
        a.call("GET", "secret/data/x", token="hvs." + "".join(random.choices("0123456789abcXYZ", k=24)))
        a.call("GET", "secret/data/x", token=base64.urlsafe_b64encode(random.randbytes(4000)).decode())
        changed = bytearray(base64.urlsafe_b64decode(a.token + "=" * (-len(a.token) % 4)))
        changed[random.randrange(len(changed))] ^= 1
        a.call("GET", "secret/data/x", token=base64.urlsafe_b64encode(bytes(changed)).decode())
    a.call("GET", "sys/health?activecode=304")


def deep_json(a: Attacker) -> None:
    a.call("POST", "secret/data/deep", b"[" * 1_000_000)
    a.call("POST", "secret/data/deep", b'{"data":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001)


def huge_exponent() -> str:
    """Return a public key of 2,048 bits whose exponent has nearly as many, in PEM."""

    def der(tag: int, content: bytes) -> bytes:
        size = len(content)
        length = bytes([size]) if size < 128 else bytes([0x82, *size.to_bytes(2, "big")])
        return bytes([tag]) + length + content

    modulus = ((1 << 2047) + random.getrandbits(2040) | 1).to_bytes(256, "big")
    exponent = ((1 << 2040) + 1).to_bytes(256, "big")
    numbers = der(0x30, der(2, b"\0" + modulus) + der(2, exponent))
    algorithm = der(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    encoded = base64.encodebytes(der(0x30, algorithm + der(3, b"\0" + numbers))).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{encoded}-----END PUBLIC KEY-----\n"


#: One row a kind; each is one round of it.
ATTACKS: Final[Mapping[str, Callable[[Attacker], None]]] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        checks_that_build_texts,
        thousands_of_paths,
        malformed_certificates,
        large_keys,
        wrong_base64,
        repeated_contexts,
        long_batches,
        requests_left_alone,
        slashes_at_the_end,
        long_names_and_scrapes,
        wide_headers,
        open_bodies,
        large_mounts,
        many_revocations,
        long_lists,
        exponents,
        made_up_tokens,
        deep_json,
    )
}
