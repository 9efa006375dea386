"""The routes of a Transit mount."""

from __future__ import annotations

from typing import Final

from . import (
    transit_backup,
    transit_certificates,
    transit_crypt,
    transit_export,
    transit_import,
    transit_keys,
    transit_macs,
    transit_sign,
    transit_tools,
)
from .routing import Route

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
