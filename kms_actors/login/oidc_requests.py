"""The browser flow's requests: from the URL that a browser is sent to, until it comes back with a code.

A request is known by its state, which the browser carries along. Each lies in one of so many places, by the digest of
its state, so that what anybody may begin never takes more room than those.

Source: OpenID Connect Core 1.0, sections 3.1.2 and 3.2.2; RFC 7636 (PKCE); RFC 8252, section 7.3, for loopback URIs.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.login.jwt_config import JwtConfig
from kms_actors.login.jwt_issuer import Issuer
from kms_actors.login.jwt_role import JwtRole

#: Seconds that a browser may take.
LIFETIME: Final = 600
#: Places for requests of one mount, and how many of them are looked at for a free one.
PLACES: Final = 8192
TRIES: Final = 8
#: Characters of what a client sends.
MAX_TEXT: Final = 2048

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_NAMESPACE: Final = "namespace"


class Drawn(NamedTuple):
    """What a request will be called, and its secrets; drawn before, since transactions run twice."""

    states: tuple[str, ...]
    nonce: str
    verifier: str

    def __repr__(self) -> str:
        return "<Drawn>"


class OidcRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is under way; `ends` is in seconds since 1970.

    `code` and `id_token`, which was verified, are what a form has brought already.
    """

    state: str
    role: str
    redirect_uri: str
    nonce: str
    verifier: str
    client_nonce: str = ""
    ends: float
    code: str = ""
    id_token: str = ""
    format: int = stored.FORMAT

    @classmethod
    def decode(cls, raw: bytes) -> OidcRequest:
        """Return the record that `encode` wrote; FormatError if it is none, or of another format."""
        return stored.decode(raw, cls, "request of a browser flow")

    def encode(self) -> bytes:
        """Return the record as JSON."""
        return stored.encode(self)

    def is_good(self, state: str, now: float) -> bool:
        """Tell whether it is the request of this state, and not over."""
        return secrets.compare_digest(self.state.encode(), state.encode(errors="replace")) and now < self.ends

    def __repr__(self) -> str:
        return "<OidcRequest>"


def draw() -> Drawn:
    """Return names and secrets of a new request."""
    states = tuple(f"st_{secrets.token_urlsafe(24)}" for _ in range(TRIES))
    return Drawn(states, f"n_{secrets.token_urlsafe(24)}", secrets.token_urlsafe(48))


def place_of(state: str) -> int:
    """Return the number of the place where a request lies."""
    return int.from_bytes(hashlib.sha256(state.encode(errors="replace")).digest()[:8], "big") % PLACES


def redirect_of(config: JwtConfig, role: JwtRole, sent: str) -> tuple[str, str] | None:
    """Return a redirect URI and the namespace that the state is to carry; None where the role does not allow it.

    Of URIs on the loopback, the port may be any. Raises InvalidRequest without one.
    """
    if not sent:
        raise InvalidRequest("missing redirect_uri")
    if len(sent) > MAX_TEXT:
        return None
    uri, namespace = _without_namespace(sent) if config.namespace_in_state else (sent, "")
    return (uri, namespace) if _is_allowed(uri, role.allowed_redirect_uris) else None


def authorization_url(
    config: JwtConfig, issuer: Issuer, role: JwtRole, request: OidcRequest, namespace: str = ""
) -> str:
    """Return where the browser is to go; raises InvalidRequest where the issuer has no such place."""
    parts = urlsplit(issuer.authorization_endpoint)
    if parts.scheme not in {"https", "http"} or not parts.netloc:
        raise InvalidRequest("the issuer has no authorization endpoint")
    fields = {
        "client_id": config.oidc_client_id,
        "nonce": request.nonce,
        "redirect_uri": request.redirect_uri,
        "response_type": "id_token" if config.implicit else "code",
        "scope": " ".join(dict.fromkeys(("openid", *role.oidc_scopes))),
        "state": f"{request.state},ns={namespace}" if namespace else request.state,
    }
    if config.oidc_response_mode == "form_post":
        fields["response_mode"] = "form_post"
    if not config.implicit:
        fields |= {"code_challenge": challenge_of(request.verifier), "code_challenge_method": "S256"}
    if role.max_age:
        fields["max_age"] = str(role.max_age)
    query = urlencode([*parse_qsl(parts.query), *sorted(fields.items())])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def challenge_of(verifier: str) -> str:
    """Return the challenge of a code verifier (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _without_namespace(uri: str) -> tuple[str, str]:
    """Return a URI without the namespace in its query, and that."""
    try:
        parts = urlsplit(uri)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return uri, ""
    namespace = next((value for name, value in query if name == _NAMESPACE), "")
    if not namespace:
        return uri, ""
    rest = urlencode([(name, value) for name, value in query if name != _NAMESPACE])
    return urlunsplit(parts._replace(query=rest)), namespace


def _is_allowed(uri: str, allowed: Sequence[str]) -> bool:
    own = _without_port(uri)
    return uri in allowed or (own is not None and own in [_without_port(each) for each in allowed])


def _without_port(uri: str) -> str | None:
    """Return a URI of the loopback without its port; None of any other."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:
        return None
    return urlunsplit(parts._replace(netloc=host)) if host in _LOOPBACK and "@" not in parts.netloc else None
