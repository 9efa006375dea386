"""Questions to the node about itself. They go to the node whoever asks; who may ask is the edge's to decide."""

from __future__ import annotations

from kms_actors.messages import Query


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
