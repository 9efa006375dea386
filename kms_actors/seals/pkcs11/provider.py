"""The provider `pkcs11`: the master key, wrapped by an AES key that never leaves its HSM.

    nonce (12 bytes) ‖ ciphertext and tag (16 bytes) of CKM_AES_GCM; additional data: `associated`

The HSM's key is called `label/id`, by CKA_LABEL and CKA_ID in hex. A seal says which key has wrapped it, so that
another one can be named in the configuration, and the old one still opens what it has wrapped.

Each use opens a session and logs in, and logs out: an HSM that was away meanwhile is found again. After an error of
the device its library begins anew, since many keep a connection that is of no use any more. A PIN that was wrong is
not tried a second time before it is another one: HSMs lock themselves after a few.

Source: PKCS #11 v3.1, sections 6.13 (AES-GCM) and 5.6 (sessions).
"""

from __future__ import annotations

import contextlib
import hmac
import importlib
import os
import re
from typing import Any, Final, NamedTuple

from kms_actors.config import MasterKeyringProvider, Pkcs11Seal, SettingError
from kms_actors.errors import IntegrityError, KmsError, SealRefused, SealUnavailable
from kms_actors.seals.pkcs11.thread import HsmThread
from kms_actors.seals.provider import ProviderType, Wrapped, associated
from kms_actors.seals.sources import Source, source
from kms_actors.secret import SecretBytes

_PREFIX: Final = "master_keyring_provider.pkcs11."
_NONCE: Final = 12
_TAG_BITS: Final = 128
_LENGTH: Final = 32
_KEY_BITS: Final = 256
_KEY_ID: Final = re.compile(r"(.*)/((?:[0-9a-f]{2})*)", re.DOTALL)
#: How `python-pkcs11` says that a library is none, or lacks one that it needs.
_NOT_LOADED: Final = "OS exception while loading"
_NOT_INSTALLED: Final = "the package `python-pkcs11` is missing: install `clever-kms[pkcs11]`"


class _Key(NamedTuple):
    """What finds a key in the HSM; None: whatever its id is, empty: one that has none."""

    label: str
    id: bytes | None

    def __str__(self) -> str:
        return f"{self.label}/{self.id.hex()}" if self.id else self.label


