"""One key on both servers, by backup, import or wrapped export: what one makes, the other reads."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from kms_actors.transit.wrapping import wrap
from tests.differential.pair import Pair, Side

FOX: Final = base64.b64encode(b"the quick brown fox").decode()
DIGEST: Final = base64.b64encode(bytes(range(32))).decode()
CONTEXT: Final = "Y3R4LTE="
SYMMETRIC: Final = ("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305")
CURVES: Final = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
RSA: Final = ("rsa-2048", "rsa-3072")
HASHES: Final = (
    "sha1",
    "sha2-224",
    "sha2-256",
    "sha2-384",
    "sha2-512",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
)


class Kind(NamedTuple):
    """A type of key with its options."""

    type: str
    derived: bool = False
    convergent: bool = False

    def __str__(self) -> str:
        return self.type + " derived" * self.derived + " convergent" * self.convergent

    @property
    def options(self) -> dict[str, Any]:
        size = {"key_size": 48} if self.type == "hmac" else {}
        flags = {"derived": self.derived, "convergent_encryption": self.convergent}
        return {"type": self.type, **size, **flags, "exportable": True, "allow_plaintext_backup": True}

    @property
    def context(self) -> dict[str, str]:
        return {"context": CONTEXT} if self.derived else {}


_DERIVATIONS: Final = ((False, False), (True, False), (True, True))
KINDS: Final = (
    *(Kind(name, derived, convergent) for name in SYMMETRIC for derived, convergent in _DERIVATIONS),
    Kind("ed25519"),
    Kind("ed25519", derived=True),
    *(Kind(name) for name in (*CURVES, *RSA, "hmac")),
)


def _asked(side: Side, path: str, **body: Any) -> Any:
    answer = side("POST", f"transit/{path}", body)
    assert answer.status in (200, 204), (path, answer)
    return answer.data


def _read(side: Side, path: str) -> Any:
    answer = side("GET", f"transit/{path}")
    assert answer.status == 200, (path, answer)
    return answer.data


@pytest.fixture(params=["from the reference", "to the reference"])
def way(request: pytest.FixtureRequest, pair: Pair) -> tuple[Side, Side]:
    """Where keys come from, and where they go."""
    return (pair.reference, pair.ours) if request.param == "from the reference" else (pair.ours, pair.reference)


_made: list[str] = []


@pytest.fixture
def name() -> str:
    """Return a name no key has."""
    _made.append(f"key-{len(_made)}")
    return _made[-1]


def _encrypted_by_either(pair: Pair, name: str, kind: Kind) -> None:
    for sent in ({}, {"associated_data": "YWQ="}) if kind.type in SYMMETRIC else ({},):
        made = [_asked(side, f"encrypt/{name}", plaintext=FOX, **kind.context, **sent)["ciphertext"] for side in pair]
        if kind.convergent and not sent:
            assert made[0] == made[1]
        for side, ciphertext in zip(reversed(pair), made, strict=True):
            assert _asked(side, f"decrypt/{name}", ciphertext=ciphertext, **kind.context, **sent)["plaintext"] == FOX
            if not sent:
                rewrapped = _asked(side, f"rewrap/{name}", ciphertext=ciphertext, **kind.context)["ciphertext"]
                assert (rewrapped == ciphertext) is kind.convergent


def _signed_by_either(pair: Pair, name: str, kind: Kind, **how: Any) -> None:
    sent = {"input": FOX} | kind.context | how
    made = [_asked(side, f"sign/{name}", **sent) for side in pair]
    if kind.type == "ed25519" or how.get("signature_algorithm") == "pkcs1v15":
        assert made[0] == made[1]  # the same each time
    for side, signed in zip(reversed(pair), made, strict=True):
        assert _asked(side, f"verify/{name}", signature=signed["signature"], **sent) == {"valid": True}
        assert _asked(side, f"verify/{name}", signature=signed["signature"], **sent | {"input": "AAAA" * 8}) == {
            "valid": False
        }


def _ways_to_sign(kind: Kind) -> list[dict[str, Any]]:
    marshalings: list[dict[str, Any]] = [{}, {"marshaling_algorithm": "jws"}]
    if kind.type == "ed25519":
        return marshalings
    hashes: list[dict[str, Any]] = [{"hash_algorithm": name} for name in HASHES]
    digest = {"input": DIGEST, "prehashed": True}
    if kind.type not in RSA:
        return [*marshalings, *hashes, digest]
    bare = digest | {"hash_algorithm": "none", "signature_algorithm": "pkcs1v15"}
    lengths: list[dict[str, Any]] = [{"salt_length": length} for length in ("auto", "hash", "0", "17")]
    pkcs: list[dict[str, Any]] = [{"signature_algorithm": "pkcs1v15", **one} for one in hashes]
    return [*marshalings, *hashes, *lengths, *pkcs, digest, bare]


def _agree(pair: Pair, name: str, kind: Kind) -> None:
    """Have both use the key they share."""
    macs = [[_asked(side, f"hmac/{name}/{one}", input=FOX)["hmac"] for one in HASHES] for side in pair]
    assert macs[0] == macs[1]
    if kind.type in (*SYMMETRIC, *RSA):
        _encrypted_by_either(pair, name, kind)
    if kind.type in ("ed25519", *CURVES, *RSA):
        for how in _ways_to_sign(kind):
            _signed_by_either(pair, name, kind, **how)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_backup_of_one_is_restored_by_the_other(pair: Pair, way: tuple[Side, Side], name: str, kind: Kind) -> None:
    source, destination = way
    _asked(source, f"keys/{name}", **kind.options)
    old = {}
    if kind.type in SYMMETRIC:
        old = _asked(source, f"encrypt/{name}", plaintext=FOX, **kind.context)
    for _ in range(2):
        _asked(source, f"keys/{name}/rotate")
    _asked(source, f"keys/{name}/config", min_decryption_version=2)
    _asked(destination, f"restore/{name}", backup=_read(source, f"backup/{name}")["backup"])
    _agree(pair, name, kind)
    if old:
        for side in pair:
            _asked(side, f"keys/{name}/config", min_decryption_version=1)
            sent = {"ciphertext": old["ciphertext"], **kind.context}
            assert _asked(side, f"decrypt/{name}", **sent)["plaintext"] == FOX
    exports = [_read(side, f"export/hmac-key/{name}")["keys"] for side in pair]
    if not old:
        assert sorted(exports[0]) == ["2", "3"]
    assert exports[0] == exports[1]


def _pkcs8(private: Any) -> bytes:
    encoded: bytes = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded


#: Makes the material of a type, as an import takes it.
MATERIAL: Final[dict[str, Callable[[], bytes]]] = {
    "aes128-gcm96": lambda: os.urandom(16),
    "aes256-gcm96": lambda: os.urandom(32),
    "chacha20-poly1305": lambda: os.urandom(32),
    "xchacha20-poly1305": lambda: os.urandom(32),
    "hmac": lambda: os.urandom(48),
    "ed25519": lambda: _pkcs8(ed25519.Ed25519PrivateKey.generate()),
    "ecdsa-p256": lambda: _pkcs8(ec.generate_private_key(ec.SECP256R1())),
    "ecdsa-p384": lambda: _pkcs8(ec.generate_private_key(ec.SECP384R1())),
    "ecdsa-p521": lambda: _pkcs8(ec.generate_private_key(ec.SECP521R1())),
    "rsa-2048": lambda: _pkcs8(rsa.generate_private_key(65537, 2048)),
}


def _agree_but_for_hmac_keys(pair: Pair, name: str, kind: Kind) -> None:
    """Have both use an imported key: its HMAC key is each server's own, unless it is the key itself."""
    if kind.type == "hmac":
        _agree(pair, name, kind)
    if kind.type in (*SYMMETRIC, *RSA):
        _encrypted_by_either(pair, name, kind)
    if kind.type in ("ed25519", *CURVES, *RSA):
        for how in _ways_to_sign(kind):
            _signed_by_either(pair, name, kind, **how)


