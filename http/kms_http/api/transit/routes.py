"""The routes of a Transit mount."""

from __future__ import annotations

from typing import Final

from kms_http.api.transit import (
    backup as transit_backup,
)
from kms_http.api.transit import (
    certificates as transit_certificates,
)
from kms_http.api.transit import (
    crypt as transit_crypt,
)
from kms_http.api.transit import (
    export as transit_export,
)
from kms_http.api.transit import (
    imports as transit_import,
)
from kms_http.api.transit import (
    keys as transit_keys,
)
from kms_http.api.transit import (
    macs as transit_macs,
)
from kms_http.api.transit import (
    sign as transit_sign,
)
from kms_http.api.transit import (
    tools as transit_tools,
)
from kms_http.routing import Route

ROUTES: Final[tuple[Route, ...]] = (
    *transit_crypt.ROUTES,
    *transit_keys.ROUTES,
    *transit_macs.ROUTES,
    *transit_sign.ROUTES,
    *transit_tools.ROUTES,
    *transit_export.ROUTES,
    *transit_import.ROUTES,
    *transit_backup.ROUTES,
    *transit_certificates.ROUTES,
)
