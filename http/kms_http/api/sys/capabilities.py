"""What the caller's token may do on paths it names, and all that its policies say.

Source: Vault's API page `sys/capabilities-self`; `sys/internal/ui/resultant-acl` is what its user interface asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from kms_actors.auth import batch_token
from kms_actors.auth.principal import Access, Capability, Principal, Right, makers
from kms_actors.auth.self_service import is_self_service
from kms_actors.auth.service_token import ServicePrincipal, is_chosen, tenant_of
from kms_actors.errors import InvalidRequest
from kms_actors.mounts import Mount
from kms_actors.runtime import Turns
from kms_actors.token.messages import LookUpToken
from kms_http.fields import (
    Fields,
    to_list,
    to_str,
)
from kms_http.routing import (
    ANY_RIGHT,
    DATA_RIGHTS,
    LISTING,
    METHODS,
    TENANT_ADMIN,
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


class Capabilities:
    """Routes of sys/ and auth/, with those that answer for all of them.

    What a right gives there, without policies, is what their endpoints take.
    """

    def __init__(self, routes: Iterable[Route], engines: Mapping[str, Router]) -> None:
        self.routes: Final = (
            *routes,
            Route(
                "sys/capabilities-self",
                {Operation.WRITE: Endpoint(_nothing, self._show, Capability.UPDATE, _FIELDS, ANY_RIGHT)},
            ),
            Route(
                "sys/capabilities",
                {Operation.WRITE: Endpoint(_by_token, self._show_of, Capability.UPDATE, _FIELDS, DATA_RIGHTS)},
            ),
            Route(
                "sys/capabilities-accessor",
                {Operation.WRITE: Endpoint(_by_accessor, self._show_of, Capability.UPDATE, _FIELDS, TENANT_ADMIN)},
            ),
            Route(
                "sys/internal/ui/resultant-acl",
                {Operation.READ: Endpoint(_nothing, _show_resultant, Capability.READ)},
            ),
        )
        self._router: Final = Router(self.routes)
        self._engines: Final = engines

    async def _show(self, call: Call, _: None) -> Reply:
        assert call.principal is not None
        return await self._shown(call, call.principal)

    async def _show_of(self, call: Call, bearer: ServicePrincipal | None) -> Reply:
        if bearer is None and call.values.get("token") == call.token:
            return await self._show(call, None)
        if bearer is None:
            raise InvalidRequest(_INVALID_TOKEN if "token" in call.values else _INVALID_ACCESSOR)
        if bearer.record.under:
            raise InvalidRequest(_OF_A_BISCUIT)
        return await self._shown(call, bearer)

    async def _shown(self, call: Call, principal: Principal) -> Reply:
        paths = _named(call)
        data: dict[str, list[str]] = {}
        for path in paths:
            if path not in data:
                data[path] = await self._capabilities(call, principal, path)
        if len(paths) == 1:
            data["capabilities"] = data[paths[0]]
        return Reply(data=dict(sorted(data.items())), mirrored=True)

    async def _capabilities(self, call: Call, principal: Principal, path: str) -> list[str]:
        path = path.removeprefix("/")  # as command lines take it away from what is typed
        try:
            canonical(path)
        except InvalidRequest:
            path = ""
        if not path:  # what cannot be requested, nobody may
            return ["deny"]
        given = await self._given(call, principal, path)
        for above in makers(principal):
            given &= await self._given(call, above, path)
        if given == frozenset(Capability) and principal.right is Right.ROOT:
            return ["root"]
        return sorted(given) or ["deny"]

    async def _given(self, call: Call, principal: Principal, path: str) -> set[Capability]:
        """Return what right, policies and checks of one token give, whoever made it."""
        matched = call.mounts.match(path)
        path = self._spelled(path, matched)
        if principal.right is Right.POLICY:
            given = _by_policies(principal, path)
        elif principal.right is Right.ROOT:
            given = set(Capability)
        elif matched is not None and not matched[0].for_logins:
            given = set(_ON_DATA)
        else:
            given = self._by_endpoints(principal.right, path)
        if not principal.narrowed or is_self_service(path):
            return given
        allowed = set()
        for capability in given:
            await _TURNS.turn(principal.resource)
            if principal.allows(_access(call, capability, path, matched[0].path if matched else "")):
                allowed.add(capability)
        return allowed

    def _spelled(self, path: str, matched: tuple[Mount, str] | None) -> str:
        """Return the path as who decides about a request sees it; a name that none can have stays as it is."""
        try:
            if matched is None:
                return self._router.one_spelling(path)
            mount, rest = matched
            engine = self._engines.get(mount.engine)
            return path if engine is None else path.removesuffix(rest) + engine.one_spelling(rest)
        except InvalidRequest:
            return path

    def _by_endpoints(self, right: Right, path: str) -> set[Capability]:
        found = [self._router.find(path, operation) for operation in Operation]
        endpoints = [match.endpoint for match in found if match is not None and match.endpoint is not None]
        return {endpoint.capability for endpoint in endpoints if right in endpoint.rights and endpoint.capability}


def _nothing(_: Call) -> None:
    return None


def _by_token(call: Call) -> LookUpToken | None:
    token = call.values.get("token", "")
    if not token:
        raise InvalidRequest("1 error occurred:\n\t* no token found\n\n")
    if token == call.token:
        return None
    if tenant_of(token) is None and batch_token.tenant_of(token) is None and not is_chosen(token):
        raise InvalidRequest(_INVALID_TOKEN if token.startswith("hv") else _OF_A_BISCUIT)
    return LookUpToken(token)


def _by_accessor(call: Call) -> LookUpToken:
    accessor = call.values.get("accessor", "")
    if not accessor:
        raise InvalidRequest("missing accessor")
    return LookUpToken(accessor=accessor)


def _named(call: Call) -> list[str]:
    paths = [*call.values.get("paths", ()), *call.values.get("path", ())]
    if not paths:
        raise InvalidRequest("paths must be supplied")
    if "" in paths:
        raise InvalidRequest("1 error occurred:\n\t* missing path\n\n")
    if len(paths) > MAX_PATHS:
        raise InvalidRequest(f"more than {MAX_PATHS} paths")
    if sum(map(len, paths)) > MAX_CHARACTERS:
        raise InvalidRequest(f"the paths are longer than {MAX_CHARACTERS} characters in all")
    return paths


def _by_policies(principal: Principal, path: str) -> set[Capability]:
    acl = principal.acl
    if acl is None:
        return set()
    if acl.is_root:
        return set(Capability)
    rule = acl.rule(path, listing=True)
    return set() if rule is None else set(rule.capabilities)


def _access(call: Call, capability: Capability, path: str, place: str) -> Access:
    """Return what the token's checks would see of a request that needs `capability`."""
    operation = _NEEDED_BY.get(capability)
    if operation in LISTING and not path.endswith("/"):
        path += "/"
    return Access(capability, path, place, METHODS[operation] if operation else call.method, call.client_ip, call.now)


def _show_resultant(call: Call, _: None) -> Reply:
    """Return what the caller's policies say; what a right gives without any is told as if by some."""
    assert call.principal is not None
    acl = call.principal.acl
    if acl is not None:
        return Reply(data=acl.resultant())
    if call.principal.right is Right.ROOT:
        return Reply(data={"root": True})
    paths = {mount.path: {"capabilities": sorted(_ON_DATA)} for mount in call.mounts if not mount.for_logins}
    return Reply(data={"exact_paths": {}, "glob_paths": paths, "root": False})


def _paths(value: Any) -> list[str]:
    return [to_str(path) for path in to_list(value)]


_FIELDS: Final = Fields(path=_paths, paths=_paths, token=to_str, accessor=to_str)
_INVALID_TOKEN: Final = "1 error occurred:\n\t* invalid token\n\n"  # noqa: S105  # a text
_INVALID_ACCESSOR: Final = "1 error occurred:\n\t* invalid accessor\n\n"
_OF_A_BISCUIT: Final = (
    "what a biscuit, or a token that one made, may do is told to its bearer: use sys/capabilities-self with it"
)
