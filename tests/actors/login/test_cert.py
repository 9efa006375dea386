"""Logins by certificate, on both stores: what a login rests on holds when it commits, and so does a renewal."""

from __future__ import annotations

import datetime
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from kms_actors.actors.login import completing
from kms_actors.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied, Unavailable
from kms_actors.login.cert import (
    ANOTHER,
    CHANGED,
    GONE,
    INVALID,
    MAX_SEARCHED,
    NO_TLS,
    NOT_MATCHED,
    NOT_SHOWN,
    CertConfig,
    DeleteCertRole,
    ListCertRoles,
    LoginByCertificate,
    ReadCertConfig,
    ReadCertRole,
    WriteCertConfig,
    WriteCertRole,
)
from kms_actors.login.cert_crls import (
    MAX_CRLS,
    DeleteCertCrl,
    ListCertCrls,
    ReadCertCrl,
    WriteCertCrl,
)
from kms_actors.login.messages import LoggedIn
from kms_actors.messages import Grants
from kms_actors.store.api import Store
from kms_actors.token.messages import RenewToken
from kms_actors.token.spec import Issued
from tests.actors.login_tenant import CERT, CLIENT, Tenant, planted
from tests.login.test_cert import revoking
from tests.store.engines import ENGINES, Place
from tests.support.certificates import Identity, authority, client
from tests.support.web import site

M = CERT.number
ROOT = authority("root")
APP = client("app", ROOT)
LEAF = client("leaf")
_LATER = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=9)
LASTING_ROOT = authority("lasting", end=_LATER)
LASTING = client("app", LASTING_ROOT, end=_LATER)


