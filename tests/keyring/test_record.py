"""Sealed records: layout against NIST's vectors, and what does not open."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import FormatError, IntegrityError
from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.record import header, open_record, seal_record

PLACE = b"\x02ckms\x00\x15\x01\x02token\x00"
KEYRING = Keyring.generate(0.0)


def nist(name: str) -> Iterator[dict[str, bytes | None]]:
    """Yield NIST's GCM cases with 96-bit nonces and 128-bit tags; PT is None where opening must fail."""
    folder = Path(cryptography_vectors.__file__).parent / "ciphers" / "AES" / "GCM"
    text = (folder / name).read_text()
    sizes: dict[str, int] = {}
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if lines and lines[0].startswith("["):
            sizes = {k: int(v) for k, v in (line.strip("[]").split(" = ") for line in lines)}
        elif lines and (sizes["IVlen"], sizes["Taglen"]) == (96, 128):
            pairs = [line.partition("=") for line in lines if line != "FAIL"]
            case: dict[str, bytes | None] = {k.strip(): bytes.fromhex(v) for k, _, v in pairs if k.strip() != "Count"}
            yield {"PT": None, **case}


def test_records_are_gcm_as_nist_has_it() -> None:
    cases = list(nist("gcmEncryptExtIV256.rsp"))
    for case in cases:
        key, iv, aad, plaintext = case["Key"], case["IV"], case["AAD"], case["PT"]
        assert key is not None
        assert iv is not None
        assert aad is not None
        assert plaintext is not None
        record = seal_record(AESGCM(key), header(7), iv, aad, plaintext)
        assert record == b"".join((b"\x01\x00\x00\x00\x07", iv, case["CT"] or b"", case["Tag"] or b""))
        assert open_record({header(7): AESGCM(key)}, aad, record) == plaintext
    assert len(cases) > 300


def test_records_nist_says_fail_do_not_open() -> None:
    failed = 0
    for case in nist("gcmDecrypt256.rsp"):
        record = b"".join((header(1), case["IV"] or b"", case["CT"] or b"", case["Tag"] or b""))
        aeads = {header(1): AESGCM(case["Key"] or b"")}
        if case["PT"] is not None:
            assert open_record(aeads, case["AAD"] or b"", record) == case["PT"]
            continue
        failed += 1
        with pytest.raises(IntegrityError, match="does not open"):
            open_record(aeads, case["AAD"] or b"", record)
    assert failed > 100


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_a_record_opens_at_its_place(place: bytes, plaintext: bytes) -> None:
    record = KEYRING.seal(place, plaintext)
    assert len(record) == len(plaintext) + 33
    assert KEYRING.open(place, record) == plaintext


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_a_record_does_not_open_elsewhere(place: bytes, other: bytes) -> None:
    record = KEYRING.seal(place, b"plaintext")
    if place != other:
        with pytest.raises(IntegrityError):
            KEYRING.open(other, record)


def test_no_flipped_bit_goes_unseen() -> None:
    record = KEYRING.seal(PLACE, b"plaintext of a record")
    for position, bit in itertools.product(range(len(record)), range(8)):
        damaged = bytearray(record)
        damaged[position] ^= 1 << bit
        with pytest.raises((IntegrityError, FormatError)):
            KEYRING.open(PLACE, bytes(damaged))


def test_no_cut_or_longer_record_opens() -> None:
    record = KEYRING.seal(PLACE, b"plaintext")
    for damaged in (*(record[:length] for length in range(len(record))), record + b"\x00"):
        with pytest.raises(IntegrityError):
            KEYRING.open(PLACE, damaged)


def test_swapped_records_do_not_open() -> None:
    one, other = KEYRING.seal(b"one", b"1"), KEYRING.seal(b"other", b"2")
    for place, record in ((b"one", other), (b"other", one)):
        with pytest.raises(IntegrityError):
            KEYRING.open(place, record)


@pytest.mark.parametrize("number", [0, 2, 255])
def test_a_record_of_another_format_says_so(number: int) -> None:
    record = bytes([number]) + KEYRING.seal(PLACE, b"plaintext")[1:]
    with pytest.raises(FormatError, match=f"format {number}; this program reads format 1"):
        KEYRING.open(PLACE, record)


def test_a_failure_shows_neither_place_nor_content() -> None:
    with pytest.raises(IntegrityError) as raised:
        KEYRING.open(b"secret place", KEYRING.seal(PLACE, b"plaintext"))
    assert str(raised.value) == "a sealed record does not open under its key"
    assert raised.value.__cause__ is None


def test_equal_plaintexts_make_different_records() -> None:
    records = {KEYRING.seal(PLACE, b"plaintext") for _ in range(1000)}
    assert len(records) == 1000
    assert len({record[5:17] for record in records}) == 1000
