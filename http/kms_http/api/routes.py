"""All routes of the API: sys/, auth/ and cubbyhole/, and what lies under mounts by the mount's engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.api.auth.roles import ROLE_ROUTES
from kms_http.api.auth.token import OWN_TOKEN_ROUTES
from kms_http.api.auth.tokens import OTHER_TOKEN_ROUTES
from kms_http.api.cubbyhole import CUBBYHOLE_ROUTES
from kms_http.api.identity.routes import IDENTITY_ROUTES
from kms_http.api.kv import routes as kv
from kms_http.api.kv import unversioned as kv_v1
from kms_http.api.login import approle, cert, jwt, kubernetes, userpass
from kms_http.api.sys.auth_methods import AUTH_ROUTES
from kms_http.api.sys.capabilities import Capabilities
from kms_http.api.sys.keyring import KEYRING_ROUTES
from kms_http.api.sys.leases import LEASE_ROUTES
from kms_http.api.sys.locked_users import LOCKED_ROUTES
from kms_http.api.sys.policies import POLICY_ROUTES
from kms_http.api.sys.quotas import QUOTA_ROUTES
from kms_http.api.sys.seal import SEAL_ROUTES
from kms_http.api.sys.system import SYS_ROUTES
from kms_http.api.sys.tenants import TENANT_ROUTES
from kms_http.api.sys.tools import TOOLS_ROUTES
from kms_http.api.sys.visible_mounts import VISIBLE_ROUTES
from kms_http.api.sys.wrapping import WRAPPING_ROUTES
from kms_http.api.transit import routes as transit
from kms_http.routing import Router

_TOKEN_ROUTES: Final = (*OWN_TOKEN_ROUTES, *OTHER_TOKEN_ROUTES, *ROLE_ROUTES)

SYSTEM_ROUTES: Final = Capabilities(
    (
        *SEAL_ROUTES,
        *KEYRING_ROUTES,
        *AUTH_ROUTES,
        *LOCKED_ROUTES,
        *SYS_ROUTES,
        *VISIBLE_ROUTES,
        *POLICY_ROUTES,
        *_TOKEN_ROUTES,
        *LEASE_ROUTES,
        *QUOTA_ROUTES,
        *TENANT_ROUTES,
        *TOOLS_ROUTES,
        *IDENTITY_ROUTES,
        *WRAPPING_ROUTES,
        *CUBBYHOLE_ROUTES,
    )
).routes
SYSTEM: Final = Router(SYSTEM_ROUTES)
ENGINES: Final[Mapping[str, Router]] = {
    "kv": Router(kv.ROUTES),
    "kv-v1": Router(kv_v1.ROUTES),
    "jwt": Router(jwt.ROUTES),
    "cert": Router(cert.ROUTES),
    "kubernetes": Router(kubernetes.ROUTES),
    "oidc": Router(jwt.ROUTES),
    "transit": Router(transit.ROUTES),
    "approle": Router(approle.ROUTES),
    "userpass": Router(userpass.ROUTES),
}
