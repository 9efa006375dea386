"""Where a mount's configuration and roles lie: (type, mount, `config`) and (type, mount, `role`, name), sealed."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import InvalidRequest, NotFound, Unavailable
from kms_actors.login.jwt_config import JwtConfig
from kms_actors.login.jwt_login import role_name
from kms_actors.login.jwt_role import JwtRole
from kms_actors.mounts import Mount
from kms_actors.store.api import Reads

CONFIG: Final = "config"
ROLE: Final = "role"

T = TypeVar("T")


class Basis(NamedTuple):
    """What a login rests on, as it was read: it is read again by the transaction that makes the token."""

    config: JwtConfig
    name: str
    role: JwtRole | None
    records: tuple[tuple[bytes, bytes | None], ...]

    async def hold(self, tr: Reads) -> None:
        """Raise Unavailable where any of it was changed meanwhile."""
        if await tr.get_many([place for place, _ in self.records]) != [record for _, record in self.records]:
            raise Unavailable("the role or the configuration was changed meanwhile, try again")


class JwtRecords:
    """The records of one mount."""

    def __init__(self, context: TenantContext, number: int) -> None:
        self._context = context
        self.mount: Mount = context.store.require_mount(number)
        self.config_place = context.keys.key(self.mount.type, number, CONFIG)

    def role_place(self, name: str) -> bytes:
        """Return where a role lies."""
        return self._context.keys.key(self.mount.type, self.mount.number, ROLE, name)

    def config(self, record: bytes | None) -> JwtConfig | None:
        """Return the configuration that was read."""
        return None if record is None else JwtConfig.decode(self._open(self.config_place, record))

    def role(self, name: str, record: bytes | None) -> JwtRole | None:
        """Return a role that was read."""
        return None if record is None else JwtRole.decode(self._open(self.role_place(name), record))

    async def read_config(self) -> JwtConfig:
        """Return the configuration; raises NotFound."""
        return _there(self.config(await self._context.store.read(lambda tr: tr.get(self.config_place))))

    async def read_role(self, name: str) -> JwtRole:
        """Return a role; raises NotFound."""
        place = self.role_place(name)
        return _there(self.role(name, await self._context.store.read(lambda tr: tr.get(place))))

    async def basis(self, sent: str) -> Basis:
        """Return what a login for a role, or for the default one, rests on; raises InvalidRequest."""

        async def look(tr: Reads) -> Basis:
            first = await tr.get_many([self.config_place, *([self.role_place(sent)] if sent else [])])
            config = self.config(first[0])
            name = role_name(config, sent)
            assert config is not None
            place = self.role_place(name)
            record = first[1] if sent else await tr.get(place)
            return Basis(config, name, self.role(name, record), ((self.config_place, first[0]), (place, record)))

        return await self._context.store.read(look)

    def _open(self, place: bytes, record: bytes) -> bytes:
        return self._context.keyring.open(place, record)


def _there(found: T | None) -> T:
    if found is None:
        raise NotFound
    return found


def must_exist(role: JwtRole | None) -> JwtRole:
    """Return a role that a login needs; raises InvalidRequest."""
    if role is None:
        raise InvalidRequest("the role could not be found")
    return role
