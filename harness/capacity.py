"""How many deployments a machine carries side by side, each with a worker of its own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from harness.engine import Engine
from harness.errors import EngineUnavailableError

_MIB = 1024**2
MEMORY = {"dev": 900 * _MIB, "prod": 1400 * _MIB}
"""Bytes that a worker takes with a deployment of a layout.

Measured on dev: 0.3 GiB in the containers, 0.1 GiB in what the engine runs beside each, 0.1 GiB in the worker; some
scenarios have a second deployment beside it. On prod 0.8 GiB with both servers' engines, and a playbook that runs.
"""

_SPARE = 1024 * _MIB
"""For the engine, the builds, and all else that the machine does."""

_MOST = 8
"""More than that are not known to help: eight were seen to come up at once, and the longest scenario then decides."""

_MEMORY_NOW = Path("/proc/meminfo")


def workers(layouts: Iterable[str], *, cores: int, memory: int) -> int:
    """How many workers are best for some layouts; 0 is none beside the session itself. `memory` is in bytes.

    One deployment more than there are cores, since each waits half of its time. One of the prod layout, with two
    engines and all, is busy for longer while it comes up: where nothing else is tested, one for each core.
    """
    named = set(layouts)
    by_cores = cores if named == {"prod"} else cores + 1
    by_memory = (memory - _SPARE) // max(MEMORY[layout] for layout in named)
    found = min(by_cores, by_memory, _MOST)
    return found if cores > 1 and found > 1 else 0


def here() -> tuple[int, int]:
    """Cores and bytes of memory that are there to be used: this machine's, and the engine's where it has less."""
    cores, memory = of_this_machine()
    try:
        engine = Engine.connect()
    except EngineUnavailableError:
        return cores, memory
    with contextlib.closing(engine.client):
        info = engine.client.info()
    return min(cores, info.get("NCPU") or cores), min(memory or sys.maxsize, info.get("MemTotal") or sys.maxsize)


def of_this_machine() -> tuple[int, int]:
    """Cores that this process may use, and bytes of memory that the kernel says are available, 0 where it does not."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        lines = _MEMORY_NOW.read_text(encoding="ascii").splitlines()
    except OSError:
        return cores, 0
    found = {name: text for name, _, text in (line.partition(":") for line in lines)}
    return cores, int(found["MemAvailable"].split()[0]) * 1024
