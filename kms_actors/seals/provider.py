"""What all who keep a master key have in common."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, Protocol

from kms_actors.secret import SecretBytes

ProviderType = Literal["static", "transit", "pkcs11"]

_LABEL: Final = b"clever-kms master key v1\x00"


class Wrapped(NamedTuple):
    """A master key that only its provider can unwrap; `key_id` names the provider's key, and the version of that."""

    key_id: str
    blob: bytes


class Provider(Protocol):
    """Keeps no key of ours: it wraps one, and unwraps it. Nothing of it holds up the loop."""

    @property
    def type(self) -> ProviderType: ...

    async def check(self) -> None:
        """Raise SettingError for settings that cannot be used on this machine, whatever others do."""

    async def wrap(self, key: SecretBytes) -> Wrapped:
        """Return `key` (32 bytes) wrapped by the provider's key of now. Raises SealUnavailable, SealRefused."""

    async def unwrap(self, wrapped: Wrapped) -> SecretBytes:
        """Return the key; what an older key of the provider has wrapped, too, while it has that.

        Raises:
            SealUnavailable: it cannot be reached.
            SealRefused: it does not want to, or has that key no more.
            IntegrityError: what it gave back is no key, or what was given is not from it.

        """

    async def close(self) -> None:
        """Let go of connections, and of work of its own."""


def associated(namespace: str) -> bytes:
    """Return what a master key is bound to where the provider's algorithm can do so: its use, and its cluster."""
    return _LABEL + namespace.encode()
