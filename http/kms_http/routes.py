"""All routes of the API: sys/ and auth/, and what lies under mounts by the mount's type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from . import kv, transit
from .capabilities import SYSTEM_ROUTES
from .routing import Router

SYSTEM: Final = Router(SYSTEM_ROUTES)
ENGINES: Final[Mapping[str, Router]] = {"kv": Router(kv.ROUTES), "transit": Router(transit.ROUTES)}
