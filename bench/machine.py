"""The machine that is measured on: what it is, and how much of its processors was spent."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from harness import command
from harness.engine import Engine
from harness.errors import HarnessError

_ASKED = 20  # seconds; what only prints a version
_STAT, _MEMORY = Path("/proc/stat"), Path("/proc/meminfo")
# proc(5), /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
_BUSY_FIELDS = (0, 1, 2, 5, 6)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spent() -> float:
    """CPU-seconds that the whole machine has spent since it booted; raises `HarnessError` where nobody can tell."""
    if not _STAT.exists():
        raise HarnessError("CPU time is read from /proc/stat, which this machine has not: measure it on Linux")
    fields = [int(word) for word in _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]]
    return sum(fields[index] for index in _BUSY_FIELDS) / os.sysconf("SC_CLK_TCK")


def available_memory() -> float:
    """MiB that could be given to new processes; raises `HarnessError` where nobody can tell."""
    if not _MEMORY.exists():
        raise HarnessError("memory is read from /proc/meminfo, which this machine has not: measure it on Linux")
    lines = dict(line.split(":", 1) for line in _MEMORY.read_text(encoding="ascii").splitlines())
    return int(lines["MemAvailable"].split()[0]) / 1024


def description(engine: Engine, root: Path) -> dict[str, Any]:
    """What a figure depends on: machine, kernel, versions, and the commit."""
    version: dict[str, Any] = engine.client.version()
    info: dict[str, Any] = engine.client.info()
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(int(info["MemTotal"]) / 1024**3, 1),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "engine": version["Version"],
        "storage": info["Driver"],
        "compose": _said(root, "docker", "compose", "version", "--short"),
        "python": platform.python_version(),
        "commit": _said(root, "git", "describe", "--always", "--dirty"),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _said(root: Path, *argv: str) -> str:
    try:
        return command.run(argv, timeout=_ASKED, cwd=root).stdout.strip()
    except HarnessError as error:
        return f"unknown ({error})"
