"""Requests for keys that come of others, through the engine and through HTTP."""

from __future__ import annotations

import base64
import os
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_actors.errors import InvalidRequest
from kms_actors.transit.derivation import hkdf_sha256
from kms_actors.transit.exchange.agreement import agreed_key
from tests.support.api import b64
from tests.vectors.answers import field
from tests.vectors.vector import Key, Node, loaded

_AGREED: Final = "aes256-gcm96"


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
