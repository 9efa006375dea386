"""Backups of single keys: what is in them, what comes back of them, and what is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.transit.exchange.key_backup import (
    backed_up,
    read,
    write,
)
from kms_actors.transit.items import Signed, SignItem, VerifyItem
from kms_actors.transit.key import TransitKey
from kms_actors.transit.records import KeyPolicy, Moment, VersionRecord
from kms_actors.transit.signature import DEFAULT
from kms_actors.transit.signing import sign, verify
from tests.transit.keys import make_key, public_only

NOW = 1_800_000_000_000_000_007
TYPES = [
    *("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "hmac"),
    *("ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "mldsa-44", "mldsa-65", "mldsa-87"),
]
CODES = [8, 0, 5, 11, 10, 2, 1, 6, 7, 3, 12, 13, 14]
ALLOWED = {"exportable": True, "allow_plaintext_backup": True}
#: A version that does not exist.
NONE = {
    "key": None,
    "hmac_key": None,
    "time": "0001-01-01T00:00:00Z",
    "ec_x": None,
    "ec_y": None,
    "ec_d": None,
    "rsa_key": None,
    "rsa_public_key": None,
    "public_key": "",
    "convergent_version": 0,
    "creation_time": 0,
    "certificate_chain": None,
}


def key_of(type_name: str, **policy: Any) -> TransitKey:
    size = {"key_size": 32} if type_name == "hmac" else {}
    return make_key(type_name, **{**ALLOWED, **size, **policy})


def records_of(key: TransitKey) -> dict[int, VersionRecord]:
    return {version.number: version.record for version in key.versions()}


def content_of(key: TransitKey) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(base64.b64decode(write(key.policy, records_of(key))))
    return loaded


def text_of(content: Any) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


def refused(text: str, name: str = "") -> str:
    with pytest.raises(InvalidRequest) as raised:
        read(text, name, NOW)
    return str(raised.value)


@pytest.mark.parametrize("type_name", TYPES)
def test_what_comes_back_is_what_went_in(type_name: str) -> None:
    key = key_of(type_name, versions=3)
    policy, versions = read(write(key.policy, records_of(key)), "", NOW)
    assert (policy.restored, policy.name, policy.type) == (Moment(NOW, 3), "k", type_name)
    for number, record in records_of(key).items():
        hmac_key = record.key if type_name == "hmac" else record.hmac_key
        assert versions[number] == VersionRecord(record.key, hmac_key, record.created, record.public_key)


@pytest.mark.parametrize(("type_name", "code"), [*zip(TYPES, CODES, strict=True)])
def test_the_names_and_numbers_of_a_backup(type_name: str, code: int) -> None:
    content = content_of(key_of(type_name, versions=2))
    policy, archive = content["policy"], content["archived_keys"]["keys"]
    assert (policy["type"], policy["kdf"], policy["latest_version"], policy["archive_version"]) == (code, 0, 2, 2)
    assert (policy["Imported"], policy["AllowImportedKeyRotation"], policy["version_template"]) == (False, False, "")
    assert policy.get("key_size") == (32 if type_name == "hmac" else None)
    assert archive == [NONE, policy["keys"]["1"], policy["keys"]["2"]]
    assert set(archive[1]) == set(NONE)


def test_a_key_for_codes_comes_from_vault_too_which_has_another_number_for_it() -> None:
    content = content_of(key_of("hmac", versions=2))
    content["policy"]["type"] = 11
    policy, versions = read(text_of(content), "", NOW)
    assert (policy.type, policy.key_size, len(versions)) == ("hmac", 32, 2)
    content = content_of(key_of("xchacha20-poly1305"))
    assert content["policy"]["type"] == 11
    assert read(text_of(content), "", NOW)[0].type == "xchacha20-poly1305"


def test_numbers_of_key_pairs_are_decimals() -> None:
    curve = content_of(key_of("ecdsa-p384"))["policy"]["keys"]["1"]
    assert (curve["key"], curve["public_key"][:26]) == (None, "-----BEGIN PUBLIC KEY-----")
    assert all(0 < curve[name] < 1 << 384 for name in ("ec_x", "ec_y", "ec_d"))
    rsa = content_of(key_of("rsa-2048"))["policy"]["keys"]["1"]
    private = rsa["rsa_key"]
    assert list(private) == ["N", "E", "D", "Primes", "Precomputed"]
    assert (private["N"], private["E"]) == (private["Primes"][0] * private["Primes"][1], 65537)
    assert list(private["Precomputed"]) == ["Dp", "Dq", "Qinv", "CRTValues"]
    edwards = content_of(key_of("ed25519"))["policy"]["keys"]["1"]
    assert base64.b64decode(edwards["key"])[32:] == base64.b64decode(edwards["public_key"])


def test_versions_that_may_not_decrypt_are_in_the_archive_only() -> None:
    whole = key_of("aes256-gcm96", versions=4)
    policy = key_of("aes256-gcm96", versions=4, min_decryption_version=3, min_encryption_version=3).policy
    content = json.loads(base64.b64decode(write(policy, records_of(whole))))
    assert list(content["policy"]["keys"]) == ["3", "4"]
    assert len(content["archived_keys"]["keys"]) == 5
    assert read(text_of(content), "", NOW)[1] == records_of(whole)


def test_an_archive_begins_at_what_is_available() -> None:
    key = key_of(
        "aes256-gcm96", versions=4, min_available_version=3, min_decryption_version=3, min_encryption_version=3
    )
    content = content_of(key)
    assert (content["policy"]["archive_min_version"], len(content["archived_keys"]["keys"])) == (3, 2)
    policy, versions = read(text_of(content), "", NOW)
    assert (policy.min_available_version, list(versions)) == (3, [3, 4])


def test_settings_come_back() -> None:
    key = key_of(
        "aes256-gcm96",
        derived=True,
        convergent=True,
        deletion_allowed=True,
        auto_rotate_period=3600 * 10**9,
        imported=True,
        backup=Moment(1_700_000_000_123_456_789, 1),
    )
    policy, _ = read(write(key.policy, records_of(key)), "other", NOW)
    assert (policy.name, policy.restored) == ("other", Moment(NOW, 1))
    assert (policy.derived, policy.convergent, policy.deletion_allowed, policy.imported) == (True,) * 4
    assert (policy.backup, policy.auto_rotate_period) == (key.policy.backup, 3600 * 10**9)
    assert policy.allow_rotation


@pytest.mark.parametrize("type_name", ["ed25519", "ecdsa-p256", "rsa-2048"])
def test_public_keys_alone_come_back(type_name: str) -> None:
    public = public_only(type_name, key_of(type_name).latest.public)
    content = content_of(public)
    assert read(text_of(content), "", NOW)[1][1].key == b""
    assert read(text_of(content), "", NOW)[1][1].public_key == public.latest.record.public_key


def test_a_version_without_an_hmac_key_gets_one() -> None:
    content = content_of(key_of("aes256-gcm96"))
    content["policy"]["keys"]["1"]["hmac_key"] = None
    assert len(read(text_of(content), "", NOW)[1][1].hmac_key) == 32


def test_what_may_not_be_backed_up() -> None:
    def refusal(**policy: Any) -> str:
        with pytest.raises(InvalidRequest) as raised:
            backed_up(KeyPolicy("k", **{"type": "aes256-gcm96", **policy}), NOW)
        return str(raised.value)

    assert refusal() == "exporting is disallowed on the policy"
    assert refusal(exportable=True) == "plaintext backup is disallowed on the policy"
    assert refusal(**ALLOWED, soft_deleted=True) == "refusing to use soft-deleted key"
    assert refusal(**ALLOWED, type="aes128-cmac") == "backup is not supported for key type aes128-cmac"


def test_what_is_no_backup() -> None:
    assert refused("!") == "illegal base64 data at input byte 0"
    for text in ("", "QUJD", text_of([]), text_of({"policy": {"name": 1}}), text_of({"policy": None})):
        assert refused(text) == "invalid backup: it is not the JSON of one"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "a/b"}, "key names cannot be paths"),
        ({"type": 99}, "invalid backup: unknown key type 99"),
        ({"kdf": 2}, "invalid backup: its key derivation or its prefix is not supported"),
        ({"version_template": "x{{version}}"}, "invalid backup: its key derivation or its prefix is not supported"),
        ({"type": 1}, "invalid backup: the key of a version is not one"),
        ({"type": 8}, "invalid key size 32 bytes for key type aes128-gcm96"),
        ({"latest_version": 2}, "invalid backup: a version is missing"),
        ({"latest_version": 0}, "invalid backup: its policy contradicts itself"),
        ({"latest_version": 2**40}, "invalid backup: its policy contradicts itself"),
        ({"min_available_version": 2}, "invalid backup: its policy contradicts itself"),
        ({"min_encryption_version": 2}, "invalid backup: its policy contradicts itself"),
        ({"convergent_encryption": True}, "invalid backup: its policy contradicts itself"),
        (
            {"convergent_encryption": True, "derived": True, "kdf": 1, "convergent_version": 2},
            "refusing to support decryption with old convergent encryption key: version 2",
        ),
        ({"auto_rotate_period": 5}, "auto rotate period must be 0 to disable or at least an hour"),
    ],
)
def test_policies_that_cannot_be(changes: dict[str, Any], text: str) -> None:
    content = content_of(key_of("aes256-gcm96"))
    content["policy"] |= changes
    assert refused(text_of(content)) == text


@pytest.mark.parametrize("type_name", ["ecdsa-p256", "rsa-2048", "ed25519"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_key_pairs_whose_numbers_do_not_fit_are_refused(type_name: str, data: st.DataObject) -> None:
    content = content_of(key_of(type_name))
    entry = content["policy"]["keys"]["1"]
    if type_name == "ed25519":
        key = bytearray(base64.b64decode(entry["key"]))
        key[data.draw(st.integers(0, 63))] ^= 1 << data.draw(st.integers(0, 7))
        entry["key"] = base64.b64encode(key).decode()
    else:
        names = ["ec_x", "ec_y", "ec_d"] if type_name == "ecdsa-p256" else ["N", "D"]
        part = entry if type_name == "ecdsa-p256" else entry["rsa_key"]
        part[data.draw(st.sampled_from(names))] ^= 1 << data.draw(st.integers(0, 250))
    assert refused(text_of(content)) == "invalid backup: the key of a version is not one"


def test_chains_that_are_not_of_the_key_are_refused() -> None:
    content = content_of(key_of("ecdsa-p256"))
    content["policy"]["keys"]["1"]["certificate_chain"] = ["AAAA"]
    assert refused(text_of(content)).startswith("could not parse a certificate in the certificate chain")


@pytest.mark.parametrize("parameter_set", ["44", "65", "87"])
def test_keys_of_ml_dsa_come_back_as_the_type_that_others_know_and_verify_what_they_signed(
    parameter_set: str,
) -> None:
    key = make_key("ml-dsa", versions=2, parameter_set=parameter_set, **ALLOWED)
    signed = sign(key, [SignItem(b"x")], DEFAULT)
    policy, versions = read(write(key.policy, records_of(key)), "", NOW)
    assert (policy.type, policy.parameter_set) == (f"mldsa-{parameter_set}", "")
    restored = TransitKey(policy, versions)
    assert [version.record.key for version in restored.versions()] == [v.record.key for v in key.versions()]
    (result,) = signed
    assert isinstance(result, Signed)
    assert verify(restored, [VerifyItem(b"x", result.signature)], DEFAULT) == [True]


@pytest.mark.parametrize("key", ["", "A" * 44, "AAAA"])
def test_a_seed_that_does_not_fit_its_public_key_is_refused(key: str) -> None:
    content = content_of(make_key("mldsa-44", **ALLOWED))
    entry = content["policy"]["keys"]["1"]
    public = base64.b64encode(bytes(1312)).decode()
    changed = {"1": {**entry, "key": key or entry["key"], "public_key": entry["public_key"] if key else public}}
    text = json.dumps({"policy": {**content["policy"], "keys": changed}})
    with pytest.raises(InvalidRequest, match="the key of a version is not one"):
        read(base64.b64encode(text.encode()).decode(), "", NOW)
