"""Requests to open what is encrypted or wrapped, through the engine and through HTTP."""

from __future__ import annotations

import base64
import os
from functools import cache
from typing import Final, NamedTuple
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from kms_actors.errors import InvalidRequest
from kms_actors.transit.exchange.wrapping import unwrap
from kms_actors.transit.items import DecryptItem, EncryptItem
from kms_actors.transit.key_types import KEY_TYPES
from tests.support.api import b64
from tests.vectors.answers import field, text
from tests.vectors.vector import Key, Node, loaded

_OAEP: Final = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)


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
        name, options = node.imported(key), dict[str, str]()
        if self.associated_data:
            options["associated_data"] = b64(self.associated_data)
        if self.padding_scheme:
            options["padding_scheme"] = self.padding_scheme
        found = field(
            node.user.post(f"transit/decrypt/{name}", {"ciphertext": text(self.blob), **options}), "plaintext"
        )
        if found != b64(self.plaintext):
            if found is not None:
                self._check_padding()
            return False
        sent = {"plaintext": b64(self.plaintext), **options}
        made = field(node.user.post(f"transit/encrypt/{name}", sent), "ciphertext")
        assert self._opened_by_the_owner(key, base64.b64decode(made.removeprefix("vault:v1:"))) == self.plaintext
        return True

    def _opened_by_the_owner(self, key: Key, blob: bytes) -> bytes:
        row = KEY_TYPES[key.type]
        if row.cipher is None:
            private: rsa.RSAPrivateKey = loaded(key).latest.private
            return private.decrypt(blob, padding.PKCS1v15() if self.padding_scheme else _OAEP)
        return row.cipher(key.secret).decrypt(blob[: row.nonce_bytes], blob[row.nonce_bytes :], self.associated_data)

    def _check_padding(self) -> None:
        """Only PKCS #1 v1.5 gives other bytes instead of a refusal, which would tell that a padding is wrong."""
        assert self.padding_scheme == "pkcs1v15"


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


def _unwrapped(receiver: rsa.RSAPrivateKey, blob: bytes, hash_name: str = "SHA256") -> bytes | str:
    try:
        return unwrap(receiver, blob, hash_name)
    except InvalidRequest as error:
        return str(error)


@cache
def _receiver() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)
