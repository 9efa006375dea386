"""XChaCha20-Poly1305: the answers of draft-irtf-cfrg-xchacha-03."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag

from kms_actors.transit.schemes.xchacha import (
    XChaCha20Poly1305,
    hchacha20,
)

KEY = bytes(range(0x80, 0xA0))
NONCE = bytes(range(0x40, 0x58))
DATA = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
PLAINTEXT = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    b"sunscreen would be it."
)
SEALED = bytes.fromhex(
    "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
    "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
    "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
    "21f9664c97637da9768812f615c68b13b52e"
    "c0875924c1c7987947deafd8780acf49"
)


def test_subkey_is_that_of_section_2_2_1() -> None:
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert hchacha20(bytes(range(32)), nonce).hex() == expected


def test_encryption_is_that_of_appendix_a_3_1() -> None:
    aead = XChaCha20Poly1305(KEY)
    assert aead.encrypt(NONCE, PLAINTEXT, DATA) == SEALED
    assert aead.decrypt(NONCE, SEALED, DATA) == PLAINTEXT


@pytest.mark.parametrize("place", [0, 50, len(SEALED) - 1])
def test_what_was_tampered_with_does_not_open(place: int) -> None:
    tampered = bytearray(SEALED)
    tampered[place] ^= 1
    with pytest.raises(InvalidTag):
        XChaCha20Poly1305(KEY).decrypt(NONCE, bytes(tampered), DATA)
