"""What an issuer publishes of itself: where its keys are, and where its browser flow goes.

Source: OpenID Connect Discovery 1.0, sections 3 and 4.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_config import WELL_KNOWN
from kms_actors.login.jwt_json import read_object

_LONGEST: Final = 2048


class Issuer(msgspec.Struct, frozen=True):
    """An issuer's document; an address that it does not have is empty."""

    name: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    basic_authentication: bool = True  # else the client names itself in the form


def document_url(discovery_url: str) -> str:
    """Return where the document of an issuer is."""
    return f"{discovery_url.removesuffix('/')}/{WELL_KNOWN}"


def read_issuer(text: bytes, discovery_url: str) -> Issuer:
    """Return what the document at `document_url` says; raises InvalidRequest for one of another issuer, or none."""
    document = read_object(text, "document of the issuer")
    if document.get("issuer") != discovery_url:
        raise InvalidRequest("the document of the issuer is of another one: its name must be the URL, to the letter")
    methods = document.get("token_endpoint_auth_methods_supported")
    issuer = Issuer(
        discovery_url,
        _url(document, "jwks_uri"),
        _url(document, "authorization_endpoint"),
        _url(document, "token_endpoint"),
        _url(document, "userinfo_endpoint"),
        not isinstance(methods, list) or "client_secret_basic" in methods,
    )
    if not issuer.jwks_uri:
        raise InvalidRequest("the document of the issuer does not say where its keys are")
    return issuer


def _url(document: dict[str, Any], name: str) -> str:
    value = document.get(name, "")
    return value if isinstance(value, str) and len(value) <= _LONGEST else ""
