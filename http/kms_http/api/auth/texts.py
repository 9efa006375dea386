"""What help and documents say of the routes of tokens."""

from __future__ import annotations

from typing import Final

from kms_http.describing.about import About, Texts

DESCRIPTION: Final = "Tokens of the vault: made, looked up, renewed and revoked. Those of a token end with it."

_MADE: Final = {
    "type": "Kind of token: `service` or `batch`.",
    "id": "Text of the token, 20 to 128 characters: with sudo, in the vault that `tenants.default_vault` names.",
}

TEXTS: Final[Texts] = {
    "auth/token/lookup-self": About("What the caller's own token is."),
    "auth/token/renew-self": About("Renew the caller's own token."),
    "auth/token/revoke-self": About("Revoke the caller's own token, and those that it made."),
    "auth/token/create": About("Make a token.", "It ends with the caller's own, and may do no more.", _MADE),
    "auth/token/create-orphan": About("Make a token that does not end with the caller's own.", "", _MADE),
    "auth/token/create/{role_name}": About("Make a token as a role says.", "", _MADE),
    "auth/token/lookup": About("What a token is.", "", {}, ("token",)),
    "auth/token/lookup-accessor": About("What the token of an accessor is, without itself.", "", {}, ("accessor",)),
    "auth/token/accessors": About("List the accessors of all tokens."),
    "auth/token/renew": About("Renew a token.", "", {}, ("token",)),
    "auth/token/renew-accessor": About("Renew the token of an accessor.", "", {}, ("accessor",)),
    "auth/token/revoke": About("Revoke a token, and those that it made.", "", {}, ("token",)),
    "auth/token/revoke-accessor": About("Revoke the token of an accessor.", "", {}, ("accessor",)),
    "auth/token/revoke-orphan": About("Revoke a token; those that it made stay.", "", {}, ("token",)),
    "auth/token/tidy": About("Remove what tokens that are gone have left."),
    "auth/token/roles": About("List the roles of tokens."),
    "auth/token/roles/{role_name}": About("Read, write and delete a role of tokens."),
}
