"""Logins by certificate: which certificates a role lets in, and what it says of their tokens.

Source: Vault's API page `auth/cert`, and what its reference answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from cryptography import x509

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.login.cert_reading import certificates_in, is_authority, serves_clients
from kms_actors.login.messages import Login, OfLogins
from kms_actors.login.parameters import TokenParameters, changed, respelled
from kms_actors.messages import Command, Grants, Query
from kms_actors.mounts import SYSTEM_LEASE_TTL, Mount

#: Entries of each list of a role, and bytes of all of it.
MAX_ENTRIES: Final = 256
MAX_ROLE: Final = 32 * 1024
#: Certificates that a client shows, and their bytes.
MAX_CHAIN: Final = 10
MAX_CHAIN_BYTES: Final = 64 * 1024
#: Roles among which one is looked for, where a login names none.
MAX_SEARCHED: Final = 256

INVALID: Final = "invalid certificate or no client certificate supplied"
NOT_MATCHED: Final = "no chain matching all constraints could be found for this login certificate"
NO_TLS: Final = "tls connection required"
NOT_SHOWN: Final = "no client certificate found"
CHANGED: Final = "policies have changed, not renewing"
ANOTHER: Final = "client identity during renewal not matching client identity used during login"
GONE: Final = "the role of the token is gone, not renewing"
_LISTS: Final = (
    "allowed_names",
    "allowed_common_names",
    "allowed_dns_sans",
    "allowed_email_sans",
    "allowed_uri_sans",
    "allowed_organizational_units",
    "required_extensions",
    "allowed_metadata_extensions",
)


class CertConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a mount. Without `disable_binding`, who renews a token shows the certificate of its login."""

    disable_binding: bool = False
    enable_identity_alias_metadata: bool = False
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> CertConfig:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "configuration of a mount of logins")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)


class CertRole(msgspec.Struct, frozen=True, kw_only=True):
    """One role. `certificate` are authorities, or one certificate that is trusted itself; lists hold patterns."""

    certificate: str = ""
    display_name: str = ""
    allowed_names: tuple[str, ...] = ()
    allowed_common_names: tuple[str, ...] = ()
    allowed_dns_sans: tuple[str, ...] = ()
    allowed_email_sans: tuple[str, ...] = ()
    allowed_uri_sans: tuple[str, ...] = ()
    allowed_organizational_units: tuple[str, ...] = ()
    required_extensions: tuple[str, ...] = ()
    allowed_metadata_extensions: tuple[str, ...] = ()
    parameters: TokenParameters = TokenParameters()
    spelled: tuple[str, ...] = ()  # fields of the token that were set by their older names
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> CertRole:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "role record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def __repr__(self) -> str:
        return "<CertRole>"


class LoginByCertificate(Login, frozen=True):
    """Log in with what the connection's client has shown, DER, its own first; None without TLS.

    `name` is a role's, lower-case; empty: whichever fits.
    """

    name: str
    certificates: tuple[bytes, ...] | None


class ReadCertConfig(OfLogins, Query, frozen=True):
    """Answer: CertConfig, what holds by default where none was written."""


class WriteCertConfig(OfLogins, Command, frozen=True):
    """Change what `sent` names of the configuration. Answer: None."""

    sent: dict[str, Any]


class OfCertRole(OfLogins, frozen=True):
    """Base of those that concern one role; `name` is lower-case."""

    name: str


class ReadCertRole(OfCertRole, Query, frozen=True):
    """Answer: CertRole; raises NotFound."""


class ListCertRoles(OfLogins, Query, frozen=True):
    """Answer: names in order, from behind `after`, `limit` at most where that is not 0; raises NotFound for none."""

    after: str = ""
    limit: int = 0


class WriteCertRole(OfCertRole, Command, frozen=True):
    """Make or change a role. Answer: warnings, a tuple of texts.

    `sent` are converted fields, those of CertRole and `token_…`, `spelled` those of the latter by older names.
    """

    sent: dict[str, Any]
    spelled: tuple[str, ...] = ()
    grants: Grants = Grants()


class DeleteCertRole(OfCertRole, Command, frozen=True):
    """Answer: None, whether or not there is one."""


def written(
    before: CertRole | None, name: str, sent: Mapping[str, Any], spelled: tuple[str, ...], mount: Mount
) -> tuple[CertRole, tuple[str, ...]]:
    """Return a role as a request leaves it, and warnings. Raises InvalidRequest."""
    role = before or CertRole()
    if sent.get("token_max_ttl", role.parameters.max_ttl) and sent.get("token_ttl", role.parameters.ttl) > sent.get(
        "token_max_ttl", role.parameters.max_ttl
    ):
        raise InvalidRequest("'token_ttl' cannot be greater than 'token_max_ttl'")
    after = changed(role.parameters, sent)
    own = {field: value for field, value in sent.items() if field in CertRole.__struct_fields__}
    made = msgspec.structs.replace(
        role, **own, parameters=after.parameters, spelled=respelled(role.spelled, sent, spelled)
    )
    if not made.display_name:
        made = msgspec.structs.replace(made, display_name=name)
    _check(made)
    return made, (*_warnings(made.parameters, mount), *after.warnings)


def certificates_of(pem: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates that a role is to trust. Raises InvalidRequest. They are kept for a while."""
    if len(pem) > MAX_ROLE:
        raise InvalidRequest(f"the role takes more than {MAX_ROLE} bytes")
    found = certificates_in(pem)
    if not found:
        raise InvalidRequest("failed to parse certificate")
    return found


def _check(role: CertRole) -> None:
    for field in _LISTS:
        if len(getattr(role, field)) > MAX_ENTRIES:
            raise InvalidRequest(f"{field}: at most {MAX_ENTRIES} entries")
    if len(role.encode()) > MAX_ROLE:
        raise InvalidRequest(f"the role takes more than {MAX_ROLE} bytes")
    found = certificates_of(role.certificate)
    if not is_authority(found[0]) and not serves_clients(found[0]):
        raise InvalidRequest("nonCA certificates should have TLS client authentication set as an extended key usage")


def _warnings(parameters: TokenParameters, mount: Mount) -> tuple[str, ...]:
    default = mount.config.default_lease_ttl or SYSTEM_LEASE_TTL
    longest = mount.config.max_lease_ttl or SYSTEM_LEASE_TTL
    found = []
    for name, value, most in (("ttl", parameters.ttl, default), ("max_ttl", parameters.max_ttl, longest)):
        if value > most:
            found.append(
                f"Given {name} of {value} seconds is greater than current mount/system default of {most} seconds"
            )
    if parameters.period > longest:
        found.append(
            f"Given period of {parameters.period} seconds is greater than the backend's maximum TTL of {longest} "
            "seconds"
        )
    return tuple(found)