@pytest.mark.parametrize("hash_function", ["SHA1", "sha256", "SHA512"])
@pytest.mark.parametrize("type_name", MATERIAL)
def test_both_import_the_same_key(pair: Pair, name: str, type_name: str, hash_function: str) -> None:
    material = MATERIAL[type_name]()
    for side in pair:
        public = load_pem_public_key(_read(side, "wrapping_key")["public_key"].encode())
        assert isinstance(public, rsa.RSAPublicKey)
        blob = base64.b64encode(wrap(public, material, hash_function)).decode()
        _asked(side, f"keys/{name}/import", type=type_name, ciphertext=blob, hash_function=hash_function)
    _agree_but_for_hmac_keys(pair, name, Kind(type_name))


@pytest.mark.parametrize("type_name", MATERIAL)
def test_a_wrapped_export_of_one_is_imported_by_the_other(
    pair: Pair, way: tuple[Side, Side], name: str, type_name: str
) -> None:
    source, destination = way
    public = _read(destination, "wrapping_key")["public_key"]
    _asked(source, f"keys/to-{name}/import", type="rsa-4096", public_key=public)
    kind = Kind(type_name)
    _asked(source, f"keys/{name}", **kind.options)
    blob = _read(source, f"byok-export/to-{name}/{name}")["keys"]["1"]
    _asked(destination, f"keys/{name}/import", type=type_name, ciphertext=blob)
    _agree_but_for_hmac_keys(pair, name, kind)


