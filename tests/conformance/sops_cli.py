"""The `sops` command line, which encrypts files with data keys that Transit wraps: where it comes from.

`KMS_TEST_SOPS` names a ready binary, else the one on the PATH is taken. Else it is built once, into the user's cache;
that takes a few minutes of two cores. Without Go there is nothing to run.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.programs import installed

_VERSION = "v3.10.2"
_RUN_SECONDS = 30


def find_sops() -> Path:
    """Return the binary, built at need; skip the test where that cannot be."""
    absent = "sops is not here: set KMS_TEST_SOPS to a binary, or install Go and let the tests build it"
    return installed("sops", "KMS_TEST_SOPS", "github.com/getsops/sops/v3/cmd/sops", _VERSION, absent)


def run_sops(home: Path, token: str, *arguments: str, code: int = 0) -> str:
    """Run a command in `home`, which must end with `code`; return what it printed, errors if it failed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VAULT_", "SOPS_"))}
    done = subprocess.run(
        [str(find_sops()), *arguments],
        env={**kept, "HOME": str(home), "VAULT_TOKEN": token, "VAULT_MAX_RETRIES": "0"},
        cwd=home,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=_RUN_SECONDS,
        check=False,
    )
    assert done.returncode == code, f"{arguments[0]}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stderr if code else done.stdout
