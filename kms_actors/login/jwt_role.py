"""Roles of logins by signed tokens: what must be true of a token, and what it says of who bears it.

Source: Vault's API page `auth/jwt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.login.jwt_claims import (
    Claims,
    Expected,
    audiences_of,
    check_bound,
    groups_of,
    mapped,
    user_of,
)
from kms_actors.login.jwt_config import MAX_RECORD
from kms_actors.login.messages import OfLogins
from kms_actors.login.outcome import Outcome
from kms_actors.login.parameters import TokenParameters, changed, respelled
from kms_actors.messages import Command, Grants, Query

OIDC: Final = "oidc"
JWT: Final = "jwt"
GLOB: Final = "glob"

#: Entries of each list and map of a role.
MAX_ENTRIES: Final = 256
#: Seconds that a leeway may be, some ten years.
MAX_LEEWAY: Final = 10 * 365 * 24 * 3600

#: What a request that does not say them sets anew, in any case.
_RESET: Final[Mapping[str, Any]] = {"role_type": OIDC, "bound_claims_type": "string", "callback_mode": "client"}
_TRUNCATED: Final = (
    "token max ttl is greater than the system or backend mount's maximum TTL value; "
    "issued tokens' max TTL value will be truncated"
)
_METADATA_OF_LOGINS: Final = frozenset({"role"})
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "role_type": frozenset({JWT, OIDC}),
    "bound_claims_type": frozenset({"string", GLOB}),
    "callback_mode": frozenset({"client"}),
}


class JwtRole(msgspec.Struct, frozen=True, kw_only=True):
    """One role. Leeways and ages are in seconds; an empty text or list asks for nothing."""

    role_type: str = OIDC
    user_claim: str = ""
    user_claim_json_pointer: bool = False
    groups_claim: str = ""
    bound_audiences: tuple[str, ...] = ()
    bound_subject: str = ""
    bound_claims: dict[str, Any] = {}
    bound_claims_type: str = "string"
    claim_mappings: dict[str, str] = {}
    expiration_leeway: int = 0
    not_before_leeway: int = 0
    clock_skew_leeway: int = 0
    allowed_redirect_uris: tuple[str, ...] = ()
    oidc_scopes: tuple[str, ...] = ()
    callback_mode: str = "client"
    max_age: int = 0
    parameters: TokenParameters = TokenParameters()
    spelled: tuple[str, ...] = ()  # fields of the token that were set by their older names
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> JwtRole:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "role record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def expected(self, issuer: str) -> Expected:
        """Return what the registered claims of a token must be."""
        return Expected(
            issuer=issuer,
            subject=self.bound_subject,
            audiences=self.bound_audiences,
            expiration_leeway=self.expiration_leeway,
            not_before_leeway=self.not_before_leeway,
            clock_skew_leeway=self.clock_skew_leeway,
        )

    def outcome(self, name: str, claims: Claims) -> Outcome:
        """Return what claims prove that were verified; raises InvalidRequest where they do not fit the role."""
        user = user_of(claims, self.user_claim, pointer=self.user_claim_json_pointer)
        metadata = {**mapped(claims, self.claim_mappings), "role": name}
        groups = groups_of(claims, self.groups_claim) if self.groups_claim else ()
        check_bound(claims, self.bound_claims, globs=self.bound_claims_type == GLOB)
        return Outcome(
            alias=user,
            display_name=user,
            metadata=metadata,
            alias_metadata=metadata,
            parameters=self.parameters,
            groups=groups,
            role=name,
        )


def check_audience_is_bound(role: JwtRole, claims: Claims) -> None:
    """Raise InvalidRequest for a token that is for somebody, of a role that does not say for whom."""
    if audiences_of(claims) and not role.bound_audiences:
        raise InvalidRequest("audience claim found in JWT but no audiences bound to the role")


class OfJwtRole(OfLogins, frozen=True):
    """Base of those that concern one role; `name` is lower-case."""

    name: str


class ReadJwtRole(OfJwtRole, Query, frozen=True):
    """Answer: JwtRole; raises NotFound."""


class ListJwtRoles(OfLogins, Query, frozen=True):
    """Answer: names in order, from behind `after`, `limit` at most where that is not 0; raises NotFound for none."""

    after: str = ""
    limit: int = 0


class WriteJwtRole(OfJwtRole, Command, frozen=True):
    """Make or change a role. Answer: warnings, a tuple of texts.

    `sent` are converted fields, those of JwtRole and `token_…`, `spelled` those of the latter by an older name.
    """

    sent: dict[str, Any]
    spelled: tuple[str, ...] = ()
    grants: Grants = Grants()


class DeleteJwtRole(OfJwtRole, Command, frozen=True):
    """Answer: None, whether or not there is one."""


def written(
    before: JwtRole | None, sent: Mapping[str, Any], spelled: tuple[str, ...], longest: int
) -> tuple[JwtRole, tuple[str, ...]]:
    """Return a role as a request leaves it, and warnings. `longest` is the most seconds a token of the mount lives.

    Raises InvalidRequest.
    """
    role = before or JwtRole()
    own = {**_RESET, **{name: value for name, value in sent.items() if name in JwtRole.__struct_fields__}}
    _check_kind("role_type", own["role_type"])
    after = changed(role.parameters, sent)
    if after.parameters.period > longest:
        raise InvalidRequest("'period' is greater than the backend's maximum lease TTL")
    _check_kind("bound_claims_type", own["bound_claims_type"])
    made = msgspec.structs.replace(
        role, **own, parameters=after.parameters, spelled=respelled(role.spelled, sent, spelled)
    )
    _check(made)
    warnings = after.warnings
    if made.parameters.max_ttl > longest:
        warnings += (_TRUNCATED,)
    return made, warnings


def _check_kind(name: str, kind: str) -> None:
    if kind not in _ALLOWED[name]:
        raise InvalidRequest(f"invalid '{name}'")


def _check(role: JwtRole) -> None:
    for name in ("expiration_leeway", "not_before_leeway", "clock_skew_leeway", "max_age"):
        if not (0 if name == "max_age" else -MAX_LEEWAY) <= getattr(role, name) <= MAX_LEEWAY:
            raise InvalidRequest(f"{name}: at most {MAX_LEEWAY} seconds")
    for name in ("bound_audiences", "bound_claims", "claim_mappings", "allowed_redirect_uris", "oidc_scopes"):
        if len(getattr(role, name)) > MAX_ENTRIES:
            raise InvalidRequest(f"{name}: at most {MAX_ENTRIES} entries")
    _check_bound_claims(role)
    _check_mappings(role.claim_mappings)
    if not role.user_claim:
        raise InvalidRequest("a user claim must be defined on the role")
    _check_kind("callback_mode", role.callback_mode)
    if role.role_type == OIDC and not role.allowed_redirect_uris:
        raise InvalidRequest("'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.")
    bounds = (role.bound_audiences, role.parameters.bound_cidrs, role.bound_subject, role.bound_claims)
    if role.role_type == JWT and not any(bounds):
        raise InvalidRequest("must have at least one bound constraint when creating/updating a role")
    if len(role.encode()) > MAX_RECORD:
        raise InvalidRequest(f"the role takes more than {MAX_RECORD} bytes")


def _check_bound_claims(role: JwtRole) -> None:
    for value in role.bound_claims.values():
        values = value if isinstance(value, list) else [value]
        if role.bound_claims_type == GLOB:
            if not all(isinstance(each, str) for each in values):
                raise InvalidRequest("bound_claims: claim is not a string")
        elif not all(isinstance(each, str | int) for each in values):
            raise InvalidRequest("bound_claims: claim is not a string, bool, int or list of these")


def _check_mappings(mappings: Mapping[str, str]) -> None:
    if _METADATA_OF_LOGINS & set(mappings.values()):
        raise InvalidRequest('claim_mappings: metadata key "role" is reserved and may not be a mapping destination')
    if len(set(mappings.values())) != len(mappings):
        raise InvalidRequest("claim_mappings: multiple keys are mapped to one metadata key")
