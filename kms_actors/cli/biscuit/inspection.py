"""A token as it is told of: what it is, what it may do, what is in it, and whether that was verified."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from biscuit_auth import Biscuit, PublicKey, UnverifiedBiscuit

from kms_actors.auth import batch_token, datalog, facts, first_signatures, scope, service_token, symbols, wire, words
from kms_actors.auth.biscuit import policy_names, with_policies
from kms_actors.auth.checks import read_checks
from kms_actors.auth.principal import Right
from kms_actors.auth.wire import TokenRefused
from kms_actors.auth.words import printable

_BATCH = ("batch token", "what the policies of its first block give in the vault that made it")
_FIRST_SCHEME = "in the first third-party scheme; nodes refuse it, unless accept_first_signatures is true"
_NAMES = ("rights", "resource", "owner")


class Block(msgspec.Struct, kw_only=True):
    """A block of a token; `source` is None where it was not read."""

    role: str
    source: list[str] | None = None
    revocation_id: str


class Described(msgspec.Struct, kw_only=True):
    """What is told of a token; nothing of it is proven unless it is `verified`."""

    kind: str = "unknown"
    may: str = ""
    cluster: str | None = None
    vault: str | None = None
    owner: str | None = None
    policies: tuple[str, ...] = ()
    refused: str | None = None  # by servers, and why
    expires: str | None = None
    expired: bool = False  # by the clock of this machine
    narrowed_to: list[str] = []
    sealed: bool = False  # against more blocks
    first_signatures: bool = False
    blocks: list[Block] = []
    verified: bool | None = None  # None: nobody gave a key
    verification: str = "not checked (no root public key given): whoever made it may have written what is above"

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        if self.kind == "unknown":
            yield f"Kind: unknown, servers refuse it: {self.refused}"
        else:
            yield f"Kind: {self.kind} ({self.may})"
            yield from self._whose()
        if self.first_signatures:
            yield f"Signatures: {_FIRST_SCHEME}"
        else:
            yield f"Expires: {self.expires or 'never'}{', which is over: servers refuse it' if self.expired else ''}"
            if not self.narrowed_to:
                yield "Narrowed to: nothing; it does all that its kind may"
            yield from (f"Narrowed to: {each}" for each in self.narrowed_to)
        if self.sealed:
            yield "Sealed: it cannot be narrowed further"
        for index, block in enumerate(self.blocks):
            yield f"Block {index}: {block.role}"
            if block.source is not None:
                yield from (f"  {line}" for line in block.source or ["(empty)"])
            yield f"  Revocation id: {block.revocation_id}"
        yield f"Verified: {self.verification}"

    def _whose(self) -> Iterator[str]:
        if self.cluster is not None:
            yield f"Cluster: {self.cluster}"
        if self.vault is not None:
            yield f"Vault: {self.vault}"
        if self.refused is not None:
            yield f"Refused by servers: {self.refused}"
        if self.cluster is not None or self.vault is not None:
            yield f"Owner: {self.owner or 'unknown'}"
        if self.policies:
            yield f"Policies: {', '.join(self.policies)}"


def describe(token: str) -> Described:
    """Return what a token is, by what stands in it. TokenRefused if it is none."""
    if token.startswith(service_token.PREFIX):
        raise TokenRefused("a service token says nothing by itself: `vault token lookup` asks its server about it")
    head, biscuit = batch_token.split(token)
    raw = wire.decode(biscuit)
    parsed = wire.take_apart(raw)
    if any(map(wire.has_first_signature, parsed.blocks)):
        return _of_first(parsed)
    parsed = wire.parse(raw)
    return datalog.contained("token cannot be read", lambda: _of(wire.encode(raw), parsed, batch=bool(head)))


def verified(token: str, described: Described, root: str, service: str | None) -> Described:
    """Return what is told of a token with what came of its signatures; keys are in hex."""
    try:
        _verify(batch_token.split(token)[1], root, service)
    except TokenRefused as error:
        text = f"no: {error}; what is above is only what stands in it"
        return msgspec.structs.replace(described, verified=False, verification=text)
    keys = "root and service" if service else "root"
    return msgspec.structs.replace(described, verified=True, verification=f"yes, with {keys} public key")


def _verify(biscuit: str, root: str, service: str | None) -> None:
    raw = wire.decode(biscuit)
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


def _of(token: str, parsed: wire.Token, *, batch: bool) -> Described:
    biscuit = UnverifiedBiscuit.from_base64(token)
    ends, checks = read_checks(biscuit)
    described = Described(kind=_BATCH[0], may=_BATCH[1]) if batch else _what_it_is(parsed)
    if batch:
        # Its first block is the vault's, and what it says is below.
        checks = read_checks(biscuit, 1)[1]
    if ends:
        described.expires, described.expired = words.moment(min(ends)), min(ends) <= time.time()
    described.narrowed_to = [printable(words.narrowing(check)) for check in checks]
    described.sealed = parsed.next_secret is None
    described.blocks = [
        Block(
            role=_role(index, block),
            source=[printable(line) for line in biscuit.block_source(index).splitlines()],
            revocation_id=revocation_id,
        )
        for index, (block, revocation_id) in enumerate(zip(parsed.blocks, biscuit.revocation_ids, strict=True))
    ]
    return described


def _of_first(parsed: wire.Token) -> Described:
    described = _what_it_is(parsed)
    described.first_signatures = True
    described.blocks = [
        Block(role=_role(index, block), revocation_id=block.signature.hex())
        for index, block in enumerate(parsed.blocks)
    ]
    return described


def _what_it_is(parsed: wire.Token) -> Described:
    """Return what the service's block gives, as a server would find it."""
    try:
        right, resource, owner, policies = _service_facts(parsed)
    except TokenRefused as error:
        return Described(refused=str(error))
    kind, may = words.KINDS[right]
    named = printable(resource)
    return Described(
        kind=kind,
        may=may,
        cluster=named if right is Right.OPERATOR else None,
        vault=None if right is Right.OPERATOR else named,
        owner=None if owner is None else printable(owner),
        policies=tuple(map(printable, ("default", *policies))) if policies else (),
        refused=scope.why_refused(right, resource, None),
    )


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


def _role(index: int, block: wire.SignedBlock) -> str:
    if index == 0:
        return "authority, signed by the root key"
    return "added by a holder" if block.signer is None else f"third party, signed by {block.signer}"
