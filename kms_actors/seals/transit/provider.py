"""The provider `transit`: encrypts and decrypts the master key by a key of another server.

What is kept is the server's ciphertext as it is (`vault:v3:…`); the provider's key is called by its name and version,
`name:v3`. A rotated key decrypts what older versions of it have encrypted, and encrypts by the newest.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Callable
from typing import Any, Final

from kms_actors.config import MasterKeyringProvider, SettingError, TransitSeal
from kms_actors.errors import IntegrityError, SealUnavailable
from kms_actors.seals.provider import ProviderType, Wrapped
from kms_actors.seals.sources import Source, source
from kms_actors.seals.transit.client import Client
from kms_actors.seals.transit.renewal import Renewal
from kms_actors.secret import SecretBytes
from kms_actors.system_errors import in_words

_PREFIX: Final = "master_keyring_provider.transit."
_CIPHERTEXT: Final = re.compile(r"[a-z]{1,32}:(v[1-9][0-9]{0,9}):[A-Za-z0-9+/=]{1,4096}")
_LENGTH: Final = 32
_TOKEN: Final = re.compile(rb"[\x21-\x7e]+")


class TransitProvider:
    """See `Provider`. From its first use on the token is renewed."""

    type: Final[ProviderType] = "transit"

    def __init__(self, settings: TransitSeal) -> None:
        self._settings = settings
        self._mount = settings.mount_path.rstrip("/")
        self._token = _token_of(settings)
        self._client: Client | None = None
        self._renewal: Renewal | None = None

    @classmethod
    def of(cls, settings: MasterKeyringProvider) -> TransitProvider:
        """Return the one that settings describe."""
        assert settings.transit is not None  # checked when the file was read
        return cls(settings.transit)

    async def check(self) -> None:
        settings = self._settings
        await asyncio.to_thread(lambda: (self._token(), _context(settings)))
        self._client = Client(
            settings.addresses,
            self._token,
            namespace=settings.namespace,
            context=lambda: _context(settings),  # files may hold newer certificates by then
            server_name=settings.server_name,
        )

    async def wrap(self, key: SecretBytes) -> Wrapped:
        plaintext = base64.b64encode(key.reveal()).decode()
        answer = await self._write("encrypt", {"plaintext": plaintext})
        ciphertext = answer.get("ciphertext")
        match = _CIPHERTEXT.fullmatch(ciphertext) if isinstance(ciphertext, str) else None
        if match is None:
            raise SealUnavailable("the server of the seal gives no ciphertext")
        return Wrapped(f"{self._settings.key_name}:{match[1]}", match[0].encode())

    async def unwrap(self, wrapped: Wrapped) -> SecretBytes:
        answer = await self._write("decrypt", {"ciphertext": wrapped.blob.decode("ascii", "replace")})
        try:
            key = base64.b64decode(answer["plaintext"], validate=True)
        except (KeyError, TypeError, ValueError):
            raise SealUnavailable("the server of the seal gives no plaintext") from None
        if len(key) != _LENGTH:
            raise IntegrityError("what the server of the seal has decrypted is no master key")
        return SecretBytes(key)

    async def close(self) -> None:
        if self._renewal is not None:
            await self._renewal.stop()

    async def _write(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._client is None:
            await self.check()
        assert self._client is not None
        if self._renewal is None and not self._settings.disable_renewal:
            self._renewal = Renewal(self._client)
            self._renewal.start()
        answer = await self._client.post(f"{self._mount}/{operation}/{self._settings.key_name}", body)
        data = answer.get("data")
        return data if isinstance(data, dict) else {}


def _token_of(settings: TransitSeal) -> Callable[[], SecretBytes]:
    place = source(_PREFIX, "token", settings.token_file, settings.token_credential)
    return (lambda: _checked(place.setting, place.read())) if place is not None else lambda: _given(settings)


def _given(settings: TransitSeal) -> SecretBytes:
    assert settings.token is not None  # checked when the file was read
    return _checked(f"{_PREFIX}token", SecretBytes(settings.token.encode()))


def _checked(setting: str, token: SecretBytes) -> SecretBytes:
    if not _TOKEN.fullmatch(token.reveal()):
        raise SettingError(setting, "a token has neither spaces nor line breaks nor other than ASCII characters")
    return token


def _context(settings: TransitSeal) -> ssl.SSLContext | None:
    """Return what TLS is spoken with; raises SettingError."""
    if not any(address.startswith("https:") for address in settings.addresses):
        return None
    context: ssl.SSLContext = _loaded(
        _PREFIX + "ca_file", settings.ca_file, lambda path: ssl.create_default_context(cafile=path)
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = settings.client_certificate_file, settings.client_private_key_file
    if certificate is not None:
        Source(_PREFIX + "client_private_key_file", str(key)).read()  # which others must not
        _loaded(
            _PREFIX + "client_certificate_file",
            certificate,
            # With one that is wrong, since without any a terminal would be asked for it.
            lambda path: context.load_cert_chain(path or "", key, password=""),
            ", or that has a passphrase",
        )
    return context


def _loaded(setting: str, path: str | None, load: Callable[[str | None], Any], further: str = "") -> Any:
    try:
        return load(path)
    except ssl.SSLError:
        reason = f"{path} is no certificate in PEM, or not that of the private key{further}"
        raise SettingError(setting, reason) from None
    except OSError as error:
        raise SettingError(setting, f"{path}: {in_words(error)}") from None
