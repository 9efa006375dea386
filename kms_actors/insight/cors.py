"""From which pages a browser may send requests: origins, and headers beside those that are usual here.

Source: Vault's API page `sys/config/cors`; the Fetch standard's CORS protocol.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.keyring import stored
from kms_actors.messages import Command, Query

ANY: Final = "*"
#: Headers that pages may always send, where any may be sent.
USUAL_HEADERS: Final = (
    "Content-Type",
    "Authorization",
    "X-Vault-Token",
    "X-Vault-Namespace",
    "X-Vault-Wrap-TTL",
    "X-Requested-With",
)
#: Origins, and headers, that can be named, and characters of each.
MOST: Final = 100
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}://[A-Za-z0-9._~\[\]:-]{1,300}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")


class Cors(msgspec.Struct, frozen=True):
    """What is allowed; kept sealed by the master keyring."""

    allowed_origins: tuple[str, ...]
    allowed_headers: tuple[str, ...]  # all of them
    format: int = stored.FORMAT

    def allows(self, origin: str) -> bool:
        """Tell whether a page of `origin` may send requests."""
        return self.allowed_origins == (ANY,) or origin in self.allowed_origins


class ReadCors(Query, frozen=True):
    """Answer: Cors; None where no page may send requests."""


class WriteCors(Command, frozen=True):
    """Allow pages of these origins, on all nodes. Answer: None; raises Sealed while the node is."""

    cors: Cors


class DeleteCors(Command, frozen=True):
    """Allow none. Answer: None."""


def allowing(origins: Sequence[str], headers: Sequence[str]) -> Cors:
    """Return what allows these.

    Raises:
        InvalidRequest: no origin, what is none, or too many.

    """
    found = [origin.strip() for origin in origins if origin.strip()]
    further = [header.strip() for header in headers if header.strip()]
    if not found:
        raise InvalidRequest("at least one origin or the wildcard must be provided")
    if ANY in found and len(found) > 1:
        raise InvalidRequest("to allow all origins the '*' must be the only value for allowed_origins")
    if len(found) > MOST or len(further) > MOST:
        raise InvalidRequest(f"allowed_origins and allowed_headers have at most {MOST} entries each")
    if not all(origin == ANY or _ORIGIN.fullmatch(origin) for origin in found):
        raise InvalidRequest("allowed_origins: an origin is `https://host` or `https://host:port`, or `*` for all")
    if not all(_HEADER.fullmatch(header) for header in further):
        raise InvalidRequest("allowed_headers: names of headers")
    known = {header.lower() for header in USUAL_HEADERS}
    own = tuple(dict.fromkeys(header for header in further if header.lower() not in known))
    return Cors(tuple(dict.fromkeys(found)), USUAL_HEADERS + own)
