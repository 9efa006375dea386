"""Hashes and random bytes that need no mount, as those of Transit.

Source: Vault's API page `sys/tools`.
"""

from __future__ import annotations

from typing import Final

from kms_http.api.transit.tools import HASH_OF_ANYTHING, RANDOM
from kms_http.routing import Route

TOOLS_ROUTES: Final = (
    Route("sys/tools/hash", HASH_OF_ANYTHING),
    Route("sys/tools/hash/{urlalgorithm}", HASH_OF_ANYTHING),
    Route("sys/tools/random", RANDOM),
    Route("sys/tools/random/{source}", RANDOM),
    Route("sys/tools/random/{source}/{urlbytes}", RANDOM),
)
