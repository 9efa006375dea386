"""What logins by certificate keep is clean as a node leaves it, bound to its place, and comes back from a backup."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from kms_actors.check.findings import Kind
from kms_actors.check.walk import check
from kms_actors.errors import InvalidRequest
from kms_actors.login.cert import NOT_MATCHED, LoginByCertificate, WriteCertConfig, WriteCertRole
from kms_actors.login.cert_crls import WriteCertCrl
from kms_actors.messages import EnableMount, Unseal
from kms_actors.store.keyspace import TenantKeys
from tests.login.test_cert import revoking
from tests.store.access import get, get_all, put
from tests.support.backups import backup, restore
from tests.support.certificates import authority, client
from tests.support.vaults import filled, master_of, node, opened

KEYS = TenantKeys(1)
ROOT = authority("root")
APP, REVOKED = client("app", ROOT), client("revoked", ROOT)


async def log_in(tenant: Any) -> None:
    await tenant.ask(LoginByCertificate(3, "auth/cert/login", "::1", "r", (APP.der,)))
    with pytest.raises(InvalidRequest, match=NOT_MATCHED):
        await tenant.ask(LoginByCertificate(3, "auth/cert/login", "::1", "r", (REVOKED.der,)))


async def test_records_are_known_and_come_back(tmp_path: Path) -> None:
    crl = revoking(ROOT, REVOKED.certificate.serial_number).public_bytes(Encoding.PEM).decode()
    async with opened(tmp_path) as store:
        async with node(store, tmp_path) as service:
            vault = await filled(service, "vault_a")
            tenant = await service.tenant("vault_a")
            await tenant.ask(EnableMount("auth/cert/", "cert", "", {}))
            await tenant.ask(WriteCertConfig(3, {"enable_identity_alias_metadata": True}))
            await tenant.ask(WriteCertRole(3, "r", {"certificate": ROOT.pem}))
            await tenant.ask(WriteCertCrl(3, "x", crl, ""))
            await log_in(tenant)
        master = await master_of(store, tmp_path)
        for keys in (None, master):
            assert not (await check(store, keys, lambda *_: None)).findings
        places = {
            KEYS.parts(key)[2] for key, _ in await get_all(store) if KEYS.span("cert")[0] < key < KEYS.span("cert")[1]
        }
        assert places == {"config", "role", "crl"}
        file = await backup(store, "all")
        # A role that was moved to another place does not open there.
        moved = KEYS.key("cert", 3, "role", "other")
        role = await get(store, KEYS.key("cert", 3, "role", "r"))
        assert role is not None
        await put(store, (moved, role))
        found = {(each.kind, each.key) for each in (await check(store, master, lambda *_: None)).findings}
        assert {key for _, key in found} == {moved}
        assert Kind.UNKNOWN_KEY not in {kind for kind, _ in found}
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / "master.key", other / "master.key")
    async with opened(other) as store:
        await restore(store, file)
        async with node(store, other) as service:
            tenant = await service.tenant("vault_a")
            for share in vault.shares[:2]:
                await tenant.ask(Unseal(share))
            await log_in(tenant)
