"""Stored forms: what was written by this format must stay readable, so its bytes are fixed here."""

from __future__ import annotations

import msgspec

from kms_actors.check.records import TENANT_RECORDS, find
from kms_actors.keyring import stored
from kms_actors.transit.records import KeyPolicy, Moment, MountSettings, VersionRecord, WrappingKey
from kms_actors.transit.usage import UsageRecord, Use

POLICY = KeyPolicy(
    "k",
    "aes256-gcm96",
    derived=True,
    latest_version=3,
    min_decryption_version=2,
    restored=Moment(7, 3),
    incarnation="a1",
)


def test_policy_is_stored_as_ever() -> None:
    golden = (
        b'{"name":"k","type":"aes256-gcm96","derived":true,"convergent":false,"kdf":"hkdf_sha256",'
        b'"exportable":false,"allow_plaintext_backup":false,"deletion_allowed":false,"soft_deleted":false,'
        b'"latest_version":3,"min_available_version":0,"min_decryption_version":2,"min_encryption_version":0,'
        b'"auto_rotate_period":0,"key_size":0,"parameter_set":"","hybrid_key_type_pqc":"","hybrid_key_type_ec":"",'
        b'"imported":false,"allow_rotation":true,"backup":null,"restored":{"time":7,"version":3},"incarnation":"a1",'
        b'"format":1}'
    )
    assert stored.encode(POLICY) == golden
    assert stored.decode(golden, KeyPolicy, "policy") == POLICY


def test_policies_stored_before_there_were_imports_stay_readable() -> None:
    golden = (
        b'{"name":"k","type":"aes256-gcm96","derived":true,"latest_version":3,"min_decryption_version":2,"format":1}'
    )
    assert stored.decode(golden, KeyPolicy, "policy") == msgspec.structs.replace(
        POLICY, restored=None, incarnation=""
    )


def test_version_is_stored_as_ever() -> None:
    golden = (
        b'{"key":"AAEC","hmac_key":"/w==","created":1700000000000000001,"public_key":"Aw==",'
        b'"certificate_chain":["BA=="],"format":1}'
    )
    record = VersionRecord(b"\x00\x01\x02", b"\xff", 1_700_000_000_000_000_001, b"\x03", (b"\x04",))
    assert stored.encode(record) == golden
    assert stored.decode(golden, VersionRecord, "version") == record


def test_versions_stored_without_a_public_key_stay_readable() -> None:
    golden = b'{"key":"AAEC","hmac_key":"/w==","created":1,"format":1}'
    assert stored.decode(golden, VersionRecord, "version") == VersionRecord(b"\x00\x01\x02", b"\xff", 1)


def test_settings_are_stored_as_ever() -> None:
    golden = b'{"disable_upsert":true,"cache_size":10,"format":1}'
    assert stored.encode(MountSettings(disable_upsert=True, cache_size=10)) == golden
    assert stored.decode(golden, MountSettings, "settings") == MountSettings(disable_upsert=True, cache_size=10)


def test_settings_stored_without_a_cache_size_stay_readable() -> None:
    golden = b'{"disable_upsert":true,"format":1}'
    assert stored.decode(golden, MountSettings, "settings") == MountSettings(disable_upsert=True)


def test_fields_that_a_later_program_adds_are_ignored() -> None:
    wider = msgspec.json.encode({**msgspec.structs.asdict(POLICY), "invented_later": 1})
    assert stored.decode(wider, KeyPolicy, "policy") == POLICY


def test_wrapping_keys_are_stored_as_ever_and_show_nothing() -> None:
    golden = b'{"private":"AQ==","public":"Ag==","format":1}'
    assert stored.encode(WrappingKey(b"\1", b"\2")) == golden
    assert stored.decode(golden, WrappingKey, "key") == WrappingKey(b"\1", b"\2")
    assert repr(WrappingKey(b"\1", b"\2")) == "<WrappingKey>"


def test_usage_is_stored_as_ever() -> None:
    golden = b'{"uses":{"encrypt":[3,1700000000]},"format":1}'
    record = UsageRecord({"encrypt": Use(3, 1_700_000_000)})
    assert stored.encode(record) == golden
    assert stored.decode(golden, UsageRecord, "usage") == record


def test_the_check_of_stores_knows_every_kind() -> None:
    places = [("config",), ("wrapping-key",), ("policy", "k"), ("version", "k", 1), ("usage", "k", 1, 0)]
    assert all(find(TENANT_RECORDS, ("transit", 2, *place)) for place in places)
