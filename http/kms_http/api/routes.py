"""All routes of the API: sys/, auth/ and cubbyhole/, and what lies under mounts by the mount's engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.api.auth import texts as auth_texts
from kms_http.api.auth.roles import ROLE_ROUTES
from kms_http.api.auth.token import OWN_TOKEN_ROUTES
from kms_http.api.auth.tokens import OTHER_TOKEN_ROUTES
from kms_http.api.cubbyhole import CUBBYHOLE_ROUTES
from kms_http.api.identity import texts as identity_texts
from kms_http.api.identity.routes import IDENTITY_ROUTES
from kms_http.api.kv import routes as kv
from kms_http.api.kv import texts as kv_texts
from kms_http.api.kv import unversioned as kv_v1
from kms_http.api.login import approle, cert, jwt, kubernetes, userpass
from kms_http.api.login import texts as login_texts
from kms_http.api.sys import texts as sys_texts
from kms_http.api.sys.activity import ACTIVITY_ROUTES
from kms_http.api.sys.audit import AUDIT_ROUTES
from kms_http.api.sys.auth_methods import AUTH_ROUTES
from kms_http.api.sys.capabilities import Capabilities
from kms_http.api.sys.cors import CORS_ROUTES
from kms_http.api.sys.counters import COUNTER_ROUTES
from kms_http.api.sys.inspection import INSPECTION_ROUTES
from kms_http.api.sys.keyring import KEYRING_ROUTES
from kms_http.api.sys.leases import LEASE_ROUTES
from kms_http.api.sys.locked_users import LOCKED_ROUTES
from kms_http.api.sys.namespaces import NAMESPACE_ROUTES
from kms_http.api.sys.node import NODE_ROUTES
from kms_http.api.sys.none_there import NONE_THERE_ROUTES
from kms_http.api.sys.plugins import PLUGIN_ROUTES
from kms_http.api.sys.policies import POLICY_ROUTES
from kms_http.api.sys.quotas import QUOTA_ROUTES
from kms_http.api.sys.rekey import REKEY_ROUTES
from kms_http.api.sys.remount import REMOUNT_ROUTES
from kms_http.api.sys.root_tokens import ROOT_TOKEN_ROUTES
from kms_http.api.sys.seal import SEAL_ROUTES
from kms_http.api.sys.specs import specs_routes
from kms_http.api.sys.system import SYS_ROUTES
from kms_http.api.sys.tenants import TENANT_ROUTES
from kms_http.api.sys.tools import TOOLS_ROUTES
from kms_http.api.sys.ui_headers import HEADER_ROUTES
from kms_http.api.sys.visible_mounts import VISIBLE_ROUTES
from kms_http.api.sys.watching import WATCHING_ROUTES
from kms_http.api.sys.wrapping import WRAPPING_ROUTES
from kms_http.api.transit import routes as transit
from kms_http.api.transit import texts as transit_texts
from kms_http.describing.about import Backend, Texts, below
from kms_http.describing.catalogue import Catalogue
from kms_http.routing import Router

_TOKEN_ROUTES: Final = (*OWN_TOKEN_ROUTES, *OTHER_TOKEN_ROUTES, *ROLE_ROUTES)


def _catalogue() -> Catalogue:
    return CATALOGUE


_ENGINES: Final[Mapping[str, Backend]] = {
    "kv": Backend("kv", "secrets", kv_texts.VERSIONED, kv.ROUTES, kv_texts.TEXTS),
    "kv-v1": Backend("kv-v1", "secrets", kv_texts.UNVERSIONED, kv_v1.ROUTES, kv_texts.UNVERSIONED_TEXTS),
    "jwt": Backend("jwt", "auth", login_texts.JWT, jwt.ROUTES, login_texts.JWT_TEXTS),
    "cert": Backend("cert", "auth", login_texts.CERT, cert.ROUTES, login_texts.CERT_TEXTS),
    "kubernetes": Backend(
        "kubernetes", "auth", login_texts.KUBERNETES, kubernetes.ROUTES, login_texts.KUBERNETES_TEXTS
    ),
    "oidc": Backend("oidc", "auth", login_texts.JWT, jwt.ROUTES, login_texts.JWT_TEXTS),
    "transit": Backend("transit", "secrets", transit_texts.DESCRIPTION, transit.ROUTES, transit_texts.TEXTS),
    "approle": Backend("approle", "auth", login_texts.APPROLE, approle.ROUTES, login_texts.APPROLE_TEXTS),
    "userpass": Backend("userpass", "auth", login_texts.USERPASS, userpass.ROUTES, login_texts.USERPASS_TEXTS),
}
ENGINES: Final[Mapping[str, Router]] = {name: Router(backend.routes) for name, backend in _ENGINES.items()}

SYSTEM_ROUTES: Final = Capabilities(
    (
        *SEAL_ROUTES,
        *AUDIT_ROUTES,
        *KEYRING_ROUTES,
        *REKEY_ROUTES,
        *ROOT_TOKEN_ROUTES,
        *AUTH_ROUTES,
        *LOCKED_ROUTES,
        *SYS_ROUTES,
        *REMOUNT_ROUTES,
        *VISIBLE_ROUTES,
        *POLICY_ROUTES,
        *_TOKEN_ROUTES,
        *LEASE_ROUTES,
        *QUOTA_ROUTES,
        *TENANT_ROUTES,
        *TOOLS_ROUTES,
        *IDENTITY_ROUTES,
        *WRAPPING_ROUTES,
        *specs_routes(_catalogue),
        *NODE_ROUTES,
        *NONE_THERE_ROUTES,
        *HEADER_ROUTES,
        *CORS_ROUTES,
        *WATCHING_ROUTES,
        *PLUGIN_ROUTES,
        *COUNTER_ROUTES,
        *ACTIVITY_ROUTES,
        *INSPECTION_ROUTES,
        *NAMESPACE_ROUTES,
        *CUBBYHOLE_ROUTES,
    ),
    ENGINES,
).routes
SYSTEM: Final = Router(SYSTEM_ROUTES)


def _system(name: str, prefix: str, tag: str, description: str, texts: Texts) -> Backend:
    return Backend(name, tag, description, below(SYSTEM_ROUTES, prefix), texts, prefix)


_SYSTEM: Final = (
    _system("system", "sys/", "system", sys_texts.DESCRIPTION, sys_texts.TEXTS),
    _system("token", "auth/token/", "auth", auth_texts.DESCRIPTION, auth_texts.TEXTS),
    _system("identity", "identity/", "identity", identity_texts.DESCRIPTION, identity_texts.TEXTS),
    _system("cubbyhole", "cubbyhole/", "secrets", sys_texts.CUBBYHOLE, sys_texts.CUBBYHOLE_TEXTS),
)
#: All routes with what is told of them.
BACKENDS: Final = (*_SYSTEM, *_ENGINES.values())
CATALOGUE: Final = Catalogue(_SYSTEM, _ENGINES)
