"""Published vectors of the ciphers, opened through a key of the engine; invalid ones as strictly."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.transit.items import DecryptItem
from kms_actors.transit.key import TransitKey
from kms_actors.transit.records import KeyPolicy, VersionRecord

CIPHERS = Path(cryptography_vectors.__file__).parent / "ciphers"
GCM = CIPHERS / "AES" / "GCM"


def opened(type_name: str, key: bytes, blob: bytes, data: bytes) -> bytes | InvalidRequest:
    transit_key = TransitKey(KeyPolicy("k", type_name), {1: VersionRecord(key, bytes(32), 0)})
    text = "vault:v1:" + base64.b64encode(blob).decode()
    (result,) = transit_key.decrypt([DecryptItem(text, b"", data)])
    return result


def gcm_cases(path: Path) -> Iterator[tuple[dict[str, bytes], bool]]:
    """Yield the fields of each case, and whether it must fail."""
    case: dict[str, bytes] = {}
    fails = False
    for line in [*path.read_text().splitlines(), ""]:
        name, equals, value = line.partition(" =")
        if line.startswith(("#", "[")):
            continue
        if equals and name != "Count":
            case[name] = bytes.fromhex(value.strip())
        elif line.strip() == "FAIL":
            fails = True
        elif not line.strip() and case:
            yield case, fails
            case, fails = {}, False


@pytest.mark.parametrize(("bits", "type_name"), [(128, "aes128-gcm96"), (256, "aes256-gcm96")])
def test_nist_gcm_decryption(bits: int, type_name: str) -> None:
    opens = refuses = 0
    for case, fails in gcm_cases(GCM / f"gcmDecrypt{bits}.rsp"):
        if len(case["IV"]) != 12 or len(case["Tag"]) != 16:
            continue
        result = opened(type_name, case["Key"], case["IV"] + case["CT"] + case["Tag"], case["AAD"])
        if fails:
            assert isinstance(result, InvalidRequest)
            assert str(result) == "cipher: message authentication failed"
            refuses += 1
        else:
            assert result == case.get("PT", b"")
            opens += 1
    assert opens > 100
    assert refuses > 100


def test_openssl_chacha20_poly1305() -> None:
    cases = 0
    for block in (CIPHERS / "ChaCha20Poly1305" / "openssl.txt").read_text().split("\n\n"):
        fields = dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line)
        key, nonce, data, tag, plaintext, sealed = (
            bytes.fromhex(fields.get(name, "")) for name in ("Key", "IV", "AAD", "Tag", "Plaintext", "Ciphertext")
        )
        if len(nonce) != 12:
            continue
        result = opened("chacha20-poly1305", key, nonce + sealed + tag, data)
        if "Result" in fields:
            assert str(result) == "chacha20poly1305: message authentication failed"
        else:
            assert result == plaintext
        cases += 1
    assert cases >= 5
