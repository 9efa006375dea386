"""Routes of mounts of type `userpass`.

Source: Vault's API page `auth/userpass`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.login.userpass import DeleteUser, ListUsers, LoginUser, ReadUser, User, WriteUser
from kms_http.api.login.fields import TOKEN_FIELDS, older_fields, shown_parameters, to_names, token_values
from kms_http.api.login.replies import listing, login, mount_number, no_content
from kms_http.fields import Fields, to_str
from kms_http.routing import EXISTENCE, TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route, spelled

_NO_HASHES: Final = (
    "password_hash: hashes that another server made are not taken: give the password, or have its user give it anew"
)
_ONE_OF_BOTH: Final = "only one of password or password_hash may be provided"

#: Older names of fields, as clients still send them.
OLDER: Final[Mapping[str, str]] = {
    "policies": "token_policies",
    "ttl": "token_ttl",
    "max_ttl": "token_max_ttl",
    "bound_cidrs": "token_bound_cidrs",
}
_PASSWORD: Final = {"password": to_str, "password_hash": to_str}


def _log_in(call: Call) -> LoginUser:
    password = call.values.get("password", "")
    if not password:
        raise InvalidRequest("missing password")
    return LoginUser(mount_number(call), call.path, call.client_ip, _name(call), password)


def _list(call: Call) -> ListUsers:
    return ListUsers(mount_number(call), call.values.get("after", ""), max(0, call.values.get("limit", 0)))


def _read(call: Call) -> ReadUser:
    return ReadUser(mount_number(call), _name(call))


def _show(_: Call, user: User) -> Reply:
    return Reply(data=dict(sorted(shown_parameters(user.parameters, user.spelled, OLDER).items())))


def _write(call: Call) -> WriteUser:
    sent = token_values(call.values, OLDER)
    return WriteUser(mount_number(call), _name(call), sent.values, _password(call), sent.older, call.grants)


def _write_password(call: Call) -> WriteUser:
    password = _password(call)
    if not password:
        raise InvalidRequest("must provide either password or password_hash")
    return WriteUser(mount_number(call), _name(call), {}, password, must_exist=True)


def _write_policies(call: Call) -> WriteUser:
    sent = token_values(call.values, OLDER)
    return WriteUser(mount_number(call), _name(call), sent.values, spelled=sent.older, must_exist=True)


def _delete(call: Call) -> DeleteUser:
    return DeleteUser(mount_number(call), _name(call))


def _password(call: Call) -> str:
    password, of_another = (call.values.get(name, "") for name in _PASSWORD)
    if of_another:
        raise InvalidRequest(_ONE_OF_BOTH if password else _NO_HASHES)
    found: str = password
    return found


def _name(call: Call) -> str:
    name: Any = call.captures["username"]
    return str(name).lower()


_ROUTES: Final = (
    Route(
        "login/{username}",
        {Operation.WRITE: login(_log_in, Fields(password=to_str))},
    ),
    Route("users", {Operation.LIST: listing(_list)}),
    Route(
        "users/{username}",
        {
            Operation.READ: Endpoint(_read, _show, Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(
                _write,
                no_content,
                EXISTENCE,
                Fields(existence_checked=True, **TOKEN_FIELDS, **older_fields(OLDER), **_PASSWORD),
                TENANT_ADMIN,
            ),
            Operation.DELETE: Endpoint(_delete, no_content, Capability.DELETE, rights=TENANT_ADMIN),
        },
    ),
    Route(
        "users/{username}/password",
        {
            Operation.WRITE: Endpoint(
                _write_password,
                no_content,
                Capability.UPDATE,
                Fields(password=to_str, password_hash=to_str),
                TENANT_ADMIN,
            )
        },
    ),
    Route(
        "users/{username}/policies",
        {
            Operation.WRITE: Endpoint(
                _write_policies,
                no_content,
                Capability.UPDATE,
                Fields(policies=to_names, token_policies=to_names),
                TENANT_ADMIN,
            )
        },
    ),
)
#: What a path calls by capitals is the same without; policies and checks see it so.
ROUTES: Final = spelled(_ROUTES, "username")
