"""Who counts as one client: an entity; or, of tokens without one, those of the same policies, as in Vault.

A biscuit of the platform has no entity, but says whose it is: all of one owner are one client, and so are the tokens
that they have made. Root tokens, operators' biscuits and wrapping tokens are nobody's.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from kms_actors.auth.principal import Principal, Right
from kms_actors.auth.service_token import ServiceToken
from kms_actors.mounts import TOKENS_NUMBER

#: In place of a mount's number: of biscuits, and of all mounts beyond those that a month tells apart.
NO_MOUNT: Final = -1
OTHER_MOUNTS: Final = -2


class Client(msgspec.Struct, frozen=True):
    """A client: the id of its entity, or a digest of what else tells it apart; and the mount it came by."""

    id: str
    entity: bool
    mount: int


def of_token(token: ServiceToken) -> Client | None:
    """Return whose a service token is, or a batch token; None for one that is not counted.

    A token that a biscuit has made is that one's: it is looked at with each request of the token.
    """
    if token.right is Right.ROOT or token.wraps or token.under:
        return None
    mount = TOKENS_NUMBER if token.mount is None or token.line else token.mount
    if token.entity_id:
        return Client(token.entity_id, True, mount)
    return Client(_digest("policies", sorted(token.policies)), False, mount)


def of_biscuit(principal: Principal) -> Client | None:
    """Return whose a biscuit is; None for one that is not counted."""
    if principal.right in (Right.ROOT, Right.OPERATOR):
        return None
    owner = (principal.metadata or {}).get("owner")
    told = _digest("policies", sorted(principal.policies)) if owner is None else _digest("owner", [owner])
    return Client(told, False, NO_MOUNT)


def _digest(kind: str, texts: Iterable[str]) -> str:
    whole = "\0".join([kind, *texts]).encode(errors="surrogatepass")
    return base64.b64encode(hashlib.sha256(whole).digest()).decode()
