"""Routes of secret ids of a role: made, listed, looked up and destroyed, by themselves or by their accessors.

Source: Vault's API page `auth/approle`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.login.approle import SecretId
from kms_actors.login.approle_messages import (
    DestroySecretId,
    ListSecretIds,
    LookUpSecretId,
    MadeSecretId,
    NewSecretId,
)
from kms_http.api.login.fields import to_names, to_seconds
from kms_http.api.login.replies import listing, mount_number, no_content
from kms_http.fields import Converter, Fields, to_int, to_str
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route
from kms_http.times import rfc3339

_NEVER: Final = "0001-01-01T00:00:00Z"

_MADE_WITH: Final[dict[str, Converter]] = {
    "metadata": to_str,
    "cidr_list": to_names,
    "token_bound_cidrs": to_names,
    "num_uses": to_int,
    "ttl": to_seconds,
}
_SECRET_ID: Final = Fields(secret_id=to_str)
_ACCESSOR: Final = Fields(secret_id_accessor=to_str)


def role_name(call: Call) -> str:
    """Return the role that a path names, as it is kept."""
    name: Any = call.captures["role_name"]
    return str(name).lower()


def _new(call: Call) -> NewSecretId:
    sent = dict(call.values)
    sent.pop("secret_id", None)
    return NewSecretId(mount_number(call), role_name(call), sent)


def _new_of_text(call: Call) -> NewSecretId:
    secret_id = _required(call, "secret_id")
    message = _new(call)
    return NewSecretId(message.mount, message.role, message.sent, secret_id)


def _made(_: Call, made: MadeSecretId) -> Reply:
    return Reply(
        data={
            "secret_id": made.secret_id,
            "secret_id_accessor": made.accessor,
            "secret_id_num_uses": made.uses,
            "secret_id_ttl": made.ttl,
        }
    )


def _list(call: Call) -> ListSecretIds:
    after, limit = call.values.get("after", ""), max(0, call.values.get("limit", 0))
    return ListSecretIds(mount_number(call), role_name(call), after, limit)


def _look_up(call: Call) -> LookUpSecretId:
    return LookUpSecretId(mount_number(call), role_name(call), secret_id=_required(call, "secret_id"))


def _look_up_accessor(call: Call) -> LookUpSecretId:
    return LookUpSecretId(mount_number(call), role_name(call), accessor=_required(call, "secret_id_accessor"))


def _show(_: Call, found: SecretId | None) -> Reply:
    if found is None:
        return Reply(status=204)
    return Reply(
        data={
            "cidr_list": list(found.cidrs),
            "creation_time": rfc3339(found.created),
            "expiration_time": rfc3339(found.ends) or _NEVER,
            "last_updated_time": rfc3339(found.updated),
            "metadata": dict(sorted(found.metadata.items())),
            "secret_id_accessor": found.accessor,
            "secret_id_num_uses": found.uses,
            "secret_id_ttl": found.ttl,
            "token_bound_cidrs": list(found.token_cidrs),
        }
    )


def _destroy(call: Call) -> DestroySecretId:
    return DestroySecretId(mount_number(call), role_name(call), secret_id=_required(call, "secret_id"))


def _destroy_accessor(call: Call) -> DestroySecretId:
    return DestroySecretId(mount_number(call), role_name(call), accessor=_required(call, "secret_id_accessor"))


def _required(call: Call, name: str) -> str:
    value: str = call.values.get(name, "")
    if not value:
        raise InvalidRequest(f"missing {name}")
    return value


SECRET_ID_ROUTES: Final = (
    Route(
        "role/{role_name}/secret-id",
        {
            Operation.LIST: listing(_list),
            Operation.WRITE: Endpoint(
                _new, _made, Capability.UPDATE, Fields(existence_checked=False, **_MADE_WITH), TENANT_ADMIN
            ),
        },
    ),
    Route(
        "role/{role_name}/custom-secret-id",
        {
            Operation.WRITE: Endpoint(
                _new_of_text,
                _made,
                Capability.UPDATE,
                Fields(existence_checked=False, secret_id=to_str, **_MADE_WITH),
                TENANT_ADMIN,
            )
        },
    ),
    Route(
        "role/{role_name}/secret-id/lookup",
        {Operation.WRITE: Endpoint(_look_up, _show, Capability.UPDATE, _SECRET_ID, TENANT_ADMIN)},
    ),
    Route(
        "role/{role_name}/secret-id/destroy",
        {
            Operation.WRITE: Endpoint(_destroy, no_content, Capability.UPDATE, _SECRET_ID, TENANT_ADMIN),
            Operation.DELETE: Endpoint(_destroy, no_content, Capability.DELETE, _SECRET_ID, TENANT_ADMIN),
        },
    ),
    Route(
        "role/{role_name}/secret-id-accessor/lookup",
        {Operation.WRITE: Endpoint(_look_up_accessor, _show, Capability.UPDATE, _ACCESSOR, TENANT_ADMIN)},
    ),
    Route(
        "role/{role_name}/secret-id-accessor/destroy",
        {
            Operation.WRITE: Endpoint(_destroy_accessor, no_content, Capability.UPDATE, _ACCESSOR, TENANT_ADMIN),
            Operation.DELETE: Endpoint(_destroy_accessor, no_content, Capability.DELETE, _ACCESSOR, TENANT_ADMIN),
        },
    ),
)
