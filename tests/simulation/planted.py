"""Bugs that the simulation is to find: changes of the product's source, put in while it is imported.

Each takes out what keeps a promise. `SECTION_A` says which of them are the faults of several nodes that were mended
before there was a simulation.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence
from types import CodeType, ModuleType
from typing import Final, NamedTuple

_ACTORS: Final = "kms_actors.actors"
_FDB: Final = "kms_actors.store.foundationdb"


class Edit(NamedTuple):
    """A text of a module's source, which is there once, and what stands there instead."""

    module: str
    before: str
    after: str


class Absent(LookupError):
    """The source is not what the bug was written for: it has to be planted anew."""


_STORE: Final = f"{_ACTORS}.tenant.store"
_FEED: Final = f"{_ACTORS}.cluster.feed"

PLANTED: Final[Mapping[str, Sequence[Edit]]] = {
    # What a change rests on.
    "mount-not-read": [Edit(_STORE, "if known is not None:\n            self._check_mount(known, found[2])", "pass")],
    "epoch-not-read": [
        Edit(_STORE, 'if int.from_bytes(found[0] or b"", "little") != self._epoch:\n            raise Sealed', "pass")
    ],
    "token-not-read": [Edit(_STORE, "for bearer in bearers:\n            if", "for bearer in ():\n            if")],
    "accessor-not-read": [
        Edit(_STORE, "if bearer.accessor:\n", "if False and bearer.accessor:\n"),
    ],
    "policies-not-read": [
        Edit(
            _STORE,
            "if any(stamp != known for stamp, (_, known)",
            "if False and any(stamp != known for stamp, (_, known)",
        )
    ],
    # What is counted once.
    "client-counted-again": [
        Edit(
            f"{_ACTORS}.activity.storage",
            "if present:\n                continue",
            "if False:\n                continue",
        )
    ],
    "clients-left-behind": [
        Edit(f"{_ACTORS}.activity.controller", "and await self._records.has_clients(tr, month)", "and False"),
        Edit(f"{_ACTORS}.activity.storage", "and await self.has_clients(tr, month)", "and False"),
    ],
    "counting-not-told": [Edit(f"{_ACTORS}.activity.controller", 'self._context.record(tr, ACTIVITY, "")', "pass")],
    # What nodes tell each other.
    "revocation-not-told": [
        Edit(f"{_ACTORS}.token.ending", "self._context.record(tr, TOKEN, name)", "pass"),
    ],
    "biscuit-not-told": [
        Edit(f"{_ACTORS}.token.controller", "context.record(tr, TENANT, revocation_id, ends)", "pass")
    ],
    "operator-not-told": [
        Edit(f"{_ACTORS}.node.records", "record(tr, Change(CLUSTER, TOKEN, revocation_id, now, ends))", "pass")
    ],
    "policy-not-told": [Edit(f"{_ACTORS}.policy.storage", "self._context.record(tr, POLICY, name)", "pass")],
    "login-not-told": [Edit(f"{_ACTORS}.login.remembered", "self._context.record(tr, LOGIN,", "(lambda *_: None)(")],
    "mount-not-told": [
        Edit(f"{_ACTORS}.tenant.mounting", 'context.record(tr, TENANT, "")\n            return after', "return after")
    ],
    "rotation-not-told": [
        Edit(f"{_ACTORS}.transit.changes", 'self._context.record(tr, TRANSIT, f"{mount}/{name}")', "pass")
    ],
    "seal-not-told": [
        Edit(
            f"{_ACTORS}.tenant.records",
            'tr.add(keys.key("epoch"), 1)\n        record(tr, Change(self._vault_id, TENANT, "", now))',
            'tr.add(keys.key("epoch"), 1)',
        )
    ],
    "lines-share-a-place": [Edit(f"{_FDB}.transaction", "place(len(self._stamped)) + suffix", "place(0) + suffix")],
    "bad-line-ends-the-reading": [
        Edit(
            _FEED,
            "if change is None:\n                lost += 1\n                continue",
            "assert change is not None",
        )
    ],
    "moved-log-not-noticed": [
        Edit(_FEED, "reason = broken(place, page, _PAGE)", "reason = None"),
        Edit(f"{_ACTORS}.cluster.eras", "if position > stamp:", "if False:"),
    ],
    "change-lost-while-renewing": [
        Edit(_FEED, "await self._forget_all()\n        self._place = place", "self._place = place")
    ],
    # What is served from memory, and for how long.
    "load-kept-though-changed": [
        Edit(
            f"{_ACTORS}.tenant.loading",
            "if self._loads.get(event.key) is not event.load:\n            return False\n"
            "        del self._loads[event.key]",
            "self._loads.pop(event.key, None)",
        )
    ],
    "login-kept-though-changed": [
        Edit(f"{_ACTORS}.login.remembered", "if not attempt.standing.holds or not", "if not"),
        Edit(f"{_ACTORS}.login.remembered", "and kept.standing.holds\n", "\n"),
    ],
    "login-of-another-entity": [Edit(f"{_ACTORS}.login.remembered", "and entity is kept.entity\n", "\n")],
    "lease-eight-times-as-long": [Edit(_FEED, "self._confirmed < self._lease", "self._confirmed < 8 * self._lease")],
    "lease-from-the-end-of-a-read": [
        Edit(
            _FEED,
            "self._confirmed = started\n                self._trimmer",
            "self._confirmed = self._elapsed() + 3\n                self._trimmer",
        )
    ],
    "lease-not-asked": [
        Edit(f"{_ACTORS}.node.service", "if not self._feed.fresh:", "if False:"),
        Edit(f"{_ACTORS}.node.service", "fresh=lambda: self._feed.fresh,", "fresh=lambda: True,"),
    ],
    "lease-not-asked-of-operators": [
        Edit(
            f"{_ACTORS}.node.service",
            "self._require_fresh()\n        return not self._revoked",
            "return not self._revoked",
        )
    ],
    "clock-stops-at-a-standstill": [
        Edit(
            "kms_actors.clock",
            "elapsed: Final[Clock] = (",
            "from tests.simulation.loop import moving as elapsed  # noqa: E402\n_unused: Final[Clock] = (",
        )
    ],
    "revocations-end-by-any-clock": [
        Edit(
            f"{_ACTORS}.node.tenant_actor",
            "return time_of_ends(self._services.trusted_time())",
            "return time_of_ends(self._services.clock())",
        )
    ],
    "clock-always-trusted": [
        Edit(f"{_ACTORS}.cluster.timekeeping", "if abs(now - time) <= BOUND:", "if True:"),
        Edit(
            f"{_ACTORS}.cluster.timekeeping",
            "<= BOUND\n\n    async def look",
            "<= BOUND * 10**6\n\n    async def look",
        ),
    ],
    "older-state-installed": [
        Edit(f"{_ACTORS}.node.tenant_actor", "if found_rank > known_rank:", "if found_rank != known_rank:")
    ],
    # What the store does with what it is not told.
    "unknown-taken-for-applied": [Edit(f"{_FDB}.attempts", "raise _Unknown(result) from failure", "return result")],
    "unknown-run-again": [
        Edit(f"{_FDB}.attempts", "if await _settle(ends + SETTLE_SECONDS, begin, operation):", "if False:")
    ],
    "unknown-not-fenced": [
        Edit(
            f"{_FDB}.operations",
            "native.set(self._key, self._operations.next_number())\n        await native.commit()\n",
            "pass\n",
        )
    ],
    "time-out-taken-for-failed": [
        Edit(
            f"{_FDB}.attempts",
            "MAYBE_COMMITTED: Final = {COMMIT_UNKNOWN, TIMED_OUT, ",
            "MAYBE_COMMITTED: Final = {COMMIT_UNKNOWN, ",
        )
    ],
    "reads-without-conflicts": [
        Edit(f"{_FDB}.transaction", "value = await native.get(key)", "value = await native.get(key, snapshot=True)")
    ],
    # What one may cost others.
    "revocation-has-the-vault-read": [
        Edit(
            f"{_ACTORS}.node.tenant_actor",
            "if change.area == TENANT and not change.name:",
            "if change.area == TENANT:",
        )
    ],
    "trimming-a-page-at-a-time": [
        Edit(f"{_ACTORS}.cluster.trimming", "PAGE: Final = 1000", "PAGE: Final = 100"),
        Edit(f"{_ACTORS}.cluster.trimming", "while await self._store.run(body", "if await self._store.run(body"),
    ],
    "trimming-before-requests": [Edit(f"{_ACTORS}.cluster.trimming", ", priority=Priority.BATCH)", ")")],
    "heads-not-counted": [
        Edit(f"{_ACTORS}.kv.controller", "if transaction.size > MOST_BYTES:", "if False:"),
        Edit(f"{_ACTORS}.kv.controller", "except (\n            TransactionTooLarge,\n", "except (\n"),
    ],
    "threads-by-who-came-first": [
        Edit(
            "kms_actors.runtime.threads",
            "queue = self._queues.setdefault(owner, deque())",
            'owner = ""\n        queue = self._queues.setdefault(owner, deque())',
        ),
        Edit("kms_actors.runtime.threads", "each=1, waiting=32", "each=2, waiting=32"),
    ],
    "no-end-of-all-attempts": [Edit(f"{_FDB}.attempts", "left = ends - elapsed()", "left = ATTEMPT_SECONDS")],
    "list-in-one-transaction": [Edit(f"{_ACTORS}.tenant.listing", "PAGE: Final = 1000", "PAGE: Final = 1_000_000")],
    # Rules of the engines.
    "check-and-set-not-checked": [
        Edit("kms_actors.kv.engine", "elif cas != metadata.current_version:", "elif False:")
    ],
    "uses-not-counted": [Edit(f"{_ACTORS}.token.using", "self._records.set_uses(tr, place, left)", "pass")],
    "unwrapped-twice": [
        Edit(
            f"{_ACTORS}.cubbyhole.wrapping",
            "await self._ending.end(tr, place, token)\n        return _Found",
            "return _Found",
        )
    ],
    "rekey-leaves-the-seal": [Edit(f"{_ACTORS}.ceremony.subject", "tr.set(scope.key(SEAL), seal.encode())", "pass")],
    "root-token-not-counted": [Edit(f"{_ACTORS}.ceremony.root_generating", 'scope.count(tr, "tokens", 1)', "pass")],
    "root-generation-goes-on": [
        Edit(
            f"{_ACTORS}.ceremony.root_generating",
            "tokens.keep(tr, tokens.place(token), record)\n        self._attempts.drop(tr)",
            "tokens.keep(tr, tokens.place(token), record)",
        )
    ],
    "children-outlive-parents": [
        Edit(
            f"{_ACTORS}.tenant.token_records",
            "if accessor is None:\n            return None",
            "if accessor is None:\n            continue",
        )
    ],
}

