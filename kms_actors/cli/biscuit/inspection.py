"""A token in words."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from biscuit_auth import Biscuit, PublicKey, UnverifiedBiscuit

from kms_actors.auth import batch_token, datalog, facts, first_signatures, scope, symbols, wire, words
from kms_actors.auth.biscuit import policy_names, with_policies
from kms_actors.auth.checks import read_checks
from kms_actors.auth.principal import Right
from kms_actors.auth.wire import TokenRefused
from kms_actors.auth.words import printable


def describe(token: str) -> str:
    """Return what a token is, then its blocks with facts, checks and revocation ids. TokenRefused if it is none."""
    head, biscuit = batch_token.split(token)
    raw = wire.decode(biscuit)
    parsed = wire.take_apart(raw)
    if any(map(wire.has_first_signature, parsed.blocks)):
        return "\n".join(_describe_first(parsed))
    parsed = wire.parse(raw)
    lines = functools.partial(_describe, wire.encode(raw), parsed, batch=bool(head))
    return datalog.contained("token cannot be read", lambda: "\n".join(lines()))


def verify(token: str, root: str, service: str | None) -> None:
    """Check signatures with the public keys, in hex. TokenRefused if they do not hold."""
    raw = wire.decode(token)
    parsed = wire.take_apart(raw)
    signer = parsed.blocks[1].signer if len(parsed.blocks) > 1 else None
    if any(map(wire.has_first_signature, parsed.blocks)):
        known = bytes.fromhex(service) if service is not None else signer.key if signer is not None else b""
        first_signatures.read(parsed, [(bytes.fromhex(root), known)])
        return
    datalog.contained(
        "the root public key does not verify this token",
        lambda: Biscuit.from_bytes(raw, PublicKey(f"ed25519/{root}")),
    )
    if service is not None and str(signer) != f"ed25519/{service}":
        raise TokenRefused("the second block is not signed by the service key")


def _describe(token: str, parsed: wire.Token, *, batch: bool) -> Iterator[str]:
    biscuit = UnverifiedBiscuit.from_base64(token)
    ends, checks = read_checks(biscuit)
    if batch:
        # Its first block is the vault's, and what it says is below.
        checks = read_checks(biscuit, 1)[1]
        yield "Kind: batch token (what the policies of its first block give in the vault that made it)"
    else:
        yield from _what_it_is(parsed)
    yield f"Expires: {words.moment(min(ends)) if ends else 'never'}"
    if not checks:
        yield "Narrowed to: nothing; it does all that its kind may"
    for check in checks:
        yield f"Narrowed to: {printable(words.narrowing(check))}"
    if parsed.next_secret is None:
        yield "Sealed: it cannot be narrowed further"
    for index, (block, revocation_id) in enumerate(zip(parsed.blocks, biscuit.revocation_ids, strict=True)):
        yield f"Block {index}: {_role(index, block)}"
        for line in biscuit.block_source(index).splitlines() or ["(empty)"]:
            yield f"  {printable(line)}"
        yield f"  Revocation id: {revocation_id}"


def _describe_first(parsed: wire.Token) -> Iterator[str]:
    yield from _what_it_is(parsed)
    yield "Signatures: in the first third-party scheme; nodes refuse it, unless accept_first_signatures is true"
    for index, block in enumerate(parsed.blocks):
        yield f"Block {index}: {_role(index, block)}"
        yield f"  Revocation id: {block.signature.hex()}"


def _what_it_is(parsed: wire.Token) -> Iterator[str]:
    """Say what the service's block gives, as a server would find it."""
    try:
        right, resource, owner, policies = _service_facts(parsed)
    except TokenRefused as error:
        yield f"Kind: unknown, servers refuse it: {error}"
        return
    kind, meaning = words.KINDS[right]
    yield f"Kind: {kind} ({meaning})"
    yield f"{'Cluster' if right is Right.OPERATOR else 'Vault'}: {printable(resource)}"
    reason = scope.why_refused(right, resource, None)
    if reason is not None:
        yield f"Refused by servers: {reason}"
    yield f"Owner: {'unknown' if owner is None else printable(owner)}"
    if policies:
        yield f"Policies: {printable(', '.join(('default', *policies)))}"


def _service_facts(parsed: wire.Token) -> tuple[Right, str, str | None, tuple[str, ...]]:
    if len(parsed.blocks) < 2 or parsed.blocks[1].signer is None:
        raise TokenRefused("the second block is not signed by a service key")
    payload = wire.read(parsed.blocks[1].payload)
    found = facts.read(payload, symbols.table(payload))
    rights, resources, owners = ([value for name, value in found if name == one] for one in _NAMES)
    right = facts.RIGHTS.get(rights[0]) if len(rights) == 1 and isinstance(rights[0], frozenset) else None
    if right is None or len(resources) != 1 or not isinstance(resources[0], str) or len(owners) > 1:
        raise TokenRefused("the second block does not hold one known rights set, one resource and at most one owner")
    owner = owners[0] if owners else None
    if owners and not isinstance(owner, str):
        raise TokenRefused("the owner is no string")
    named = [value for name, value in found if name == "policy"]
    if not all(isinstance(name, str) for name in named):
        raise TokenRefused("a policy is named by what is no string")
    policies = policy_names(str(name) for name in named)
    right = with_policies(right, policies)
    return right, resources[0], owner if isinstance(owner, str) else None, policies


_NAMES = ("rights", "resource", "owner")


def _role(index: int, block: wire.SignedBlock) -> str:
    if index == 0:
        return "authority, signed by the root key"
    return "added by a holder" if block.signer is None else f"third party, signed by {block.signer}"
