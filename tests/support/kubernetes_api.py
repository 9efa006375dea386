"""A small Kubernetes API: it knows some service accounts, makes their tokens, and reviews tokens."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.jwt import Signer
from tests.support.web import site

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
AUDIENCE = "https://kubernetes.default.svc"


@dataclass
class KubernetesApi:
    """What is there, which tests change, and what was asked."""

    address: str = ""
    signer: Signer = field(default_factory=lambda: Signer.make("RS256"))
    accounts: dict[str, str] = field(default_factory=lambda: {"dev:app": "uid-1"})  # `namespace:name` to uid
    reviewers: set[str] = field(default_factory=set)  # tokens that may review, beside those under review
    status: int = 201
    answer_with: Any = None
    reviews: list[dict[str, Any]] = field(default_factory=list)
    bearers: list[str] = field(default_factory=list)

    def token(self, namespace: str = "dev", name: str = "app", uid: str = "uid-1", **claims: Any) -> str:
        """Return a token as pods have it now."""
        now = int(time.time())
        own = {
            "iss": AUDIENCE,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "aud": [AUDIENCE],
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
            **claims,
        }
        return self.signer.sign({name: value for name, value in own.items() if value is not None})

    def older_token(self, namespace: str = "dev", name: str = "app", uid: str = "uid-1") -> str:
        """Return a token without an end, as it lies in a secret."""
        prefix = "kubernetes.io/serviceaccount/"
        return self.signer.sign(
            {
                "iss": "kubernetes/serviceaccount",
                "sub": f"system:serviceaccount:{namespace}:{name}",
                f"{prefix}namespace": namespace,
                f"{prefix}secret.name": f"{name}-token",
                f"{prefix}service-account.name": name,
                f"{prefix}service-account.uid": uid,
            }
        )

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        if request.path != REVIEWS or request.method != "POST":
            return web.Response(status=404)
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        review = json.loads(await request.read())
        self.reviews.append(review)
        self.bearers.append(bearer)
        if self.answer_with is not None:
            return web.json_response(self.answer_with, status=self.status)
        if bearer not in self.reviewers and bearer != review["spec"]["token"]:
            return web.json_response({"kind": "Status", "status": "Failure", "code": 401}, status=401)
        return web.json_response({**review, "status": self._status(review["spec"])}, status=self.status)

    def _status(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Verify a token by being what would have made it: a signature is not looked at, but made anew."""
        try:
            claims = _claims_of(spec["token"])
        except ValueError:
            return {"authenticated": False, "error": "invalid bearer token"}
        account = claims["sub"].removeprefix("system:serviceaccount:")
        own = claims.get("aud", [AUDIENCE])
        audiences = [each for each in spec.get("audiences", [AUDIENCE]) if each in own]
        if self.signer.sign(claims) != spec["token"] or account not in self.accounts or not audiences:
            return {"authenticated": False, "error": "invalid bearer token"}
        user = {"username": claims["sub"], "uid": self.accounts[account], "groups": ["system:serviceaccounts"]}
        return {"authenticated": True, "user": user, "audiences": audiences}


def _claims_of(token: str) -> Any:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@contextlib.contextmanager
def kubernetes_api(context: ssl.SSLContext | None = None) -> Iterator[KubernetesApi]:
    """Run an API at a port of the loopback."""
    api = KubernetesApi()
    with site(api.answer, context) as address:
        api.address = address
        yield api
