"""What vectors ask for, each through the engine and through HTTP. A good one has the outcome of its vector."""

from __future__ import annotations

import base64
import os
from functools import cache
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from kms_actors.errors import InvalidRequest
from kms_actors.transit import macs, signing
from kms_actors.transit.agreement import agreed_key
from kms_actors.transit.derivation import hkdf_sha256
from kms_actors.transit.digests import hash_of
from kms_actors.transit.items import (
    CmacItem,
    DecryptItem,
    EncryptItem,
    HmacItem,
    MacItem,
    Signed,
    SignItem,
    VerifyItem,
)
from kms_actors.transit.key_types import KEY_TYPES
from kms_actors.transit.signature import parameters
from kms_actors.transit.wrapping import unwrap
from tests.support.api import Answer, b64
from tests.vectors.vector import Key, Node, loaded

_AGREED: Final = "aes256-gcm96"


def text(blob: bytes, *, jws: bool = False) -> str:
    """Return what the API makes of a ciphertext, signature or MAC of the first version."""
    return f"vault:v1:{base64.urlsafe_b64encode(blob).decode().rstrip('=') if jws else b64(blob)}"


def field(answer: Answer, name: str) -> Any:
    """Return a field of a success; None if the request was refused as a mistake of the caller."""
    if answer.status == 200:
        return answer.data[name]
    assert (answer.status, bool(answer.errors)) == (400, True)
    return None


class Opens(NamedTuple):
    """A ciphertext is decrypted; a good one of authenticated encryption is also made, given its nonce."""

    blob: bytes
    plaintext: bytes
    associated_data: bytes = b""
    padding_scheme: str = ""

    def engine(self, key: Key) -> bool:
        transit_key = loaded(key)
        item = DecryptItem(text(self.blob), b"", self.associated_data, self.padding_scheme)
        (result,) = transit_key.decrypt([item])
        if isinstance(result, InvalidRequest):
            forgery = (
                KEY_TYPES[key.type].forgery or "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error"
            )
            assert str(result) == forgery
            return False
        if result != self.plaintext:
            self._check_padding()
            return False
        if size := KEY_TYPES[key.type].nonce_bytes:
            with patch.object(os, "urandom", lambda _: self.blob[:size]):
                made = transit_key.encrypt([EncryptItem(self.plaintext, b"", self.associated_data)])
            assert made == [(text(self.blob), 1)]
        return True

    def http(self, key: Key, node: Node) -> bool:
        sent = {"ciphertext": text(self.blob)}
        if self.associated_data:
            sent["associated_data"] = b64(self.associated_data)
        if self.padding_scheme:
            sent["padding_scheme"] = self.padding_scheme
        found = field(node.user.post(f"transit/decrypt/{node.imported(key)}", sent), "plaintext")
        if found not in (None, b64(self.plaintext)):
            self._check_padding()
        return bool(found == b64(self.plaintext))

    def _check_padding(self) -> None:
        """Only PKCS #1 v1.5 gives other bytes instead of a refusal, which would tell that a padding is wrong."""
        assert self.padding_scheme == "pkcs1v15"


class Verifies(NamedTuple):
    """A signature is verified; with `made`, also made."""

    message: bytes
    signature: bytes
    hash: str = "sha2-256"
    algorithm: str = ""
    salt: str = "auto"
    jws: bool = False
    made: bool = False

    def engine(self, key: Key) -> bool:
        how = parameters(
            self.hash,
            signature_algorithm=self.algorithm,
            salt_length=self.salt,
            marshaling_algorithm="jws" if self.jws else "asn1",
        )
        signature = text(self.signature, jws=self.jws)
        (valid,) = signing.verify(loaded(key), [VerifyItem(self.message, signature)], how)
        if self.made and valid is True:
            (result,) = signing.sign(loaded(key), [SignItem(self.message)], how)
            assert isinstance(result, Signed)
            assert result.signature == signature
        return valid is True

    def http(self, key: Key, node: Node) -> bool:
        options = {
            "hash_algorithm": self.hash,
            "signature_algorithm": self.algorithm,
            "salt_length": self.salt,
            "marshaling_algorithm": "jws" if self.jws else "asn1",
            "input": b64(self.message),
        }
        name, signature = node.imported(key), text(self.signature, jws=self.jws)
        valid: bool | None = field(
            node.user.post(f"transit/verify/{name}", {"signature": signature, **options}), "valid"
        )
        if self.made and valid is True:
            assert field(node.user.post(f"transit/sign/{name}", options), "signature") == signature
        return valid is True


