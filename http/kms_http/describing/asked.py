"""Who is told what of a path, where help is asked for.

What the server can do is no secret. Which mounts a vault has is told to those who may do something there, as where
mounts are listed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kms_actors.auth.principal import Access, Capability, Principal, Right, makers
from kms_actors.errors import PermissionDenied, UnsupportedPath
from kms_actors.mounts import LOGINS, MountTable
from kms_http.describing.catalogue import Catalogue
from kms_http.routing import Reply
from kms_http.wire.errors import HttpError

_TOKENS: Final = f"{LOGINS}token"
#: Where no mount lies.
_SYSTEM: Final = ("sys", "identity", "cubbyhole", _TOKENS)


class Asked(NamedTuple):
    """Who asks for help of which path, without /v1/; `mounts` is None for an operator of the cluster."""

    path: str
    principal: Principal
    mounts: MountTable | None
    address: str
    now: float


def help_for(catalogue: Catalogue, asked: Asked) -> Reply:
    """Return the help for a path.

    Raises:
        PermissionDenied: the bearer may do nothing below that mount, whether or not it is there.
        UnsupportedPath, HttpError: there is no such path, or mount.

    """
    path, principal, mounts = asked.path, asked.principal, asked.mounts
    if any(path == fixed or path.startswith(f"{fixed}/") for fixed in _SYSTEM):
        told = catalogue.help_of_system(path)
        if told is None:
            raise UnsupportedPath("unsupported path")
        return Reply(bare=told)
    if mounts is None:
        raise PermissionDenied("an operator of the cluster has no mounts")
    matched = mounts.match(path) or mounts.match(f"{path}/")
    place = matched[0].path if matched is not None else ""
    if not all(_reaches(each, asked, place) for each in (principal, *makers(principal))):
        raise PermissionDenied("permission denied")
    if matched is None:
        raise HttpError(404, f'no handler for route "{path}". route entry not found.')
    mount, rest = matched
    told = catalogue.help_of_mount(mount, rest)
    if told is None:
        raise UnsupportedPath("unsupported path")
    return Reply(bare=told)


def _reaches(principal: Principal, asked: Asked, place: str) -> bool:
    """Tell whether one bearer may do anything there: by policies at the mount, narrowed at the very path."""
    if principal.right is Right.POLICY and not (
        principal.acl is not None and (principal.acl.is_root or (bool(place) and principal.acl.touches(place)))
    ):
        return False
    return not principal.narrowed or any(
        principal.allows(Access(capability, asked.path, place, "GET", asked.address, asked.now))
        for capability in Capability
    )
