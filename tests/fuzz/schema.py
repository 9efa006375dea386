"""Requests by Schemathesis, which reads the OpenAPI document by its own lights: bounds of types, and what is none."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.running import fuzzed_node, megabytes
from tests.support.api import Api
from tests.support.tenant import make_tenant

#: What ends the vault or the caller, never ends, or answers what the caller chooses.
_LEFT_OUT = ("/sys/seal", "/sys/monitor", "/auth/token/revoke-self", "/sys/health", "/sys/quotas/rate-limit/{name}")
_CASES = re.compile(r"(\d+) generated")
_POLICY = "".join(
    f'path "{prefix}*" {{ capabilities = ["create", "read", "update", "patch", "delete", "list", "scan", "sudo"] }}\n'
    for prefix in ("secret/", "transit/", "sys/", "auth/", "identity/", "cubbyhole/")
)


class Examined(NamedTuple):
    """What Schemathesis said: how many requests it made, and all of it where one was answered by 500, or not."""

    cases: int
    failed: str
    megabytes: float

    def __str__(self) -> str:
        return f"{self.cases:,} requests by Schemathesis, {self.megabytes:.0f} MB{self.failed and ': ' + self.failed}"


def program() -> str | None:
    """Return the path of Schemathesis in this environment, if it is there."""
    return shutil.which("schemathesis", path=str(Path(sys.executable).parent))


def examine(directory: Path, seconds: int, seed: int, *, bound: bool = False, briefly: bool = False) -> Examined:
    """Have the API of a new vault examined, by its operator or by who is bound by policies.

    `briefly`: some of it, by a request or two for each operation.
    """
    found = program()
    assert found is not None
    with fuzzed_node(directory) as (node, issuer, _):
        tenant = make_tenant(node, issuer)
        operator = tenant.operator
        for name in ("userpass", "approle", "jwt", "cert", "kubernetes"):
            operator.post(f"sys/auth/{name}", {"type": name})
        operator.put("sys/policies/acl/bound", {"policy": _POLICY})
        caller: Api = operator.with_token(issuer.tenant(tenant.vault_id, policies=["bound"])) if bound else operator
        document = directory / "openapi.json"
        document.write_text(json.dumps(operator.get("sys/internal/specs/openapi").json), encoding="utf-8")
        options = {
            "--url": f"{node.address}/v1",
            "--header": f"X-Vault-Token: {caller.token}",
            "--checks": "not_a_server_error",
            "--phases": "fuzzing" if briefly else "coverage,fuzzing",
            "--max-examples": "1" if briefly else "20",
            "--request-timeout": "30",
            "--seed": str(seed),
            "--generation-database": "none",
            "--suppress-health-check": "all",
        }
        words = [word for pair in options.items() for word in pair]
        words += ["--include-path-regex", "^/(secret|identity)/"] if briefly else ["--max-time", str(seconds)]
        words += [word for path in _LEFT_OUT for word in ("--exclude-path", path)]
        done = subprocess.run(
            [found, "run", str(document), "--no-color", *words],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=seconds + 300,
            check=False,
        )
        cases = _CASES.search(done.stdout)
        failed = "" if done.returncode == 0 else done.stdout[-8000:] + done.stderr[-2000:]
        return Examined(int(cases[1]) if cases else 0, failed, megabytes(node))