class Hmac(NamedTuple):
    """An HMAC is verified; a good one is also made."""

    message: bytes
    tag: bytes
    algorithm: str

    def engine(self, key: Key) -> bool:
        transit_key, tag = loaded(key), text(self.tag)
        (valid,) = macs.verify_hmacs(transit_key, [MacItem(self.message, tag)], self.algorithm)
        (made,) = macs.make_hmacs(transit_key, [HmacItem(self.message)], self.algorithm)
        return _agreeing(valid, made == tag)

    def http(self, key: Key, node: Node) -> bool:
        # Keys of less than 32 bytes cannot be imported; with zeros behind them they are the same HMAC keys.
        name = node.imported(key._replace(secret=key.secret.ljust(32, b"\0")))
        sent = {"input": b64(self.message)}
        path, tag = f"{name}/{self.algorithm}", text(self.tag)
        valid = field(node.user.post(f"transit/verify/{path}", {**sent, "hmac": tag}), "valid")
        return _agreeing(valid, field(node.user.post(f"transit/hmac/{path}", sent), "hmac") == tag)


class Cmac(NamedTuple):
    """A CMAC of the length of its tag is verified; a good one is also made."""

    message: bytes
    tag: bytes

    def engine(self, key: Key) -> bool:
        transit_key, tag, size = loaded(key), text(self.tag), len(self.tag)
        (valid,) = macs.verify_cmacs(transit_key, [MacItem(self.message, tag, size)])
        (made,) = macs.make_cmacs(transit_key, [CmacItem(self.message, size)])
        return _agreeing(valid, made == tag)

    def http(self, key: Key, node: Node) -> bool:
        name, tag = node.imported(key), text(self.tag)
        sent = {"input": b64(self.message), "mac_length": len(self.tag)}
        valid = field(node.user.post(f"transit/verify/{name}", {**sent, "cmac": tag}), "valid")
        return _agreeing(valid, field(node.user.post(f"transit/cmac/{name}", sent), "cmac") == tag)


def _agreeing(valid: object, made: bool) -> bool:
    assert valid is made
    return made


class Hashes(NamedTuple):
    """A message is hashed; no key is needed."""

    message: bytes
    digest: bytes
    algorithm: str

    def engine(self, _: Key) -> bool:
        return hash_of(self.algorithm, self.message) == self.digest

    def http(self, _: Key, node: Node) -> bool:
        sent = {"input": b64(self.message), "format": "hex"}
        found = field(node.user.post(f"transit/hash/{self.algorithm}", sent), "sum")
        return bool(found == self.digest.hex())


class Derives(NamedTuple):
    """A key is derived for a context; its owner sees it by decrypting what was encrypted with it."""

    context: bytes
    length: int
    derived: bytes

    def engine(self, key: Key) -> bool:
        try:
            return hkdf_sha256(key.secret, self.context, self.length) == self.derived
        except ValueError:  # longer than HKDF can
            return False

    def http(self, key: Key, node: Node) -> bool:
        sent = {"plaintext": b64("hello"), "context": b64(self.context)}
        name = node.imported(key, derived=True)
        found = field(node.user.post(f"transit/encrypt/{name}", sent), "ciphertext")
        blob = base64.b64decode(found.removeprefix("vault:v1:"))
        try:
            return AESGCM(self.derived[:32]).decrypt(blob[:12], blob[12:], None) == b"hello"
        except InvalidTag:
            return False


