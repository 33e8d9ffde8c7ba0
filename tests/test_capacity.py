from __future__ import annotations

from pathlib import Path

import pytest

from harness import capacity

GIB = 1024**3


@pytest.mark.parametrize(
    ("layouts", "cores", "gibibytes", "expected"),
    [
        (["dev"], 1, 64, 0),
        (["dev"], 2, 24, 3),
        (["dev", "prod"], 2, 24, 3),
        (["prod"], 2, 24, 2),
        (["dev"], 4, 7, 5),
        (["prod"], 4, 7, 4),
        (["dev"], 4, 2, 0),
        (["dev"], 4, 3, 2),
        (["prod"], 4, 4, 2),
        (["dev", "prod"], 4, 4, 2),
        (["dev"], 64, 256, 8),
        (["dev"], 8, 0, 0),
    ],
)
def test_workers_are_what_cores_and_memory_carry(layouts: list[str], cores: int, gibibytes: int, expected: int) -> None:
    """One more than cores on dev, as many on prod, fewer where memory is short; a single one needs no xdist."""
    assert capacity.workers(layouts, cores=cores, memory=gibibytes * GIB) == expected


def test_this_machine_has_cores_and_memory() -> None:
    """Its own cores and memory are seen."""
    cores, memory = capacity.of_this_machine()
    assert cores >= 1
    assert memory > 0 or not Path("/proc/meminfo").exists()
