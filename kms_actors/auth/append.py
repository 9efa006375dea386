"""Appending a block to a token without the root public key, as its holder does.

The biscuit library narrows a token it has not verified, but cannot serialise the outcome. So the library
encodes the block on a stand-in token that has the same symbols, and the block is signed here with the
secret that the token carries for this. Source: biscuit specification, `Block` and `Signature` version 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from biscuit_auth import Biscuit, BlockBuilder, PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.auth import datalog, wire
from kms_actors.auth.wire import ED25519, TokenRefused

_DATALOG_VERSION = 3  # of the stand-in's empty authority block: the oldest the library reads


def append(raw: bytes, code: str, parameters: Mapping[str, Any]) -> bytes:
    """Return the token with one more block. TokenRefused if it is malformed or sealed."""
    token = wire.parse(raw)
    last = token.blocks[-1]
    if token.next_secret is None or last.next_key.algorithm != ED25519:
        raise TokenRefused("the token is sealed: it takes no more blocks")
    payload = datalog.contained("the block cannot be built", lambda: _encode(token, code, parameters))
    next_key = Ed25519PrivateKey.generate()
    signature = Ed25519PrivateKey.from_private_bytes(token.next_secret).sign(
        b"\0BLOCK\0\0VERSION\0"
        + (1).to_bytes(4, "little")
        + b"\0PAYLOAD\0"
        + payload
        + b"\0ALGORITHM\0"
        + ED25519.to_bytes(4, "little")
        + b"\0NEXTKEY\0"
        + next_key.public_key().public_bytes_raw()
        + b"\0PREVSIG\0"
        + last.signature
    )
    block = wire.write([*_signed(payload, next_key, signature), (5, 1)])
    kept = [field for field in wire.read(raw) if field[0] != 4]
    return wire.write([*kept, (3, block), (4, _secret(next_key))])


def _encode(token: wire.Token, code: str, parameters: Mapping[str, Any]) -> bytes:
    """Return the block's payload, encoded with the symbols that the token's own blocks define."""
    payload = wire.write([*_symbols(token), (3, _DATALOG_VERSION)])
    root, next_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signature = root.sign(payload + ED25519.to_bytes(4, "little") + next_key.public_key().public_bytes_raw())
    authority = wire.write(_signed(payload, next_key, signature))
    stand_in = Biscuit.from_bytes(
        wire.write([(2, authority), (4, _secret(next_key))]),
        PublicKey(f"ed25519/{root.public_key().public_bytes_raw().hex()}"),
    )
    appended = bytes(stand_in.append(BlockBuilder(code, parameters)).to_bytes())
    return wire.parse(appended).blocks[-1].payload


def _symbols(token: wire.Token) -> list[wire.Field]:
    """Return the symbols (1) and public keys (8) of the blocks that share them: all but third parties'."""
    return [
        field
        for block in token.blocks
        if block.signer is None
        for field in wire.read(block.payload)
        if field[0] in (1, 8)
    ]


def _signed(payload: bytes, next_key: Ed25519PrivateKey, signature: bytes) -> list[wire.Field]:
    public = wire.write([(1, ED25519), (2, next_key.public_key().public_bytes_raw())])
    return [(1, payload), (2, public), (3, signature)]


def _secret(key: Ed25519PrivateKey) -> bytes:
    return wire.write([(1, key.private_bytes_raw())])
