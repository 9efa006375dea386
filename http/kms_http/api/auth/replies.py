"""What answers tell of tokens: `auth` of one that was made or renewed, and `data` of one that is looked up.

Source: Vault's API page `auth/token`, and what its reference does.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence
from typing import Any

from kms_actors.auth import batch_token
from kms_actors.auth.principal import Principal
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.errors import InvalidRequest
from kms_actors.token.spec import Issued
from kms_http.routing import Call, Reply


def auth_reply(issued: Issued, *, left: int | None = None, warnings: Sequence[str] = ()) -> Reply:
    """Return the answer that gives a token to its holder; `left` is how many seconds it lives, where not all are."""
    spec = issued.spec
    auth = auth_of(
        issued.token,
        issued.accessor,
        spec.policies,
        issued.identity_policies,
        metadata=spec.metadata,
        lease_duration=spec.ttl if left is None else left,
        renewable=spec.renewable,
        entity_id=spec.entity_id,
        batch=spec.batch,
        orphan=spec.orphan,
        num_uses=spec.num_uses,
    )
    return Reply(auth=auth, warnings=(*issued.warnings, *warnings))


def auth_of(
    token: str,
    accessor: str,
    policies: Sequence[str],
    identity_policies: Sequence[str] = (),
    *,
    metadata: dict[str, str] | None = None,
    lease_duration: int,
    renewable: bool = False,
    entity_id: str = "",
    batch: bool = False,
    orphan: bool = True,
    num_uses: int = 0,
) -> dict[str, Any]:
    """Return `auth` with its fields in Vault's order."""
    return {
        "client_token": token,
        "accessor": accessor,
        "policies": sorted({*policies, *identity_policies}),
        "token_policies": list(policies),
        "identity_policies": list(identity_policies),
        "metadata": metadata,
        "lease_duration": lease_duration,
        "renewable": renewable,
        "entity_id": entity_id,
        "token_type": "batch" if batch else "service",
        "orphan": orphan,
        "mfa_requirement": None,
        "num_uses": num_uses,
    }


def refuse_batch(token: str, done: str) -> None:
    """Raise InvalidRequest for a batch token, with which that cannot be done."""
    if batch_token.tenant_of(token) is not None:
        raise InvalidRequest(f"batch tokens cannot be {done}")


def shown(principal: Principal, text: str, now: float) -> dict[str, Any]:
    """Return what a look at a token tells, in order; `text` is the token, or empty where that is not shown."""
    if isinstance(principal, ServicePrincipal):
        return _recorded(principal, text, now)
    ends, issued = principal.expires_at, principal.issued_at
    if ends is not None and not issued:
        # A biscuit does not say. From now on is as good: clients take creation_time and creation_ttl together.
        issued = int(now)
    return {
        "accessor": principal.accessor,
        "creation_time": issued,
        "creation_ttl": max(0, int(ends) - issued) if ends is not None else 0,
        "display_name": principal.display_name,
        "entity_id": "",
        "expire_time": None if ends is None else rfc3339(ends),
        "explicit_max_ttl": 0,
        "id": text,
        "identity_policies": (),
        "issue_time": rfc3339(issued) if issued else None,
        "meta": None,  # the command line client would show each entry as a row of its own at login
        "num_uses": 0,
        "orphan": True,
        "path": "auth/token/create",
        "policies": principal.policies,
        "renewable": False,
        "ttl": ttl(principal, now),
        "type": "service",
    }


def _recorded(principal: ServicePrincipal, text: str, now: float) -> dict[str, Any]:
    """Return what the record of a service token, or a batch token itself, tells. Clients ask it often."""
    record, ends = principal.record, principal.expires_at
    data: dict[str, Any] = {"accessor": record.accessor}
    if record.bound_cidrs:
        data["bound_cidrs"] = record.bound_cidrs
    data["creation_time"] = int(record.created)
    data["creation_ttl"] = record.creation_ttl
    data["display_name"] = record.display_name
    data["entity_id"] = record.entity_id
    data["expire_time"] = None if ends is None else rfc3339(ends)
    data["explicit_max_ttl"] = record.explicit_max_ttl
    if principal.identity_policies:
        data["external_namespace_policies"] = {}  # of other namespaces; a vault has none
    data["id"] = text
    data["identity_policies"] = principal.identity_policies
    data["issue_time"] = rfc3339(record.created)
    if record.renewed is not None:
        data["last_renewal"] = rfc3339(record.renewed)
        data["last_renewal_time"] = int(record.renewed)
    data["meta"] = record.metadata
    data["num_uses"] = record.num_uses
    data["orphan"] = record.orphan
    data["path"] = record.path
    if record.period:
        data["period"] = record.period
    data["policies"] = record.policies
    data["renewable"] = record.renewable
    if record.role:
        data["role"] = record.role
    data["ttl"] = 0 if ends is None else max(1, int(ends - now))
    data["type"] = "batch" if principal.batch else "service"
    return data


def ttl(principal: Principal, now: float) -> int:
    """Return the seconds left, at least 1 while it lives: 0 is for a token without end."""
    return 0 if principal.expires_at is None else max(1, int(principal.expires_at - now))


@functools.lru_cache(maxsize=4096)
def rfc3339(seconds: float) -> str:
    """Return a time since 1970 in UTC. It is remembered, since the same tokens are looked up again and again."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat().replace("+00:00", "Z")


def tidying(_: Call, began: bool) -> Reply:
    """Return the answer to who has asked for tidying."""
    if not began:
        return Reply(status=202, warnings=("Tidy operation already in progress.",))
    begun = "Tidy operation successfully started."
    return Reply(
        status=202, warnings=(f"{begun} Any information from the operation will be printed to Vault's server logs.",)
    )