class Pkcs11Provider:
    """See `Provider`."""

    type: Final[ProviderType] = "pkcs11"

    def __init__(self, settings: Pkcs11Seal, namespace: str) -> None:
        pin = source(_PREFIX, "pin", settings.pin_file, settings.pin_credential)
        assert pin is not None  # checked when the file was read
        self._settings = settings
        self._associated = associated(namespace)
        self._pin: Source = pin
        self._last_pin: SecretBytes | None = None
        self._wrong_pin: SecretBytes | None = None
        self._thread = HsmThread()

    @classmethod
    def of(cls, settings: MasterKeyringProvider) -> Pkcs11Provider:
        """Return the one that settings describe."""
        assert settings.pkcs11 is not None  # checked when the file was read
        return cls(settings.pkcs11, settings.namespace)

    async def check(self) -> None:
        await self._thread.run(self._check)

    async def wrap(self, key: SecretBytes) -> Wrapped:
        return await self._thread.run(lambda: self._guarded(lambda session: self._wrap(session, key)))

    async def unwrap(self, wrapped: Wrapped) -> SecretBytes:
        found: SecretBytes = await self._thread.run(
            lambda: self._guarded(lambda session: self._unwrap(session, wrapped))
        )
        return found

    async def close(self) -> None:
        """Nothing: no session is kept."""

    # What follows runs in the thread.

    def _check(self) -> None:
        _text(self._pin, self._pin.read())
        if not os.access(self._settings.library, os.R_OK):
            raise SettingError(_PREFIX + "library", f"{self._settings.library}: no such file, or not permitted")
        try:
            importlib.import_module("pkcs11")
        except ImportError:
            raise SettingError("master_keyring_provider.name", _NOT_INSTALLED) from None

    def _guarded(self, work: Any) -> Any:
        """Return what `work` does with a session; its errors in our words, which hold no secret.

        They are raised where those of the library are gone: what these hold on to must not be let go of later, in
        another thread, beside a call.
        """
        import pkcs11  # noqa: PLC0415 - part of an extra

        own = False
        try:
            with self._session(pkcs11) as session:
                return work(session)
        except KmsError as error:
            failure, own = error.with_traceback(None), True
        except Exception as error:  # noqa: BLE001 - of whatever kind: the binding has errors of Python's own, too
            failure = self._in_words(pkcs11, error)
        if not own and not isinstance(failure, SealRefused):
            self._let_go(pkcs11)
        raise failure

    def _in_words(self, pkcs11: Any, error: Exception) -> KmsError:
        if isinstance(error, pkcs11.PinIncorrect | pkcs11.PinInvalid | pkcs11.PinLenRange):
            self._wrong_pin = self._last_pin
            return SealRefused(_wrong(self._pin), lasting=True)
        if isinstance(error, pkcs11.PinLocked | pkcs11.PinExpired | pkcs11.UserPinNotInitialized):
            return SealRefused(f"the HSM lets nobody in: {type(error).__name__}", lasting=True)
        if isinstance(error, pkcs11.MultipleTokensReturned):
            return SealRefused(f"the HSM has several tokens {self._token}: name the slot", lasting=True)
        absent = (pkcs11.NoSuchToken, pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised, pkcs11.SlotIDInvalid)
        if isinstance(error, absent):
            return SealUnavailable(f"the HSM has no token {self._token}")
        if isinstance(error, pkcs11.EncryptedDataInvalid | pkcs11.EncryptedDataLenRange):
            return IntegrityError("the master key that the HSM has wrapped does not open")
        not_loaded = str(error).startswith(_NOT_LOADED)
        library = f"key `{_PREFIX}library`: {self._settings.library} cannot be loaded"
        return SealUnavailable(library if not_loaded else f"the HSM fails: {type(error).__name__}")

    def _let_go(self, pkcs11: Any) -> None:
        """Have the library begin anew at its next use. It stays loaded: what Python still has of it points there."""
        with contextlib.suppress(pkcs11.PKCS11Error, OSError):
            pkcs11.lib(self._settings.library).finalize()

    @property
    def _token(self) -> str:
        settings = self._settings
        return f"in slot {settings.slot}" if settings.slot is not None else f"labelled `{settings.token_label}`"

    def _session(self, pkcs11: Any) -> Any:
        """Open a session and log in."""
        pin = self._pin.read()
        if self._wrong_pin is not None and hmac.compare_digest(self._wrong_pin.reveal(), pin.reveal()):
            raise SealRefused(_wrong(self._pin), lasting=True)
        library = pkcs11.lib(self._settings.library)
        if self._settings.slot is None:
            token = library.get_token(token_label=self._settings.token_label)
        else:
            slots = [slot for slot in library.get_slots(token_present=True) if slot.slot_id == self._settings.slot]
            if not slots:
                raise pkcs11.TokenNotPresent
            token = slots[0].get_token()
        text = _text(self._pin, pin)
        self._last_pin = pin
        session = token.open(user_pin=text)
        self._last_pin = self._wrong_pin = None
        return session

    def _found(self, session: Any, key: _Key) -> Any:
        import pkcs11  # noqa: PLC0415

        named = {pkcs11.Attribute.LABEL: key.label} | ({pkcs11.Attribute.ID: key.id} if key.id else {})
        kind = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.AES}
        found = list(session.get_objects(kind | named))  # to its end: a search that is left off stays open
        if key.id == b"":  # which not every HSM looks for
            found = [each for each in found if not bytes(each.id)]
        if not found:
            raise SealRefused(f"the HSM has no AES key `{key}`")
        if len(found) > 1:
            raise SealRefused(f"the HSM has several AES keys `{key}`: name one by `{_PREFIX}key_id`")
        return found[0]

    def _wrap(self, session: Any, key: SecretBytes) -> Wrapped:
        import pkcs11  # noqa: PLC0415

        settings = self._settings
        own = self._found(
            session, _Key(settings.key_label, None if settings.key_id is None else bytes.fromhex(settings.key_id))
        )
        bits = _bits(pkcs11, own)
        if bits is not None and bits != _KEY_BITS:
            raise SealRefused(f"the HSM's AES key `{settings.key_label}` has {bits} bits, not {_KEY_BITS}")
        nonce = os.urandom(_NONCE)
        ciphertext = _allowed(own, "encrypt", settings.key_label)(
            key.reveal(),
            mechanism=pkcs11.Mechanism.AES_GCM,
            mechanism_param=pkcs11.GCMParams(nonce, self._associated, _TAG_BITS),
        )
        return Wrapped(f"{settings.key_label}/{bytes(own.id).hex()}", nonce + ciphertext)

    def _unwrap(self, session: Any, wrapped: Wrapped) -> SecretBytes:
        import pkcs11  # noqa: PLC0415

        match = _KEY_ID.fullmatch(wrapped.key_id)
        if match is None:
            raise IntegrityError("the seal names no key of an HSM")
        own = self._found(session, _Key(match[1], bytes.fromhex(match[2])))
        key = _allowed(own, "decrypt", match[1])(
            wrapped.blob[_NONCE:],
            mechanism=pkcs11.Mechanism.AES_GCM,
            mechanism_param=pkcs11.GCMParams(wrapped.blob[:_NONCE], self._associated, _TAG_BITS),
        )
        if len(key) != _LENGTH:
            raise IntegrityError("what the HSM has unwrapped is no master key")
        return SecretBytes(key)


def _allowed(key: Any, operation: str, label: str) -> Any:
    """Return a method of a key, which it has where it may be used so; raises SealRefused."""
    method = getattr(key, operation, None)
    if method is None:
        raise SealRefused(f"the HSM's AES key `{label}` may not {operation}")
    return method


def _bits(pkcs11: Any, key: Any) -> int | None:
    """Return how long a key is; None where the HSM does not tell."""
    with contextlib.suppress(pkcs11.PKCS11Error):
        return int(key.key_length)
    return None


def _text(place: Source, pin: SecretBytes) -> str:
    """Return a PIN as the library wants it. Raises SettingError."""
    with contextlib.suppress(UnicodeDecodeError):  # which holds the PIN, and so is the context of nothing
        return pin.reveal().decode()
    raise SettingError(place.setting, f"{place.path} holds no PIN: it is no text in UTF-8")


def _wrong(pin: Source) -> str:
    return f"the HSM does not take the PIN in {pin.path}, which is not tried again before it is another one"