#: The faults of several nodes on one store, by their names in docs/faults.md, and what brings each back.
SECTION_A: Final = {
    "A1": "mount-not-read",
    "A2": "load-kept-though-changed",
    "A3": "lines-share-a-place",
    "A4": "bad-line-ends-the-reading",
    "A5": "moved-log-not-noticed",
    "A6": "revocation-has-the-vault-read",
    "A7": "trimming-a-page-at-a-time",
    "A8": "lease-not-asked-of-operators",
    "A9": "clock-always-trusted",
    "A10": "heads-not-counted",
    "A11": "threads-by-who-came-first",
    "A12": "no-end-of-all-attempts",
    "A13": "clock-stops-at-a-standstill",
    "A14": "list-in-one-transaction",
    "A15": "trimming-before-requests",
}


def plant(name: str) -> None:
    """Have a bug put in while the product is imported, which it must not have been yet."""
    edits: dict[str, list[Edit]] = {}
    for edit in PLANTED[name]:
        if edit.module in sys.modules:
            raise RuntimeError(f"{edit.module} is imported already")
        edits.setdefault(edit.module, []).append(edit)
    sys.meta_path.insert(0, _Finder(edits))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, edits: Mapping[str, Sequence[Edit]]) -> None:
        self._edits = edits

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name not in self._edits:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin, self._edits[name])
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Reads another source than the file has; nothing of it is kept for later."""

    def __init__(self, name: str, path: str, edits: Sequence[Edit]) -> None:
        super().__init__(name, path)
        self._edits = edits

    def get_code(self, fullname: str) -> CodeType:
        """See `importlib.abc.InspectLoader`."""
        source = self.get_data(self.path).decode()
        for edit in self._edits:
            source = edited(source, edit)
        return compile(source, self.path, "exec")


def edited(source: str, edit: Edit) -> str:
    """Return a source with a bug; raises `Absent`."""
    if source.count(edit.before) != 1:
        raise Absent(f"{edit.module} has {source.count(edit.before)} times what is to be replaced: {edit.before!r}")
    return source.replace(edit.before, edit.after)
