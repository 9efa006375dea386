"""The master key of a command: of shares or a file that were given, else of who keeps it for the nodes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kms_actors.actors.node.records import NodeRecords
from kms_actors.check.keys import master_key
from kms_actors.config import MasterKeyringProvider
from kms_actors.errors import InvalidRequest
from kms_actors.keyring.check_value import has_check_value
from kms_actors.keyring.master_seal import MasterSeal, ProviderSeal, type_of
from kms_actors.keyring.shamir import SECRET_LENGTH
from kms_actors.seals.opening import providers_of
from kms_actors.seals.provider import Wrapped
from kms_actors.seals.sources import Source
from kms_actors.seals.static import StaticProvider
from kms_actors.secret import SecretBytes
from kms_actors.small_files import read_small
from kms_actors.store.api import Store


class Given(NamedTuple):
    """What was given to a command."""

    shares: tuple[str, ...]
    key_file: Path | None

    @property
    def nothing(self) -> bool:
        """Tell that the key is to come from elsewhere, if at all."""
        return not self.shares and self.key_file is None

    async def master_key(self, store: Store, settings: MasterKeyringProvider) -> SecretBytes | None:
        """Return the master key; None where shares have it, and none were given.

        Raises:
            InvalidRequest: shares that are none, or a file without a key.
            SealUnavailable: who keeps the key does not answer, or refuses.

        """
        if self.shares:
            return master_key(self.shares)
        seal, _ = await NodeRecords(store, settings.namespace).read()
        if self.key_file is not None:
            return await _of_file(self.key_file, settings.namespace, seal)
        if seal is None or settings.name == "shamir":
            return None
        providers = providers_of(settings)
        try:
            static = providers.get("static")
            if not isinstance(seal, ProviderSeal):  # as of an older program
                return static.keys()[0] if isinstance(static, StaticProvider) else None
            if seal.type not in providers:
                raise InvalidRequest(
                    f"the configuration does not say how to reach `{type_of(seal)}`, which has the key"
                )
            return await providers[seal.type].unwrap(Wrapped(seal.key_id, seal.wrapped))
        finally:
            for provider in providers.values():
                await provider.close()


async def _of_file(path: Path, namespace: str, seal: MasterSeal | None) -> SecretBytes:
    """Return the key in a file; where that is the key of `static`, the master key that it has wrapped."""
    try:
        key = SecretBytes(bytes.fromhex(read_small(path).decode("ascii").strip()))
    except ValueError:
        raise InvalidRequest(f"{path}: no key in hex") from None
    if len(key) != SECRET_LENGTH:
        raise InvalidRequest(f"{path}: a key is {2 * SECRET_LENGTH} hex digits")
    if isinstance(seal, ProviderSeal) and seal.type == "static" and has_check_value(key, seal.key_id):
        return await StaticProvider(namespace, Source("--key-file", str(path))).unwrap(
            Wrapped(seal.key_id, seal.wrapped)
        )
    return key
