"""The records of AppRole mounts within one transaction: sealed records in, checked records out.

Below (`approle`, mount): (`role`, name) Role; (`role-id`, keyed hash) RoleId; (`secret-id`, role, keyed hash)
SecretId; (`accessor`, role, accessor) SecretIdAccessor; failed logins, see `locking`. And (`secret-id-end`, second,
mount, role, keyed hash), empty: when a secret id ends, in seconds since 1970, for the sweep.

A role's name is part of the keys of its secret ids, and of what is hashed: none is ever another role's.
"""

from __future__ import annotations

import hmac
from typing import Final

from kms_actors.actors.cluster.schedule import SECRET_ID_END, look_by
from kms_actors.keyring.keyring import Keyring
from kms_actors.login.approle import Role, RoleId, SecretId, SecretIdAccessor
from kms_actors.store.api import Reads, Transaction
from kms_actors.store.keyspace import TenantKeys

AREA: Final = "approle"
ROLE: Final = "role"
ROLE_ID: Final = "role-id"
SECRET_ID: Final = "secret-id"  # noqa: S105  # a name
ACCESSOR: Final = "accessor"

_LABEL: Final = b"approle"
_SECOND: Final = 10**9


class ApproleRecords:
    """Where the records of a vault's roles lie, and what is in them."""

    def __init__(self, keys: TenantKeys, keyring: Keyring) -> None:
        self._keys = keys
        self._keyring = keyring
        self._hash_key = keyring.derive(_LABEL)

    def role_key(self, mount: int, name: str) -> bytes:
        return self._keys.key(AREA, mount, ROLE, name)

    def role_id_key(self, mount: int, role_id: str) -> bytes:
        return self._keys.key(AREA, mount, ROLE_ID, self._hash(b"role id", mount, role_id))

    def secret_id_key(self, mount: int, role: str, digest: bytes) -> bytes:
        return self._keys.key(AREA, mount, SECRET_ID, role, digest)

    def accessor_key(self, mount: int, role: str, accessor: str) -> bytes:
        return self._keys.key(AREA, mount, ACCESSOR, role, accessor)

    def digest(self, mount: int, role: str, secret_id: str) -> bytes:
        """Return what a secret id is stored and found under: HMAC-SHA256, 32 bytes."""
        return self._hash(b"secret id", mount, role, secret_id)

    def _hash(self, kind: bytes, mount: int, *texts: str) -> bytes:
        parts = [kind, b"%d" % mount, *(text.encode(errors="surrogatepass") for text in texts)]
        return hmac.digest(self._hash_key, b"".join(b"%d:%b" % (len(part), part) for part in parts), "sha256")

    def role(self, key: bytes, record: bytes | None) -> Role | None:
        """Return the role whose record was read at `key`."""
        return None if record is None else Role.decode(self._keyring.open(key, record))

    def role_of(self, key: bytes, record: bytes | None) -> str:
        """Return the role of a role id whose record was read at `key`; empty if there is none."""
        return "" if record is None else RoleId.decode(self._keyring.open(key, record)).role

    def secret_id(self, key: bytes, record: bytes | None) -> SecretId | None:
        """Return the secret id whose record was read at `key`."""
        return None if record is None else SecretId.decode(self._keyring.open(key, record))

    async def read_role(self, tr: Reads, mount: int, name: str) -> Role | None:
        key = self.role_key(mount, name)
        return self.role(key, await tr.get(key))

    async def read_secret_id(self, tr: Reads, mount: int, role: str, digest: bytes) -> SecretId | None:
        key = self.secret_id_key(mount, role, digest)
        return self.secret_id(key, await tr.get(key))

    async def digest_of(self, tr: Reads, mount: int, role: str, accessor: str) -> bytes | None:
        """Return the digest of the secret id that an accessor names, if that is one of the role's."""
        key = self.accessor_key(mount, role, accessor)
        record = await tr.get(key)
        return None if record is None else SecretIdAccessor.decode(self._keyring.open(key, record)).hash

    async def put_role(self, tr: Transaction, mount: int, name: str, role: Role, before: Role | None) -> bool:
        """Write a role; False, and nothing is written, if its role id is another one's.

        What leads to a role is believed where the role agrees: a restore may bring back an older one.
        """
        if before is None or before.role_id != role.role_id:
            place = self.role_id_key(mount, role.role_id)
            owner = self.role_of(place, await tr.get(place))
            other = await self.read_role(tr, mount, owner) if owner else None
            if other is not None and other.role_id == role.role_id:
                return False
            tr.set(place, self._keyring.seal(place, RoleId(role=name).encode()))
            if before is not None:
                tr.clear(self.role_id_key(mount, before.role_id))
        key = self.role_key(mount, name)
        tr.set(key, self._keyring.seal(key, role.encode()))
        return True

    def remove_role(self, tr: Transaction, mount: int, name: str, role: Role) -> None:
        """Remove a role, and all its secret ids, of whose ends the sweep finds nothing then."""
        tr.clear(self.role_key(mount, name))
        tr.clear(self.role_id_key(mount, role.role_id))
        tr.clear_range(*self._keys.span(AREA, mount, SECRET_ID, name))
        tr.clear_range(*self._keys.span(AREA, mount, ACCESSOR, name))

    def put_secret_id(self, tr: Transaction, mount: int, role: str, digest: bytes, secret_id: SecretId) -> None:
        """Write a secret id that is used less often now, or for the first time."""
        key = self.secret_id_key(mount, role, digest)
        tr.set(key, self._keyring.seal(key, secret_id.encode()))

    async def add_secret_id(self, tr: Transaction, mount: int, role: str, digest: bytes, secret_id: SecretId) -> None:
        """Write a new secret id, with what leads to it."""
        self.put_secret_id(tr, mount, role, digest, secret_id)
        key = self.accessor_key(mount, role, secret_id.accessor)
        tr.set(key, self._keyring.seal(key, SecretIdAccessor(hash=digest).encode()))
        if secret_id.ends:
            tr.set(self._end_key(mount, role, digest, secret_id), b"")
            await look_by(tr, self._keys, secret_id.ends, secret_id.created)

    def remove_secret_id(self, tr: Transaction, mount: int, role: str, digest: bytes, secret_id: SecretId) -> None:
        """Remove a secret id with all that leads to it."""
        tr.clear(self.secret_id_key(mount, role, digest))
        tr.clear(self.accessor_key(mount, role, secret_id.accessor))
        if secret_id.ends:
            tr.clear(self._end_key(mount, role, digest, secret_id))

    def _end_key(self, mount: int, role: str, digest: bytes, secret_id: SecretId) -> bytes:
        return self._keys.key(SECRET_ID_END, -(-secret_id.ends // _SECOND), mount, role, digest)
