"""A mount of AppRole, and logins by it on any node."""

from __future__ import annotations

from typing import Any, Final

from tests.cluster.elsewhere import status, until
from tests.support.callers import Callers, Reply
from tests.support.node_cluster import SIZE

MOUNT: Final = "auth/approle"


class Logins:
    """Logins of one vault; `admins` are who may change its mounts."""

    def __init__(self, admins: Callers, vault_id: str) -> None:
        self.admins = admins
        self._vault_id = vault_id
        self._role_ids: dict[str, str] = {}

    async def role(self, name: str, **settings: Any) -> None:
        """Write a role; what its tokens and secret ids are like."""
        assert (await self.admins.post(0, f"{MOUNT}/role/{name}", settings)).status == 204
        self._role_ids[name] = (await self.admins.get(0, f"{MOUNT}/role/{name}/role-id")).data["role_id"]

    async def secret_id(self, name: str, node: int = 0) -> str:
        """Return a new secret id of a role."""
        secret_id: str = (await self.admins.post(node, f"{MOUNT}/role/{name}/secret-id")).data["secret_id"]
        return secret_id

    async def try_login(self, name: str, secret_id: str, node: int) -> Reply:
        """Return what a node answers to a login."""
        sent = {"role_id": self._role_ids[name], "secret_id": secret_id}
        nobody = self.admins.with_token("")
        return await nobody.call(node, "POST", f"{MOUNT}/login", sent, X_Vault_Namespace=self._vault_id)

    async def token(self, name: str, node: int = 0) -> str:
        """Return the token of a new login."""
        reply = await self.try_login(name, await self.secret_id(name), node)
        assert reply.status == 200, reply
        token: str = reply.json["auth"]["client_token"]
        return token


async def enable_approle(admins: Callers, vault_id: str) -> Logins:
    """Mount AppRole, and wait until all nodes know it. Failed logins lock no role: many of those here are to fail."""
    unlocked = {"user_lockout_config": {"lockout_disable": True}}
    assert (await admins.post(0, "sys/auth/approle", {"type": "approle"})).status == 204
    assert (await admins.post(0, "sys/auth/approle/tune", unlocked)).status == 204
    for node in range(SIZE):
        await until(node, lambda node: admins.call(node, "LIST", f"{MOUNT}/role"), status(404))
    return Logins(admins, vault_id)
