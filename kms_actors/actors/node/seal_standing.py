"""Who opens the cluster: what the store says of its seal, beside what the configuration of this node says.

the store has        configured                      standing
nothing              whatever                        UNINITIALISED
shares               `shamir`                        SHARES: a quorum gives the master key
a provider's seal    that provider                   PROVIDER: it gives the master key; a quorum may ask it to
of whatever type     another, `migrate_from` that    MIGRATION: a quorum has the master key change hands
one share            `static`                        FILE: of an older program, the file has the master key itself
else                                                 FOREIGN: nothing is done
"""

from __future__ import annotations

from enum import Enum, auto

from kms_actors.config import MasterKeyringProvider
from kms_actors.keyring.master_seal import SHAMIR, MasterSeal, shares_of, type_of
from kms_actors.keyring.seal import SealConfig
from kms_actors.messages import SealStatus


class Standing(Enum):
    """See the module."""

    UNINITIALISED = auto()
    SHARES = auto()
    PROVIDER = auto()
    MIGRATION = auto()
    FILE = auto()
    FOREIGN = auto()


def standing_of(settings: MasterKeyringProvider, seal: MasterSeal | None) -> Standing:
    """Return how things are by a seal."""
    if seal is None:
        return Standing.UNINITIALISED
    kept_by: str = type_of(seal)
    if kept_by == settings.name:
        return Standing.SHARES if isinstance(seal, SealConfig) else Standing.PROVIDER
    if kept_by == settings.migrate_from:
        return Standing.MIGRATION
    of_a_file = isinstance(seal, SealConfig) and seal.shares == 1 and settings.name == "static"
    return Standing.FILE if of_a_file else Standing.FOREIGN


def seal_status(settings: MasterKeyringProvider, seal: MasterSeal | None, *, sealed: bool) -> SealStatus:
    """Return what is told of a seal, without progress."""
    standing = standing_of(settings, seal)
    if seal is None or standing is Standing.FILE:
        kind, shares = str(settings.name), None
    else:
        kind, shares = type_of(seal), shares_of(seal)
    return SealStatus(
        initialized=seal is not None,
        sealed=sealed,
        threshold=0 if shares is None else shares.threshold,
        shares=0 if shares is None else shares.shares,
        type=kind,
        recovery_seal=kind != SHAMIR,
        migration=sealed and standing is Standing.MIGRATION,
    )


def foreign(settings: MasterKeyringProvider, seal: MasterSeal) -> str:
    """Return why nothing is done where all is FOREIGN."""
    return (
        f"the master key of this cluster is kept by `{type_of(seal)}`, and this node is configured for "
        f"`{settings.name}`: see the setting master_keyring_provider.migrate_from"
    )
