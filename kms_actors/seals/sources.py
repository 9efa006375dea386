"""Secrets that settings name: in a file, or in a credential that systemd gives the service.

Source: systemd.exec(5), `LoadCredential=` and `$CREDENTIALS_DIRECTORY`.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final, NamedTuple

from kms_actors.config import SettingError
from kms_actors.secret import SecretBytes
from kms_actors.system_errors import in_words

#: Bytes; a token of somebody else's may be long.
_LARGEST: Final = 16_384
_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9_@:.-]+")


class Source(NamedTuple):
    """Where a secret is; `setting` is the key of the configuration that says so."""

    setting: str
    place: str
    credential: bool = False

    @property
    def path(self) -> Path:
        """The file; raises SettingError for a credential where there are none."""
        if not self.credential:
            return Path(self.place)
        directory = os.environ.get(_DIRECTORY)
        if not directory:
            raise SettingError(self.setting, f"there is no ${_DIRECTORY}: the service has no `LoadCredential=`")
        if not _CREDENTIAL.fullmatch(self.place) or self.place in (".", ".."):
            raise SettingError(self.setting, f"`{self.place}` is no name of a credential")
        return Path(directory, self.place)

    def read(self) -> SecretBytes:
        """Return what is there, without white space around it.

        Raises:
            SettingError: it cannot be read, is empty or far too large, or is open to others.

        """
        path = self.path
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                raw = file.read(_LARGEST + 1)
        except OSError as error:
            raise SettingError(self.setting, f"{path}: {in_words(error)}") from None
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISREG(found.st_mode) and mode & _OTHERS:
            raise SettingError(
                self.setting,
                f"{path} is open to others (mode {mode:04o}): `chmod 600`, or 640 for a group",
            )
        if len(raw) > _LARGEST:
            raise SettingError(self.setting, f"{path} is too large for what it is to hold")
        text = raw.strip()
        if not text:
            raise SettingError(self.setting, f"{path} is empty")
        return SecretBytes(text)


def source(prefix: str, name: str, file: str | None, credential: str | None) -> Source | None:
    """Return where a secret is by its two keys, `…_file` and `…_credential`, or None."""
    if file is not None:
        return Source(f"{prefix}{name}_file", file)
    if credential is not None:
        return Source(f"{prefix}{name}_credential", credential, credential=True)
    return None
