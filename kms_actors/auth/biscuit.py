"""Biscuit tokens: who may be trusted to say what.

A token is an authority block signed by a root key, then a block signed by the service key of the same
pair, then any blocks its holders added. Only the second block gives: one `resource`, one `rights` set, an `owner`,
and beside the empty set names of policies, which then decide in place of it.
Every block may take away through checks (`checks`). Facts anywhere else give nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

import biscuit_auth

from kms_actors import request_context
from kms_actors.auth import cost, datalog, first_signatures, wire
from kms_actors.auth.checks import KEPT_USES, BiscuitPrincipal
from kms_actors.auth.keys import parse_public
from kms_actors.auth.principal import Right
from kms_actors.auth.scope import why_refused
from kms_actors.auth.wire import TokenRefused
from kms_actors.cache import ByteCache
from kms_actors.errors import AuthenticationFailed
from kms_actors.observe.bounded import BoundedLog

#: Datalog of each `rights` set that means something; any other set is refused.
RIGHTS: Final = {
    Right.OPERATOR: 'rights({"operator"})',
    Right.ROOT: 'rights({"root"})',
    Right.DATA: "rights({,})",
}

#: Policies that a token may name.
MAX_POLICIES: Final = 32

#: Bytes that a verified token takes beside its text; and a character of one whose checks are run, parsed and kept,
#: and a use of it that is remembered.
_TOKEN_BYTES: Final = 1_100
_CHECKED_CHARACTER_BYTES: Final = 13
_USE_BYTES: Final = 300
#: What the second block says by strings.
_TEXTS: Final = ("resource", "owner", "policy")
_log: Final = BoundedLog(__name__)


class BiscuitAuthenticator:
    """Verifies tokens under the accepted pairs of keys, and remembers those that verified.

    `keys` holds (root, service) public keys in hex, 32 bytes each; `namespace` is the cluster's, which
    only an operator's token may name. `accept_first_signatures` admits tokens of one old form (`first_signatures`).
    `cache_size` tokens of together `cache_bytes` are remembered; `hits` and
    `misses` count uses of them.
    """

    def __init__(
        self,
        keys: Sequence[tuple[str, str]],
        service: str,
        namespace: str,
        cache_size: int = 10_000,
        cache_bytes: int = 32 << 20,
        *,
        accept_first_signatures: bool = False,
    ) -> None:
        self.hits = 0
        self.misses = 0
        self._pairs: Final = [_Pair(root, service_key) for root, service_key in keys]
        self._service: Final = service
        self._namespace: Final = namespace
        self._accept_first_signatures: Final = accept_first_signatures
        self._cache: Final[ByteCache[str, BiscuitPrincipal]] = ByteCache(cache_bytes, _size, most=cache_size)

    @property
    def root_public_keys(self) -> tuple[str, ...]:
        """The accepted root keys as `ed25519/<hex>`."""
        return tuple(str(pair.root) for pair in self._pairs)

    @property
    def cached_bytes(self) -> int:
        """About how much memory the remembered tokens take."""
        return self._cache.bytes

    def forget_idle(self) -> None:
        """Forget tokens that were not used since this was last called."""
        self._cache.forget_idle()

    def authenticate(self, token: str, now: float) -> BiscuitPrincipal:
        """Return who bears `token`; `now` is in seconds since 1970.

        Raises:
            AuthenticationFailed: with one text for every reason; the reason is logged.

        """
        principal = cached = self._cache.get(token)
        if principal is None:
            principal = self._verify(token)
        if principal.expires_at is not None and now >= principal.expires_at:
            self._cache.discard(token)
            _refuse("token has expired")
        if cached is None:
            self.misses += 1
            self._cache.put(token, principal)
        else:
            self.hits += 1
        return principal

    def _verify(self, token: str) -> BiscuitPrincipal:
        try:
            return datalog.contained("token cannot be read", lambda: self._read(token))
        except TokenRefused as error:
            _refuse(str(error))

    def _read(self, token: str) -> BiscuitPrincipal:
        raw = wire.decode(token)
        if self._accept_first_signatures:
            parsed = wire.take_apart(raw)
            if any(map(wire.has_first_signature, parsed.blocks)):
                return self._first_signed(parsed)
        parsed = wire.parse(raw)
        signers = [block.signer for block in parsed.blocks]
        if len(signers) < 2 or signers[1] is None:
            raise TokenRefused("the second block is not signed by a service key")
        service = str(signers[1])
        if signers.count(signers[1]) > 1:
            raise TokenRefused("more than one block is signed by the service key")
        pairs = [pair for pair in self._pairs if str(pair.service) == service]
        if not pairs:
            raise TokenRefused("the second block is signed by an unknown service key")
        verified = _verified(raw, pairs)  # before anything that takes long is done for who has no token
        cost.require_cheap(parsed)
        return self._principal(*verified)

    def _first_signed(self, token: wire.Token) -> BiscuitPrincipal:
        found = first_signatures.read(token, [(pair.root_bytes, pair.service_bytes) for pair in self._pairs])
        self._require_scope(found.right, found.resource)
        ids = [block.signature.hex() for block in token.blocks]
        return BiscuitPrincipal(None, found.resource, found.right, found.owner, self._service, revocation_ids=ids)

    def _principal(self, biscuit: biscuit_auth.Biscuit, pair: _Pair) -> BiscuitPrincipal:
        authorizer = datalog.authorizer("allow if true").build(biscuit)
        policies = pair.policies(authorizer)
        right = with_policies(pair.right(authorizer), policies)
        resource = pair.resource(authorizer)
        self._require_scope(right, resource)
        owner = pair.owner(authorizer)
        ids = biscuit.revocation_ids
        return BiscuitPrincipal(biscuit, resource, right, owner, self._service, revocation_ids=ids, policies=policies)

    def _require_scope(self, right: Right, resource: str) -> None:
        reason = why_refused(right, resource, self._namespace)
        if reason is not None:
            raise TokenRefused(reason)


class _Pair:
    """One accepted pair of keys, and what a block signed by its service key says."""

    def __init__(self, root: str, service: str) -> None:
        self.root_bytes: Final = bytes.fromhex(parse_public(root))
        self.service_bytes: Final = bytes.fromhex(parse_public(service))
        self.root: Final = biscuit_auth.PublicKey(f"ed25519/{parse_public(root)}")
        self.service: Final = biscuit_auth.PublicKey(f"ed25519/{parse_public(service)}")
        self._any: Final = {name: self._rule(f"{name}($x)") for name in (*_TEXTS, "rights")}
        self._text: Final = {name: self._rule(f'{name}($x), $x.type() == "string"') for name in _TEXTS}
        self._rights: Final = {right: self._rule(source, "true") for right, source in RIGHTS.items()}

    def right(self, authorizer: biscuit_auth.Authorizer) -> Right:
        # Each known set is asked for by name: reading the terms of a set makes the library panic.
        found = [right for right, rule in self._rights.items() if authorizer.query(rule)]
        if len(found) != 1 or len(authorizer.query(self._any["rights"])) != 1:
            raise TokenRefused("the second block does not hold exactly one known rights set")
        return found[0]

    def resource(self, authorizer: biscuit_auth.Authorizer) -> str:
        resource = self._one(authorizer, "resource")
        if resource is None:
            raise TokenRefused("the second block names no resource")
        return resource

    def owner(self, authorizer: biscuit_auth.Authorizer) -> str | None:
        return self._one(authorizer, "owner")

    def policies(self, authorizer: biscuit_auth.Authorizer) -> tuple[str, ...]:
        """Return the names of policies, in order and in lower case, as those of policies are."""
        found = authorizer.query(self._any["policy"])
        texts = authorizer.query(self._text["policy"])
        if len(texts) != len(found):
            raise TokenRefused("the second block names a policy by what is no string")
        return policy_names(str(text.terms[0]) for text in texts)

    def _one(self, authorizer: biscuit_auth.Authorizer, name: str) -> str | None:
        found = authorizer.query(self._any[name])
        texts = authorizer.query(self._text[name])
        if len(found) > 1 or len(texts) != len(found):
            raise TokenRefused(f"the second block holds more than one {name}, or one that is no string")
        return str(texts[0].terms[0]) if texts else None

    def _rule(self, body: str, head: str = "$x") -> biscuit_auth.Rule:
        source = f"found({head}) <- {body} trusting {{service}}"
        return biscuit_auth.Rule(source, scope_parameters={"service": self.service})


def policy_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of policies as a token has them; TokenRefused for those that no token may have."""
    found = tuple(sorted({name.lower() for name in names}))
    if len(found) > MAX_POLICIES:
        raise TokenRefused(f"more than {MAX_POLICIES} policies")
    if "root" in found:
        raise TokenRefused("no token names the policy root: the right to all is of a tenant operator")
    if not all(name and name.isprintable() for name in found):
        raise TokenRefused("a policy's name is not printable, or empty")
    return found


def with_policies(right: Right, policies: tuple[str, ...]) -> Right:
    """Return the right of a token that names policies; TokenRefused beside any right but the least."""
    if not policies:
        return right
    if right is not Right.DATA:
        raise TokenRefused("policies stand beside the empty rights set only")
    return Right.POLICY


def _size(token: str, principal: BiscuitPrincipal) -> int:
    if principal.narrowed:
        return len(token) * _CHECKED_CHARACTER_BYTES + KEPT_USES * _USE_BYTES
    return len(token) + _TOKEN_BYTES


def _verified(raw: bytes, pairs: list[_Pair]) -> tuple[biscuit_auth.Biscuit, _Pair]:
    for pair in pairs:
        try:
            biscuit = datalog.contained("", functools.partial(biscuit_auth.Biscuit.from_bytes, raw, pair.root))
        except TokenRefused:
            continue
        return biscuit, pair
    raise TokenRefused("no accepted root key verifies the token")


def _refuse(reason: str) -> NoReturn:
    _log.warning("token refused", reason, reason=reason, request_id=request_context.current().id)
    raise AuthenticationFailed("permission denied") from None