def _blob(side: Side, material: bytes, *, cut: int | None = None) -> str:
    """Return material wrapped for a server, cut short where told."""
    public = load_pem_public_key(_read(side, "wrapping_key")["public_key"].encode())
    assert isinstance(public, rsa.RSAPublicKey)
    return base64.b64encode(wrap(public, material)[:cut]).decode()


_AES: Final = bytes(32)
#: Imports that both refuse with the same text: what is sent, the material, and where its blob is cut.
WRONG_IMPORTS: Final[dict[str, tuple[dict[str, Any], bytes | None, int | None]]] = {
    "hash function": ({"hash_function": "MD5"}, _AES, None),
    "type": ({"type": "zz"}, _AES, None),
    "size": ({"type": "aes128-gcm96"}, _AES, None),
    "size of a hmac key": ({"type": "hmac"}, bytes(31), None),
    "curve": ({"type": "ecdsa-p384"}, MATERIAL["ecdsa-p256"](), None),
    "size of an RSA key": ({"type": "rsa-3072"}, MATERIAL["rsa-2048"](), None),
    "other hash function": ({"hash_function": "SHA512"}, _AES, None),
    "no ciphertext": ({"ciphertext": ""}, None, None),
    "no base64": ({"ciphertext": "not base64"}, None, None),
    "short": ({}, _AES, 100),
    "cut": ({}, _AES, -8),
    "rotation": ({"auto_rotate_period": "1h"}, _AES, None),
    "public key of an AES key": ({"public_key": "x"}, None, None),
    "public key that is none": ({"public_key": "x", "type": "rsa-2048"}, None, None),
}


@pytest.mark.parametrize("wrong", WRONG_IMPORTS)
def test_both_refuse_an_import_for_the_same_reason(pair: Pair, name: str, wrong: str) -> None:
    sent, material, cut = WRONG_IMPORTS[wrong]
    answers = []
    for side in pair:
        wrapped = {} if material is None else {"ciphertext": _blob(side, material, cut=cut)}
        answers.append(side("POST", f"transit/keys/{name}/import", sent | wrapped))
    assert answers[0].status == 400  # what the reference may call 500
    assert answers[1].status in (400, 500)
    assert answers[0].errors == answers[1].errors
