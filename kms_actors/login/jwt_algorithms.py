"""The algorithms that tokens may be signed with: one table, of what key each takes and how it verifies.

Each takes keys of its own type alone, and keys are public keys: so neither `none` nor a public key taken for the
secret of an HMAC can be asked for.

Source: RFC 7518, section 3; RFC 8037, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey
_Verify: TypeAlias = Callable[[PublicKey, bytes, bytes], None]

#: Bits of RSA keys: below, they can be broken (RFC 7518, section 3.3); above, one signature costs milliseconds.
_LEAST_RSA: Final = 2048
_MOST_RSA: Final = 8192
_MOST_EXPONENT: Final = 1 << 32


class Algorithm(NamedTuple):
    """`takes` tells whether a key is of it; `verify` is given such a key, the signature and what was signed.

    It raises InvalidSignature, or ValueError for what is no signature of the kind.
    """

    takes: Callable[[PublicKey], bool]
    verify: _Verify


def is_usable(key: object) -> bool:
    """Tell whether a public key is one that some algorithm takes."""
    return any(algorithm.takes(key) for algorithm in ALGORITHMS.values())  # type: ignore[arg-type]


def _is_rsa(key: PublicKey) -> bool:
    if not isinstance(key, rsa.RSAPublicKey) or not _LEAST_RSA <= key.key_size <= _MOST_RSA:
        return False
    return key.public_numbers().e < _MOST_EXPONENT


def _pkcs1(digest: HashAlgorithm) -> Algorithm:
    def verify(key: PublicKey, signature: bytes, signed: bytes) -> None:
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(signature, signed, padding.PKCS1v15(), digest)

    return Algorithm(_is_rsa, verify)


def _pss(digest: HashAlgorithm) -> Algorithm:
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)  # the salt is as long as the digest

    def verify(key: PublicKey, signature: bytes, signed: bytes) -> None:
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(signature, signed, scheme, digest)

    return Algorithm(_is_rsa, verify)


def _ecdsa(curve: type[ec.EllipticCurve], digest: HashAlgorithm, size: int) -> Algorithm:
    """Return ECDSA on the one curve of an algorithm; its signature is two numbers of `size` bytes."""

    def takes(key: PublicKey) -> bool:
        return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, curve)

    def verify(key: PublicKey, signature: bytes, signed: bytes) -> None:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        if len(signature) != 2 * size:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(digest))

    return Algorithm(takes, verify)


def _verify_ed25519(key: PublicKey, signature: bytes, signed: bytes) -> None:
    assert isinstance(key, Ed25519PublicKey)
    key.verify(signature, signed)


ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "RS256": _pkcs1(SHA256()),
    "RS384": _pkcs1(SHA384()),
    "RS512": _pkcs1(SHA512()),
    "ES256": _ecdsa(ec.SECP256R1, SHA256(), 32),
    "ES384": _ecdsa(ec.SECP384R1, SHA384(), 48),
    "ES512": _ecdsa(ec.SECP521R1, SHA512(), 66),
    "PS256": _pss(SHA256()),
    "PS384": _pss(SHA384()),
    "PS512": _pss(SHA512()),
    "EdDSA": Algorithm(lambda key: isinstance(key, Ed25519PublicKey), _verify_ed25519),
}
