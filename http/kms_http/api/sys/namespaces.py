"""The vaults of a cluster, as clients know namespaces: listed and shown to its operators. A vault has none below it.

Source: Vault's API pages `sys/namespaces` and `sys/internal/ui/namespaces`.
"""

from __future__ import annotations

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
        raise InvalidRequest(_FIXED)
    return Reply(warnings=("requested namespace does not exist",))


def _refuse(_: Call) -> Message:
    raise InvalidRequest(_FIXED)


def _refuse_seal(_: Call) -> Message:
    raise InvalidRequest(_ITS_OWN)


_REMOVAL: Final = Endpoint(_remove, _not_removed, Capability.DELETE, rights=SCOPE_ADMIN, of_node=True)
_REFUSED: Final = {
    Operation.WRITE: Endpoint(_refuse, _show_none, Capability.UPDATE, rights=SCOPE_ADMIN, refuses=True),
    Operation.PATCH: Endpoint(_refuse, _show_none, Capability.PATCH, rights=SCOPE_ADMIN, refuses=True),
}

NAMESPACE_ROUTES: Final = (
    Route(
        "sys/internal/ui/namespaces",
        {Operation.READ: Endpoint(_nothing, _show_none, Capability.READ, rights=ANY_RIGHT)},
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
        {Operation.READ: Endpoint(_refuse_seal, _show_none, Capability.READ, rights=SCOPE_ADMIN, refuses=True)},
    ),
    Route("sys/namespaces/{path...}/delete-sealed", {Operation.DELETE: _REMOVAL}),
    Route(
        "sys/namespaces/{path...}",
        {
            Operation.READ: Endpoint(_find, _show, Capability.READ, rights=SCOPE_ADMIN, of_node=True),
            Operation.DELETE: _REMOVAL,
            **_REFUSED,
        },
    ),
)
