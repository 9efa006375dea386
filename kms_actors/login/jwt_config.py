"""How a mount verifies tokens: by keys that are given, by a key set at a URL, or by an issuer that is discovered.

Source: Vault's API page `auth/jwt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from cryptography import x509

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.login.jwt_algorithms import ALGORITHMS
from kms_actors.login.jwt_keys import read_pem
from kms_actors.login.jwt_verification import MAX_TRIES
from kms_actors.login.messages import OfLogins
from kms_actors.messages import Command, Query
from kms_actors.untrusted import untrusted

WELL_KNOWN: Final = ".well-known/openid-configuration"
#: Bytes of the record of a mount's configuration, and of a role's.
MAX_RECORD: Final = 64 * 1024
#: Algorithms where none are named: of tokens that are sent, and of those that the browser flow brings.
ALL_ALGORITHMS: Final = tuple(ALGORITHMS)
FLOW_ALGORITHMS: Final = ("RS256",)

_RESPONSE_TYPES: Final = frozenset({"code", "id_token"})
_ONE_SOURCE: Final = "exactly one of 'jwt_validation_pubkeys', 'jwks_url' or 'oidc_discovery_url' must be set"


class JwtConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of a mount; texts are empty where there is none."""

    jwt_validation_pubkeys: tuple[str, ...] = ()
    jwks_url: str = ""
    jwks_ca_pem: str = ""
    oidc_discovery_url: str = ""
    oidc_discovery_ca_pem: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_response_mode: str = ""
    oidc_response_types: tuple[str, ...] = ()
    bound_issuer: str = ""
    jwt_supported_algs: tuple[str, ...] = ()
    default_role: str = ""
    namespace_in_state: bool = True
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> JwtConfig:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "configuration of a mount of logins")

    def encode(self) -> bytes:
        """Return the record as JSON; it holds a secret."""
        return stored.encode_secret(self)

    @property
    def has_flow(self) -> bool:
        """Whether it is for logins by a browser."""
        return bool(self.oidc_discovery_url and self.oidc_client_id)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Those that tokens may be signed by which callers send."""
        return self.jwt_supported_algs or ALL_ALGORITHMS

    @property
    def flow_algorithms(self) -> tuple[str, ...]:
        """Those that tokens may be signed by which a browser flow brings."""
        return self.jwt_supported_algs or FLOW_ALGORITHMS

    @property
    def implicit(self) -> bool:
        """Whether the browser brings the token itself, not a code that is traded for it."""
        return "id_token" in self.oidc_response_types

    def __repr__(self) -> str:
        return "<JwtConfig>"


class ReadJwtConfig(OfLogins, Query, frozen=True):
    """Answer: ShownJwtConfig; raises NotFound where there is none."""


class ShownJwtConfig(msgspec.Struct, frozen=True):
    """A configuration, and whether its keys can be had now: what fails is said in `problem`."""

    config: JwtConfig
    problem: str = ""


class WriteJwtConfig(OfLogins, Command, frozen=True):
    """Replace the configuration. Answer: warnings, a tuple of texts.

    `sent` are fields of JwtConfig. Unless `unchecked`, the keys must be there now.
    """

    sent: dict[str, Any]
    unchecked: bool = False


def configured(before: JwtConfig | None, sent: dict[str, Any]) -> JwtConfig:
    """Return the configuration that a request leaves: all that it does not name is as if never set.

    But `namespace_in_state` stays. Raises InvalidRequest.
    """
    kept = {"namespace_in_state": before.namespace_in_state} if before is not None else {}
    config = JwtConfig(**{**kept, **sent})
    _check(config)
    return config


def _check(config: JwtConfig) -> None:
    if sum(map(bool, (config.jwt_validation_pubkeys, config.jwks_url, config.oidc_discovery_url))) != 1:
        raise InvalidRequest(_ONE_SOURCE)
    if bool(config.oidc_client_id) != bool(config.oidc_client_secret):
        raise InvalidRequest("both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC")
    if WELL_KNOWN in config.oidc_discovery_url:
        raise InvalidRequest("'oidc_discovery_url' contains '.well-known' component")
    if config.oidc_client_id and not config.oidc_discovery_url:
        raise InvalidRequest("'oidc_discovery_url' must be set for OIDC")
    if len(config.jwt_validation_pubkeys) > MAX_TRIES:
        raise InvalidRequest(f"jwt_validation_pubkeys: at most {MAX_TRIES} keys")
    for pem in config.jwt_validation_pubkeys:
        read_pem(pem)
    for name in ("jwks_ca_pem", "oidc_discovery_ca_pem"):
        _check_ca(name, getattr(config, name))
    if not ALGORITHMS.keys() >= set(config.jwt_supported_algs):
        raise InvalidRequest("invalid jwt_supported_algs: unsupported signing algorithm")
    _check_responses(config.oidc_response_mode, config.oidc_response_types)
    if len(stored.encode(config)) > MAX_RECORD:
        raise InvalidRequest(f"the configuration takes more than {MAX_RECORD} bytes")


def _check_ca(name: str, pem: str) -> None:
    if len(pem) > MAX_RECORD:
        raise InvalidRequest(f"error checking {name}: longer than {MAX_RECORD} bytes")
    if pem:
        with untrusted(f"error checking {name}: not certificates in PEM"):
            x509.load_pem_x509_certificates(pem.encode())


def _check_responses(mode: str, types: Sequence[str]) -> None:
    if not _RESPONSE_TYPES.issuperset(types):
        raise InvalidRequest("invalid response_types. 'code' and 'id_token' are allowed")
    if mode not in {"", "query", "form_post"}:
        raise InvalidRequest("invalid response_mode")
    if mode != "form_post" and "id_token" in types:
        raise InvalidRequest("query response_mode may not be used with an id_token response_type")
