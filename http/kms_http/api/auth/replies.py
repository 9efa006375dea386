"""What a token that was just made or renewed is told as: the `auth` of an answer.

Source: Vault's API page `auth/token`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kms_actors.token.spec import Issued
from kms_http.routing import Reply


def auth_reply(
    issued: Issued, *, identity_policies: Sequence[str] = (), left: int | None = None, warnings: Sequence[str] = ()
) -> Reply:
    """Return the answer that gives a token to its holder; `left` is how many seconds it lives, where not all are."""
    spec = issued.spec
    own = list(spec.policies)
    auth = {
        "client_token": issued.token,
        "accessor": issued.accessor,
        "policies": sorted({*own, *identity_policies}),
        "token_policies": own,
        "identity_policies": list(identity_policies),
        "metadata": spec.metadata,
        "lease_duration": spec.ttl if left is None else left,
        "renewable": spec.renewable,
        "entity_id": spec.entity_id,
        "token_type": "batch" if spec.batch else "service",
        "orphan": not spec.line,
        "mfa_requirement": None,
        "num_uses": spec.num_uses,
    }
    return Reply(auth=auth, warnings=(*issued.warnings, *warnings))
