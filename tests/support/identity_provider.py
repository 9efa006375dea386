"""A small OpenID provider: discovery, keys, a browser flow that asks nobody, tokens and userinfo."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode

from aiohttp import web

from tests.support.jwt import Signer, b64, key_set
from tests.support.web import site

CLIENT_ID = "kms & co"
CLIENT_SECRET = "s3cret:/?"


@dataclass
class IdentityProvider:
    """What it says, which tests change, and what it was asked."""

    address: str = ""
    signers: list[Signer] = field(default_factory=lambda: [Signer.make("ES256", "k1")])
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "anna"})
    user_info: dict[str, Any] | None = None
    document: dict[str, Any] = field(default_factory=dict)  # in place of what discovery says
    status: int = 200  # of discovery and keys
    token_answer: dict[str, Any] | None = None
    asked: Counter[str] = field(default_factory=Counter)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _access: str = ""

    @property
    def keys_url(self) -> str:
        return f"{self.address}/keys"

    def token(self, signer: Signer | None = None, **claims: Any) -> str:
        """Return a token as applications get it, good now."""
        now = int(time.time())
        own = {"iss": self.address, "aud": "kms", "iat": now, "exp": now + 300, **self.claims, **claims}
        return (signer or self.signers[-1]).sign({name: value for name, value in own.items() if value is not None})

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        self.asked[request.path] += 1
        match request.path:
            case "/.well-known/openid-configuration":
                return web.json_response(self._document(), status=self.status)
            case "/keys":
                return web.Response(body=key_set(*self.signers), status=self.status)
            case "/authorize":
                return self._authorize({name: values[0] for name, values in parse_qs(request.query_string).items()})
            case "/token":
                return self._trade(request.headers.get("Authorization", ""), parse_qs(await request.text()))
            case "/userinfo":
                good = request.headers.get("Authorization") == f"Bearer {self._access}"
                return web.json_response(self.user_info, status=200 if good and self.user_info else 401)
        return web.Response(status=404)

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.address,
            "jwks_uri": self.keys_url,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "userinfo_endpoint": f"{self.address}/userinfo",
            **self.document,
        }

    def _authorize(self, query: dict[str, str]) -> web.Response:
        """Send the browser back, as if somebody had proved who he is."""
        assert query["client_id"] == CLIENT_ID
        assert "openid" in query["scope"].split()
        found = {"state": query["state"]}
        if query["response_type"] == "id_token":
            found["id_token"] = self.token(aud=CLIENT_ID, nonce=query["nonce"])
        else:
            found["code"] = secrets.token_urlsafe(16)
            self._codes[found["code"]] = query
        if query.get("response_mode") == "form_post":
            return web.json_response({"action": query["redirect_uri"], "fields": found})
        return web.Response(status=302, headers={"Location": f"{query['redirect_uri']}?{urlencode(found)}"})

    def _trade(self, authorization: str, form: dict[str, list[str]]) -> web.Response:
        if self.token_answer is not None:
            return web.json_response(self.token_answer)
        query = self._codes.pop(form["code"][0], None)
        kind, _, words = authorization.partition(" ")
        if kind == "Basic":
            client = [unquote_plus(word) for word in base64.b64decode(words).decode().split(":")]
        else:
            client = [form.get("client_id", [""])[0], form.get("client_secret", [""])[0]]
        verifier = form.get("code_verifier", [""])[0]
        challenge = b64(hashlib.sha256(verifier.encode()).digest())
        if (
            query is None
            or client != [CLIENT_ID, CLIENT_SECRET]
            or challenge != query["code_challenge"]
            or form["redirect_uri"][0] != query["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        self._access = secrets.token_urlsafe(16)
        id_token = self.token(aud=CLIENT_ID, nonce=query["nonce"])
        return web.json_response({"id_token": id_token, "access_token": self._access, "token_type": "Bearer"})


@contextlib.contextmanager
def identity_provider(context: ssl.SSLContext | None = None) -> Iterator[IdentityProvider]:
    """Run a provider at a port of the loopback."""
    provider = IdentityProvider()
    with site(provider.answer, context) as address:
        provider.address = address
        yield provider


def form_of(answer: bytes) -> tuple[str, dict[str, str]]:
    """Return where a browser would send the form that the provider answered, and its fields."""
    found = json.loads(answer)
    return found["action"], found["fields"]
