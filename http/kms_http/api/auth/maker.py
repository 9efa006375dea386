"""Who asks for a token, as the rules of making tokens see him."""

from __future__ import annotations

from kms_actors.auth.principal import Access, Capability, Principal, Right, makers
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.token.making import Maker
from kms_http.routing import Call


def maker_of(call: Call) -> Maker:
    """Return the caller, who has a token of a vault."""
    principal = call.principal
    assert principal is not None
    sudo = has_sudo(call)
    if isinstance(principal, ServicePrincipal):
        record = principal.record
        return Maker(
            right=record.right,
            policies=record.policies,
            sudo=sudo,
            chooses=call.of_default_vault,
            accessor=record.accessor,
            line=record.line,
            mount=record.mount,
            mount_moves=record.mount_moves,
            counted=record.num_uses != 0,
            batch=principal.batch,
            entity_id=record.entity_id,
            bound_cidrs=record.bound_cidrs,
            expires_at=record.expires_at,
            under=record.under,
            not_after=record.not_after,
        )
    return Maker(
        right=principal.right,
        policies=principal.policies,
        sudo=sudo,
        chooses=call.of_default_vault,
        expires_at=principal.expires_at,
        under=call.token,
        free=principal.right is Right.ROOT and not principal.narrowed,
        not_after=principal.expires_at,
    )


def has_sudo(call: Call) -> bool:
    """Tell whether the caller, and whoever made his token, may do on this path what takes sudo."""
    assert call.principal is not None
    return all(_has_sudo(call, bearer) for bearer in (call.principal, *makers(call.principal)))


def _has_sudo(call: Call, bearer: Principal) -> bool:
    if bearer.right is Right.POLICY:
        rule = None if bearer.acl is None or bearer.acl.is_root else bearer.acl.rule(call.path)
        given = bearer.acl is not None and (
            bearer.acl.is_root or (rule is not None and Capability.SUDO in rule.capabilities)
        )
    else:
        given = bearer.right is Right.ROOT
    if not given or not bearer.narrowed:
        return given
    return bearer.allows(Access(Capability.SUDO, call.path, "", call.method, call.client_ip, call.now))
