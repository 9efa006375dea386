"""Failed logins, counted in the store, so that all nodes count together: a transaction decides what locks a name.

Records, below a mount's type and number: (`failures`, keyed hash of an alias) Failures of a name that is there;
(`strangers`, number) Failures of all names that are not, which fall into so many records by their keyed hash. So
there are never more than the mount has names, and some: what is guessed makes nothing grow, and is answered alike.
"""

from __future__ import annotations

import hmac
from typing import Final

from kms_actors.actors.login.remembered import Remembered
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import AuthenticationFailed
from kms_actors.login.lockout import Failures, LockoutRule
from kms_actors.mounts import Mount
from kms_actors.observe.bounded import BoundedLog
from kms_actors.store.api import Transaction

KNOWN: Final = "failures"
STRANGERS: Final = "strangers"
#: Records of names that are not there.
BUCKETS: Final = 4096

_LABEL: Final = b"failed logins"
_log: Final = BoundedLog(__name__)


class Locking:
    """The failed logins of a vault's mounts."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._hash_key = context.keyring.derive(_LABEL)

    def key(self, mount: Mount, alias: str, *, known: bool) -> bytes:
        """Return where the failures of a name lie; of one that is not `known`, with others."""
        digest = hmac.digest(self._hash_key, b"%d\0%s" % (mount.number, alias.encode()), "sha256")
        if known:
            return self._context.keys.key(mount.type, mount.number, KNOWN, digest[:16])
        return self._context.keys.key(mount.type, mount.number, STRANGERS, int.from_bytes(digest[:8]) % BUCKETS)

    def opened(self, key: bytes, record: bytes | None) -> Failures | None:
        """Return the failures that were read at `key`."""
        return None if record is None else Failures.decode(self._context.keyring.open(key, record))

    def locked(self, mount: Mount, key: bytes, record: bytes | None, now: float) -> bool:
        """Tell whether a name is locked, by the record that was read at `key`."""
        return record is not None and rule_of(mount).locked(self.opened(key, record), now)

    def succeeded(self, tr: Transaction, mount: Mount, key: bytes, record: bytes | None, now: float) -> None:
        """Forget failures, of a name whose record was read at `key` within the login's transaction.

        Raises:
            AuthenticationFailed: it was locked meanwhile; what was proved counts for nothing.

        """
        if record is None:
            return
        if self.locked(mount, key, record, now):
            raise AuthenticationFailed("the name is locked")
        tr.clear(key)

    async def failed(self, mount: Mount, alias: str, place: bytes, remembered: Remembered | None = None) -> None:
        """Count a failure of a name, which is known if there is something at `place`.

        Many at once, on several nodes, are counted each; of a name that is locked none is, nor written. What is
        remembered of the name is dropped everywhere, so that the next success forgets the failure: also of a name
        that is not there, since whoever waits for it must not learn that.
        """
        context, rule = self._context, rule_of(mount)
        if rule.disabled:
            return
        now = context.clock() / 1e9
        own, shared = (self.key(mount, alias, known=known) for known in (True, False))

        async def body(tr: Transaction) -> bool:
            named, of_own, of_shared = await tr.get_many((place, own, shared))
            key, record = (own, of_own) if named is not None else (shared, of_shared)
            before = self.opened(key, record)
            if rule.locked(before, now):
                return False
            after = rule.failed(before, alias if named is not None else "", now)
            tr.set(key, context.keyring.seal(key, after.encode()))
            if remembered is not None:
                remembered.changed(tr, mount.number, alias)
            return rule.locked(after, now)

        locked = await context.store.change(body, mount=mount.number, bearers=())
        if remembered is not None:
            await remembered.forget(mount.number, alias)
        if locked:
            _log.warning(
                "a name was locked after failed logins", context.vault_id, vault=context.vault_id, mount=mount.path
            )


def rule_of(mount: Mount) -> LockoutRule:
    """Return when names of a mount are locked."""
    return LockoutRule.of(mount.config.user_lockout_config)