class Lists:
    """A site with a list of revoked certificates."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.asked = 0
        self.revoked: list[Identity] = []

    async def answer(self, _: web.BaseRequest) -> web.StreamResponse:
        self.asked += 1
        numbers = (each.certificate.serial_number for each in self.revoked)
        return web.Response(status=self.status, body=revoking(ROOT, *numbers).public_bytes(Encoding.DER))


@pytest.fixture
def lists() -> Iterator[Lists]:
    found = Lists()
    with site(found.answer) as address:
        found.url = f"{address}/crl"
        yield found


@pytest_asyncio.fixture
async def clients(place: Place, lists: Lists) -> AsyncIterator[tuple[Tenant, Tenant]]:
    stores: list[Store] = [await ENGINES[place.engine].open(place.location) for _ in range(2)]
    keyring = await planted(stores[0])
    one, other = (Tenant(store, keyring, [lists.url.removesuffix("/crl")]) for store in stores)
    one.now = other.now = time.time()
    yield one, other
    for store in stores:
        await store.close()


async def write_role(tenant: Tenant, name: str = "r", trusted: Identity = ROOT, **sent: Any) -> None:
    await tenant.ask(WriteCertRole(M, name, {"certificate": trusted.pem, "token_policies": ("p",), **sent}))


async def log_in(tenant: Tenant, *shown: Identity, name: str = "") -> LoggedIn:
    certificates = tuple(each.der for each in shown)
    done: LoggedIn = await tenant.ask(LoginByCertificate(M, "auth/cert/login", CLIENT, name, certificates))
    return done


async def renew(tenant: Tenant, done: LoggedIn, *shown: Identity) -> Issued:
    certificates = tuple(each.der for each in shown)
    renewed: Issued = await tenant.ask(RenewToken(done.issued.token, certificates=certificates))
    return renewed


async def revoke(tenant: Tenant, *identities: Identity, name: str = "x") -> None:
    crl = revoking(ROOT, *(each.certificate.serial_number for each in identities))
    await tenant.ask(WriteCertCrl(M, name, crl.public_bytes(Encoding.PEM).decode(), ""))


async def test_a_certificate_of_an_authority_logs_in_on_any_node(clients: tuple[Tenant, Tenant]) -> None:
    one, other = clients
    await write_role(one, display_name="shown")
    done = await log_in(other, APP)
    spec = done.issued.spec
    assert (spec.policies, spec.display_name) == (("default", "p"), "cert-shown")
    assert (spec.metadata or {})["cert_name"] == "r"
    assert (await log_in(one, APP, name="r")).entity_id == done.entity_id != ""
    assert (await one.bearer(done)).policies == ("default", "p")


async def test_what_proves_nothing_is_refused_and_writes_nothing(clients: tuple[Tenant, Tenant]) -> None:
    tenant = clients[0]
    await write_role(tenant)
    await write_role(tenant, "s", LEAF)
    before = await tenant.snapshot()
    for shown, name, text in (
        ((), "", NOT_SHOWN),
        ((client("app"),), "", INVALID),
        ((APP,), "s", INVALID),  # it is another role's that would let it in
        ((APP,), "none", INVALID),
        ((client("leaf", key=LEAF.key),), "s", INVALID),
    ):
        with pytest.raises(InvalidRequest, match=text):
            await log_in(tenant, *shown, name=name)
    with pytest.raises(InvalidRequest, match=NO_TLS):
        await tenant.ask(LoginByCertificate(M, "auth/cert/login", CLIENT, "r", None))
    assert await tenant.snapshot() == before


async def test_addresses_of_the_role_are_kept(clients: tuple[Tenant, Tenant]) -> None:
    await write_role(clients[0], token_bound_cidrs=("192.0.2.0/24",))
    with pytest.raises(AuthenticationFailed):
        await log_in(clients[0], APP)


async def test_a_search_is_bounded(clients: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kms_actors.actors.login.cert_records.MAX_SEARCHED", 2)
    for name in ("a", "b"):
        await write_role(clients[0], name)
    assert (await log_in(clients[0], APP)).issued.spec.metadata is not None
    await write_role(clients[0], "c")
    with pytest.raises(InvalidRequest, match="name: needed"):
        await log_in(clients[0], APP)
    await log_in(clients[0], APP, name="c")
    assert MAX_SEARCHED >= 100


async def test_roles_are_read_listed_and_removed(clients: tuple[Tenant, Tenant]) -> None:
    one, other = clients
    for name in ("b", "a"):
        await write_role(one, name)
    assert await other.ask(ListCertRoles(M)) == ["a", "b"]
    assert (await other.ask(ReadCertRole(M, "a"))).certificate == ROOT.pem
    await other.ask(DeleteCertRole(M, "a"))
    with pytest.raises(NotFound):
        await one.ask(ReadCertRole(M, "a"))
    for grants in (Grants(create=False, update=True), Grants(create=True, update=False)):
        with pytest.raises(PermissionDenied):
            await one.ask(WriteCertRole(M, "b" if grants.create else "c", {"certificate": ROOT.pem}, (), grants))


async def test_a_configuration_changes_by_what_is_named(clients: tuple[Tenant, Tenant]) -> None:
    one, other = clients
    assert await one.ask(ReadCertConfig(M)) == CertConfig()
    await one.ask(WriteCertConfig(M, {"disable_binding": True}))
    await one.ask(WriteCertConfig(M, {"enable_identity_alias_metadata": True}))
    expected = CertConfig(disable_binding=True, enable_identity_alias_metadata=True)
    assert await other.ask(ReadCertConfig(M)) == expected


class TestRenewal:
    async def test_wants_the_certificate_of_the_login(self, clients: tuple[Tenant, Tenant]) -> None:
        """Another one of the same name, or of the same key, or that another role lets in, is none."""
        one, other = clients
        await write_role(one)
        await write_role(one, "s", LEAF)
        done = await log_in(one, APP, name="r")
        one.now += 10
        other.now += 10
        assert (await renew(other, done, APP)).expires_at is not None
        for shown in (client("app", ROOT), client("app", ROOT, key=APP.key), LEAF):
            with pytest.raises(InvalidRequest, match=ANOTHER):
                await renew(one, done, shown)
        with pytest.raises(InvalidRequest, match=NOT_SHOWN):
            await renew(one, done)
        with pytest.raises(InvalidRequest, match=NO_TLS):
            await one.renew(done)

    async def test_without_binding_wants_none(self, clients: tuple[Tenant, Tenant]) -> None:
        one, _ = clients
        await write_role(one)
        done = await log_in(one, APP)
        await one.ask(WriteCertConfig(M, {"disable_binding": True}))
        assert (await one.renew(done)).expires_at is not None
        await one.ask(DeleteCertRole(M, "r"))
        with pytest.raises(InvalidRequest, match=GONE):
            await one.renew(done)

    async def test_ends_with_what_let_the_login_in(self, clients: tuple[Tenant, Tenant]) -> None:
        one, other = clients
        await write_role(one)
        done = await log_in(one, APP)
        await revoke(other, APP)
        with pytest.raises(InvalidRequest, match=NOT_MATCHED):
            await renew(one, done, APP)
        await other.ask(DeleteCertCrl(M, "x"))
        await write_role(other, allowed_common_names=("other",))
        with pytest.raises(InvalidRequest, match=NOT_MATCHED):
            await renew(one, done, APP)
        await write_role(other, allowed_common_names=(), token_policies=("q",))
        with pytest.raises(InvalidRequest, match=CHANGED):
            await renew(one, done, APP)
        await write_role(other, trusted=authority("another"))
        with pytest.raises(InvalidRequest, match=INVALID):
            await renew(one, done, APP)

    async def test_gives_what_the_role_says_now(self, clients: tuple[Tenant, Tenant]) -> None:
        one, _ = clients
        await write_role(one, token_ttl=1000, token_max_ttl=5000)
        done = await log_in(one, APP)
        await write_role(one, token_max_ttl=1500)
        one.now += 1000 - 1
        renewed = await renew(one, done, APP)
        assert renewed.spec.ttl == 501

    async def test_of_a_child_of_the_token_wants_none(self, clients: tuple[Tenant, Tenant]) -> None:
        """Nobody has shown a certificate for it; it ends with its parent."""
        one, _ = clients
        await write_role(one)
        done = await log_in(one, APP)
        token = (await one.bearer(done)).record
        assert token.certificate
        assert done.issued.spec.certificate == token.certificate

    async def test_that_meets_a_change_is_tried_again(
        self, clients: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, other = clients
        await write_role(one)
        done = await log_in(one, APP)
        ask = one.ask

        async def then_revoked(message: Any) -> Any:
            answer = await ask(message)
            if type(message).__name__ == "ProveRenewal":
                await revoke(other, APP)
            return answer

        object.__setattr__(one.context, "ask", then_revoked)
        with pytest.raises(Unavailable, match="changed meanwhile"):
            await renew(one, done, APP)


class TestLogin:
    @pytest.mark.parametrize("change", ["role", "config", "crl"])
    async def test_that_meets_a_change_gives_no_token(
        self, clients: tuple[Tenant, Tenant], change: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, other = clients
        await write_role(one)

        async def meanwhile(*arguments: Any) -> Any:
            if change == "role":
                await write_role(other, token_policies=("q",))
            elif change == "config":
                await other.ask(WriteCertConfig(M, {"disable_binding": True}))
            else:
                await revoke(other, APP)
            return await log_in_really(*arguments)

        log_in_really = completing.log_in
        monkeypatch.setattr("kms_actors.actors.login.cert.log_in", meanwhile)
        with pytest.raises(Unavailable, match="changed meanwhile"):
            await log_in(one, APP)


class TestCrls:
    async def test_what_a_list_names_is_let_in_on_no_node(self, clients: tuple[Tenant, Tenant]) -> None:
        one, other = clients
        await write_role(one)
        await revoke(one, client("other", ROOT), APP)
        with pytest.raises(InvalidRequest, match=NOT_MATCHED):
            await log_in(other, APP)
        await log_in(other, client("third", ROOT))
        await other.ask(DeleteCertCrl(M, "x"))
        await log_in(one, APP)

    async def test_lists_are_read_listed_and_removed(self, clients: tuple[Tenant, Tenant]) -> None:
        one, other = clients
        with pytest.raises(NotFound):
            await one.ask(ListCertCrls(M))
        await revoke(one, APP)
        assert await other.ask(ListCertCrls(M)) == ["x"]
        assert (await other.ask(ReadCertCrl(M, "x"))).numbers() == [APP.certificate.serial_number]
        await other.ask(DeleteCertCrl(M, "x"))
        for message in (ReadCertCrl(M, "x"), DeleteCertCrl(M, "x")):
            with pytest.raises(InvalidRequest, match="no such CRL x"):
                await one.ask(message)

    async def test_there_are_so_many(self, clients: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kms_actors.actors.login.cert_crls.MAX_CRLS", 2)
        for name in ("a", "b", "a"):
            await revoke(clients[0], APP, name=name)
        with pytest.raises(InvalidRequest, match="at most 2 CRLs"):
            await revoke(clients[0], APP, name="c")
        assert MAX_CRLS >= 16

    async def test_one_with_a_url_is_fetched_anew_once_it_is_old(
        self, clients: tuple[Tenant, Tenant], lists: Lists
    ) -> None:
        one, _ = clients
        await write_role(one, trusted=LASTING_ROOT)
        await one.ask(WriteCertCrl(M, "u", "", lists.url))
        await log_in(one, LASTING)
        assert lists.asked == 1
        lists.revoked.append(LASTING)
        await log_in(one, LASTING)
        assert lists.asked == 1
        one.now += 1.5 * 86_400
        with pytest.raises(InvalidRequest, match=NOT_MATCHED):
            await log_in(one, LASTING)
        assert lists.asked == 2
        assert (await one.ask(ReadCertCrl(M, "u"))).url == lists.url

    async def test_one_that_cannot_be_fetched_stays_as_it_is(
        self, clients: tuple[Tenant, Tenant], lists: Lists
    ) -> None:
        one, _ = clients
        await write_role(one, trusted=LASTING_ROOT)
        lists.revoked.append(LASTING)
        await one.ask(WriteCertCrl(M, "u", "", lists.url))
        lists.status = 500
        one.now += 1.5 * 86_400
        for _ in range(3):
            with pytest.raises(InvalidRequest, match=NOT_MATCHED):
                await log_in(one, LASTING)
        assert lists.asked == 2  # and it is not asked at each login
        with pytest.raises(InvalidRequest, match="url: it answers with status 500"):
            await one.ask(WriteCertCrl(M, "v", "", lists.url))

    async def test_where_it_may_not_be_fetched_from_is_told(self, clients: tuple[Tenant, Tenant]) -> None:
        for url in ("http://192.0.2.1/crl", "file:///etc/passwd", "x"):
            with pytest.raises(InvalidRequest, match="url: "):
                await clients[0].ask(WriteCertCrl(M, "u", "", url))
        with pytest.raises(InvalidRequest, match="one of 'crl' or 'url' must be provided"):
            await clients[0].ask(WriteCertCrl(M, "u", "", ""))


async def test_what_is_kept_is_known_and_holds_no_names(clients: tuple[Tenant, Tenant]) -> None:
    tenant = clients[0]
    await write_role(tenant)
    await tenant.ask(WriteCertConfig(M, {"disable_binding": True}))
    await revoke(tenant, APP)
    assert await tenant.places("cert") == [
        ("cert", M, "config"),
        ("cert", M, "crl", "x"),
        ("cert", M, "role", "r"),
    ]
