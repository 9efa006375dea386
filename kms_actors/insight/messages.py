"""Questions to the node about itself. They go to the node whoever asks; who may ask is the edge's to decide."""

from __future__ import annotations

from math import inf

import msgspec

from kms_actors.messages import Command, Query


class ReadHost(Query, frozen=True):
    """Answer: what the machine of the node is, and how busy: `observe.host.Host`."""


class ListVersions(Query, frozen=True):
    """Answer: the versions that the cluster has run, the first one first: `InstalledVersion`s."""


class ListMembers(Query, frozen=True):
    """Answer: the nodes that were heard of lately, in the order of their names: `Member`s."""


class ReadSettings(Query, frozen=True):
    """Answer: the settings that the node runs by, without what is secret, by name."""


class ListVaults(Query, frozen=True):
    """Answer: ids of vaults with their integers, behind `after`, `limit` at most (0: as many as a list may have)."""

    after: str = ""
    limit: int = 0


class FindVault(Query, frozen=True):
    """Answer: the integer of the vault with this id; None where there is none."""

    vault_id: str


class ReadMetrics(Query, frozen=True):
    """Answer: the metrics of the node, as Prometheus reads them (bytes), or by Vault's names (a dict)."""

    prometheus: bool = False


class ReadLevels(Query, frozen=True):
    """Answer: the least level that each logger of the node writes, by name."""


class SetLevel(Command, frozen=True):
    """Set the least level of a logger, or of all (no name); None: as configured. Answer: whether there is such one.

    It holds for this node, until it ends.
    """

    level: int | None
    name: str = ""


class ReadInFlight(Query, frozen=True):
    """Answer: the requests that the node works on: `RequestUnderWay`s."""


class FollowLog(Query, frozen=True):
    """Answer: what gives the lines of the node's log from now on, a batch at a time: an async iterator of lists.

    It ends once the token that allowed it has ended or is revoked. Raises Overloaded where enough others follow.
    """

    level: int
    ends: float = inf  # seconds since 1970
    revocation_ids: tuple[str, ...] = ()


class ReadStacks(Query, frozen=True):
    """Answer: where the threads and tasks of the process that answers are, a text."""


class LevelSet(msgspec.Struct, frozen=True):
    """What each process is told of a `SetLevel`."""

    level: int | None
    name: str


class LinesWanted(msgspec.Struct, frozen=True):
    """Which lines a process is asked for: after one time, up to another, of a level or above."""

    since: float
    until: float
    level: int


class RequestUnderWay(msgspec.Struct, frozen=True):
    """A request that is worked on. Its path is that of the route: what a vault keeps where is its own."""

    id: str
    began: float  # seconds since 1970
    remote: str
    route: str
    method: str
    client: str = ""  # who asks, as logs call him, once that is known
