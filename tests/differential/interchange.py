"""One key on both servers: what one makes with it, the other reads; what is not random is equal byte for byte."""

from __future__ import annotations

import base64
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from tests.differential.pair import Pair, Side

FOX: Final = base64.b64encode(b"the quick brown fox").decode()
DIGEST: Final = base64.b64encode(bytes(range(32))).decode()
CONTEXT: Final = "Y3R4LTE="
MLDSA: Final = ("mldsa-44", "mldsa-65", "mldsa-87")
SYMMETRIC: Final = ("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305")
CURVES: Final = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
RSA: Final = ("rsa-2048", "rsa-3072", "rsa-4096")
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


def asked(side: Side, path: str, **body: Any) -> Any:
    answer = side("POST", f"transit/{path}", body)
    assert answer.status in (200, 204), (path, answer)
    return answer.data


def read(side: Side, path: str) -> Any:
    answer = side("GET", f"transit/{path}")
    assert answer.status == 200, (path, answer)
    return answer.data


def encrypted_by_either(pair: Pair, name: str, kind: Kind) -> None:
    """Have each decrypt and rewrap what the other encrypts; a convergent key's ciphertexts are equal."""
    for sent in ({}, {"associated_data": "YWQ="}) if kind.type in SYMMETRIC else ({},):
        made = [asked(side, f"encrypt/{name}", plaintext=FOX, **kind.context, **sent)["ciphertext"] for side in pair]
        if kind.convergent and not sent:
            assert made[0] == made[1]
        for side, ciphertext in zip(reversed(pair), made, strict=True):
            assert asked(side, f"decrypt/{name}", ciphertext=ciphertext, **kind.context, **sent)["plaintext"] == FOX
            if not sent:
                rewrapped = asked(side, f"rewrap/{name}", ciphertext=ciphertext, **kind.context)["ciphertext"]
                assert (rewrapped == ciphertext) is kind.convergent


def wrapped_by_either(pair: Pair, name: str, kind: Kind) -> None:
    """Have each make a data key that the other unwraps."""
    for side, other in (pair, tuple(reversed(pair))):
        made = asked(side, f"datakey/plaintext/{name}", bits=512, **kind.context)
        sent = {"ciphertext": made["ciphertext"], **kind.context}
        assert asked(other, f"decrypt/{name}", **sent)["plaintext"] == made["plaintext"]


def signed_by_either(pair: Pair, name: str, kind: Kind, **how: Any) -> None:
    """Have each verify what the other signs; signatures without chance in them are equal."""
    sent = {"input": FOX} | kind.context | how
    made = [asked(side, f"sign/{name}", **sent) for side in pair]
    if kind.type == "ed25519" or how.get("signature_algorithm") == "pkcs1v15":
        assert made[0] == made[1]  # the same each time
    for side, signed in zip(reversed(pair), made, strict=True):
        assert asked(side, f"verify/{name}", signature=signed["signature"], **sent) == {"valid": True}
        assert asked(side, f"verify/{name}", signature=signed["signature"], **sent | {"input": "AAAA" * 8}) == {
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


def agree(pair: Pair, name: str, kind: Kind) -> None:
    """Have both use the key they share."""
    macs = [[asked(side, f"hmac/{name}/{one}", input=FOX)["hmac"] for one in HASHES] for side in pair]
    assert macs[0] == macs[1]
    for side, other in (pair, tuple(reversed(pair))):
        assert asked(other, f"verify/{name}", input=FOX, hmac=asked(side, f"hmac/{name}", input=FOX)["hmac"])["valid"]
    use(pair, name, kind)


def use(pair: Pair, name: str, kind: Kind) -> None:
    """Have both encrypt, wrap data keys and sign with the key they share, as far as it can."""
    if kind.type in (*SYMMETRIC, *RSA):
        encrypted_by_either(pair, name, kind)
        wrapped_by_either(pair, name, kind)
    if kind.type in ("ed25519", *MLDSA, *CURVES, *RSA):
        for how in _ways_to_sign(kind):
            signed_by_either(pair, name, kind, **how)
        shown = [public_keys(side, name, kind) for side in pair]
        assert shown[0] == shown[1]


def public_keys(side: Side, name: str, kind: Kind) -> dict[str, str]:
    """Return the public keys that a key shows, by version; of a derived key those of the context."""
    versions = read(side, f"keys/{name}?{urlencode(kind.context)}")["keys"]
    return {number: version["public_key"] for number, version in versions.items()}


def same_exports(pair: Pair, name: str, kind: Kind, *, hmac: bool = True) -> None:
    """Have both give out the same material, to the byte, in each form."""
    for what in ("encryption-key", "signing-key", "hmac-key", "public-key"):
        if what == "hmac-key" and not hmac:
            continue
        for form in ("", "raw", "der", "pem"):
            answers = [side("GET", f"transit/export/{what}/{name}?format={form}") for side in pair]
            if what == "public-key" and kind.derived:
                continue  # here, it is half of what all contexts' keys are derived from
            assert (answers[0].data, answers[0].errors) == (answers[1].data, answers[1].errors), (what, form)
