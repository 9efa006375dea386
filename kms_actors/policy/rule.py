"""What may be done on a path: of one policy, and of several together.

Source: Vault's page "Policies"; where it is silent, what the reference does with two policies for one path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kms_actors.auth.principal import Capability
from kms_actors.errors import PermissionDenied
from kms_actors.policy import parameters
from kms_actors.policy.parameters import Parameters

#: The field of lists that `pagination_limit` bounds.
LIMIT: Final = "limit"
_LARGEST_INT: Final = 19  # digits


class Rule(msgspec.Struct, frozen=True):
    """Capabilities on a path and what binds their use. A rule that denies has none.

    TTLs are nanoseconds, 0 without a bound; names of parameters are lower-cased where they are looked up.
    """

    path: str  # as its policy has it: `secret/data/*`
    capabilities: frozenset[Capability] = frozenset()
    denies: bool = False
    allowed_parameters: Parameters | None = None
    denied_parameters: Parameters | None = None
    required_parameters: tuple[str, ...] = ()
    min_wrapping_ttl: int = 0
    max_wrapping_ttl: int = 0
    pagination_limit: int = 0

    def permits(self, capability: Capability) -> bool:
        """Tell whether a request that needs `capability` may go on to the other checks."""
        return capability in self.capabilities

    @property
    def empty(self) -> bool:
        """True where nothing may be done: denied, or without any capability."""
        return not self.capabilities

    @property
    def shown(self) -> list[str]:
        """The capabilities as `sys/capabilities` shows them, sorted; `deny` where there are none."""
        return sorted(self.capabilities) or ["deny"]

    @property
    def restricts_parameters(self) -> bool:
        """False where `check_parameters` refuses nothing."""
        return bool(self.required_parameters or self.denied_parameters or self.allowed_parameters)

    def check_wrapping(self, seconds: int | None) -> None:
        """Raise PermissionDenied for an answer that is to be wrapped for so long, or not at all, and may not."""
        least, most = self.min_wrapping_ttl, self.max_wrapping_ttl
        if not least and not most:
            return
        ttl = None if seconds is None else seconds * 10**9
        if ttl is None or (most and ttl > most) or ttl < least:
            raise PermissionDenied("permission denied")

    def check_parameters(self, sent: Mapping[str, Any]) -> None:
        """Raise PermissionDenied for what a create, read, update or patch sent, or did not send.

        `sent` are the members of the body, or the query of a read, before the endpoint reads them: for KV version 2
        these are `data` and `options`, as in Vault.
        """
        if any(name.lower() not in sent for name in self.required_parameters):
            raise PermissionDenied("permission denied")
        if sent and (
            parameters.denied(self.denied_parameters, sent) or not parameters.allowed(self.allowed_parameters, sent)
        ):
            raise PermissionDenied("permission denied")

    def limited(self, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a list was sent, with `limit` within `pagination_limit`; raises PermissionDenied.

        Without `limit`, or with `max`, the bound is filled in, unless `limit` is required. Source: OpenBao's page
        "Policies", pagination_limit.
        """
        most, limit = self.pagination_limit, sent.get(LIMIT)
        if not most:
            return {**sent, LIMIT: "0"} if limit == "max" else sent
        if LIMIT not in sent:
            if any(name.lower() == LIMIT for name in self.required_parameters):
                raise PermissionDenied("permission denied")
            return {**sent, LIMIT: str(most)}
        if limit == "max":
            return {**sent, LIMIT: str(most)}
        number = _whole(limit)
        if number is None or not 0 <= number <= most:
            raise PermissionDenied("permission denied")
        return sent if number else {**sent, LIMIT: str(most)}


def merge(first: Rule, second: Rule) -> Rule:
    """Return the rule that two for the same path make, in whichever order: any denial denies all.

    Capabilities and restrictions come together; of TTLs and page limits the smaller that is set.
    """
    if first.denies or second.denies:
        return Rule(first.path, denies=True)
    return Rule(
        path=first.path,
        capabilities=first.capabilities | second.capabilities,
        allowed_parameters=parameters.merge(first.allowed_parameters, second.allowed_parameters),
        denied_parameters=parameters.merge(first.denied_parameters, second.denied_parameters),
        required_parameters=tuple(sorted({*first.required_parameters, *second.required_parameters})),
        min_wrapping_ttl=_smaller(first.min_wrapping_ttl, second.min_wrapping_ttl),
        max_wrapping_ttl=_smaller(first.max_wrapping_ttl, second.max_wrapping_ttl),
        pagination_limit=_smaller(first.pagination_limit, second.pagination_limit),
    )


def _smaller(first: int, second: int) -> int:
    return min(first, second) if first and second else first or second


def _whole(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value.removeprefix("-").isdecimal() or len(value) > _LARGEST_INT:
        return None
    return int(value)
