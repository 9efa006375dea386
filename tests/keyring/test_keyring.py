"""Keyrings: rotation, subkeys, stored forms, wrapping."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import FormatError, IntegrityError
from kms_actors.keyring.keyring import Keyring, unwrap, wrap
from kms_actors.secret import SecretBytes

PLACE = b"place"
ROOT = SecretBytes(bytes(range(32)))

DUMP = (
    b'{"keys":[{"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","created":1700000000.0},'
    b'{"key":"//////////////////////////////////////////8=","created":1700000001.5}],"owner":"vault_1","format":1}'
)
RECORD = "0100000001000102030405060708090a0b376eb772ab91a763f9ad5a63228a804ea70cd3c3bd5cf601f3"
WRAPPED = (
    "0100000000000102030405060708090a0b3c20bd7ebc96e021d63ab5e0d4905a57a197c671b33a282d7e2582e6542a51dd"
    "4d54efcce0856ad926e117a0ddc17a61b61e22e63b91dbad5bdf422125c1d9cc934ea31ba7b4424326659d5edfbf3ed808"
    "baf94c461e0e44df92e9a21d829bb7e98e3893c835972bbc301cd427074c1ece45589a9ef26da0819388a69e31e1874fec"
    "7aa32f"
)
SUBKEY = "5fd46e1711e7cbf0d46e91424f33be766df74817cdc59f2aca9516326ec52d16"


def counting(length: int) -> bytes:
    return bytes(range(length))


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.generate(1700000000.0, counting, owner="vault_1")


def test_a_new_keyring_has_one_version(keyring: Keyring) -> None:
    assert keyring.active_version == 1
    assert keyring.active_since == 1700000000.0
    record = keyring.seal(PLACE, b"plaintext")
    assert record[:5] == b"\x01\x00\x00\x00\x01"
    assert keyring.open(PLACE, record) == b"plaintext"


def test_generated_keyrings_differ() -> None:
    one, other = Keyring.generate(0.0), Keyring.generate(0.0)
    assert one.dump() != other.dump()
    with pytest.raises(IntegrityError):
        other.open(PLACE, one.seal(PLACE, b"plaintext"))


def test_rotation_seals_under_the_new_version_and_opens_the_old(keyring: Keyring) -> None:
    old = keyring.seal(PLACE, b"old")
    rotated = keyring.rotated(1800000000.0)
    assert (keyring.active_version, rotated.active_version) == (1, 2)
    assert rotated.active_since == 1800000000.0
    new = rotated.seal(PLACE, b"new")
    assert new[:5] == b"\x01\x00\x00\x00\x02"
    assert (rotated.open(PLACE, old), rotated.open(PLACE, new)) == (b"old", b"new")
    with pytest.raises(IntegrityError, match="version that the keyring does not have"):
        keyring.open(PLACE, new)


@given(st.lists(st.binary(max_size=64), min_size=1, max_size=6))
def test_every_version_keeps_opening_its_records(plaintexts: list[bytes]) -> None:
    keyring = Keyring.generate(0.0)
    records = []
    for plaintext in plaintexts:
        keyring = keyring.rotated(1.0)
        records.append(keyring.seal(PLACE, plaintext))
    again = Keyring.load(keyring.dump())
    assert [again.open(PLACE, record) for record in records] == plaintexts


def test_stored_forms_are_stable(keyring: Keyring) -> None:
    assert keyring.rotated(1700000001.5, lambda length: b"\xff" * length).dump() == DUMP
    assert keyring.seal(PLACE, b"plaintext", counting).hex() == RECORD
    assert wrap(ROOT, PLACE, keyring, counting).hex() == WRAPPED


def test_stored_forms_are_read(keyring: Keyring) -> None:
    assert Keyring.load(DUMP).active_version == 2
    assert Keyring.load(DUMP).dump() == DUMP
    assert Keyring.load(DUMP).open(PLACE, bytes.fromhex(RECORD)) == b"plaintext"
    assert unwrap(ROOT, PLACE, bytes.fromhex(WRAPPED)).dump() == keyring.dump()


def test_a_subkey_is_hkdf_of_version_one_and_outlives_rotation(keyring: Keyring) -> None:
    extracted = hmac.digest(bytes(32), counting(32), hashlib.sha256)  # RFC 5869, 2.2
    info = b"clever-kms keyring derive v1\x00" + b"token"
    assert hmac.digest(extracted, info + b"\x01", hashlib.sha256).hex() == SUBKEY  # 2.3, one block
    assert keyring.derive(b"token").hex() == SUBKEY
    assert keyring.rotated(1.0).rotated(2.0).derive(b"token").hex() == SUBKEY


def test_subkeys_of_other_labels_and_keyrings_differ(keyring: Keyring) -> None:
    keys = {keyring.derive(b"token"), keyring.derive(b"audit"), Keyring.generate(0.0).derive(b"token")}
    assert len(keys) == 3
    assert counting(32) not in keys


def test_a_wrapped_keyring_opens_only_under_its_key_and_place(keyring: Keyring) -> None:
    record = wrap(ROOT, PLACE, keyring)
    assert record[:5] == b"\x01\x00\x00\x00\x00"
    assert unwrap(ROOT, PLACE, record).dump() == keyring.dump()
    with pytest.raises(IntegrityError):
        unwrap(SecretBytes(bytes(32)), PLACE, record)
    with pytest.raises(IntegrityError):
        unwrap(ROOT, b"other", record)


def test_records_of_a_keyring_and_of_a_root_key_are_not_mistaken() -> None:
    keyring = Keyring.generate(0.0, lambda _: ROOT.reveal())  # even if the keys were the same
    with pytest.raises(IntegrityError):
        keyring.open(PLACE, wrap(ROOT, PLACE, keyring))
    with pytest.raises(IntegrityError):
        unwrap(ROOT, PLACE, keyring.seal(PLACE, keyring.dump()))


def edited(**changes: Any) -> bytes:
    return json.dumps({**json.loads(DUMP), **changes}).encode()


@pytest.mark.parametrize(
    "dump",
    [
        b"",
        b"{}",
        b"[]",
        b'{"format":1,"keys":' + b"[" * 100_000,
        b'{"more":' + b"[" * 100_000,
        b"null",
        DUMP[:-1],
        DUMP + b"x",
        b"\xff" + DUMP,
        edited(keys=[]),
        edited(keys=None),
        edited(keys=[{"key": base64.b64encode(bytes(31)).decode(), "created": 1.0}]),
        edited(keys=[{"key": base64.b64encode(bytes(33)).decode(), "created": 1.0}]),
        edited(keys=[{"key": "no base64!", "created": 1.0}]),
        edited(keys=[{"key": base64.b64encode(bytes(32)).decode()}]),
        edited(format="1"),
        edited(unknown=1),
    ],
)
def test_a_damaged_dump_is_refused_without_its_content(dump: bytes) -> None:
    with pytest.raises(FormatError, match=r"^keyring is damaged$") as raised:
        Keyring.load(dump)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("number", [0, 2, 99])
def test_a_dump_of_another_format_says_so(number: int) -> None:
    with pytest.raises(FormatError, match=f"keyring is of format {number}; this program reads format 1"):
        Keyring.load(edited(format=number, anything=[1]))


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_keyring_is_not_copied_out(keyring: Keyring, copying: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        copying(keyring)


def test_nothing_shows_in_a_repr(keyring: Keyring) -> None:
    assert repr(keyring) == str(keyring) == f"{keyring}" == "<Keyring>"
    assert repr(keyring._keys[0]) == "<key>"
    assert not hasattr(keyring, "__dict__")


def test_the_public_key_of_an_issuer_is_that_of_its_subkey() -> None:
    keyring = Keyring.generate(0.0)
    private = Ed25519PrivateKey.from_private_bytes(keyring.derive(b"issuer"))
    for _ in range(2):
        assert keyring.issuer(b"issuer") == private.public_key().public_bytes_raw()
    assert keyring.issuer(b"other") != keyring.issuer(b"issuer")
    assert keyring.derive(b"issuer") == private.private_bytes_raw()
