"""Routes of mounts of type `approle`: logins, roles, and single fields of roles. Secret ids are apart.

Source: Vault's API page `auth/approle`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.login.approle import Role
from kms_actors.login.approle_messages import (
    DeleteRole,
    ListRoles,
    LoginRole,
    Missing,
    ReadRole,
    TidySecretIds,
    WriteRole,
)
from kms_http.api.login.approle_secret_ids import SECRET_ID_ROUTES, role_name
from kms_http.api.login.fields import (
    TOKEN_FIELDS,
    older_fields,
    shown_parameters,
    to_names,
    to_seconds,
    token_values,
)
from kms_http.api.login.replies import listing, login, mount_number, no_content
from kms_http.fields import Converter, Fields, to_bool, to_int, to_str
from kms_http.routing import EXISTENCE, TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route, spelled

#: Older names of fields, as clients still send them.
OLDER: Final[Mapping[str, str]] = {"policies": "token_policies", "period": "token_period"}
_BLOCKS: Final = "secret_id_bound_cidrs"
_OLDER_BLOCKS: Final = "bound_cidr_list"
_DEPRECATED: Final = (
    'The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.'
)

#: Fields of roles that are not about tokens.
_OWN: Final[Mapping[str, Converter]] = {
    "role_id": to_str,
    "bind_secret_id": to_bool,
    "secret_id_num_uses": to_int,
    "secret_id_ttl": to_seconds,
    "secret_id_bound_cidrs": to_names,
    "local_secret_ids": to_bool,
}
_FIELDS: Final[Mapping[str, Converter]] = {
    **TOKEN_FIELDS,
    **older_fields(OLDER),
    **_OWN,
    _OLDER_BLOCKS: to_names,
}


class _Single(NamedTuple):
    """A field of a role with a path of its own: how it is called, and what it is when it is deleted."""

    path: str
    name: str
    default: Any
    older: str = ""


_SINGLES: Final = (
    _Single("policies", "token_policies", (), "policies"),
    _Single("period", "token_period", 0, "period"),
    _Single("token-ttl", "token_ttl", 0),
    _Single("token-max-ttl", "token_max_ttl", 0),
    _Single("token-num-uses", "token_num_uses", 0),
    _Single("token-bound-cidrs", "token_bound_cidrs", ()),
    _Single("bind-secret-id", "bind_secret_id", True),
    _Single("secret-id-num-uses", "secret_id_num_uses", 0),
    _Single("secret-id-ttl", "secret_id_ttl", 0),
    _Single("secret-id-bound-cidrs", "secret_id_bound_cidrs", ()),
    _Single("bound-cidr-list", "secret_id_bound_cidrs", (), _OLDER_BLOCKS),
)


def _log_in(call: Call) -> LoginRole:
    role_id = call.values.get("role_id", "")
    if not role_id:
        raise InvalidRequest("missing role_id")
    return LoginRole(mount_number(call), call.path, call.client_ip, role_id, call.values.get("secret_id", ""))


def _list(call: Call) -> ListRoles:
    return ListRoles(mount_number(call), call.values.get("after", ""), max(0, call.values.get("limit", 0)))


def _read(call: Call) -> ReadRole:
    return ReadRole(mount_number(call), role_name(call))


def _write(call: Call) -> WriteRole:
    sent, older = _sent(call.values)
    return WriteRole(mount_number(call), role_name(call), sent, older, call.grants)


def _delete(call: Call) -> DeleteRole:
    return DeleteRole(mount_number(call), role_name(call))


def _sent(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields of a role that were sent, by any of their names, and which came by an older one."""
    of_tokens = token_values(values, OLDER)
    own = {name: value for name, value in values.items() if name in _OWN}
    if _OLDER_BLOCKS in values:
        own.setdefault(_BLOCKS, values[_OLDER_BLOCKS])
    return {**of_tokens.values, **own}, of_tokens.older


def _written(_: Call, warnings: tuple[str, ...]) -> Reply:
    return Reply(warnings=warnings) if warnings else Reply(status=204)


def _show(_: Call, role: Role) -> Reply:
    return Reply(data=dict(sorted(_shown(role).items())))


def _shown(role: Role) -> dict[str, Any]:
    return shown_parameters(role.parameters, role.spelled, OLDER) | {
        "bind_secret_id": role.bind_secret_id,
        "local_secret_ids": role.local_secret_ids,
        "secret_id_bound_cidrs": list(role.secret_id_bound_cidrs) or None,
        "secret_id_num_uses": role.secret_id_num_uses,
        "secret_id_ttl": role.secret_id_ttl,
    }


