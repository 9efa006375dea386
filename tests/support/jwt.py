"""Signed tokens, and keys that sign them, made by no code of the service."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey

#: A key of RSA with 2048 bits that tests share: to make one takes long.
RSA_PEM = """\
-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCgtRXuteZFx+Sb
ax8CetmUaoJYPGycJB2Pz2qhfarJOv25MYXcgthVQUBmdSrzN3T/u2wkpIGOMo4r
AtAwEasIz/PiwzxKfYS2plwW2DJPjWBFxKFPaxLw131Recx+Ari/ouIdz/4BnAQm
hu0oVXw4ubzJ5l8NasAfJumkbNAjDyzDRXO06//Gm3gIuFm/AUWFIR0+cx35v1C6
Dz1VCZ+5VZdPezanHqUrBb8j58QK8gAiZ+8iXG3tFwSRrM/gQrHZTOuHk5w/PTRz
BebIv2zxcpJXT0VE0J/tZyiFxaFsYsLcnc42Sb7PYig0OIQrj9Kbb388+f5qxpNP
LYg12kzLAgMBAAECggEAD48YrYDM54qf1nA7k1jjgdwB/Jr1BPT2K7swHqx1AYCF
mg1yYVQFr9Neccz8OInw+OVjZfTLWkIIw59FGrJLNdI0UYsHZkras3hNyCRsUolk
fby4xWCfd9PVHTNGmhiXXG5fp/VAKVW6jSRZB6OnIDLTVVTJdRoVua5hxnqGeC5T
p25JQg7qCuf9VVvQ0Xnvrz2KaMulTkolLN1HXlA0MndkQEFmKXZ3sMmsNhhC0Z7N
dFx7xtVWupdNQiWFlPkGRgeeFr69iJBepOPj4fbBLHkp63TqdHi85oiY1wo6Iiwh
Q8DuGgratga2OZbViNB0m+qGKuWaTB8tqNtqnDC72QKBgQDMK0lmewZSqJr+WfwN
h0P6VZtpnbYT6p9ExzcNYaNE5uYycaTe8eAWLlqw1OoyCYmZPAEZkeEHoMIHBHBU
nyJREiZBSn2tahibF7cyzS2Txpe4bJPGu8vJF5fSHWE/gAsOKt8TN6DiVl25sfD+
uImlDBhwqgXVdhuSpFdP7gqK9QKBgQDJgUWTciIxODnWtUQEWTJfmA0zOySlRosb
rvaExqwso2hN7Gqj7bRTD9F3TNVEdsBa1GjYk93SrB0oGXMz3G/Z5YlZKtsYnpkc
rL708mKjF/WBK1/e08YLb7Zts9Z534BwOwl/r6mY7+btlsXsL6+TqZm002/lQ9lz
VNCDGWYgvwKBgHSGkBHpTSaIDE321aBy/x01FsoktPKRCe2bNZRxkVmV3vQTYGHN
8nM2aZRbMH72ao4GbSpG1AQigBq5MdNaL5/Nl//Tn/8Fep2p32kjKUwaICWl8oGO
VTSkPoYxNnujfKvNVBwHt872M+/z2vPGJukICjrjDwlRq1L6cMqxtVqxAoGAKVuB
9zhGskly/ZFoq2fPQfWISAqMg+uNo5nueOP59JN5Vfz/CjRAfYfSmyTG5O1mn33X
IxR+Q74VoeRPU8abomJNJWL5Yv0yOcNu0gFpo0XImsFXRPm8PR6pl6yAibUIvIAx
e+aG7Z/Xis4WQ1qqM6lspcN7xNd/Kv+uaCnvXysCgYAhSdE3vFvQ+XIIBoj5f6iS
NMBbDMxc0Zs4L6QUUlipTtAwY4btaw/PbYEe8Jhb2z3Gc6tnHs66Xy+J1LFVISTS
2BTOwyxYvBXzYOPe6tdIC51gvXrr0342dGkK9PP2LNDLFMrE93Zvk/6ImzhOUW63
YhUWSBRL8WQQvyPU8OdTeA==
-----END PRIVATE KEY-----
"""

_DIGESTS: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
_CURVES = {"256": (ec.SECP256R1, 32), "384": (ec.SECP384R1, 48), "512": (ec.SECP521R1, 66)}
_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def rsa_key() -> rsa.RSAPrivateKey:
    """Return the key that tests share."""
    key = load_pem_private_key(RSA_PEM.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


class Signer(NamedTuple):
    """A private key, the algorithm it signs by, and what key sets call it."""

    algorithm: str
    key: PrivateKey
    key_id: str = ""

    @classmethod
    def make(cls, algorithm: str, key_id: str = "") -> Signer:
        """Make a signer of an algorithm; of RSA, all have the same key."""
        if algorithm == "EdDSA":
            return cls(algorithm, Ed25519PrivateKey.generate(), key_id)
        if algorithm.startswith("ES"):
            return cls(algorithm, ec.generate_private_key(_CURVES[algorithm[2:]][0]()), key_id)
        return cls(algorithm, rsa_key(), key_id)

    @property
    def pem(self) -> str:
        """The public key."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as an entry of a key set."""
        entry = {"use": "sig", "alg": self.algorithm, **_parts(self.key)}
        return {**entry, "kid": self.key_id} if self.key_id else entry

    def header(self, **more: Any) -> bytes:
        """Return the header of a token, with what `more` has beside, or in place of, the algorithm."""
        return json.dumps({"alg": self.algorithm, **({"kid": self.key_id} if self.key_id else {}), **more}).encode()

    def sign(self, claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
        """Return a token; what `header` has stands in its header beside, or in place of, the algorithm."""
        return self.sign_parts(self.header(**(header or {})), json.dumps(claims).encode())

    def sign_parts(self, header: bytes, payload: bytes) -> str:
        """Return a token of these bytes, whatever they are."""
        signed = f"{b64(header)}.{b64(payload)}"
        return f"{signed}.{b64(self.signature(signed.encode()))}"

    def signature(self, signed: bytes) -> bytes:
        """Return the signature as tokens have it."""
        key = self.key
        if isinstance(key, Ed25519PrivateKey):
            return key.sign(signed)
        digest = _DIGESTS[self.algorithm[2:]]()
        if isinstance(key, ec.EllipticCurvePrivateKey):
            size = _CURVES[self.algorithm[2:]][1]
            parts = decode_dss_signature(key.sign(signed, ec.ECDSA(digest)))
            return b"".join(part.to_bytes(size, "big") for part in parts)
        if self.algorithm.startswith("PS"):
            return key.sign(signed, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        return key.sign(signed, padding.PKCS1v15(), digest)


def key_set(*signers: Signer) -> bytes:
    """Return the key set of signers."""
    return json.dumps({"keys": [signer.jwk for signer in signers]}).encode()


def _parts(key: PrivateKey) -> dict[str, str]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": b64(_bytes(numbers.n)), "e": b64(_bytes(numbers.e))}
    if isinstance(public, ec.EllipticCurvePublicKey):
        point, size = public.public_numbers(), (public.key_size + 7) // 8
        place = {"x": b64(point.x.to_bytes(size, "big")), "y": b64(point.y.to_bytes(size, "big"))}
        return {"kty": "EC", "crv": _CURVE_NAMES[public.curve.name], **place}
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
