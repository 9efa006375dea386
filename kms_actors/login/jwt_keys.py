"""Public keys that tokens are verified with: PEM texts, and JSON Web Key sets.

Of a set, what is not a public key for signatures is passed over: symmetric keys, keys for encryption, keys of types
that no algorithm here takes. So an issuer may have keys of tomorrow in it.

Source: RFC 7517, sections 4 and 5; RFC 7518, section 6; RFC 8037, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_algorithms import PublicKey, is_usable
from kms_actors.login.jwt_compact import MAX_KEY_ID, decode
from kms_actors.login.jwt_json import read_object
from kms_actors.untrusted import untrusted

#: Bytes of a key set, and keys of one.
MAX_SET: Final = 256 * 1024
MAX_KEYS: Final = 64
#: Bytes of a key in PEM, or of a certificate that has it.
MAX_PEM: Final = 16 * 1024

_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"


class TokenKey(msgspec.Struct, frozen=True):
    """A public key; `algorithm` is the only one it is for, `key_id` what tokens call it, where they are not empty."""

    key: PublicKey
    key_id: str = ""
    algorithm: str = ""

    def __repr__(self) -> str:
        return "<TokenKey>"


def read_pem(text: str) -> TokenKey:
    """Return the public key of a PEM text, which may be a certificate.

    Raises:
        InvalidRequest: none, or one of a kind or size that no algorithm takes.

    """
    if len(text) > MAX_PEM:
        raise InvalidRequest(f"public key is longer than {MAX_PEM} bytes")
    key: object
    with untrusted("error parsing public key: not a public key or certificate in PEM"):
        if _CERTIFICATE in text:
            key = x509.load_pem_x509_certificate(text.encode()).public_key()
        else:
            key = load_pem_public_key(text.encode())
    if not is_usable(key):
        raise InvalidRequest("error parsing public key: of a kind or size that no algorithm of tokens takes")
    return TokenKey(key)  # type: ignore[arg-type]


def read_set(text: bytes) -> tuple[TokenKey, ...]:
    """Return the keys of a JSON Web Key set that tokens may be signed with.

    Raises:
        InvalidRequest: no such set, or too large.

    """
    if len(text) > MAX_SET:
        raise InvalidRequest(f"key set is larger than {MAX_SET} bytes")
    entries = read_object(text, "key set").get("keys")
    if not isinstance(entries, list):
        raise InvalidRequest("key set has no list of keys")
    if len(entries) > MAX_KEYS:
        raise InvalidRequest(f"key set has more than {MAX_KEYS} keys")
    return tuple(key for entry in entries if isinstance(entry, dict) and (key := _read_entry(entry)) is not None)


def candidates(keys: Iterable[TokenKey], key_id: str, algorithm: str) -> list[TokenKey]:
    """Return the keys that a token of such a header may be signed with: an id that is not told may be any."""
    return [key for key in keys if (not key_id or key.key_id in ("", key_id)) and key.algorithm in ("", algorithm)]


def _read_entry(entry: Mapping[str, Any]) -> TokenKey | None:
    """Return the key of a set's entry, or None where it is not one of ours, or damaged."""
    read = _READERS.get(str(entry.get("kty")))
    operations = entry.get("key_ops", ["verify"])
    if read is None or entry.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    key_id, algorithm = entry.get("kid", ""), entry.get("alg", "")
    if not isinstance(key_id, str) or len(key_id) > MAX_KEY_ID or not isinstance(algorithm, str):
        return None
    try:
        with untrusted("not a key"):
            key = read(entry)
    except InvalidRequest:
        return None
    return TokenKey(key, key_id, algorithm) if key is not None and is_usable(key) else None


def _number(entry: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(decode(entry[name], name), "big")


def _rsa(entry: Mapping[str, Any]) -> PublicKey:
    return rsa.RSAPublicNumbers(_number(entry, "e"), _number(entry, "n")).public_key()


def _ec(entry: Mapping[str, Any]) -> PublicKey | None:
    curve = _CURVES.get(entry["crv"])
    if curve is None:
        return None
    return ec.EllipticCurvePublicNumbers(_number(entry, "x"), _number(entry, "y"), curve()).public_key()


def _okp(entry: Mapping[str, Any]) -> PublicKey | None:
    if entry["crv"] != "Ed25519":
        return None
    return Ed25519PublicKey.from_public_bytes(decode(entry["x"], "x"))


_CURVES: Final[Mapping[str, Callable[[], ec.EllipticCurve]]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
}
_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], PublicKey | None]]] = {
    "RSA": _rsa,
    "EC": _ec,
    "OKP": _okp,
}
