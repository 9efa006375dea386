"""Creating and changing keys: what is allowed, what is refused, and in which words."""

from __future__ import annotations

import msgspec
import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.transit.policy import (
    FORCED_MINIMUM,
    KeyChanges,
    KeyOptions,
    check_deletable,
    configured,
    new_policy,
    new_version,
    rotated,
    soft_deleted,
    trimmed,
    upserted_policy,
)
from kms_actors.transit.records import KeyPolicy

HOUR = 3600 * 10**9
PERIOD = "auto rotate period must be 0 to disable or at least an hour"

BELOW_DECRYPTION = (
    "cannot set min encryption/decryption values; min encryption version of 1 must be greater than or equal "
    "to min decryption version of 2"
)


def key(**fields: object) -> KeyPolicy:
    return KeyPolicy("k", "aes256-gcm96", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (KeyOptions("nosuch"), "unknown key type nosuch"),
        (KeyOptions("hmac", key_size=8), "invalid key_size 8"),
        (KeyOptions("hmac", key_size=513), "invalid key_size 513"),
        (KeyOptions("hmac", key_size=-1), "invalid key_size -1"),
        (KeyOptions(key_size=-1), "key_size is not valid for algorithm aes256-gcm96"),
        (KeyOptions(key_size=16), "key_size is not valid for algorithm aes256-gcm96"),
        (KeyOptions(convergent_encryption=True), "convergent encryption requires derivation to be enabled"),
        (
            KeyOptions("hmac", derived=True),
            "key derivation and convergent encryption not supported for keys of type hmac",
        ),
        (
            KeyOptions("rsa-2048", derived=True),
            "key derivation and convergent encryption not supported for keys of type rsa-2048",
        ),
        (
            KeyOptions("ed25519", derived=True, convergent_encryption=True),
            "convergent encryption not supported for keys of type ed25519",
        ),
        (KeyOptions("rsa-2048", key_size=32), "key_size is not valid for algorithm rsa-2048"),
        (KeyOptions(parameter_set="44"), "parameter_set is not valid for algorithm aes256-gcm96"),
        (KeyOptions("ml-dsa"), "invalid parameter_set for key type ml-dsa; must be one of 44, 65, 87"),
        (
            KeyOptions("ml-dsa", parameter_set="65", hybrid_key_type_ec="ed25519"),
            "hybrid_key_type_ec is not valid for algorithm ml-dsa",
        ),
        (
            KeyOptions("hybrid", parameter_set="65"),
            "invalid hybrid_key_type_pqc for key type hybrid; must be one of ml-dsa",
        ),
        (
            KeyOptions("hybrid", parameter_set="65", hybrid_key_type_pqc="ml-dsa", hybrid_key_type_ec="rsa-2048"),
            (
                "invalid hybrid_key_type_ec for key type hybrid; "
                "must be one of ecdsa-p256, ecdsa-p384, ecdsa-p521, ed25519"
            ),
        ),
        (KeyOptions(auto_rotate_period=HOUR - 1), PERIOD),
        (KeyOptions(auto_rotate_period=-HOUR), PERIOD),
    ],
)
def test_creation_refuses(options: KeyOptions, error: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        new_policy("k", options)
    assert str(raised.value) == error


def test_a_new_key_has_the_defaults_of_the_api() -> None:
    made = new_policy("k", KeyOptions())
    assert msgspec.structs.replace(made, incarnation="") == key()


def test_keys_of_the_same_name_are_told_apart() -> None:
    assert len({new_policy("k", KeyOptions()).incarnation for _ in range(10)} - {""}) == 10


def test_an_hmac_key_has_32_bytes_unless_asked_otherwise() -> None:
    policy = new_policy("k", KeyOptions("hmac"))
    assert policy.key_size == 32
    assert len(new_version(policy, 0).key) == 32
    assert len(new_version(new_policy("k", KeyOptions("hmac", key_size=512)), 0).key) == 512


def test_material_is_fresh_for_each_version() -> None:
    one, other = new_version(key(), 1), new_version(key(), 1)
    assert len({one.key, one.hmac_key, other.key, other.hmac_key}) == 4


@pytest.mark.parametrize("type_name", ["ecdsa-p256", "ecdsa-p521"])
def test_an_encryption_makes_no_keys_on_curves(type_name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^key type {type_name} not supported for this operation$"):
        upserted_policy("k", type_name, derived=False, convergent=False)


@pytest.mark.parametrize("type_name", ["nosuch", "hmac", "ecdsa-p1", "ed25519", "rsa-2048", "aes128-cmac"])
def test_an_encryption_makes_keys_of_ciphers_only(type_name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^unknown key type {type_name}$"):
        upserted_policy("k", type_name, derived=False, convergent=False)


def test_an_encryption_makes_convergent_keys_with_context_only() -> None:
    text = r"^convergent encryption requires derivation to be enabled, so context is required$"
    with pytest.raises(InvalidRequest, match=text):
        upserted_policy("k", "aes256-gcm96", derived=False, convergent=True)
    assert upserted_policy("k", "aes256-gcm96", derived=True, convergent=True).convergent


@pytest.mark.parametrize(
    ("policy", "changes", "error"),
    [
        (key(), KeyChanges(min_decryption_version=-1), "min decryption version cannot be negative"),
        (
            key(latest_version=3),
            KeyChanges(min_decryption_version=9),
            "cannot set min decryption version of 9, latest key version is 3",
        ),
        (key(), KeyChanges(min_encryption_version=-1), "min encryption version cannot be negative"),
        (
            key(latest_version=3),
            KeyChanges(min_encryption_version=9),
            "cannot set min encryption version of 9, latest key version is 3",
        ),
        (
            key(latest_version=3, min_decryption_version=2),
            KeyChanges(min_encryption_version=1),
            BELOW_DECRYPTION,
        ),
        (key(), KeyChanges(auto_rotate_period=5 * 10**9), PERIOD),
        (
            key(latest_version=3, min_decryption_version=2, min_encryption_version=3, min_available_version=2),
            KeyChanges(min_encryption_version=0),
            "min encryption version should not be less than min available version",
        ),
        (
            key(latest_version=3, min_decryption_version=2, min_encryption_version=3, min_available_version=2),
            KeyChanges(min_decryption_version=1),
            "min decryption version should not be less then min available version",
        ),
    ],
)
def test_configuration_refuses(policy: KeyPolicy, changes: KeyChanges, error: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        configured(policy, changes)
    assert str(raised.value) == error


def test_a_minimum_of_zero_for_decryption_is_forced_to_one() -> None:
    policy, warnings = configured(
        key(latest_version=2, min_decryption_version=2), KeyChanges(min_decryption_version=0)
    )
    assert policy.min_decryption_version == 1
    assert warnings == (FORCED_MINIMUM,)


def test_exporting_and_backup_are_allowed_for_good_and_deletion_is_not() -> None:
    every = KeyChanges(exportable=True, allow_plaintext_backup=True, deletion_allowed=True, auto_rotate_period=HOUR)
    policy, _ = configured(key(), every)
    none = KeyChanges(exportable=False, allow_plaintext_backup=False, deletion_allowed=False, auto_rotate_period=0)
    policy, warnings = configured(policy, none)
    assert (policy.exportable, policy.allow_plaintext_backup) == (True, True)
    assert (policy.deletion_allowed, policy.auto_rotate_period, warnings) == (False, 0, ())


def test_no_changes_change_nothing() -> None:
    policy = key(latest_version=3, min_decryption_version=2, exportable=True)
    assert configured(policy, KeyChanges()) == (policy, ())


TRIMMABLE = key(latest_version=5, min_decryption_version=3, min_encryption_version=4, min_available_version=2)
DECREMENTED = "minimum available version cannot be decremented"


@pytest.mark.parametrize(
    ("policy", "wanted", "error"),
    [
        (TRIMMABLE, None, "missing min_available_version"),
        (TRIMMABLE, 1, DECREMENTED),
        (TRIMMABLE, -1, DECREMENTED),
        (TRIMMABLE, 4, "minimum available version cannot be greater than minimum decryption version"),
        (TRIMMABLE, 5, "minimum available version cannot be greater than minmum encryption version"),
        (key(), 1, "minimum available version cannot be set when minimum encryption version is not set"),
        (key(min_encryption_version=1), 0, "minimum available version should be positive"),
    ],
)
def test_trimming_refuses(policy: KeyPolicy, wanted: int | None, error: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        trimmed(policy, wanted)
    assert str(raised.value) == error


def test_trimming_moves_the_first_version() -> None:
    assert trimmed(TRIMMABLE, 3) == msgspec.structs.replace(TRIMMABLE, min_available_version=3)


def test_rotation_adds_a_version_unless_soft_deleted() -> None:
    assert rotated(key()).latest_version == 2
    with pytest.raises(InvalidRequest, match=r"^refusing to use soft-deleted key$"):
        rotated(key(soft_deleted=True))


def test_soft_deletion_is_undone_and_repeating_it_warns() -> None:
    deleted, warnings = soft_deleted(key(), deleted=True)
    assert (deleted.soft_deleted, warnings) == (True, ())
    assert soft_deleted(deleted, deleted=True) == (deleted, ("key was already marked as soft deleted",))
    assert soft_deleted(deleted, deleted=False) == (key(), ())
    assert soft_deleted(key(), deleted=False) == (key(), ("key was already restored",))


def test_deletion_must_be_allowed() -> None:
    check_deletable("k", key(deletion_allowed=True))
    with pytest.raises(InvalidRequest, match=r"^error deleting policy k: deletion is not allowed for this key$"):
        check_deletable("k", key())
    with pytest.raises(InvalidRequest, match=r"^error deleting policy k: could not delete key; not found$"):
        check_deletable("k", None)
