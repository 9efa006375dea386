"""Stored policies, sealed JSON: the text as it was sent, and what was said about it."""

from __future__ import annotations

import msgspec

from kms_actors.keyring import stored
from kms_actors.policy.templates import BLOCKED


class PolicyRecord(msgspec.Struct, frozen=True):
    """An ACL policy or a password policy. Times are in nanoseconds since 1970, 0 where there is none."""

    text: str
    version: int = 1  # counts its changes
    modified: int = 0
    expires_at: int = 0  # from then on it is as if it were deleted
    cas_required: bool = False
    allow_slashes: bool = False
    allow_wildcards: bool = False
    format: int = stored.FORMAT

    @property
    def blocked(self) -> str:
        """The characters that values of its templates may not hold."""
        slashes, wildcards = self.allow_slashes, self.allow_wildcards
        return "".join(sign for sign in BLOCKED if not (slashes if sign == "/" else wildcards))

    def ended(self, now: int) -> bool:
        """Tell whether it is gone at `now`."""
        return 0 < self.expires_at <= now

    def __repr__(self) -> str:
        return f"<PolicyRecord of version {self.version}>"
