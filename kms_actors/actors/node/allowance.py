"""How often a vault may be asked, and how much it may have: by its own quotas, and those it was given."""

from __future__ import annotations

from collections.abc import Mapping

from kms_actors.actors.node.services import Services, TenantView
from kms_actors.actors.tenant.records import TenantState
from kms_actors.actors.tenant.tallies import Tallies, limits_of
from kms_actors.mounts import MountTable
from kms_actors.quota.limiter import limiter
from kms_actors.quota.records import Quotas
from kms_actors.tenancy.records import Grant


class Allowance:
    """Of one awake vault, as it is known now. What decides about requests lies in the view, which is read unasked."""

    def __init__(self, services: Services, view: TenantView) -> None:
        self._services = services
        self._view = view
        self._quotas = Quotas()
        self._revision = -1
        self._grant = Grant()

    @property
    def limits(self) -> Mapping[str, int]:
        """How much there may be by kind, 0 for no bound."""
        return limits_of(self._grant.limits, self._services.settings)

    def mounts(self) -> MountTable:
        """Return the mounts as they are known now."""
        return self._view.mounts

    def install(self, state: TenantState) -> None:
        """Take what a state says, whatever was known before."""
        self._revision = -1
        self.publish(state.quotas)
        self.take_standing(state, None)

    def publish(self, quotas: Quotas) -> None:
        """Take quotas, unless later ones are known."""
        if quotas.revision > self._revision:
            self._revision = quotas.revision
            self._quotas = quotas
            self.apply()

    def take_standing(self, state: TenantState, tallies: Tallies | None) -> None:
        """Take what the cluster's operator says, which readings alone tell: they come one after the other."""
        self._view.erasure = state.erasure
        self._view.number = 0 if state.keys is None else state.keys.number
        if state.grant != self._grant:
            self._grant = state.grant
            if tallies is not None:
                tallies.limit(self.limits)
            self.apply()

    def apply(self) -> None:
        """Make what decides about requests anew, for the mounts as they are now."""
        given, view = self._grant.rate_limit, self._view
        view.limiter = limiter(
            () if given is None else (given,),
            self._quotas,
            view.mounts,
            workers=self._services.workers,
            before=view.limiter,
            refused=self._services.refused,
        )
