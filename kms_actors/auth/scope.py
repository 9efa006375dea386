"""Which vaults and clusters a token may name: one rule for who makes tokens and who takes them."""

from __future__ import annotations

import re
from typing import Final

from kms_actors.auth.principal import Right
from kms_actors.errors import InvalidRequest

#: Names that Vault uses for its root namespace; a vault so called would be taken for the node.
RESERVED: Final = frozenset({"root"})
RULE: Final = (
    "a vault id has 1 to 128 letters, digits, `_`, `.` and `-`, begins with a letter or digit, and is neither `root` "
    "nor the namespace of the cluster"
)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)


def why_refused(right: Right, resource: str, namespace: str | None) -> str | None:
    """Return why no token may give this right for `resource`, or None.

    `namespace` is the cluster's; where it is not known, what depends on it is not refused.
    """
    if right is Right.OPERATOR:
        if namespace is not None and resource != namespace:
            return "the operator's right is for another cluster"
        return None if _NAME.fullmatch(resource) else "the resource is no namespace"
    if not _NAME.fullmatch(resource):
        return "the resource is no vault id"
    if resource.casefold() in RESERVED or (namespace is not None and resource.casefold() == namespace.casefold()):
        return "the resource names the cluster, not a vault"
    return None


def require_scope(right: Right, resource: str, namespace: str | None) -> None:
    """Raise InvalidRequest, with the rule, unless a token may give this right for `resource`."""
    reason = why_refused(right, resource, namespace)
    if reason is None:
        return
    if right is not Right.OPERATOR:
        raise InvalidRequest(f"{reason}: {RULE}")
    if namespace is not None:
        raise InvalidRequest(f"{reason}: this one is called {namespace}")
    raise InvalidRequest(f"{reason}: it has 1 to 128 letters, digits, `_`, `.` and `-`, a letter or digit first")