def _write_role_id(call: Call) -> WriteRole:
    role_id = call.values.get("role_id", "")
    if not role_id:
        raise InvalidRequest("missing role_id")
    return WriteRole(mount_number(call), role_name(call), {"role_id": role_id}, missing=Missing.REFUSED)


def _show_role_id(_: Call, role: Role) -> Reply:
    return Reply(data={"role_id": role.role_id})


def _show_local(_: Call, role: Role) -> Reply:
    return Reply(data={"local_secret_ids": role.local_secret_ids})


def _tidy(call: Call) -> TidySecretIds:
    return TidySecretIds(mount_number(call))


def _tidying(_: Call, begun: bool) -> Reply:
    if not begun:
        return Reply(warnings=("Tidy operation already in progress.",))
    text = (
        "Tidy operation successfully started. Any information from the operation will be printed to the server's log."
    )
    return Reply(status=202, warnings=(text,))


def _single_route(single: _Single) -> Route:
    """Return the route of one field: it is read, set, and set back."""
    known = {name: _FIELDS[name] for name in {single.name, single.older} - {""}}
    missing = f"missing {single.older if single.older == 'period' else single.name}"

    def write(call: Call) -> WriteRole:
        sent, older = _sent(call.values)
        if not sent:
            raise InvalidRequest(missing)
        if single.name == _BLOCKS and not sent[_BLOCKS]:
            raise InvalidRequest(f"missing {_OLDER_BLOCKS}")  # blocks go by DELETE alone
        return WriteRole(mount_number(call), role_name(call), sent, older, missing=Missing.REFUSED)

    def delete(call: Call) -> WriteRole:
        back = {single.name: single.default}
        return WriteRole(mount_number(call), role_name(call), back, missing=Missing.IGNORED)

    return Route(
        f"role/{{role_name}}/{single.path}",
        {
            Operation.READ: Endpoint(_read, _single_shown(single), Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(
                write, _written, Capability.UPDATE, Fields(existence_checked=False, **known), TENANT_ADMIN
            ),
            Operation.DELETE: Endpoint(delete, no_content, Capability.DELETE, rights=TENANT_ADMIN),
        },
    )


def _single_shown(single: _Single) -> Callable[[Call, Role], Reply]:
    def show(_: Call, role: Role) -> Reply:
        fields = _shown(role)
        value = fields[single.name]
        if single.older == _OLDER_BLOCKS:
            text = (
                f'The "{_OLDER_BLOCKS}" field is deprecated and will be removed. Please use "{single.name}" instead.'
            )
            return Reply(data={_OLDER_BLOCKS: value}, warnings=(text,))
        if single.name == "token_bound_cidrs":
            value = value or None
        data = {single.older: fields[single.older]} if single.older in fields else {}
        return Reply(data=data | {single.name: value})

    return show


_ROUTES: Final = (
    Route(
        "login",
        {Operation.WRITE: login(_log_in, Fields(role_id=to_str, secret_id=to_str))},
    ),
    Route("role", {Operation.LIST: listing(_list)}),
    Route(
        "role/{role_name}",
        {
            Operation.READ: Endpoint(_read, _show, Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(
                _write, _written, EXISTENCE, Fields(existence_checked=True, **_FIELDS), TENANT_ADMIN
            ),
            Operation.DELETE: Endpoint(_delete, no_content, Capability.DELETE, rights=TENANT_ADMIN),
        },
    ),
    Route(
        "role/{role_name}/role-id",
        {
            Operation.READ: Endpoint(_read, _show_role_id, Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(
                _write_role_id, no_content, Capability.UPDATE, Fields(role_id=to_str), TENANT_ADMIN
            ),
        },
    ),
    Route(
        "role/{role_name}/local-secret-ids",
        {Operation.READ: Endpoint(_read, _show_local, Capability.READ, rights=TENANT_ADMIN)},
    ),
    *(_single_route(single) for single in _SINGLES),
    *SECRET_ID_ROUTES,
    Route("tidy/secret-id", {Operation.WRITE: Endpoint(_tidy, _tidying, Capability.UPDATE, rights=TENANT_ADMIN)}),
)
#: What a path calls by capitals is the same without; policies and checks see it so.
ROUTES: Final = spelled(_ROUTES, "role_name")
