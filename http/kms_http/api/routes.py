"""All routes of the API: sys/ and auth/, and what lies under mounts by the mount's type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.api.kv import routes as kv
from kms_http.api.sys.capabilities import SYSTEM_ROUTES
from kms_http.api.transit import routes as transit
from kms_http.routing import Router

SYSTEM: Final = Router(SYSTEM_ROUTES)
ENGINES: Final[Mapping[str, Router]] = {"kv": Router(kv.ROUTES), "transit": Router(transit.ROUTES)}
