"""SoftHSM 2, an HSM in software: a token of its own for each test.

Debian has it as the package `softhsm2`. `KMS_TEST_SOFTHSM` names the library elsewhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from kms_actors.cli.private_file import create_private
from tests.support.node import PATIENCE

ABSENT: Final = "no SoftHSM: `apt-get install softhsm2`, or name its library in KMS_TEST_SOFTHSM"
LABEL: Final = "kms"
PIN: Final = "canary-1234"
_CONF: Final = "SOFTHSM2_CONF"
_PLACES: Final = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


def library() -> Path:
    """Return the library; skip the test where there is none."""
    named = os.environ.get("KMS_TEST_SOFTHSM")
    for place in (named,) if named else _PLACES:
        if Path(place).exists() and shutil.which("softhsm2-util"):
            return Path(place)
    pytest.skip(ABSENT)


@dataclass
class SoftHsm:
    """One token, whose objects are files in a folder of its own."""

    directory: Path
    library: Path

    @classmethod
    def make(cls, directory: Path) -> SoftHsm:
        """Make a token without keys, and a file with its PIN."""
        own = cls(directory, library())
        own.tokens.mkdir()
        own.configuration.write_text(f"directories.tokendir = {own.tokens}\nlog.level = ERROR\n", encoding="ascii")
        own._run("softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "so-1234")
        create_private(own.pin_file, PIN + "\n")
        return own

    @property
    def configuration(self) -> Path:
        """What `SOFTHSM2_CONF` is to name, in whatever process uses the library."""
        return self.directory / "softhsm2.conf"

    @property
    def tokens(self) -> Path:
        return self.directory / "tokens"

    @property
    def pin_file(self) -> Path:
        return self.directory / "pin"

    def settings(self, **more: object) -> dict[str, object]:
        """Return the table of the configuration."""
        return {
            "library": str(self.library),
            "token_label": LABEL,
            "pin_file": str(self.pin_file),
            "key_label": "master",
            **more,
        }

    def make_key(self, label: str, key_id: str, bits: int = 256, may: str = "ENCRYPT|DECRYPT") -> None:
        """Make an AES key in the token, by a process of its own: this one may not have the library open."""
        code = (
            "import sys, pkcs11\n"
            "library, token, pin, label, key_id, bits, may = sys.argv[1:]\n"
            "flags = sum(pkcs11.MechanismFlag[flag] for flag in may.split('|'))\n"
            "with pkcs11.lib(library).get_token(token_label=token).open(rw=True, user_pin=pin) as session:\n"
            "    named = {'label': label, 'id': bytes.fromhex(key_id) or None, 'store': True}\n"
            "    flags = pkcs11.MechanismFlag(flags)\n"
            "    session.generate_key(pkcs11.KeyType.AES, int(bits), capabilities=flags, **named)\n"
        )
        self._python(code, str(self.library), LABEL, PIN, label, key_id, str(bits), may)

    def take_away(self) -> None:
        """Pull it out: nothing is found any more."""
        self.tokens.rename(self.directory / "away")

    def bring_back(self) -> None:
        (self.directory / "away").rename(self.tokens)

    def _python(self, code: str, *arguments: str) -> None:
        self._run(sys.executable, "-c", code, *arguments)

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command,
            env={**os.environ, _CONF: str(self.configuration)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
