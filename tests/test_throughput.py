from __future__ import annotations

from collections.abc import Callable

import pytest

from harness import throughput
from harness.diagnosis.rules import path_mtu


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Each wait is one read here: what passes between two is not the clock's affair."""
    reads: list[list[int]] = []

    def read_once(read: Callable[[], list[int]], accept: object, within: object) -> list[int]:
        del accept, within
        reads.append(read())
        return reads[-1]

    monkeypatch.setattr(throughput, "wait_until_or_last", read_once)
    return reads


@pytest.mark.parametrize(
    ("seen", "settled", "waits"),
    [
        pytest.param([100], 100, 1, id="all at once"),
        pytest.param([60, 90, 100, 100], 100, 3, id="late, and all of it"),
        pytest.param([60, 60, 100], 60, 2, id="lost: nothing more comes"),
        pytest.param([98, 98, 98, 100], 100, 4, id="stragglers that come late"),
        pytest.param([98, 98, 98, 98, 98], 98, 5, id="stragglers that never come"),
        pytest.param([10, 20, 30, 40, 50, 60], 50, 5, id="too slow to be waited for"),
    ],
)
def test_what_is_late_is_not_lost(counted: list[list[int]], seen: list[int], settled: int, waits: int) -> None:
    """The count is taken when it is whole or no longer moves, and within a second in all."""
    arrivals = iter(seen)
    found = throughput._settled(lambda: [next(arrivals)], [100])
    assert (found, len(counted)) == ([settled], waits)


def test_the_rule_of_large_packets_knows_how_many_are_sent() -> None:
    """It asks how likely it is that so many of them are lost by accident."""
    assert throughput.SIZES["large"] == path_mtu.PACKETS
