"""Logins of service accounts: where their cluster is, and which of them a role lets in.

Source: Vault's API page `auth/kubernetes`, and what its reference answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from cryptography import x509

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.login.glob import any_matches
from kms_actors.login.jwt_config import MAX_RECORD
from kms_actors.login.jwt_keys import read_pem
from kms_actors.login.jwt_verification import MAX_TRIES
from kms_actors.login.messages import Login, OfLogins
from kms_actors.login.parameters import TokenParameters, changed, respelled
from kms_actors.messages import Command, Grants, Query
from kms_actors.untrusted import untrusted

UID: Final = "serviceaccount_uid"
NAME: Final = "serviceaccount_name"
ANY: Final = "*"

#: Entries of each list of a role.
MAX_ENTRIES: Final = 256
_NO_NAMESPACES: Final = (
    '"bound_service_account_namespaces" can not be empty if "bound_service_account_namespace_selector" is not set'
)
_BEARER: Final = re.compile(r"[!-~]*", re.ASCII)
_TRUNCATED: Final = (
    "max_ttl is greater than the system or backend mount's maximum TTL value; "
    "issued tokens' max TTL value will be truncated"
)


class KubernetesConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where a cluster's API is, and the keys that sign its tokens. Without a host, those keys alone decide."""

    kubernetes_host: str = ""
    kubernetes_ca_cert: str = ""
    token_reviewer_jwt: str = ""
    pem_keys: tuple[str, ...] = ()
    issuer: str = ""
    disable_iss_validation: bool = True
    disable_local_ca_jwt: bool = False
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> KubernetesConfig:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "configuration of a mount of logins")

    def encode(self) -> bytes:
        """Return the record as JSON; it holds a secret."""
        return stored.encode_secret(self)

    @property
    def review_url(self) -> str:
        """Where tokens are reviewed."""
        host = self.kubernetes_host if "://" in self.kubernetes_host else f"https://{self.kubernetes_host}"
        return f"{host.rstrip('/')}/apis/authentication.k8s.io/v1/tokenreviews"

    def __repr__(self) -> str:
        return "<KubernetesConfig>"


class KubernetesRole(msgspec.Struct, frozen=True, kw_only=True):
    """One role. Names and namespaces are patterns in which `*` stands for any text."""

    bound_service_account_names: tuple[str, ...] = ()
    bound_service_account_namespaces: tuple[str, ...] = ()
    audience: str = ""
    alias_name_source: str = UID
    parameters: TokenParameters = TokenParameters()
    spelled: tuple[str, ...] = ()  # fields of the token that were set by their older names
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> KubernetesRole:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "role record")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def names(self, name: str) -> bool:
        """Tell whether an account of this name is let in."""
        return any_matches(self.bound_service_account_names, name)

    def names_space(self, namespace: str) -> bool:
        """Tell whether accounts of this namespace are let in."""
        return any_matches(self.bound_service_account_namespaces, namespace)


class LoginOfAccount(Login, frozen=True):
    """Log in with the token of a service account. `role` is lower-case."""

    role: str
    jwt: str


class ReadKubernetesConfig(OfLogins, Query, frozen=True):
    """Answer: KubernetesConfig; raises NotFound where there is none."""


class WriteKubernetesConfig(OfLogins, Command, frozen=True):
    """Replace the configuration. Answer: None. `sent` are fields of KubernetesConfig."""

    sent: dict[str, Any]


class OfKubernetesRole(OfLogins, frozen=True):
    """Base of those that concern one role; `name` is lower-case."""

    name: str


class ReadKubernetesRole(OfKubernetesRole, Query, frozen=True):
    """Answer: KubernetesRole; raises NotFound."""


class ListKubernetesRoles(OfLogins, Query, frozen=True):
    """Answer: names in order, from behind `after`, `limit` at most where that is not 0; raises NotFound for none."""

    after: str = ""
    limit: int = 0


class WriteKubernetesRole(OfKubernetesRole, Command, frozen=True):
    """Make or change a role. Answer: warnings, a tuple of texts.

    `sent` are converted fields, those of KubernetesRole and `token_…`, `spelled` those of the latter by older names.
    """

    sent: dict[str, Any]
    spelled: tuple[str, ...] = ()
    grants: Grants = Grants()


class DeleteKubernetesRole(OfKubernetesRole, Command, frozen=True):
    """Answer: None, whether or not there is one."""


def configured(sent: Mapping[str, Any]) -> KubernetesConfig:
    """Return the configuration that a request leaves: all that it does not name is as if never set.

    Raises InvalidRequest.
    """
    config = KubernetesConfig(**sent)
    if not config.kubernetes_host and not config.pem_keys:
        raise InvalidRequest("no host provided")
    if config.disable_local_ca_jwt and config.kubernetes_host and not config.kubernetes_ca_cert:
        raise InvalidRequest("kubernetes_ca_cert must be given when disable_local_ca_jwt is true")
    if len(config.pem_keys) > MAX_TRIES:
        raise InvalidRequest(f"pem_keys: at most {MAX_TRIES} keys")
    for pem in config.pem_keys:
        read_pem(pem)
    if not _BEARER.fullmatch(config.token_reviewer_jwt):
        raise InvalidRequest("token_reviewer_jwt: not a token")
    if len(config.encode()) > MAX_RECORD:
        raise InvalidRequest(f"the configuration takes more than {MAX_RECORD} bytes")
    if config.kubernetes_ca_cert:
        with untrusted("kubernetes_ca_cert: not certificates in PEM"):
            x509.load_pem_x509_certificates(config.kubernetes_ca_cert.encode())
    return config


def written(
    before: KubernetesRole | None, sent: Mapping[str, Any], spelled: tuple[str, ...], longest: int
) -> tuple[KubernetesRole, tuple[str, ...]]:
    """Return a role as a request leaves it, and warnings. `longest` is the most seconds a token of the mount lives.

    Raises InvalidRequest.
    """
    role = before or KubernetesRole()
    after = changed(role.parameters, sent)
    if after.parameters.period > longest:
        raise InvalidRequest("token period is greater than the backend's maximum lease TTL")
    own = {name: value for name, value in sent.items() if name in KubernetesRole.__struct_fields__}
    made = msgspec.structs.replace(
        role, **own, parameters=after.parameters, spelled=respelled(role.spelled, sent, spelled)
    )
    _check(made)
    return made, (*after.warnings, *((_TRUNCATED,) if made.parameters.max_ttl > longest else ()))


def _check(role: KubernetesRole) -> None:
    if not role.bound_service_account_names:
        raise InvalidRequest('"bound_service_account_names" can not be empty')
    _check_names("bound_service_account_names", role.bound_service_account_names)
    if not role.bound_service_account_namespaces:
        raise InvalidRequest(_NO_NAMESPACES)
    _check_names("bound_service_account_namespaces", role.bound_service_account_namespaces)
    if role.alias_name_source not in {UID, NAME}:
        raise InvalidRequest(f"invalid alias_name_source, must be one of: {UID}, {NAME}")
    if len(role.encode()) > MAX_RECORD:
        raise InvalidRequest(f"the role takes more than {MAX_RECORD} bytes")


def _check_names(field: str, names: Sequence[str]) -> None:
    if len(names) > MAX_ENTRIES:
        raise InvalidRequest(f"{field}: at most {MAX_ENTRIES} entries")
    if len(names) > 1 and ANY in names:
        raise InvalidRequest('can not mix "*" with values')
