"""Routes of mounts of type `kubernetes`.

Source: Vault's API page `auth/kubernetes`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.login.kubernetes import (
    DeleteKubernetesRole,
    KubernetesConfig,
    KubernetesRole,
    ListKubernetesRoles,
    LoginOfAccount,
    ReadKubernetesConfig,
    ReadKubernetesRole,
    WriteKubernetesConfig,
    WriteKubernetesRole,
)
from kms_actors.messages import Message
from kms_http.api.login.fields import TOKEN_FIELDS, older_fields, shown_parameters, to_names, token_values
from kms_http.api.login.jwt import OLDER, to_name, warned
from kms_http.api.login.refusing import RefusingFields
from kms_http.api.login.replies import listing, login, mount_number, no_content
from kms_http.fields import Fields, to_bool, to_str
from kms_http.routing import EXISTENCE, TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route, spelled

_CONFIG: Final = Fields(
    kubernetes_host=to_str,
    kubernetes_ca_cert=to_str,
    token_reviewer_jwt=to_str,
    pem_keys=to_names,
    issuer=to_str,
    disable_iss_validation=to_bool,
    disable_local_ca_jwt=to_bool,
)
_ROLE: Final = RefusingFields(
    {
        "bound_service_account_names": to_names,
        "bound_service_account_namespaces": to_names,
        "audience": to_str,
        "alias_name_source": to_str,
        **TOKEN_FIELDS,
        **older_fields(OLDER),
    },
    {"bound_service_account_namespace_selector": "labels of namespaces are not looked up: name the namespaces"},
    existence_checked=True,
)


def _log_in(call: Call) -> Message:
    values = call.values
    return LoginOfAccount(
        mount_number(call), call.path, call.client_ip, values.get("role", ""), values.get("jwt", "")
    )


def _read_config(call: Call) -> Message:
    return ReadKubernetesConfig(mount_number(call))


def _write_config(call: Call) -> Message:
    return WriteKubernetesConfig(mount_number(call), dict(call.values))


def _show_config(_: Call, config: KubernetesConfig) -> Reply:
    return Reply(
        data={
            "disable_iss_validation": config.disable_iss_validation,
            "disable_local_ca_jwt": config.disable_local_ca_jwt,
            "issuer": config.issuer,
            "kubernetes_ca_cert": config.kubernetes_ca_cert,
            "kubernetes_host": config.kubernetes_host,
            "pem_keys": list(config.pem_keys),
            "token_reviewer_jwt_set": bool(config.token_reviewer_jwt),
        }
    )


def _role_name(call: Call) -> str:
    return call.captures["name"].lower()


def _list(call: Call) -> Message:
    return ListKubernetesRoles(mount_number(call), call.values.get("after", ""), max(0, call.values.get("limit", 0)))


def _read_role(call: Call) -> Message:
    return ReadKubernetesRole(mount_number(call), _role_name(call))


def _write_role(call: Call) -> Message:
    tokens = token_values(call.values, OLDER)
    own = {name: value for name, value in call.values.items() if name not in OLDER}
    return WriteKubernetesRole(mount_number(call), _role_name(call), own | tokens.values, tokens.older, call.grants)


def _delete_role(call: Call) -> Message:
    return DeleteKubernetesRole(mount_number(call), _role_name(call))


def _show_role(_: Call, role: KubernetesRole) -> Reply:
    data: dict[str, Any] = {
        "alias_name_source": role.alias_name_source,
        "bound_service_account_names": list(role.bound_service_account_names),
        "bound_service_account_namespace_selector": "",
        "bound_service_account_namespaces": list(role.bound_service_account_namespaces),
        **({"audience": role.audience} if role.audience else {}),
        **shown_parameters(role.parameters, role.spelled, OLDER),
    }
    return Reply(data=dict(sorted(data.items())))


_ROUTES: Final = (
    Route(
        "config",
        {
            Operation.READ: Endpoint(_read_config, _show_config, Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(_write_config, no_content, Capability.UPDATE, _CONFIG, TENANT_ADMIN),
        },
    ),
    Route("role", {Operation.LIST: listing(_list)}),
    Route(
        "role/{name}",
        {
            Operation.READ: Endpoint(_read_role, _show_role, Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(_write_role, warned, EXISTENCE, _ROLE, TENANT_ADMIN),
            Operation.DELETE: Endpoint(_delete_role, no_content, Capability.DELETE, rights=TENANT_ADMIN),
        },
    ),
    Route(
        "login",
        {Operation.WRITE: login(_log_in, Fields(role=to_name, jwt=to_str))},
    ),
)
#: What a path calls by capitals is the same without; policies and checks see it so.
ROUTES: Final = spelled(_ROUTES, "name")
