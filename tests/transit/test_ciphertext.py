"""The form of ciphertexts: texts of its errors, their order, and that nothing else is ever raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.transit import ciphertext

TOO_OLD = "ciphertext or signature version is disallowed by policy (too old)"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "invalid ciphertext: no prefix"),
        ("xx", "invalid ciphertext: no prefix"),
        ("vault:", "invalid ciphertext: no prefix"),
        ("Vault:v3:AAAA", "invalid ciphertext: no prefix"),
        ("vault:v1", "invalid ciphertext: wrong number of fields"),
        ("vault:vx:AAAA", "invalid ciphertext: version number could not be decoded"),
        ("vault:v:AAAA", "invalid ciphertext: version number could not be decoded"),
        ("vault:v1_0:AAAA", "invalid ciphertext: version number could not be decoded"),
        ("vault:v 3:AAAA", "invalid ciphertext: version number could not be decoded"),
        ("vault:v٣:AAAA", "invalid ciphertext: version number could not be decoded"),
        ("vault:v9223372036854775808:AAAA", "invalid ciphertext: version number could not be decoded"),
        ("vault:v9223372036854775807:AAAA", "invalid ciphertext: version is too new"),
        ("vault:v9:!!!", "invalid ciphertext: version is too new"),
        ("vault:v2:!!!", TOO_OLD),
        ("vault:v-1:AAAA", TOO_OLD),
        ("vault:v0:AAAA", TOO_OLD),
        ("vault:v3:!!!", "invalid ciphertext: could not decode base64"),
        ("vault:v3:AAAA:BBBB", "invalid ciphertext: could not decode base64"),
        ("vault:v3:AAA", "invalid ciphertext: could not decode base64"),
        ("vault:v3:AAAA=", "invalid ciphertext: could not decode base64"),
        ("vault:v3:AAAA====", "invalid ciphertext: could not decode base64"),
        ("vault:v3:AA==AAAA", "invalid ciphertext: could not decode base64"),
        ("vault:v3:_-8=", "invalid ciphertext: could not decode base64"),
    ],
)
def test_refuses(text: str, error: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        ciphertext.parse(text, latest=5, oldest=3)
    assert str(raised.value) == error


@pytest.mark.parametrize("version", ["0", "1", "+1", "01", "-0"])
def test_version_zero_is_one_and_signs_are_taken(version: str) -> None:
    assert ciphertext.parse(f"vault:v{version}:AAAA", latest=1, oldest=1) == (1, bytes(3))


@pytest.mark.parametrize("body", ["AA\r\nAA", "\nAAAA\n", "AAAA"])
def test_line_ends_do_not_matter(body: str) -> None:
    assert ciphertext.parse(f"vault:v1:{body}", latest=1, oldest=1) == (1, bytes(3))


def test_an_empty_blob_is_for_the_cipher_to_refuse() -> None:
    assert ciphertext.parse("vault:v1:", latest=1, oldest=1) == (1, b"")


@given(
    st.text(max_size=60) | st.text(max_size=30).map("vault:v".__add__) | st.text(max_size=30).map("vault:v1:".__add__)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        version, blob = ciphertext.parse(text, latest=3, oldest=1)
    except InvalidRequest:
        return
    assert 1 <= version <= 3
    assert isinstance(blob, bytes)


@given(st.integers(1, 10**9), st.binary(max_size=100))
def test_what_is_written_is_read(version: int, blob: bytes) -> None:
    text = ciphertext.encode(ciphertext.prefix(version), blob)
    assert ciphertext.parse(text, latest=10**9, oldest=1) == (version, blob)
