"""Routes of mounts of type `cert`.

Source: Vault's API page `auth/cert`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.login.cert import (
    CertConfig,
    CertRole,
    DeleteCertRole,
    ListCertRoles,
    LoginByCertificate,
    ReadCertConfig,
    ReadCertRole,
    WriteCertConfig,
    WriteCertRole,
)
from kms_actors.login.cert_crls import CertCrl, DeleteCertCrl, ListCertCrls, ReadCertCrl, WriteCertCrl
from kms_http.api.login.fields import TOKEN_FIELDS, older_fields, shown_parameters, to_names, token_values
from kms_http.api.login.jwt import to_name, warned
from kms_http.api.login.refusing import RefusingFields
from kms_http.api.login.replies import listing, login, mount_number, names, no_content
from kms_http.fields import Fields, to_bool, to_str
from kms_http.routing import EXISTENCE, TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route, spelled

#: Older names of fields, as clients still send them.
OLDER: Final[Mapping[str, str]] = {
    "policies": "token_policies",
    "lease": "token_ttl",
    "ttl": "token_ttl",
    "max_ttl": "token_max_ttl",
    "period": "token_period",
    "bound_cidrs": "token_bound_cidrs",
}
_LISTS: Final = (
    "allowed_names",
    "allowed_common_names",
    "allowed_dns_sans",
    "allowed_email_sans",
    "allowed_uri_sans",
    "allowed_organizational_units",
    "required_extensions",
    "allowed_metadata_extensions",
)
_NO_OCSP: Final = "no responders are asked: revoked certificates are told by crls/<name>"
_OCSP: Final[Mapping[str, Any]] = {
    "ocsp_ca_certificates": "",
    "ocsp_enabled": False,
    "ocsp_fail_open": False,
    "ocsp_query_all_servers": False,
    "ocsp_servers_override": None,
}
_ROLE: Final = RefusingFields(
    {
        "certificate": to_str,
        "display_name": to_str,
        **dict.fromkeys(_LISTS, to_names),
        **TOKEN_FIELDS,
        **older_fields(OLDER),
    },
    dict.fromkeys(_OCSP, _NO_OCSP),
    existence_checked=True,
)
_CONFIG: Final = RefusingFields(
    {"disable_binding": to_bool, "enable_identity_alias_metadata": to_bool},
    {"ocsp_cache_size": _NO_OCSP, "role_cache_size": "there is no cache of roles"},
)


def _log_in(call: Call) -> LoginByCertificate:
    name = call.values.get("name", "")
    return LoginByCertificate(mount_number(call), call.path, call.client_ip, name, call.certificates)


def _read_config(call: Call) -> ReadCertConfig:
    return ReadCertConfig(mount_number(call))


def _write_config(call: Call) -> WriteCertConfig:
    return WriteCertConfig(mount_number(call), dict(call.values))


def _show_config(_: Call, config: CertConfig) -> Reply:
    return Reply(
        data={
            "disable_binding": config.disable_binding,
            "enable_identity_alias_metadata": config.enable_identity_alias_metadata,
            "ocsp_cache_size": 0,
        }
    )


def _name(call: Call) -> str:
    return call.captures["name"].lower()


def _list(call: Call) -> ListCertRoles:
    return ListCertRoles(mount_number(call), call.values.get("after", ""), max(0, call.values.get("limit", 0)))


def _read(call: Call) -> ReadCertRole:
    return ReadCertRole(mount_number(call), _name(call))


def _write(call: Call) -> WriteCertRole:
    tokens = token_values(call.values, OLDER)
    own = {name: value for name, value in call.values.items() if name not in OLDER}
    return WriteCertRole(mount_number(call), _name(call), own | tokens.values, tokens.older, call.grants)


def _delete(call: Call) -> DeleteCertRole:
    return DeleteCertRole(mount_number(call), _name(call))


def _show(_: Call, role: CertRole) -> Reply:
    parameters = shown_parameters(role.parameters, role.spelled, OLDER)
    parameters.pop("lease", None)
    data: dict[str, Any] = {
        "certificate": role.certificate,
        "display_name": role.display_name,
        **{name: list(getattr(role, name)) or None for name in _LISTS},
        **_OCSP,
        **parameters,
    }
    return Reply(data=dict(sorted(data.items())))


def _list_crls(call: Call) -> ListCertCrls:
    return ListCertCrls(mount_number(call))


def _read_crl(call: Call) -> ReadCertCrl:
    return ReadCertCrl(mount_number(call), _name(call))


def _write_crl(call: Call) -> WriteCertCrl:
    crl, url = call.values.get("crl", ""), call.values.get("url", "")
    if crl and url:
        raise InvalidRequest("only one of 'crl' and 'url' may be provided")
    return WriteCertCrl(mount_number(call), _name(call), crl, url)


def _delete_crl(call: Call) -> DeleteCertCrl:
    return DeleteCertCrl(mount_number(call), _name(call))


def _show_crl(_: Call, crl: CertCrl) -> Reply:
    serials: dict[str, Any] = {str(number): {} for number in crl.numbers()}
    return Reply(data={"serials": serials} | ({"url": crl.url} if crl.url else {}))


_ROUTES: Final = (
    Route(
        "config",
        {
            Operation.READ: Endpoint(_read_config, _show_config, Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(_write_config, no_content, Capability.UPDATE, _CONFIG, TENANT_ADMIN),
        },
    ),
    Route("certs", {Operation.LIST: listing(_list)}),
    Route(
        "certs/{name}",
        {
            Operation.READ: Endpoint(_read, _show, Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(_write, warned, EXISTENCE, _ROLE, TENANT_ADMIN),
            Operation.DELETE: Endpoint(_delete, no_content, Capability.DELETE, rights=TENANT_ADMIN),
        },
    ),
    Route("crls", {Operation.LIST: Endpoint(_list_crls, names, Capability.LIST, rights=TENANT_ADMIN)}),
    Route(
        "crls/{name}",
        {
            Operation.READ: Endpoint(_read_crl, _show_crl, Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(
                _write_crl, no_content, Capability.UPDATE, Fields(crl=to_str, url=to_str), TENANT_ADMIN
            ),
            Operation.DELETE: Endpoint(_delete_crl, no_content, Capability.DELETE, rights=TENANT_ADMIN),
        },
    ),
    Route(
        "login",
        {Operation.WRITE: login(_log_in, Fields(name=to_name))},
    ),
)
#: What a path calls by capitals is the same without; policies and checks see it so.
ROUTES: Final = spelled(_ROUTES, "name")
