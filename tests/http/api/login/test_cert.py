"""Routes of `cert`: from requests to messages, and from answers to what clients read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

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
from kms_actors.login.parameters import TokenParameters
from kms_actors.messages import Grants
from kms_actors.token.messages import RenewToken
from tests.http.api.login.conftest import AUTH, GIVEN, MountLogins

if TYPE_CHECKING:
    from tests.http.conftest import Service


@pytest.fixture
def logins(mount_logins: MountLogins) -> Service:
    return mount_logins("cert")


async def test_a_login_needs_no_token_and_brings_what_the_connection_has_shown(logins: Service) -> None:
    """None here, since it is no TLS; that there is any is tested where there is."""
    logins.tenant.answers[LoginByCertificate] = GIVEN
    answer = await logins.call("POST", "/v1/auth/in/login", json={"name": "App"})
    assert (answer.status, answer.json["auth"]) == (200, AUTH)
    assert logins.tenant.asked == [LoginByCertificate(9, "auth/in/login", "127.0.0.1", "app", None)]
    logins.tenant.answers[LoginByCertificate] = InvalidRequest("tls connection required")
    answer = await logins.call("PUT", "/v1/auth/in/login")
    assert (answer.status, answer.errors) == (400, ["tls connection required"])


async def test_a_renewal_brings_it_too(logins: Service) -> None:
    logins.tenant.answers[RenewToken] = InvalidRequest("tls connection required")
    await logins.call("POST", "/v1/auth/token/renew", "root", json={"token": "hvs.x", "increment": 60})
    [asked] = [message for message in logins.tenant.asked if isinstance(message, RenewToken)]
    assert (asked.token, asked.increment, asked.certificates) == ("hvs.x", 60, None)


async def test_a_configuration_is_written_and_read(logins: Service) -> None:
    body = {"disable_binding": "true", "ocsp_cache_size": 0}
    assert (await logins.call("PUT", "/v1/auth/in/config", "root", json=body)).status == 204
    assert logins.tenant.asked == [WriteCertConfig(9, {"disable_binding": True})]
    logins.tenant.answers[ReadCertConfig] = CertConfig(disable_binding=True)
    answer = await logins.call("GET", "/v1/auth/in/config", "root")
    expected = {"disable_binding": True, "enable_identity_alias_metadata": False, "ocsp_cache_size": 0}
    assert answer.json["data"] == expected


ROLE: dict[str, Any] = {
    "allowed_common_names": None,
    "allowed_dns_sans": ["a", "b"],
    "allowed_email_sans": None,
    "allowed_metadata_extensions": None,
    "allowed_names": None,
    "allowed_organizational_units": None,
    "allowed_uri_sans": None,
    "certificate": "pem",
    "display_name": "d",
    "ocsp_ca_certificates": "",
    "ocsp_enabled": False,
    "ocsp_fail_open": False,
    "ocsp_query_all_servers": False,
    "ocsp_servers_override": None,
    "required_extensions": None,
    "token_bound_cidrs": [],
    "token_explicit_max_ttl": 0,
    "token_max_ttl": 0,
    "token_no_default_policy": False,
    "token_num_uses": 0,
    "token_period": 0,
    "token_policies": ["p"],
    "token_strictly_bind_ip": False,
    "token_ttl": 60,
    "token_type": "default",
    "ttl": 60,
}


async def test_a_role_is_read_with_all_its_fields_in_order(logins: Service) -> None:
    logins.tenant.answers[ReadCertRole] = CertRole(
        certificate="pem",
        display_name="d",
        allowed_dns_sans=("a", "b"),
        parameters=TokenParameters(ttl=60, policies=("p",)),
        spelled=("token_ttl",),
    )
    answer = await logins.call("GET", "/v1/auth/in/certs/R", "root")
    assert list(answer.json["data"].items()) == list(ROLE.items())
    assert logins.tenant.asked == [ReadCertRole(9, "r")]


async def test_a_role_is_written_by_old_and_new_names(logins: Service) -> None:
    body = {"certificate": "pem", "allowed_dns_sans": "a,b", "policies": "P,q", "lease": 5, "token_max_ttl": "1h"}
    logins.tenant.answers[WriteCertRole] = ()
    assert (await logins.call("POST", "/v1/auth/in/certs/R", "root", json=body)).status == 204
    [asked] = logins.tenant.asked
    assert isinstance(asked, WriteCertRole)
    assert asked.name == "r"
    assert asked.sent == {
        "certificate": "pem",
        "allowed_dns_sans": ("a", "b"),
        "token_policies": ("p", "q"),
        "token_ttl": 5,
        "token_max_ttl": 3600,
    }
    assert asked.grants == Grants()


async def test_warnings_of_a_role_are_told(logins: Service) -> None:
    logins.tenant.answers[WriteCertRole] = ("long",)
    answer = await logins.call("POST", "/v1/auth/in/certs/r", "root", json={"certificate": "x"})
    assert (answer.status, answer.json["warnings"]) == (200, ["long"])


@pytest.mark.parametrize(
    "field", [{"ocsp_enabled": True}, {"ocsp_servers_override": ["http://x"]}, {"ocsp_fail_open": "true"}]
)
async def test_responders_are_refused_not_dropped(logins: Service, field: dict[str, Any]) -> None:
    answer = await logins.call("POST", "/v1/auth/in/certs/r", "root", json={"certificate": "x", **field})
    assert answer.status == 400
    assert "no responders are asked" in answer.errors[0]
    assert not logins.tenant.asked


async def test_roles_and_lists_are_listed_and_removed(logins: Service) -> None:
    for path, kind in (("certs", ListCertRoles), ("crls", ListCertCrls)):
        logins.tenant.answers[kind] = ["a", "b"]
        answer = await logins.call("LIST", f"/v1/auth/in/{path}", "root")
        assert answer.json["data"] == {"keys": ["a", "b"]}
    for path in ("certs/A", "crls/A"):
        assert (await logins.call("DELETE", f"/v1/auth/in/{path}", "root")).status == 204
    assert logins.tenant.asked[2:] == [DeleteCertRole(9, "a"), DeleteCertCrl(9, "a")]


async def test_a_list_of_revoked_certificates_is_written_and_read(logins: Service) -> None:
    assert (await logins.call("POST", "/v1/auth/in/crls/X", "root", json={"crl": "pem"})).status == 204
    assert logins.tenant.asked == [WriteCertCrl(9, "x", "pem", "")]
    logins.tenant.answers[ReadCertCrl] = CertCrl(serials="AAAAAAAAAAAAAAAAAAAAAAAAAAU=")
    answer = await logins.call("GET", "/v1/auth/in/crls/x", "root")
    assert answer.json["data"] == {"serials": {"5": {}}}
    answer = await logins.call("POST", "/v1/auth/in/crls/x", "root", json={"crl": "pem", "url": "https://x"})
    assert answer.errors == ["only one of 'crl' and 'url' may be provided"]
