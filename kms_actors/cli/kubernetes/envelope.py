"""What the service `KeyManagementService` does: seals the keys that an API server seals its secrets with.

Source: `k8s.io/kms/apis/v2/api.proto`, and "Using a KMS provider for data encryption" of Kubernetes.
"""

from __future__ import annotations

import base64
import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple, TypeVar

from kms_actors.cli.kubernetes.spare import KEY_BYTES, Spare, open_with, sealed_key
from kms_actors.cli.kubernetes.transit import KeyInfo, NoToken, Rejected, TransitKey, Unreachable
from kms_actors.cli.sender import RequestFailed

T = TypeVar("T")

#: Seconds between two looks at the key.
FOLLOW_SECONDS: Final = 5.0
#: Seconds for which an API server is served without the server.
OUTAGE_SECONDS: Final = 600.0
#: Keys of an API server that are kept: it makes one at each start, and at each rotation.
_KEPT: Final = 1_000
#: Bytes that an API server takes, less one.
MOST_BYTES: Final = 1_024

#: Types of keys that seal.
SEALING: Final = frozenset({"aes256-gcm96", "aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305"})


class Sealed(NamedTuple):
    """A ciphertext, and the id of the key's version that made it."""

    ciphertext: bytes
    key_id: str


class _Opened(NamedTuple):
    """A plaintext that is kept, and the version of the key that opened it."""

    version: int
    plaintext: bytes

    def __repr__(self) -> str:
        return "<_Opened>"


class Envelope:
    """One key for all that an API server seals. All but `follow` is for several threads at once."""

    def __init__(self, key: TransitKey, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()
        self._info: KeyInfo | None = None
        self._reached = 0.0  # when the server last answered
        self._away = False  # whether it did not, when it was asked last
        self._why = "the server was not asked yet"
        self._opened: OrderedDict[bytes, _Opened] = OrderedDict()
        self._spare: Spare | None = None

    def follow(self) -> None:
        """Look which version of the key is the newest one, and have a spare of it. Raises RequestFailed."""
        info = self._asked(self._key.read)
        if info.type not in SEALING:
            raise RequestFailed(f"the key {self._key.name} is of type {info.type}, which does not seal")
        with self._lock:
            self._info = info
            for digest in [each for each, opened in self._opened.items() if opened.version < info.oldest]:
                del self._opened[digest]
            if self._spare is not None and _version(self._spare.sealed) < info.oldest:
                self._spare = None  # the server would never open what it seals
            spare = self._spare
        key_id = self._id(info, info.latest)
        if spare is None or spare.key_id != key_id:
            self._make_spare(info, key_id)

    def status(self) -> tuple[str, str]:
        """Return `ok`, or why it is not, and the id of the newest version."""
        with self._lock:
            info, why = self._info, self._why
        if info is None:
            return why, ""
        return why or "ok", self._id(info, info.latest)

    def seal(self, plaintext: bytes) -> Sealed:
        """Return a plaintext sealed. Without the server, by the spare, for a while. Raises RequestFailed."""
        with self._lock:
            spare = self._spare
        if spare is not None and self._is_away():
            return Sealed(_short(spare.seal(plaintext)), spare.key_id)
        try:
            ciphertext = self._sealed_by_server(plaintext)
        except Unreachable:
            if spare is not None and self._may_do_without():
                return Sealed(_short(spare.seal(plaintext)), spare.key_id)
            raise
        version = _version(ciphertext)
        with self._lock:
            info = self._info
        if info is None or version not in info.versions:
            self.follow()
            info = self._info
        assert info is not None
        self._keep(ciphertext, plaintext)
        return Sealed(ciphertext, self._id(info, version))

    def open(self, ciphertext: bytes) -> bytes:
        """Return a plaintext. Without the server, what was opened before, for a while. Raises RequestFailed."""
        if (sealed := sealed_key(ciphertext)) is not None:
            return open_with(self._opened_by_server(sealed), ciphertext)
        return self._opened_by_server(ciphertext)

    def _make_spare(self, info: KeyInfo, key_id: str) -> None:
        key = os.urandom(KEY_BYTES)
        sealed = self._sealed_by_server(key)
        if _version(sealed) == info.latest:  # otherwise it was rotated just now: the next look makes one
            self._keep(sealed, key)
            with self._lock:
                self._spare = Spare(key, sealed, key_id)

    def _sealed_by_server(self, plaintext: bytes) -> bytes:
        body = {"plaintext": base64.b64encode(plaintext).decode()}
        return _short(self._asked(lambda: self._key.ask("encrypt", body, "ciphertext")).encode())

    def _opened_by_server(self, ciphertext: bytes) -> bytes:
        digest = sha256(ciphertext).digest()
        with self._lock:
            known = self._opened.get(digest)
        if known is not None and self._is_away():
            return known.plaintext
        _version(ciphertext)
        body = {"ciphertext": ciphertext.decode()}
        try:
            text = self._asked(lambda: self._key.ask("decrypt", body, "plaintext"), of_one=True)
        except Unreachable:
            if known is not None and self._may_do_without():
                return known.plaintext
            raise
        except Rejected:
            with self._lock:
                self._opened.pop(digest, None)
            with contextlib.suppress(RequestFailed):
                self.follow()  # others like it may not be opened any more either, or none
            raise
        plaintext = base64.b64decode(text)
        self._keep(ciphertext, plaintext)
        return plaintext

    def _is_away(self) -> bool:
        """Tell whether the server did not answer last: it is asked by `follow` alone until it does, for a while."""
        return self._away and self._may_do_without()

    def _may_do_without(self) -> bool:
        return self._clock() - self._reached < OUTAGE_SECONDS

    def _keep(self, ciphertext: bytes, plaintext: bytes) -> None:
        with self._lock:
            self._opened[sha256(ciphertext).digest()] = _Opened(_version(ciphertext), plaintext)
            while len(self._opened) > _KEPT:
                self._opened.popitem(last=False)

    def _asked(self, ask: Callable[[], T], *, of_one: bool = False) -> T:
        """Return what `ask` does, and heed what its errors say of the key; `of_one`: Rejected says nothing of it."""
        try:
            found = ask()
        except Unreachable as error:
            with self._lock:
                self._away = True
                if not self._may_do_without() or self._info is None:
                    self._why = str(error)
            raise
        except NoToken as error:
            with self._lock:
                self._why = str(error)
            raise
        except RequestFailed as error:
            with self._lock:
                self._reached, self._away = self._clock(), False
                if not (of_one and isinstance(error, Rejected)):
                    self._why = str(error)  # who may not ask now, may not do so by what is kept either
                    self._opened.clear()
                    self._spare = None
            raise
        with self._lock:
            self._reached, self._away, self._why = self._clock(), False, ""
        return found

    def _id(self, info: KeyInfo, version: int) -> str:
        """Return what a version is called: when it was made is in it, since a key may be made anew by its name."""
        return f"{self._key.name}/v{version}/{info.versions[version]}"


def _short(ciphertext: bytes) -> bytes:
    """Return a ciphertext that an API server takes. Raises RequestFailed."""
    if len(ciphertext) >= MOST_BYTES:
        raise RequestFailed("the ciphertext is longer than an API server takes")
    return ciphertext


def _version(ciphertext: bytes) -> int:
    """Return which version made a ciphertext of Transit. Raises RequestFailed for anything else."""
    parts = ciphertext.split(b":", 2)
    if len(parts) < 3 or not parts[1].startswith(b"v") or not parts[1][1:].isdigit() or not ciphertext.isascii():
        raise RequestFailed("this is no ciphertext of the Transit API")
    return int(parts[1][1:])
