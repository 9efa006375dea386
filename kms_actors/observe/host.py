"""What machine a node runs on, and how busy it is: Linux's own figures, from /proc.

No library for this: a node needs a few of the figures, once an operator asks, and what it depends on is bounded.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import time
from pathlib import Path
from typing import Any, Final

_PROC: Final = Path("/proc")
_KIB: Final = 1024
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TIMES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guestNice")
_MEMORY: Final = {
    "total": "MemTotal",
    "available": "MemAvailable",
    "free": "MemFree",
    "buffers": "Buffers",
    "cached": "Cached",
    "swaptotal": "SwapTotal",
    "swapfree": "SwapFree",
}


def describe(disks: list[str]) -> dict[str, Any]:
    """Return what Vault's `sys/host-info` has, as far as the system tells it; `disks` are paths on those to show."""
    return {
        "cpu": _processors(),
        "cpu_times": _processor_times(),
        "disk": [_disk(path) for path in disks],
        "host": _host(),
        "memory": _memory(),
    }


def _host() -> dict[str, Any]:
    boot = int(_number(r"^btime (\d+)", _read("stat")))
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return {
        "hostname": socket.gethostname(),
        "uptime": int(time.time()) - boot if boot else 0,
        "bootTime": boot,
        "procs": sum(each.name.isdigit() for each in _PROC.iterdir()) if _PROC.exists() else 0,
        "os": platform.system().lower(),
        "platform": release.get("ID", ""),
        "platformVersion": release.get("VERSION_ID", ""),
        "kernelVersion": platform.release(),
        "kernelArch": platform.machine(),
    }


def _processors() -> list[dict[str, Any]]:
    found = []
    for block in _read("cpuinfo").split("\n\n"):
        facts = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", block, re.MULTILINE))
        if "processor" in facts:
            shown = {"cpu": int(facts["processor"]), "cores": 1, "modelName": facts.get("model name", "")}
            found.append({**shown, "vendorId": facts.get("vendor_id", ""), "mhz": float(facts.get("cpu MHz", 0))})
    return found


def _processor_times() -> list[dict[str, Any]]:
    found = []
    for name, figures in re.findall(r"^(cpu\d+) (.*)$", _read("stat"), re.MULTILINE):
        times = [int(figure) / _TICKS for figure in figures.split()]
        found.append({"cpu": name, **dict(zip(_TIMES, times, strict=False))})
    return found


def _memory() -> dict[str, Any]:
    text = _read("meminfo")
    shown = {name: int(_number(rf"^{own}:\s+(\d+)", text)) * _KIB for name, own in _MEMORY.items()}
    used = shown["total"] - shown["available"]
    return {**shown, "used": used, "usedPercent": _percent(used, shown["total"])}


def _disk(path: str) -> dict[str, Any]:
    usage, files = shutil.disk_usage(path), os.statvfs(path)
    return {
        "path": path,
        "total": usage.total,
        "free": usage.free,
        "used": usage.used,
        "usedPercent": _percent(usage.used, usage.total),
        "inodesTotal": files.f_files,
        "inodesFree": files.f_ffree,
        "inodesUsed": files.f_files - files.f_ffree,
    }


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _read(name: str) -> str:
    try:
        return (_PROC / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else "0"
