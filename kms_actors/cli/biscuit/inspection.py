"""A token in words."""

from __future__ import annotations

import datetime

from biscuit_auth import Biscuit, PublicKey, UnverifiedBiscuit

from kms_actors.auth import datalog, wire
from kms_actors.auth.checks import read_checks
from kms_actors.auth.wire import TokenRefused


def describe(token: str) -> str:
    """Return the blocks of a token with facts, checks and revocation ids, and its end. TokenRefused if it is none."""
    raw = wire.decode(token)
    blocks = wire.parse(raw).blocks
    return datalog.contained("token cannot be read", lambda: _describe(wire.encode(raw), blocks))


def verify(token: str, root: str, service: str | None) -> None:
    """Check signatures with the public keys, in hex. TokenRefused if they do not hold."""
    raw = wire.decode(token)
    blocks = wire.parse(raw).blocks
    datalog.contained(
        "the root public key does not verify this token",
        lambda: Biscuit.from_bytes(raw, PublicKey(f"ed25519/{root}")),
    )
    signer = blocks[1].signer if len(blocks) > 1 else None
    if service is not None and str(signer) != f"ed25519/{service}":
        raise TokenRefused("the second block is not signed by the service key")


def _describe(token: str, blocks: tuple[wire.SignedBlock, ...]) -> str:
    biscuit = UnverifiedBiscuit.from_base64(token)
    lines = []
    for index, (block, revocation_id) in enumerate(zip(blocks, biscuit.revocation_ids, strict=True)):
        lines.append(f"Block {index}: {_role(index, block)}")
        lines += [f"  {_printable(line)}" for line in biscuit.block_source(index).splitlines() or ["(empty)"]]
        lines.append(f"  Revocation id: {revocation_id}")
    ends, rest = read_checks(biscuit)
    lines.append(f"Expires: {_moment(min(ends)) if ends else 'never'}")
    if rest:
        lines.append("Narrowed by further checks, which the server decides at each request.")
    return "\n".join(lines)


def _role(index: int, block: wire.SignedBlock) -> str:
    if index == 0:
        return "authority, signed by the root key"
    return "added by a holder" if block.signer is None else f"third party, signed by {block.signer}"


def _printable(text: str) -> str:
    """Keep what a token says from steering the terminal."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def _moment(second: float) -> str:
    return datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
