"""What the caller's token may do on paths it names; and, since it looks through them, all routes of sys/ and auth/.

Source: Vault's API page `sys/capabilities-self`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Access, Capability, Principal, Right
from kms_actors.auth.self_service import is_self_service
from kms_actors.errors import InvalidRequest
from kms_actors.runtime import Turns
from kms_http.api.auth.token import TOKEN_ROUTES
from kms_http.api.sys.seal import SEAL_ROUTES
from kms_http.api.sys.system import SYS_ROUTES
from kms_http.fields import (
    Fields,
    to_any,
    to_list,
    to_str,
)
from kms_http.routing import (
    ANY_RIGHT,
    LISTING,
    METHODS,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
    Router,
)
from kms_http.wire.paths import canonical

#: Paths one request may name, and their characters in all: a narrowed token's checks are run up to eight times for
#: each path.
MAX_PATHS: Final = 1000
MAX_CHARACTERS: Final = 64 * 1024

#: In which the checks of narrowed tokens are run here: one in a pass of the loop, whoever asks.
_TURNS: Final = Turns()
#: The operations whose requests need these; `sudo` comes with any of them.
_NEEDED_BY: Final = {
    Capability.READ: Operation.READ,
    Capability.LIST: Operation.LIST,
    Capability.CREATE: Operation.WRITE,
    Capability.UPDATE: Operation.WRITE,
    Capability.PATCH: Operation.PATCH,
    Capability.DELETE: Operation.DELETE,
    Capability.SCAN: Operation.SCAN,
}
_ON_DATA: Final = frozenset(Capability) - {Capability.SUDO}


def _nothing(_: Call) -> None:
    return None


async def _show(call: Call, _: None) -> Reply:
    paths = [*call.values.get("paths", ()), *call.values.get("path", ())]
    if not paths:
        raise InvalidRequest("paths must be supplied")
    if "" in paths:
        raise InvalidRequest("1 error occurred:\n\t* missing path\n\n")
    if len(paths) > MAX_PATHS:
        raise InvalidRequest(f"more than {MAX_PATHS} paths")
    if sum(map(len, paths)) > MAX_CHARACTERS:
        raise InvalidRequest(f"the paths are longer than {MAX_CHARACTERS} characters in all")
    assert call.principal is not None
    data: dict[str, list[str]] = {}
    for path in paths:
        if path not in data:
            data[path] = await _capabilities(call, call.principal, path)
    if len(paths) == 1:
        data["capabilities"] = data[paths[0]]
    return Reply(data=dict(sorted(data.items())), mirrored=True)


async def _capabilities(call: Call, principal: Principal, path: str) -> list[str]:
    try:
        canonical(path)
    except InvalidRequest:  # what cannot be requested, nobody may
        return ["deny"]
    matched = call.mounts.match(path)
    place = matched[0].path if matched else ""
    wanted = _granted(principal.right, path, on_data=matched is not None)
    if principal.narrowed and not is_self_service(path):
        allowed = set()
        for capability in wanted:
            await _TURNS.turn(principal.resource)
            if principal.allows(_access(call, capability, path, place)):
                allowed.add(capability)
        wanted = allowed
    if wanted == frozenset(Capability) and principal.right is Right.ROOT:
        return ["root"]
    return sorted(wanted) or ["deny"]


def _access(call: Call, capability: Capability, path: str, place: str) -> Access:
    """Return what the token's checks would see of a request that needs `capability`."""
    operation = _NEEDED_BY.get(capability)
    if operation in LISTING and not path.endswith("/"):
        path += "/"
    return Access(capability, path, place, METHODS[operation] if operation else call.method, call.client_ip, call.now)


def _granted(right: Right, path: str, *, on_data: bool) -> set[Capability]:
    """Return what a right gives on a path before the token's own checks."""
    if right is Right.ROOT:
        return set(Capability)
    if on_data:
        return set(_ON_DATA)
    found = [_ROUTER.find(path, operation) for operation in Operation]
    endpoints = [match.endpoint for match in found if match is not None and match.endpoint is not None]
    return {endpoint.capability for endpoint in endpoints if right in endpoint.rights and endpoint.capability}


def _paths(value: Any) -> list[str]:
    return [to_str(path) for path in to_list(value)]


CAPABILITIES_ROUTES: Final = (
    Route(
        "sys/capabilities-self",
        {
            Operation.WRITE: Endpoint(
                _nothing, _show, Capability.UPDATE, Fields(path=_paths, paths=_paths, token=to_any), ANY_RIGHT
            )
        },
    ),
)

SYSTEM_ROUTES: Final = (*SEAL_ROUTES, *SYS_ROUTES, *TOKEN_ROUTES, *CAPABILITIES_ROUTES)

_ROUTER: Final = Router(SYSTEM_ROUTES)
