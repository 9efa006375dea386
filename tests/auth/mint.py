"""Tokens of any content, as issuers, holders and forgers would make them."""

from __future__ import annotations

import biscuit_auth

from kms_actors.auth import wire
from kms_actors.auth.build import Privilege, build_token
from kms_actors.auth.keys import TokenKeys

NOW = 1_800_000_000.0
NAMESPACE = "kms-c1"
VAULT = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"


class Mint:
    """Tokens of any content, signed with the accepted keys unless told otherwise."""

    def __init__(self, keys: TokenKeys) -> None:
        self.keys = keys

    @classmethod
    def new(cls) -> Mint:
        return cls(TokenKeys.generate())

    def token(self, resource: str = VAULT, privilege: Privilege = Privilege.TENANT, ttl: int | None = None) -> str:
        return build_token(self.keys.root, self.keys.service, resource, privilege, owner="orga_1", ttl=ttl, now=NOW)

    def raw(self, block: str, authority: str = "", service: biscuit_auth.PrivateKey | None = None) -> str:
        root = pair(self.keys.root.reveal())
        signer = (
            pair(self.keys.service.reveal()) if service is None else biscuit_auth.KeyPair.from_private_key(service)
        )
        token = biscuit_auth.BiscuitBuilder(authority).build(root.private_key)
        return third_party(token, signer, block).to_base64()

    def open(self, token: str) -> biscuit_auth.Biscuit:
        return biscuit_auth.Biscuit.from_base64(token, pair(self.keys.root.reveal()).public_key)

    def narrowed(self, token: str, block: str) -> str:
        return self.open(token).append(biscuit_auth.BlockBuilder(block)).to_base64()


def pair(private: bytes) -> biscuit_auth.KeyPair:
    private_key = biscuit_auth.PrivateKey.from_bytes(private, biscuit_auth.Algorithm.Ed25519)  # type: ignore[call-arg, attr-defined]
    return biscuit_auth.KeyPair.from_private_key(private_key)


def third_party(token: biscuit_auth.Biscuit, signer: biscuit_auth.KeyPair, block: str) -> biscuit_auth.Biscuit:
    signed = token.third_party_request().create_block(signer.private_key, biscuit_auth.BlockBuilder(block))
    return token.append_third_party(signer.public_key, signed)


def rewritten(token: str, number: int, fields: list[wire.Field]) -> str:
    """Return the token with the fields of its block `number` (0: authority) replaced."""
    outer = wire.read(wire.decode(token))
    places = [place for place, (field, _) in enumerate(outer) if field in (2, 3)]
    outer[places[number]] = (outer[places[number]][0], wire.write(fields))
    return wire.encode(wire.write(outer))


def block_fields(token: str, number: int) -> list[wire.Field]:
    blocks = [value for field, value in wire.read(wire.decode(token)) if field in (2, 3)]
    value = blocks[number]
    assert isinstance(value, bytes)
    return wire.read(value)
