"""Keys that both servers import, that one exports wrapped for the other, and that both agree on with a peer."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.differential.interchange import Kind, agree, asked, read, same_exports, use
from tests.differential.material import CURVES, DAMAGE, SIZES, Wrapped, material, public_pem
from tests.differential.pair import Pair, Side

TYPES: Final = (*SIZES, "ed25519", *CURVES, "rsa-2048", "rsa-3072", "rsa-4096")


def _blob(side: Side, key: bytes, hash_function: str = "SHA256", change: str = "as it is") -> str:
    """Return key material wrapped for a server, changed where told."""
    made = {"wrapping key": [read(side, "wrapping_key")["public_key"]]}
    return Wrapped(key, hash_function.upper(), change).of(made)


def _agree(pair: Pair, name: str, type_name: str) -> None:
    """Have both use a key that was imported: its HMAC key is each server's own, unless it is the key itself."""
    kind = Kind(type_name)
    if type_name == "hmac":
        agree(pair, name, kind)
    use(pair, name, kind)


@pytest.mark.parametrize("hash_function", ["SHA1", "sha256", "SHA512"])
@pytest.mark.parametrize("type_name", TYPES)
def test_both_import_the_same_key(pair: Pair, name: str, type_name: str, hash_function: str) -> None:
    for side in pair:
        sent = {"ciphertext": _blob(side, material(type_name, 3), hash_function), "hash_function": hash_function}
        asked(side, f"keys/{name}/import", type=type_name, exportable=True, **sent)
    _agree(pair, name, type_name)
    same_exports(pair, name, Kind(type_name), hmac=type_name == "hmac")


@pytest.mark.parametrize("type_name", TYPES)
def test_a_wrapped_export_of_one_is_imported_by_the_other(
    pair: Pair, way: tuple[Side, Side], name: str, type_name: str
) -> None:
    source, destination = way
    public = read(destination, "wrapping_key")["public_key"]
    asked(source, f"keys/to-{name}/import", type="rsa-4096", public_key=public)
    asked(source, f"keys/{name}", **Kind(type_name).options)
    blob = read(source, f"byok-export/to-{name}/{name}")["keys"]["1"]
    asked(destination, f"keys/{name}/import", type=type_name, ciphertext=blob, exportable=True)
    _agree(pair, name, type_name)
    same_exports(pair, name, Kind(type_name), hmac=type_name == "hmac")


@pytest.mark.parametrize("type_name", ["ed25519", *CURVES, "rsa-2048"])
def test_an_imported_public_key_verifies_what_the_other_server_signs(
    pair: Pair, way: tuple[Side, Side], name: str, type_name: str
) -> None:
    signer, verifier = way
    asked(signer, f"keys/{name}/import", type=type_name, ciphertext=_blob(signer, material(type_name, 4)))
    asked(verifier, f"keys/{name}/import", type=type_name, public_key=public_pem(type_name, 4))
    signature = asked(signer, f"sign/{name}", input="aGk=")["signature"]
    assert asked(verifier, f"verify/{name}", input="aGk=", signature=signature) == {"valid": True}
    asked(verifier, f"keys/{name}/import_version", version=1, ciphertext=_blob(verifier, material(type_name, 4)))
    use(pair, name, Kind(type_name))


def test_versions_are_imported_alike(pair: Pair, name: str) -> None:
    for side in pair:
        for number, path in enumerate(("import", "import_version", "import_version")):
            blob = _blob(side, material("aes256-gcm96", number))
            asked(side, f"keys/{name}/{path}", ciphertext=blob, **({"exportable": True} if not number else {}))
    same_exports(pair, name, Kind("aes256-gcm96"), hmac=False)
    use(pair, name, Kind("aes256-gcm96"))


@pytest.mark.parametrize("type_name", [name for name in SIZES if name != "hmac"])
@pytest.mark.parametrize("curve", CURVES)
def test_both_agree_with_a_peer_on_the_same_key(pair: Pair, name: str, curve: str, type_name: str) -> None:
    for side in pair:
        asked(side, f"keys/base-{name}/import", type=curve, ciphertext=_blob(side, material(curve, 5)))
        sent = {"base_key_name": f"base-{name}", "peer_public_key": public_pem(curve, 6)}
        asked(side, f"derive-key/{name}", derived_key_type=type_name, **sent)
        asked(side, f"keys/{name}/config", exportable=True)
    same_exports(pair, name, Kind(type_name), hmac=False)
    use(pair, name, Kind(type_name))


_AES: Final = bytes(32)
#: Imports that both refuse with the same text: what is sent, the material, and how its blob is damaged.
WRONG_IMPORTS: Final[dict[str, tuple[dict[str, Any], bytes | None, str]]] = {
    "hash function": ({"hash_function": "MD5"}, _AES, "as it is"),
    "type": ({"type": "zz"}, _AES, "as it is"),
    "size": ({"type": "aes128-gcm96"}, _AES, "as it is"),
    "size of a hmac key": ({"type": "hmac"}, bytes(31), "as it is"),
    "curve": ({"type": "ecdsa-p384"}, material("ecdsa-p256", 1), "as it is"),
    "size of an RSA key": ({"type": "rsa-3072"}, material("rsa-2048", 1), "as it is"),
    "another type": ({"type": "ed25519"}, material("ecdsa-p256", 1), "as it is"),
    "other hash function": ({"hash_function": "SHA512"}, _AES, "as it is"),
    "no ciphertext": ({"ciphertext": ""}, None, ""),
    "no base64": ({"ciphertext": "not base64"}, None, ""),
    **{change: ({}, _AES, change) for change in DAMAGE if change != "as it is"},
    "rotation": ({"auto_rotate_period": "1h"}, _AES, "as it is"),
    "convergent": ({"convergent_encryption": True}, _AES, "as it is"),
    "public key of an AES key": ({"public_key": "x"}, None, ""),
    "public key that is none": ({"public_key": "x", "type": "rsa-2048"}, None, ""),
    "public key to derive from": (
        {"public_key": public_pem("ed25519", 1), "type": "ed25519", "derived": True},
        None,
        "",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_IMPORTS)
def test_both_refuse_an_import_for_the_same_reason(pair: Pair, name: str, wrong: str) -> None:
    sent, key, change = WRONG_IMPORTS[wrong]
    answers = []
    for side in pair:
        wrapped = {} if key is None else {"ciphertext": _blob(side, key, change=change)}
        answers.append(side("POST", f"transit/keys/{name}/import", sent | wrapped))
    assert answers[0].status == 400  # what the reference may call 500
    assert answers[1].status in (400, 500)
    assert answers[0].errors == answers[1].errors
