"""What a login has proved, whatever the method: who it is, and what the role says of the token."""

from __future__ import annotations

import msgspec

from kms_actors.login.parameters import TokenParameters


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A login that succeeded, before there is a token.

    `alias` names who it is within the mount, for good: a role id, a user, a subject. It leads to the entity; empty
    where nobody in particular has logged in. `policies` are those of the method beside the role's own.
    """

    alias: str
    display_name: str = ""  # what follows the mount's path in the token's: `userpass-anna`
    policies: tuple[str, ...] = ()
    metadata: dict[str, str] = {}  # of the token
    parameters: TokenParameters = TokenParameters()
    alias_metadata: dict[str, str] = {}
    groups: tuple[str, ...] = ()  # names that external groups may have as aliases
    role: str = ""
    again: int | None = None  # the same proof counts until then, in nanoseconds since 1970; 0: for good; None: once
    rests_on: tuple[bytes, ...] = ()  # places of the records that proved it, in the store, if it wrote none of them
    certificate: str = ""  # SHA-256 of the one that was shown, in hexadecimal: who renews shows it again

    def __repr__(self) -> str:
        return "<Outcome>"
