"""Requests to verify, and to make, signatures, MACs and hashes, through the engine and through HTTP."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from kms_actors.transit import macs, signing
from kms_actors.transit.digests import hash_of
from kms_actors.transit.items import CmacItem, HmacItem, MacItem, Signed, SignItem, VerifyItem
from kms_actors.transit.signature import SignatureParameters, parameters
from tests.support.api import b64
from tests.vectors.answers import field, text
from tests.vectors.vector import Key, Node, loaded

NO_KEY: Final = Key("")


class Verifies(NamedTuple):
    """A signature is verified, by message and by digest where there is one; with `made`, also made."""

    message: bytes
    signature: bytes
    hash: str = "sha2-256"
    algorithm: str = ""
    salt: str = "auto"
    jws: bool = False
    made: bool = False

    def engine(self, key: Key) -> bool:
        how = self._how(prehashed=False)
        signature = text(self.signature, jws=self.jws)
        (valid,) = signing.verify(loaded(key), [VerifyItem(self.message, signature)], how)
        if key.type.startswith(("ecdsa-", "rsa-")):
            assert how.hash is not None
            digest = hashlib.new(how.hash.name.replace("-", "_"), self.message).digest()
            (hashed,) = signing.verify(loaded(key), [VerifyItem(digest, signature)], self._how(prehashed=True))
            assert (hashed is True) is (valid is True)
        if self.made and valid is True:
            (result,) = signing.sign(loaded(key), [SignItem(self.message)], how)
            assert isinstance(result, Signed)
            assert result.signature == signature
        return valid is True

    def _how(self, *, prehashed: bool) -> SignatureParameters:
        return parameters(
            self.hash,
            prehashed=prehashed,
            signature_algorithm=self.algorithm,
            salt_length=self.salt,
            marshaling_algorithm="jws" if self.jws else "asn1",
        )

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
