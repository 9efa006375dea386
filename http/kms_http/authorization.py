"""What a caller may do, decided before a body is read: by his token's right, its policies, and its own checks.

A token that another one made can never do more than that one: all of them must allow what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kms_actors.auth.principal import Access, Acl, Capability, Principal, Right, Rule, makers
from kms_actors.auth.self_service import is_self_service
from kms_actors.errors import PermissionDenied
from kms_actors.messages import Grants
from kms_actors.mounts import Mount
from kms_http.exchange import Exchange
from kms_http.routing import ANY_RIGHT, EXISTENCE, LISTING, NODE_ADMIN, Endpoint, Operation

#: What a request needs where no endpoint says it.
_CAPABILITIES: Final = {
    Operation.READ: Capability.READ,
    Operation.LIST: Capability.LIST,
    Operation.WRITE: Capability.UPDATE,
    Operation.PATCH: Capability.PATCH,
    Operation.DELETE: Capability.DELETE,
    Operation.SCAN: Capability.SCAN,
}


class Allowed(NamedTuple):
    """How far a request is allowed: `grants` for an endpoint that asks for existence; `rules` see its fields."""

    grants: Grants = Grants()
    rules: tuple[Rule, ...] = ()

    @property
    def looks_at_fields(self) -> bool:
        """True where a rule compares what was sent, which then must be as it was sent."""
        return any(rule.restricts_parameters for rule in self.rules)

    def passed(self, operation: Operation, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what was sent as the rules let it through; raises PermissionDenied.

        As in Vault, parameters are those of reads and writes: of lists it is `limit` alone, of deletions nothing.
        """
        for rule in self.rules:
            if operation in LISTING:
                sent = rule.limited(sent)
            elif operation is not Operation.DELETE:
                rule.check_parameters(sent)
        return sent


_ALL: Final = Allowed()


def authorize(exchange: Exchange, mount: Mount | None, endpoint: Endpoint | None) -> Allowed:
    """Return how far a request is allowed; raises PermissionDenied.

    A path without an endpoint is checked too, so that a narrowed token cannot learn what exists.
    """
    principal = exchange.caller.principal
    if principal is None:
        return _ALL
    if unlimited(principal):
        _require_right(principal, endpoint)
        return _ALL
    allowed = _ALL
    for each in (principal, *makers(principal)):
        found = _allowed(each, exchange, mount, endpoint)
        allowed = Allowed(_both(allowed.grants, found.grants), allowed.rules + found.rules)
    return allowed


def unlimited(principal: Principal) -> bool:
    """Tell whether a caller's right alone decides."""
    return principal.under is None and principal.acl is None and not principal.narrowed


def allows(principal: Principal, access: Access) -> bool:
    """Tell whether a caller may list or scan another folder, too, than the one that he asked for below a mount."""
    for each in (principal, *makers(principal)):
        if each.right is Right.POLICY and not _give(each.acl, access):
            return False
        if each.narrowed and not each.allows(access):
            return False
    return True


def _give(acl: Acl | None, access: Access) -> bool:
    if acl is None or acl.is_root:
        return acl is not None
    rule = acl.rule(access.path, listing=True)
    return rule is not None and access.operation in rule.capabilities


def _both(one: Grants, other: Grants) -> Grants:
    grants = Grants(one.create and other.create, one.update and other.update)
    if not (grants.create or grants.update):
        raise PermissionDenied("permission denied")
    return grants


def _require_right(principal: Principal, endpoint: Endpoint | None) -> None:
    rights = endpoint.rights if endpoint is not None else ANY_RIGHT
    if principal.right is Right.POLICY:
        # Policies may give anything in a vault: they are asked next, for what root alone has by itself, too.
        known = principal.acl is not None or (endpoint is not None and endpoint.anonymous)
        refused = not known or rights == NODE_ADMIN
    else:
        refused = principal.right not in rights
    if refused:
        raise PermissionDenied("permission denied")


def _allowed(principal: Principal, exchange: Exchange, mount: Mount | None, endpoint: Endpoint | None) -> Allowed:
    _require_right(principal, endpoint)
    if endpoint is not None and endpoint.anonymous:
        return _ALL
    allowed = _ALL
    if principal.acl is not None and not (endpoint is not None and endpoint.own_check):
        allowed = _by_policies(principal, exchange, endpoint)
    if not principal.narrowed or (mount is None and is_self_service(exchange.spelled)):
        return allowed
    return Allowed(_both(allowed.grants, _by_checks(principal, exchange, mount, endpoint)), allowed.rules)


def _by_policies(principal: Principal, exchange: Exchange, endpoint: Endpoint | None) -> Allowed:
    acl = principal.acl
    assert acl is not None
    if acl.is_root:
        return _ALL
    rule = acl.rule(exchange.spelled, listing=exchange.operation in LISTING)
    if rule is None:
        raise PermissionDenied("permission denied")
    given = rule.capabilities
    if endpoint is not None and endpoint.sudo and Capability.SUDO not in given:
        raise PermissionDenied("permission denied")
    if endpoint is not None and endpoint.capability is EXISTENCE:
        grants = _both(Grants(), Grants(Capability.CREATE in given, Capability.UPDATE in given))
        return Allowed(grants, (rule,))
    if _needed(exchange, endpoint) not in given:
        raise PermissionDenied("permission denied")
    return Allowed(rules=(rule,))


def _by_checks(principal: Principal, exchange: Exchange, mount: Mount | None, endpoint: Endpoint | None) -> Grants:
    def allows(capability: Capability) -> bool:
        place = mount.path if mount is not None else ""
        ip = exchange.request.remote
        return principal.allows(Access(capability, exchange.spelled, place, exchange.method, ip, exchange.now))

    if endpoint is not None and endpoint.capability is EXISTENCE:
        return _both(Grants(), Grants(allows(Capability.CREATE), allows(Capability.UPDATE)))
    if not allows(_needed(exchange, endpoint)):
        raise PermissionDenied("permission denied")
    return Grants()


def _needed(exchange: Exchange, endpoint: Endpoint | None) -> Capability:
    return (endpoint and endpoint.capability) or _CAPABILITIES[exchange.operation]
