"""What a browser shows of whoever sits before it: a certificate in its own store, and whom it trusts.

Chromium reads both from the NSS database of its user's home. Source: `certutil` and `pk12util` of Mozilla's NSS.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from tests.support.certificates import Identity, authority, client

_PASSWORD: Final = "of the file alone"
#: A setting that is otherwise a policy of whoever runs the machine: the certificate is shown to any server that asks.
CHOSEN_BY_ITSELF: Final = {"profile.managed_auto_select_certificate_for_urls": ['{"pattern":"*","filter":{}}']}


class People(NamedTuple):
    """An authority that a browser trusts, and the certificate of who uses it."""

    authority: Identity
    somebody: Identity

    @classmethod
    def made(cls) -> People:
        issuer = authority("people")
        return cls(issuer, client("anna", issuer))

    def move_in(self, home: Path) -> None:
        """Put both into the database of a home; without NSS's programs, nothing."""
        if shutil.which("certutil") is None or shutil.which("pk12util") is None:
            return
        database = home / ".pki/nssdb"
        database.mkdir(parents=True)
        pem, p12 = home / "authority.pem", home / "somebody.p12"
        pem.write_text(self.authority.pem)
        own, sealed = self.somebody, BestAvailableEncryption(_PASSWORD.encode())
        p12.write_bytes(pkcs12.serialize_key_and_certificates(b"anna", own.key, own.certificate, None, sealed))
        for command in (
            ["certutil", "-N", "--empty-password"],
            ["certutil", "-A", "-n", "people", "-t", "C,,", "-i", str(pem)],
            ["pk12util", "-i", str(p12), "-W", _PASSWORD, "-K", ""],
        ):
            subprocess.run([*command, "-d", f"sql:{database}"], check=True, capture_output=True, timeout=60)


def require_certutil() -> None:
    """Skip where a browser cannot be given a certificate."""
    if shutil.which("certutil") is None or shutil.which("pk12util") is None:
        pytest.skip("NSS's programs are not installed (Debian: libnss3-tools): no sign-in by a browser's certificate")
