"""Policies that every vault has before anybody writes one.

`default` goes with almost every token and may be rewritten, `response-wrapping` goes with wrapping tokens alone, and
`root` has no text. The last two may not be written, and none may be deleted. Their grants are the reference's.
"""

from __future__ import annotations

from typing import Final

DEFAULT: Final = "default"
RESPONSE_WRAPPING: Final = "response-wrapping"
ROOT: Final = "root"

#: What may not be written, and what is not among the names that are listed, since no token can be given it.
IMMUTABLE: Final = frozenset({ROOT, RESPONSE_WRAPPING})
UNLISTED: Final = frozenset({RESPONSE_WRAPPING})

_DEFAULT: Final = """\
# What almost every token may do. Rewrite it as you like: it cannot be deleted.

# The token itself: what it is, how long it lasts, what it may do.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "sys/internal/ui/resultant-acl" {
  capabilities = ["read"]
}

# Its bearer's own entity.
path "identity/entity/id/{{identity.entity.id}}" {
  capabilities = ["read"]
}
path "identity/entity/name/{{identity.entity.name}}" {
  capabilities = ["read"]
}

# Leases whose id it knows.
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# Its own cubbyhole.
path "cubbyhole/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

# Wrapping what it has, and unwrapping what it was given.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Tools that touch nothing stored.
path "sys/tools/hash" {
  capabilities = ["update"]
}
path "sys/tools/hash/*" {
  capabilities = ["update"]
}

# Signing in somewhere else by OpenID Connect.
path "identity/oidc/provider/+/authorize" {
  capabilities = ["read", "update"]
}
"""
_RESPONSE_WRAPPING: Final = """\
path "cubbyhole/response" {
  capabilities = ["create", "read"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
"""

#: Texts by name.
BUILTIN: Final = {DEFAULT: _DEFAULT, RESPONSE_WRAPPING: _RESPONSE_WRAPPING, ROOT: ""}
