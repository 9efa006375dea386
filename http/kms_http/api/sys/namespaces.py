"""The vaults of a cluster, as clients know namespaces: listed and shown to its operators. A vault has none below it.

Source: Vault's API pages `sys/namespaces` and `sys/internal/ui/namespaces`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kms_actors.auth.principal import Capability, Right
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.insight.messages import FindVault, ListVaults
from kms_actors.messages import Message
from kms_http.fields import Fields, to_int, to_str
from kms_http.routing import ANY_RIGHT, SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route

_FIXED: Final = (
    "vaults are made by initialising them, with a token that says which one (`kms-cli biscuit`), not as namespaces"
)
_REMOVED: Final = (
    "vaults are deleted with `kms-cli tenants delete <vault id>`, or at sys/tenants/<vault id>, not as namespaces"
)
_SEALED: Final = (
    "vaults are sealed with `kms-cli tenants seal <vault id>`, or at sys/tenants/<vault id>/seal, not as namespaces"
)
_UNSEALED: Final = (
    "vaults are unsealed by their own operators, with a token of theirs at sys/unseal, not as namespaces"
)
_LOCKED: Final = "vaults are not locked as namespaces: `kms-cli tenants seal <vault id>` has one answer nobody"
_ITS_OWN: Final = (
    "the seal of a vault is told to its own tokens by sys/seal-status, and to operators by sys/tenants/<vault id>"
)
_PAGES: Final = Fields(after=to_str, limit=to_int)


def _is_operator(call: Call) -> bool:
    return call.principal is not None and call.principal.right is Right.OPERATOR


def _list(call: Call) -> ListVaults | None:
    if not _is_operator(call):
        return None
    return ListVaults(call.values.get("after", "").strip("/"), max(0, call.values.get("limit", 0)))


def _show_list(_: Call, found: list[tuple[str, int]] | None) -> Reply:
    if not found:
        raise NotFound
    shown = {f"{vault_id}/": _described(vault_id, number) for vault_id, number in found}
    return Reply(data={"key_info": shown, "keys": list(shown)})


def _find(call: Call) -> FindVault | None:
    return FindVault(call.captures["path"].strip("/")) if _is_operator(call) else None


def _show(call: Call, number: int | None) -> Reply:
    if number is None:
        raise NotFound
    return Reply(data=_described(call.captures["path"].strip("/"), number))


def _described(vault_id: str, number: int) -> dict[str, Any]:
    return {"custom_metadata": {}, "id": str(number), "path": f"{vault_id}/"}


def _nothing(_: Call) -> None:
    return None


def _show_none(_: Call, __: None) -> Reply:
    """Tell of the namespaces below that of the caller, of which there are none."""
    return Reply(data={})


def _remove(call: Call) -> FindVault | None:
    return FindVault(call.captures["path"].strip("/")) if _is_operator(call) else None


def _not_removed(_: Call, number: int | None) -> Reply:
    """Refuse to remove a vault in this way; of anything else there is nothing to remove."""
    if number is not None:
        raise InvalidRequest(_REMOVED)
    return Reply(warnings=("requested namespace does not exist",))


def _refusing(text: str) -> Callable[[Call], Message]:
    def refuse(_: Call) -> Message:
        raise InvalidRequest(text)

    return refuse


def _refused(text: str, capability: Capability) -> Endpoint:
    return Endpoint(_refusing(text), _show_none, capability, rights=SCOPE_ADMIN, refuses=True)


_REMOVAL: Final = Endpoint(_remove, _not_removed, Capability.DELETE, rights=SCOPE_ADMIN, of_node=True)
#: What clients write to below a namespace, before what takes any path.
_WRITTEN: Final = {
    "sys/namespaces/api-lock/lock": _LOCKED,
    "sys/namespaces/api-lock/lock/{path...}": _LOCKED,
    "sys/namespaces/api-lock/unlock": _LOCKED,
    "sys/namespaces/api-lock/unlock/{path...}": _LOCKED,
    "sys/namespaces/{path...}/seal": _SEALED,
    "sys/namespaces/{path...}/unseal": _UNSEALED,
}

NAMESPACE_ROUTES: Final = (
    Route(
        "sys/internal/ui/namespaces",
        {Operation.READ: Endpoint(_nothing, _show_none, Capability.READ, rights=ANY_RIGHT, own_check=True)},
    ),
    Route(
        "sys/namespaces",
        {
            Operation.LIST: Endpoint(_list, _show_list, Capability.LIST, _PAGES, SCOPE_ADMIN, of_node=True),
            Operation.SCAN: Endpoint(_list, _show_list, Capability.SCAN, _PAGES, SCOPE_ADMIN, of_node=True),
        },
    ),
    Route(
        "sys/namespaces/{path...}/seal-status",
        {Operation.READ: _refused(_ITS_OWN, Capability.READ)},
    ),
    *(Route(path, {Operation.WRITE: _refused(text, Capability.UPDATE)}) for path, text in _WRITTEN.items()),
    Route("sys/namespaces/{path...}/delete-sealed", {Operation.DELETE: _REMOVAL}),
    Route(
        "sys/namespaces/{path...}",
        {
            Operation.READ: Endpoint(_find, _show, Capability.READ, rights=SCOPE_ADMIN, of_node=True),
            Operation.DELETE: _REMOVAL,
            Operation.WRITE: _refused(_FIXED, Capability.UPDATE),
            Operation.PATCH: _refused(_FIXED, Capability.PATCH),
        },
    ),
)
