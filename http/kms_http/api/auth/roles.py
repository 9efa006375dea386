"""Roles of tokens. Source: Vault's API page `auth/token`, and what its reference does."""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import NotFound
from kms_actors.token.messages import DeleteRole, ListRoles, ReadRole, WriteRole
from kms_actors.token.role import RENAMED, TokenRole, shown
from kms_http.api.login.fields import to_seconds
from kms_http.fields import Fields, to_bool, to_int, to_list, to_str
from kms_http.routing import EXISTENCE, TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route


def _to_names(value: Any) -> list[str]:
    return [to_str(name) for name in to_list(value)]


def _write(call: Call) -> WriteRole:
    return WriteRole(call.captures["role_name"], call.values, call.grants)


def _show_written(_: Call, warnings: tuple[str, ...]) -> Reply:
    return Reply(warnings=warnings) if warnings else Reply(status=204)


def _show(_: Call, role: TokenRole) -> Reply:
    return Reply(data=shown(role))


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _show_names(_: Call, names: list[str]) -> Reply:
    if not names:
        raise NotFound
    return Reply(data={"keys": names})


_LISTS: Final = (
    "allowed_policies",
    "allowed_policies_glob",
    "disallowed_policies",
    "disallowed_policies_glob",
    "allowed_entity_aliases",
    "token_bound_cidrs",
)
_TYPES: Final = {
    **dict.fromkeys(_LISTS, _to_names),
    "orphan": to_bool,
    "path_suffix": to_str,
    "renewable": to_bool,
    "token_explicit_max_ttl": to_seconds,
    "token_no_default_policy": to_bool,
    "token_num_uses": to_int,
    "token_period": to_seconds,
    "token_type": to_str,
}
_FIELDS: Final = Fields(existence_checked=True, **_TYPES, **{name: _TYPES[f"token_{name}"] for name in RENAMED})

ROLE_ROUTES: Final = (
    Route(
        "auth/token/roles",
        {Operation.LIST: Endpoint(lambda _: ListRoles(), _show_names, Capability.LIST, rights=TENANT_ADMIN)},
    ),
    Route(
        "auth/token/roles/{role_name}",
        {
            Operation.READ: Endpoint(
                lambda call: ReadRole(call.captures["role_name"]), _show, Capability.READ, rights=TENANT_ADMIN
            ),
            Operation.WRITE: Endpoint(_write, _show_written, EXISTENCE, _FIELDS, TENANT_ADMIN),
            Operation.DELETE: Endpoint(
                lambda call: DeleteRole(call.captures["role_name"]),
                _no_content,
                Capability.DELETE,
                rights=TENANT_ADMIN,
            ),
        },
    ),
)
