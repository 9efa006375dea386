"""From settings to the providers that they describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kms_actors.config import MasterKeyringProvider
from kms_actors.seals.pkcs11.provider import Pkcs11Provider
from kms_actors.seals.provider import Provider
from kms_actors.seals.static import StaticProvider
from kms_actors.seals.transit.provider import TransitProvider

_KINDS: Final[Mapping[str, Callable[[MasterKeyringProvider], Provider]]] = {
    "static": StaticProvider.of,
    "transit": TransitProvider.of,
    "pkcs11": Pkcs11Provider.of,
}


def providers_of(settings: MasterKeyringProvider) -> dict[str, Provider]:
    """Return those that keep the master key, or have kept it, by type; raises SettingError."""
    return {name: _KINDS[name](settings) for name in settings.types if name in _KINDS}
