"""hvac's whole Transit class, method by method."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import hvac
import pytest
from hvac import exceptions
from hvac.api.secrets_engines.transit import Transit

from tests.support.tenant import Tenant

PLAINTEXT = base64.b64encode(b"hello").decode()

#: All methods of the class; the tests below call each of them.
METHODS = {
    *("create_key", "read_key", "list_keys", "delete_key", "update_key_configuration", "rotate_key", "trim_key"),
    *("export_key", "backup_key", "restore_key", "encrypt_data", "decrypt_data", "rewrap_data"),
    *("generate_data_key", "generate_random_bytes", "hash_data", "generate_hmac", "sign_data", "verify_signed_data"),
}


@pytest.fixture
def transit(tenant: Tenant) -> Iterator[Any]:
    client = hvac.Client(url=tenant.user.address, token=tenant.user.token)
    yield client.secrets.transit
    client.adapter.close()


def test_the_class_has_no_other_methods() -> None:
    methods = {name for name, member in vars(Transit).items() if callable(member) and not name.startswith("_")}
    assert methods == METHODS


def test_a_key_from_creation_to_deletion(transit: Any) -> None:
    transit.create_key("k", exportable=True, allow_plaintext_backup=True, auto_rotate_period="24h")
    assert transit.read_key("k")["data"]["auto_rotate_period"] == 86400
    assert transit.list_keys()["data"]["keys"] == ["k"]
    transit.rotate_key("k")
    assert set(transit.export_key("k", "encryption-key")["data"]["keys"]) == {"1", "2"}
    assert set(transit.export_key("k", "hmac-key", version="latest")["data"]["keys"]) == {"2"}
    backup = transit.backup_key("k")["data"]["backup"]
    transit.restore_key(backup, name="copy")
    assert transit.read_key("copy")["data"]["latest_version"] == 2
    transit.restore_key(backup, name="copy", force=True)
    transit.update_key_configuration("k", min_decryption_version=2, min_encryption_version=0)
    transit.update_key_configuration("k", min_encryption_version=2, deletion_allowed=True)
    transit.trim_key("k", 2)
    assert transit.read_key("k")["data"]["min_available_version"] == 2
    transit.delete_key("k")
    with pytest.raises(exceptions.InvalidPath):
        transit.read_key("k")


def test_encryption_with_context_and_additional_data(transit: Any) -> None:
    context = base64.b64encode(b"context").decode()
    transit.create_key("k", derived=True, convergent_encryption=True)
    texts = {transit.encrypt_data("k", PLAINTEXT, context=context)["data"]["ciphertext"] for _ in range(2)}
    assert len(texts) == 1
    transit.rotate_key("k")
    rewrapped = transit.rewrap_data("k", texts.pop(), context=context, key_version=2)["data"]["ciphertext"]
    assert transit.decrypt_data("k", rewrapped, context=context)["data"]["plaintext"] == PLAINTEXT
    bound = transit.encrypt_data("made", PLAINTEXT, associated_data=context, type="chacha20-poly1305")["data"]
    decrypted = transit.decrypt_data("made", bound["ciphertext"], associated_data=context)
    assert decrypted["data"]["plaintext"] == PLAINTEXT
    with pytest.raises(exceptions.InvalidRequest, match="authentication failed"):
        transit.decrypt_data("made", bound["ciphertext"])


def test_data_keys_random_bytes_and_hashes(transit: Any) -> None:
    transit.create_key("k")
    made = transit.generate_data_key("k", "plaintext", bits=512)["data"]
    assert transit.decrypt_data("k", made["ciphertext"])["data"]["plaintext"] == made["plaintext"]
    assert "plaintext" not in transit.generate_data_key("k", "wrapped")["data"]
    assert len(transit.generate_random_bytes(20, "hex")["data"]["random_bytes"]) == 40
    assert len(transit.hash_data(PLAINTEXT, "sha2-512", "hex")["data"]["sum"]) == 128
    mac = transit.generate_hmac("k", PLAINTEXT, algorithm="sha2-256")["data"]["hmac"]
    assert transit.verify_signed_data("k", PLAINTEXT, hmac=mac)["data"]["valid"]


@pytest.mark.parametrize("key_type", ["ed25519", "ecdsa-p256", "rsa-2048"])
def test_signatures(transit: Any, key_type: str) -> None:
    transit.create_key("s", key_type=key_type)
    signature = transit.sign_data("s", PLAINTEXT, hash_algorithm="sha2-256")["data"]["signature"]
    assert transit.verify_signed_data("s", PLAINTEXT, signature, hash_algorithm="sha2-256")["data"]["valid"]
    other = base64.b64encode(b"other").decode()
    assert not transit.verify_signed_data("s", other, signature, hash_algorithm="sha2-256")["data"]["valid"]


def test_what_each_version_is_used_for_is_told_before_a_trim(transit: Any) -> None:
    transit.create_key("k")
    assert transit.read_key("k")["data"]["usage"] == {}
    old = transit.encrypt_data("k", PLAINTEXT)["data"]["ciphertext"]
    transit.rotate_key("k")
    assert "usage" not in transit.rotate_key("k")["data"]
    transit.decrypt_data("k", batch_input=[{"ciphertext": old}, {"ciphertext": old}])
    transit.rewrap_data("k", old)
    usage = transit.read_key("k")["data"]["usage"]
    counts = {version: {name: use["count"] for name, use in uses.items()} for version, uses in usage.items()}
    assert counts == {"1": {"decrypt": 3, "encrypt": 1}, "3": {"encrypt": 1}}
    last = datetime.fromisoformat(usage["1"]["decrypt"]["last_used"])
    assert abs((datetime.now(UTC) - last).total_seconds()) < 60
    transit.update_key_configuration("k", min_decryption_version=2, min_encryption_version=3)
    assert set(transit.read_key("k")["data"]["usage"]) == {"1", "3"}
    transit.trim_key("k", 2)
    assert set(transit.read_key("k")["data"]["usage"]) == {"3"}
