"""Tokens of any content, as issuers, holders and forgers would make them."""

from __future__ import annotations

from collections.abc import Iterable

import biscuit_auth
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.auth import wire
from kms_actors.auth.biscuit import RIGHTS
from kms_actors.auth.build import RIGHT_OF, Privilege, build_token
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

    def token(
        self,
        resource: str = VAULT,
        privilege: Privilege = Privilege.TENANT,
        ttl: int | None = None,
        policies: Iterable[str] = (),
    ) -> str:
        keys = self.keys
        return build_token(
            keys.root, keys.service, resource, privilege, owner="orga_1", ttl=ttl, now=NOW, policies=policies
        )

    def token_for_anything(self, resource: str, privilege: Privilege) -> str:
        """Return a token for what `build_token` refuses."""
        code = f"resource({{resource}}); {RIGHTS[RIGHT_OF[privilege]]};"
        root, service = pair(self.keys.root.reveal()), pair(self.keys.service.reveal())
        token = biscuit_auth.BiscuitBuilder("").build(root.private_key)
        block = biscuit_auth.BlockBuilder(code, {"resource": resource})
        signed = token.third_party_request().create_block(service.private_key, block)
        return token.append_third_party(service.public_key, signed).to_base64()

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


_ED25519 = (0).to_bytes(4, "little")
_EMPTY = wire.write([(3, 3)])


def first_scheme(
    keys: TokenKeys,
    *payloads: bytes,
    authority: bytes = _EMPTY,
    version: int | None = None,
    sealed: bool = False,
    signer: int = wire.ED25519,
) -> str:
    """Return a token of the scheme before biscuit 3.2 whose signatures all hold; the first payload is the service's.

    `version` is written into its block, and `signer` is what the service's key says it is, without any other change.
    """
    key = Ed25519PrivateKey.from_private_bytes(keys.root.reveal())
    service = Ed25519PrivateKey.from_private_bytes(keys.service.reveal())
    following = Ed25519PrivateKey.generate()
    blocks = [_old_block(key, authority, b"", following, [])]
    for number, payload in enumerate(payloads):
        key, following = following, Ed25519PrivateKey.generate()
        external = b""
        further: list[wire.Field] = []
        if number == 0:
            external = service.sign(payload + _ED25519 + key.public_key().public_bytes_raw())
            public = wire.write([(1, signer), (2, service.public_key().public_bytes_raw())])
            further = [(4, wire.write([(1, external), (2, public)]))]
            further += [(5, version)] if version is not None else []
        blocks.append(_old_block(key, payload, external, following, further))
    proof: list[wire.Field] = [(1, following.private_bytes_raw())]
    if sealed:
        signature = wire.read(blocks[-1])[2][1]
        assert isinstance(signature, bytes)
        content = payloads[-1] + _ED25519 + following.public_key().public_bytes_raw()
        proof = [(2, following.sign(content + signature))]
    return wire.encode(wire.write([(2, blocks[0]), *((3, block) for block in blocks[1:]), (4, wire.write(proof))]))


def _old_block(
    key: Ed25519PrivateKey, payload: bytes, external: bytes, following: Ed25519PrivateKey, further: list[wire.Field]
) -> bytes:
    public = following.public_key().public_bytes_raw()
    signature = key.sign(payload + external + _ED25519 + public)
    return wire.write([(1, payload), (2, wire.write([(1, 0), (2, public)])), (3, signature), *further])
