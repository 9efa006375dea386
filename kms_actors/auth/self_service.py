"""Paths that every valid token may use, however it is narrowed.

A token narrowed to `secret/data/app/*` must still work with the clients people have: `vault login` looks the
token up, `vault kv get` first asks `sys/internal/ui/mounts/secret/app/x` where the mount is, others
renew or revoke themselves. So the server does not put these to the checks of a biscuit. That gives nothing
away: they speak of the token itself, or of a mount's type, and an expired token fails before it gets here.
"""

from __future__ import annotations

from typing import Final

SELF_SERVICE_PATHS: Final = frozenset(
    {
        "auth/token/lookup-self",
        "auth/token/renew-self",
        "auth/token/revoke-self",
        "sys/capabilities-self",
        "sys/internal/ui/mounts",
    }
)
SELF_SERVICE_PREFIXES: Final = ("sys/internal/ui/mounts/",)


def is_self_service(path: str) -> bool:
    """Tell whether `path` (without /v1/, as the router sees it) is free of the token's checks."""
    return path in SELF_SERVICE_PATHS or path.startswith(SELF_SERVICE_PREFIXES)
