"""Key derivation: known answers."""

from __future__ import annotations

import hmac

from kms_actors.transit.derivation import KDFS, hkdf_sha256, hmac_sha256_counter
from kms_actors.transit.derived_keys import Derivation


def test_counter_mode_gives_the_known_answer() -> None:
    key = bytes(range(1, 17))
    derived = hmac_sha256_counter(key, b"the quick brown fox", 32)
    assert derived.hex() == "db19ee06b9ecb440f898fb994f058dde42c8428f280365ddcea3665058ea579d"


def test_hkdf_gives_the_answer_of_rfc_5869_without_salt() -> None:
    derived = hkdf_sha256(bytes([0x0B]) * 22, b"", 42)
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    assert derived.hex() == expected


def test_a_longer_hkdf_begins_with_the_shorter_one() -> None:
    assert hkdf_sha256(b"key", b"ctx", 96)[:64] == hkdf_sha256(b"key", b"ctx", 64)


def test_names_are_those_of_the_api() -> None:
    assert set(KDFS) == {"hkdf_sha256", "hmac-sha256-counter"}


def test_an_indexed_key_is_hkdf_over_label_info_and_index() -> None:
    info = b"clever-kms derived key v1" + b"\0\0\0\2" + b"in" + b"\0" * 7 + b"\5"
    extracted = hmac.digest(b"salt", bytes(32), "sha256")
    expanded = hmac.digest(extracted, info + b"\1", "sha256")
    assert Derivation(32, b"salt", b"in").key(bytes(32), 5) == expanded
    assert Derivation(16, b"salt", b"in").key(bytes(32), 5) == expanded[:16]
    assert Derivation(16, b"salt", b"in").key(bytes(32), 2**63) != expanded[:16]
