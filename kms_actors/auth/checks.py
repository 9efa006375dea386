"""What the checks in a biscuit allow: an expiry is compared as a number, anything else is run as Datalog.

Most tokens carry no check, or only `check if time($t), $t < DATE`, as `kms-cli` writes; those cost nothing
a request. A token is put in that class only if every line of every block is such a check or a plain fact;
whatever else a line may be (a rule, a scope, a string with a quote in it) sends the token to the authorizer.

What it allowed is remembered where no check can see the time, since then the same use is always allowed. A refusal is
not: it may have come from the bound of its run.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from biscuit_auth import Authorizer, AuthorizerBuilder, Biscuit, UnverifiedBiscuit

from kms_actors.auth import datalog, words
from kms_actors.auth.cost import MAX_FACT
from kms_actors.auth.principal import Access, Acl, Principal, Right
from kms_actors.auth.wire import TokenRefused

_EXPIRY: Final = re.compile(r"check if time\(\$(\w+)\), \$\1 (<=?) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ);", re.ASCII)
_FACT: Final = re.compile(r'\w+\((?:"[^"\n]*"|\{(?:"[^"\n]*"(?:, "[^"\n]*")*|,)\})\);', re.ASCII)


#: Uses that are remembered of each token, and the longest path among them, in characters.
KEPT_USES: Final = 32
_KEPT_PATH: Final = 256

#: What a request gives to checks, beside the time.
_GIVEN: Final = ("operation", "path", "mount", "method", "client_ip")

_Use = tuple[str, str, str, str, str]


class BiscuitPrincipal:
    """The bearer of a verified biscuit. Implements `Principal`."""

    __slots__ = (
        "_allowed",
        "_base",
        "_biscuit",
        "_words",
        "expires_at",
        "metadata",
        "policies",
        "resource",
        "revocation_ids",
        "right",
    )

    acl: Acl | None = None  # what policies give is asked of the vault at each use: see `WithPolicies`
    under = None
    accessor = "n/a"
    issued_at = 0

    def __init__(
        self,
        biscuit: Biscuit | None,
        resource: str,
        right: Right,
        owner: str | None,
        service: str,
        *,
        revocation_ids: Iterable[str],
        policies: tuple[str, ...] = (),
        issuers: int = 0,
    ) -> None:
        """`biscuit` is None for a token that is known to hold no check. Every token has the policy `default`.

        The first `issuers` blocks hold no checks but an end that is known otherwise.
        """
        self._words: str | None = None
        ends, others = ([], []) if biscuit is None else read_checks(biscuit, issuers)
        self.resource: Final = resource
        self.right: Final = right
        self.metadata: Final[Mapping[str, str] | None] = None if owner is None else {"owner": owner}
        self.policies: Final = tuple(sorted({"default", *policies}))
        self.expires_at: Final = min(ends, default=None)
        self.revocation_ids: Final = tuple(revocation_ids)
        self._biscuit: Final = biscuit if others else None
        self._base: Final = _base(resource, service) if others else None
        timeless = others and not any("time" in line for line in others)
        self._allowed: Final[dict[_Use, None] | None] = {} if timeless else None

    @property
    def display_name(self) -> str:
        """What the token is, in words, which are found once: agents look at theirs over and over."""
        if self._words is None:
            self._words = self._in_words()
        return self._words

    def _in_words(self) -> str:
        checks = [] if self._biscuit is None else read_checks(self._biscuit)[1]
        owner = None if self.metadata is None else self.metadata["owner"]
        named = self.policies if self.right is Right.POLICY else ()
        return words.summary(self.right, self.resource, owner, self.expires_at, checks, policies=named)

    @property
    def narrowed(self) -> bool:
        """True where checks are run at each use, beyond an expiry."""
        return self._biscuit is not None

    def allows(self, access: Access) -> bool:
        """Tell whether every check of every block holds for `access`."""
        if self.expires_at is not None and access.time >= self.expires_at:
            return False
        return self._biscuit is None or self._run_once(self._biscuit, access)

    def _run_once(self, biscuit: Biscuit, access: Access) -> bool:
        allowed = self._allowed
        if allowed is None or len(access.path) > _KEPT_PATH:
            return self._run(biscuit, access)
        use = access.operation, access.path, access.mount, access.method, access.client_ip
        if use in allowed:
            return True
        if not self._run(biscuit, access):
            return False
        if len(allowed) == KEPT_USES:
            del allowed[next(iter(allowed))]
        allowed[use] = None
        return True

    def _run(self, biscuit: Biscuit, access: Access) -> bool:
        try:
            datalog.contained("checks failed", lambda: self._authorizer(biscuit, access).authorize())
        except TokenRefused:
            return False
        return True

    def _authorizer(self, biscuit: Biscuit, access: Access) -> Authorizer:
        values = {name: str(getattr(access, name)) for name in _GIVEN}
        if any(len(value.encode()) > MAX_FACT for value in values.values()):
            raise TokenRefused("a value is too long: what checks cost is bounded for those up to a length")
        builder = datalog.authorizer()
        builder.merge(self._base)  # type: ignore[arg-type]  # the library's stubs name the wrong class
        builder.add_fact(datalog.time_fact(int(access.time)))
        for name, value in values.items():
            builder.add_fact(datalog.fact(name, value))
        return builder.build(biscuit)

    def __repr__(self) -> str:
        return f"<BiscuitPrincipal of {self.resource} with right {self.right.value}>"


class WithPolicies:
    """The bearer of a biscuit that names policies, with what they give now. Implements `Principal`."""

    __slots__ = ("_bearer", "acl")

    under: Final = None
    right: Final = Right.POLICY
    accessor: Final = BiscuitPrincipal.accessor
    issued_at: Final = BiscuitPrincipal.issued_at

    def __init__(self, bearer: Principal, acl: Acl) -> None:
        self._bearer: Final = bearer
        self.acl: Final = acl

    @property
    def resource(self) -> str:
        return self._bearer.resource

    @property
    def policies(self) -> tuple[str, ...]:
        return self._bearer.policies

    @property
    def display_name(self) -> str:
        return self._bearer.display_name

    @property
    def metadata(self) -> Mapping[str, str] | None:
        return self._bearer.metadata

    @property
    def expires_at(self) -> float | None:
        return self._bearer.expires_at

    @property
    def revocation_ids(self) -> tuple[str, ...]:
        return self._bearer.revocation_ids

    @property
    def narrowed(self) -> bool:
        return self._bearer.narrowed

    def allows(self, access: Access) -> bool:
        """Tell whether every check of every block holds for `access`."""
        return self._bearer.allows(access)

    def __repr__(self) -> str:
        return f"<WithPolicies of {self.resource}>"


def _base(resource: str, service: str) -> AuthorizerBuilder:
    """Return what is the same at every use of a token."""
    return datalog.authorizer(
        "resource({resource}); service({service}); allow if true", {"resource": resource, "service": service}
    )


def read_checks(biscuit: Biscuit | UnverifiedBiscuit, begin: int = 0) -> tuple[list[float], list[str]]:
    """Return the ends (seconds since 1970) that expiry checks set, and all other lines that have to be run.

    Blocks before `begin` are not looked at.
    """
    ends: list[float] = []
    others: list[str] = []
    for line in _lines(biscuit, begin):
        match = _EXPIRY.fullmatch(line)
        end = _end(match[2], match[3]) if match else None
        if end is not None:
            ends.append(end)
        elif not _FACT.fullmatch(line):
            others.append(line)
    return ends, others


def _lines(biscuit: Biscuit | UnverifiedBiscuit, begin: int) -> Iterator[str]:
    for index in range(begin, biscuit.block_count()):
        yield from filter(None, biscuit.block_source(index).split("\n"))


def _end(operator: str, date: str) -> float | None:
    """Return the first moment at which the check fails; biscuit time is whole seconds, so `<=` adds one."""
    try:
        moment = datetime.datetime.fromisoformat(date).timestamp()
    except ValueError:
        return None
    return moment if operator == "<" else moment + 1
