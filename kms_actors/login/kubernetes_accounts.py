"""Service accounts: as their tokens name them, and as their cluster does that reviews a token.

What a token says is compared with the review, which decides, where a cluster is asked; else its signature does.

Source: Kubernetes API, `authentication.k8s.io/v1` TokenReview; its documentation of service account tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kms_actors.errors import InvalidRequest, LoginRefused
from kms_actors.login.jwt_claims import MAX_TEXT, Claims, Expected, audiences_of, check_registered
from kms_actors.login.jwt_json import read_object
from kms_actors.login.kubernetes import UID, KubernetesConfig, KubernetesRole
from kms_actors.login.outcome import Outcome

#: Algorithms that clusters sign by.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")

_DEFAULT_ISSUER: Final = "kubernetes/serviceaccount"
_OLDER: Final = "kubernetes.io/serviceaccount/"
_USER: Final = "system:serviceaccount:"


class Account(msgspec.Struct, frozen=True):
    """A service account, as a token names it; `secret` is where tokens without an end are kept."""

    namespace: str
    name: str
    uid: str
    secret: str = ""


def account_of(claims: Claims) -> Account:
    """Return the account that a token is of, in the newer form or the older one; raises LoginRefused."""
    bound = claims.get("kubernetes.io")
    if isinstance(bound, dict):
        account = bound.get("serviceaccount")
        of = account if isinstance(account, dict) else {}
        found = Account(_text(bound, "namespace"), _text(of, "name"), _text(of, "uid"))
    else:
        found = Account(
            _text(claims, f"{_OLDER}namespace"),
            _text(claims, f"{_OLDER}service-account.name"),
            _text(claims, f"{_OLDER}service-account.uid"),
            _text(claims, f"{_OLDER}secret.name"),
        )
    if not (found.namespace and found.name and found.uid):
        raise LoginRefused("the token is not one of a service account")
    return found


def check_claims(claims: Claims, config: KubernetesConfig, role: KubernetesRole, now: float) -> None:
    """Raise LoginRefused unless the registered claims are as configuration and role ask for."""
    issuer = "" if config.disable_iss_validation else config.issuer or _DEFAULT_ISSUER
    audiences = (role.audience,) if role.audience else ()
    try:
        check_registered(claims, Expected(issuer=issuer, audiences=audiences, times_needed=False), now)
    except InvalidRequest as refused:
        raise LoginRefused(str(refused)) from None


def check_account(account: Account, role: KubernetesRole) -> None:
    """Raise LoginRefused unless a role lets in an account."""
    if not role.names(account.name):
        raise LoginRefused("service account name not authorized")
    if not role.names_space(account.namespace):
        raise LoginRefused("namespace not authorized")


def review_of(token: str, claims: Claims, role: KubernetesRole) -> bytes:
    """Return the body of a request to review a token: for the audience of the role, or any of the token's own."""
    spec: dict[str, Any] = {"token": token}
    audiences = wanted_audiences(claims, role)
    if audiences:
        spec["audiences"] = audiences
    kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    return msgspec.json.encode({**kind, "spec": spec})


def wanted_audiences(claims: Claims, role: KubernetesRole) -> list[str]:
    """Return the audiences of which a reviewed token must have one; none where the cluster's own will do."""
    return [role.audience] if role.audience else audiences_of(claims)


def check_review(body: bytes, account: Account, audiences: list[str]) -> None:
    """Raise LoginRefused unless a review says that a token is good, and of this account."""
    try:
        status = read_object(body, "review").get("status")
    except InvalidRequest:
        raise LoginRefused("the answer is no review") from None
    if not isinstance(status, dict) or status.get("error") or status.get("authenticated") is not True:
        raise LoginRefused("service account jwt not valid")
    if audiences:
        found = status.get("audiences")
        if not isinstance(found, list) or not any(each in found for each in audiences):
            raise LoginRefused("service account jwt is for other audiences")
    user = status.get("user")
    of = user if isinstance(user, dict) else {}
    if of.get("username") != f"{_USER}{account.namespace}:{account.name}" or of.get("uid") != account.uid:
        raise LoginRefused("the review is of another account")


def outcome_of(account: Account, name: str, role: KubernetesRole) -> Outcome:
    """Return what a login of an account by a role has proved."""
    known = {
        "service_account_uid": account.uid,
        "service_account_name": account.name,
        "service_account_namespace": account.namespace,
        "service_account_secret_name": account.secret,
    }
    return Outcome(
        alias=account.uid if role.alias_name_source == UID else f"{account.namespace}/{account.name}",
        display_name=f"{account.namespace}-{account.name}",
        metadata={**known, "role": name},
        alias_metadata=known,
        parameters=role.parameters,
        role=name,
    )


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name, "")
    return value if isinstance(value, str) and len(value) <= MAX_TEXT else ""
