"""One run of wrk: so many connections, each of which sends its next request once it has its answer."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.bench.cases import SPREAD, Request
from tests.bench.processes import cpu_seconds, output
from tests.bench.results import Sample
from tests.bench.servers import Server

_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}
_PATIENCE = 10  # seconds for one answer


def require() -> None:
    """End with a clear line where wrk is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")


def run(request: Request, server: Server, *, connections: int, seconds: int) -> Sample:
    """Load a server with one request, over and over; RuntimeError if it refuses any."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "request.lua"
        script.write_text(script_of(request, server.headers(request)), encoding="utf-8")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"--timeout={_PATIENCE}s"]
        before = cpu_seconds(server.pid)
        printed = output([*command, "-s", script, server.address], seconds + 60)
        spent = cpu_seconds(server.pid) - before
    return read(printed, spent)


def script_of(request: Request, headers: Mapping[str, str]) -> str:
    lines = [f'wrk.method = "{request.method}"', f'wrk.path = "/v1/{request.path}"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    if request.body:
        lines.append(f"wrk.body = [==[{request.body}]==]")
    if "{n}" in request.path:
        lines.append(_COUNTED)
    return "\n".join(lines)


#: Lua that puts a number that goes round in place of `{n}`.
_COUNTED = f"""
local template, number = wrk.path, 0
request = function()
  number = (number + 1) % {SPREAD}
  return wrk.format(nil, (template:gsub("{{n}}", number)))
end
"""


def read(printed: str, spent: float) -> Sample:
    """Return what wrk printed, with `spent` seconds of CPU shared among the requests."""
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise RuntimeError(f"the server refused requests:\n{printed}")
    requests = int(_found(r"(\d+) requests in", printed)[1])
    return {
        "throughput": float(_found(r"Requests/sec:\s+([\d.]+)", printed)[1]),
        "cpu": spent * 1e6 / requests,
        "p50": _microseconds(_found(r"50%\s+([\d.]+)(us|ms|s)", printed)),
        "p99": _microseconds(_found(r"99%\s+([\d.]+)(us|ms|s)", printed)),
    }


def _found(pattern: str, printed: str) -> re.Match[str]:
    found = re.search(pattern, printed)
    if found is None:
        raise RuntimeError(f"wrk printed something else:\n{printed}")
    return found


def _microseconds(found: re.Match[str]) -> float:
    return float(found[1]) * _UNITS[found[2]]
