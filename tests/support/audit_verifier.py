"""Go's own verifier of notes and transparency logs, as a program: built once, like the clients."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

from tests.support.programs import of_module

_MODULE = Path(__file__).parents[1] / "conformance/auditverify"
_SECONDS = 300


class AuditVerifier:
    """What it says of a proof; see `main.go` of its module."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def accepts(self, command: str, *arguments: str | Path) -> bool:
        return self._run(command, *arguments).returncode == 0

    def sign(self, signer: str, text: Path) -> str:
        done = self._run("sign", signer, text)
        assert done.returncode == 0, done.stderr
        return base64.b64decode(done.stdout.split()[0]).decode()

    def _run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self._program, *arguments], check=False, capture_output=True, text=True, timeout=_SECONDS
        )
        assert "panic" not in done.stderr, done.stderr
        return done


def find_audit_verifier() -> AuditVerifier:
    """Return it, built at need; skip the test where that cannot be."""
    absent = "Go's verifier of logs is not here: install Go 1.26 or later and let the tests build it"
    return AuditVerifier(of_module(_MODULE, "KMS_TEST_AUDIT_VERIFIER", absent))
