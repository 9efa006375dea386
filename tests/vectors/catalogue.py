"""All published vectors, by algorithm."""

from __future__ import annotations

from typing import Final

from tests.vectors import cavs, documents, hybrid, laboratories, wycheproof
from tests.vectors.vector import Source

#: What the first word of a source's algorithm is, in the order of the table.
_ORDER: Final = (
    *("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"),
    *("ed25519", "ecdsa", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "rsa-3072", "rsa-4096", "rsa"),
    *("ml-dsa-44", "ml-dsa-65", "ml-dsa-87", "hybrid", "hmac", "aes128-cmac", "aes192-cmac", "aes256-cmac"),
    *(f"sha{family}-{bits}" for family in (2, 3) for bits in (224, 256, 384, 512)),
    *("HKDF-SHA256", "ECDH", "AES-KWP", "wrapped"),
)


def _place(source: Source) -> tuple[int, str]:
    return _ORDER.index(source.algorithm.replace(",", " ").split()[0]), source.algorithm


_ALL: Final = (
    *wycheproof.SOURCES,
    *cavs.SOURCES,
    *documents.SOURCES,
    *laboratories.SOURCES,
    *hybrid.SOURCES,
)
SOURCES: Final = tuple(sorted(_ALL, key=_place))
