"""Tokens of one form of 2024, whose service block is signed in the first third-party scheme; accepted only on demand.

The biscuit library refuses that scheme, since a service's signature in it says too little about the token around it:
keys that blocks name by number can be taken for others where blocks trust each other (GHSA-rgqv-mwc3-c78m). This form
leaves no room for that: an empty authority block, then one block of a service key with three plain facts, and no
check, no rule, no scope, no key. It is verified and read here, by few lines that take nothing else.
Source: biscuit specification before version 3.2, `Block` and `Third party blocks`; schema.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from kms_actors.auth import facts, symbols, wire
from kms_actors.auth.principal import Right
from kms_actors.auth.wire import Field, SignedBlock, TokenRefused

_ED25519: Final = wire.ED25519.to_bytes(4, "little")
_DATALOG_VERSIONS: Final = (3, 4)


class Facts(NamedTuple):
    """What the service's block says."""

    resource: str
    right: Right
    owner: str


def read(token: wire.Token, pairs: Iterable[tuple[bytes, bytes]]) -> Facts:
    """Return what a token of this form says; `pairs` are accepted (root, service) public keys, 32 bytes each.

    Raises:
        TokenRefused: another form, or a signature that does not hold.

    """
    if len(token.blocks) != 2 or token.root_key_id is not None or token.next_secret is None:
        raise _refusal("there are not two blocks with a proof")
    authority, service = token.blocks
    if authority.version or service.version:
        raise _refusal("a block is signed in another scheme")
    _require_signatures(authority, service, token.next_secret, pairs)
    if [number for number, _ in _payload(authority)] != [3]:
        raise _refusal("the authority block is not empty")
    return _facts(_payload(service))


def _require_signatures(
    authority: SignedBlock, service: SignedBlock, secret: bytes, pairs: Iterable[tuple[bytes, bytes]]
) -> None:
    signer, external = service.signer, service.external
    if signer is None or external is None or signer.algorithm != wire.ED25519:
        raise _refusal("the second block is not signed by a service key")
    roots = [root for root, known in pairs if known == signer.key]
    if not roots:
        raise TokenRefused("the second block is signed by an unknown service key")
    if not any(_holds(root, authority.signature, _signed(authority.payload, authority)) for root in roots):
        raise TokenRefused("no accepted root key verifies the token")
    # The service signs its payload for the block before, and the block's own key signs all of it.
    if not _holds(signer.key, external, _signed(service.payload, authority)):
        raise _refusal("the service's signature does not hold")
    if not _holds(authority.next_key.key, service.signature, _signed(service.payload + external, service)):
        raise _refusal("the second block's signature does not hold")
    if len(secret) != 32 or bytes(SigningKey(secret).verify_key) != service.next_key.key:
        raise _refusal("the proof is of another token")


def _signed(content: bytes, block: SignedBlock) -> bytes:
    """Return what is signed: a content, and the key that a block names for the next signature."""
    return content + _ED25519 + block.next_key.key


def _holds(key: bytes, signature: bytes, message: bytes) -> bool:
    if len(key) != 32 or len(signature) != 64:
        return False
    try:
        VerifyKey(key).verify(message, signature)
    except CryptoError:
        return False
    return True


def _payload(block: SignedBlock) -> list[Field]:
    fields = wire.read(block.payload)
    versions = [value for number, value in fields if number == 3]
    if len(versions) != 1 or versions[0] not in _DATALOG_VERSIONS:
        raise _refusal("an unknown version of Datalog")
    return fields


def _facts(payload: list[Field]) -> Facts:
    if any(number not in {1, 3, 4} for number, _ in payload):
        raise _refusal("the second block has more than facts")
    found = facts.read(payload, symbols.table(payload))
    values = dict(found)
    if len(found) != 3 or values.keys() != {"owner", "resource", "rights"}:
        raise _refusal("the facts are not one owner, one resource and one rights set")
    resource, owner, names = values["resource"], values["owner"], values["rights"]
    right = facts.RIGHTS.get(names) if isinstance(names, frozenset) else None
    if right is None or not isinstance(resource, str) or not isinstance(owner, str):
        raise _refusal("owner or resource is no string, or the rights set is unknown")
    return Facts(resource, right, owner)


def _refusal(what: str) -> TokenRefused:
    return TokenRefused(f"the first signature scheme is accepted in one form only: {what}")
