"""One run of wrk, and the CPU time that the server under load spent meanwhile."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cases import SPREAD, Request

_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}
_TICKS = 100  # of /proc, a second, on every Linux


@dataclass(frozen=True)
class Sample:
    """What one run measured."""

    per_second: float
    cpu_us: float  # of the server's process tree, a request
    p50_us: float
    p99_us: float


def require() -> None:
    """End with a clear line where wrk is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")


def run(request: Request, address: str, token: str, pid: int, *, connections: int, seconds: float) -> Sample:
    """Load `address` with one request, over and over."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "request.lua"
        script.write_text(_script(request, token), encoding="utf-8")
        before = cpu_seconds(pid)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True)
        spent = cpu_seconds(pid) - before
    return _read(done.stdout, spent)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all its descendants, in seconds."""
    total = 0
    for process in process_tree(pid):
        stat = (Path("/proc") / str(process) / "stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def process_tree(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    for task in (Path("/proc") / str(pid) / "task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            yield from process_tree(int(child))


def _script(request: Request, token: str) -> str:
    headers = {"X-Vault-Token": token, "Content-Type": "application/json"}
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


def _read(output: str, spent: float) -> Sample:
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"the server refused requests:\n{output}")
    requests = int(_found(r"(\d+) requests in", output)[1])
    return Sample(
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", output)[1]),
        cpu_us=spent * 1e6 / requests,
        p50_us=_microseconds(_found(r"50%\s+([\d.]+)(us|ms|s)", output)),
        p99_us=_microseconds(_found(r"99%\s+([\d.]+)(us|ms|s)", output)),
    )


def _found(pattern: str, output: str) -> re.Match[str]:
    found = re.search(pattern, output)
    if found is None:
        raise RuntimeError(f"wrk printed something else:\n{output}")
    return found


def _microseconds(found: re.Match[str]) -> float:
    return float(found[1]) * _UNITS[found[2]]
