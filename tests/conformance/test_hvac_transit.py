"""hvac's whole Transit class, method by method and parameter by parameter."""

from __future__ import annotations

import ast
import base64
import hashlib
import inspect
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hvac
import pytest
from hvac import exceptions
from hvac.api.secrets_engines.transit import Transit

from tests.support.tenant import Tenant

PLAINTEXT = base64.b64encode(b"hello").decode()


@pytest.fixture
def transit(tenant: Tenant) -> Iterator[Any]:
    client = hvac.Client(url=tenant.user.address, token=tenant.user.token)
    yield client.secrets.transit
    client.adapter.close()


def test_the_tests_below_give_every_parameter_of_every_method() -> None:
    called: dict[str, set[str]] = defaultdict(set)
    for node in ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_transit(node.func.value):
            parameters = _parameters(node.func.attr)
            named = {keyword.arg for keyword in node.keywords if keyword.arg}
            called[node.func.attr] |= named | set(parameters[: len(node.args)])
    methods = {name for name, member in vars(Transit).items() if callable(member) and not name.startswith("_")}
    # One method shows that mounts other than the usual one are reached: all build their paths alike.
    assert called == {name: set(_parameters(name)) - {"mount_point"} | called[name] for name in methods}
    assert any("mount_point" in given for given in called.values())


def _is_transit(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "transit"


def _parameters(method: str) -> list[str]:
    return list(inspect.signature(getattr(Transit, method)).parameters)[1:]


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


def test_batches(transit: Any) -> None:
    transit.create_key("k")
    texts = transit.encrypt_data("k", batch_input=[{"plaintext": PLAINTEXT}] * 2)["data"]["batch_results"]
    items = [{"ciphertext": text["ciphertext"]} for text in texts]
    transit.rotate_key("k")
    results = transit.rewrap_data("k", "", batch_input=items)["data"]["batch_results"]
    assert [result["key_version"] for result in results] == [2, 2]
    results = transit.decrypt_data("k", batch_input=items)["data"]["batch_results"]
    assert [result["plaintext"] for result in results] == [PLAINTEXT] * 2
    transit.create_key("s", key_type="ed25519")
    signed = transit.sign_data("s", batch_input=[{"input": PLAINTEXT}])["data"]["batch_results"]
    assert transit.verify_signed_data("s", PLAINTEXT, signed[0]["signature"])["data"]["valid"]


def test_versions_and_types(transit: Any) -> None:
    transit.create_key("k")
    transit.rotate_key("k")
    assert transit.encrypt_data("k", PLAINTEXT, key_version=1)["data"]["ciphertext"].startswith("vault:v1:")
    mac = transit.generate_hmac("k", PLAINTEXT, key_version=1)["data"]["hmac"]
    assert mac.startswith("vault:v1:")
    context = base64.b64encode(b"context").decode()
    transit.encrypt_data("made", PLAINTEXT, context=context, type="aes128-gcm96", convergent_encryption=True)
    assert transit.read_key("made")["data"].items() >= {"type": "aes128-gcm96", "convergent_encryption": True}.items()
    transit.create_key("d", derived=True)
    made = transit.generate_data_key("d", "plaintext", context=context)["data"]
    assert transit.decrypt_data("d", made["ciphertext"], context=context)["data"]["plaintext"] == made["plaintext"]
    transit.update_key_configuration("k", exportable=True, allow_plaintext_backup=True, auto_rotate_period="48h")
    assert transit.read_key("k")["data"]["auto_rotate_period"] == 172800


def test_nonces_are_refused(transit: Any) -> None:
    transit.create_key("k")
    text, nonce = transit.encrypt_data("k", PLAINTEXT)["data"]["ciphertext"], base64.b64encode(bytes(12)).decode()
    with pytest.raises(exceptions.InvalidRequest, match="nonce provided when not allowed"):
        transit.encrypt_data("k", PLAINTEXT, nonce=nonce)
    with pytest.raises(exceptions.InvalidRequest, match="nonce provided when not allowed"):
        transit.generate_data_key("k", "plaintext", nonce=nonce)
    with pytest.raises(exceptions.InvalidRequest, match="nonce provided when not allowed"):
        transit.decrypt_data("k", text, nonce=nonce)
    with pytest.raises(exceptions.InvalidRequest, match="nonce provided when not allowed"):
        transit.rewrap_data("k", text, nonce=nonce)


def test_every_parameter_of_signatures(transit: Any) -> None:
    transit.create_key("s", key_type="rsa-2048")
    transit.rotate_key("s")
    digest = base64.b64encode(hashlib.sha512(b"hello").digest()).decode()
    how = {"hash_algorithm": "sha2-512", "signature_algorithm": "pss", "marshaling_algorithm": "jws"}
    signature = transit.sign_data(
        "s",
        digest,
        key_version=1,
        hash_algorithm="sha2-512",
        prehashed=True,
        signature_algorithm="pss",
        marshaling_algorithm="jws",
        salt_length="hash",
    )["data"]["signature"]
    assert signature.startswith("vault:v1:")
    assert transit.verify_signed_data("s", PLAINTEXT, signature, salt_length="hash", **how)["data"]["valid"]
    valid = transit.verify_signed_data(
        "s",
        digest,
        signature,
        hash_algorithm="sha2-512",
        prehashed=True,
        signature_algorithm="pss",
        salt_length="auto",
        marshaling_algorithm="jws",
    )["data"]["valid"]
    assert valid
    context = base64.b64encode(b"context").decode()
    transit.create_key("d", key_type="ed25519", derived=True)
    signature = transit.sign_data("d", PLAINTEXT, context=context)["data"]["signature"]
    assert transit.verify_signed_data("d", PLAINTEXT, signature, context=context)["data"]["valid"]


def test_another_mount(transit: Any, tenant: Tenant) -> None:
    assert tenant.operator.post("sys/mounts/other", {"type": "transit"}).status == 204
    transit.create_key("k", mount_point="other")
    assert transit.list_keys(mount_point="other")["data"]["keys"] == ["k"]
    with pytest.raises(exceptions.InvalidPath):
        transit.read_key("k")
