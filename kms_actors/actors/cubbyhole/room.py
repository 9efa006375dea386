"""How much the tokens of a vault may keep together: looked at before something is kept, not when it is.

A change that read the sum would conflict with all others that add to it. So those that come at the same time may
exceed it, by as much as requests of a vault are worked on at once.
"""

from __future__ import annotations

from typing import Final

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.cubbyholes import Cubbyholes
from kms_actors.errors import Unavailable

#: Bytes of all cubbyholes and wrapped answers of a vault, with what each of the latter takes beside.
MOST: Final = 256 << 20
#: Seconds after which it may be tried again: room comes when tokens end.
_RETRY_AFTER: Final = 10


class Room:
    """Of one vault."""

    def __init__(self, context: TenantContext, cubbyholes: Cubbyholes) -> None:
        self._store = context.store
        self._cubbyholes = cubbyholes

    async def find(self) -> None:
        """Raise Unavailable where there is none."""
        if await self._store.read(self._cubbyholes.all_bytes) >= MOST:
            text = "cubbyholes and wrapped answers of this vault take all the room they may: unwrap, or revoke, some"
            raise Unavailable(text, retry_after=_RETRY_AFTER)