class Grows(NamedTuple):
    """A key pair grows from its seed."""

    public: bytes

    def engine(self, key: Key) -> bool:
        raw: bytes = loaded(key).latest.private.public_key().public_bytes_raw()
        return raw == self.public

    def http(self, key: Key, node: Node) -> bool:
        raise NotImplementedError("seeds cannot be imported")


def _unwrapped(receiver: rsa.RSAPrivateKey, blob: bytes, hash_name: str = "SHA256") -> bytes | str:
    try:
        return unwrap(receiver, blob, hash_name)
    except InvalidRequest as error:
        return str(error)


class Unwraps(NamedTuple):
    """A key comes in under AES-KWP, behind the AES key encrypted for the receiver."""

    ephemeral: bytes
    wrapped: bytes
    secret: bytes

    def engine(self, _: Key) -> bool:
        receiver = _receiver()
        found = _unwrapped(receiver, receiver.public_key().encrypt(self.ephemeral, _OAEP) + self.wrapped)
        if isinstance(found, str):
            assert found.startswith("kwp: ")
        return found == self.secret

    def http(self, key: Key, node: Node) -> bool:
        name = f"unwrapped-{os.urandom(8).hex()}"
        sent = {"type": key.type, "ciphertext": node.transport(self.ephemeral, self.wrapped), "exportable": True}
        answer = node.user.post(f"transit/keys/{name}/import", sent)
        if answer.status != 204:
            assert (answer.status, answer.errors[0].startswith("kwp: ")) == (400, True)
            return False
        kind = {"hmac": "hmac-key", "aes192-cmac": "cmac-key"}.get(key.type, "encryption-key")
        keys = node.user.get(f"transit/export/{kind}/{name}").data["keys"]
        return bool(keys["1"] == b64(self.secret))


class UnwrapsAesKey(NamedTuple):
    """An AES key, under which a key comes in, is decrypted by OAEP with this hash function."""

    blob: bytes
    message: bytes
    hash: str

    def engine(self, key: Key) -> bool:
        found = _unwrapped(loaded(key).latest.private, self.blob + bytes(40), self.hash)  # zeros are no wrapped key
        known = "expected ephemeral AES key to be 256-bit"
        if len(self.message) == 32:
            known = "kwp: unwrap failed integrity check"
        assert found in (known, "crypto/rsa: decryption error", "provided ciphertext is too short")
        return found == known

    def http(self, key: Key, node: Node) -> bool:
        raise NotImplementedError("a mount makes its wrapping key itself")


class Agrees(NamedTuple):
    """A key is agreed on with a peer, of what ECDH gives."""

    peer: str  # PEM
    shared: bytes

    def engine(self, key: Key) -> bool:
        try:
            found = agreed_key(loaded(key), 0, self.peer, _AGREED)
        except InvalidRequest:
            return False
        return found == hkdf_sha256(self.shared, b"", 32)

    def http(self, key: Key, node: Node) -> bool:
        base = node.imported(key)
        name = f"agreed-{os.urandom(8).hex()}"
        sent = {"base_key_name": base, "peer_public_key": self.peer, "derived_key_type": _AGREED}
        answer = node.user.post(f"transit/derive-key/{name}", sent)
        if answer.status != 204:
            assert (answer.status, bool(answer.errors)) == (400, True)
            return False
        node.user.post(f"transit/keys/{name}/config", {"exportable": True})
        keys = node.user.get(f"transit/export/encryption-key/{name}").data["keys"]
        return bool(keys["1"] == b64(hkdf_sha256(self.shared, b"", 32)))


_OAEP: Final = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
NO_KEY: Final = Key("")


@cache
def _receiver() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)
