"""What one deployment costs while it does nothing, and while it works."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from bench import machine
from bench.figures import Figure
from bench.ground import Ground
from bench.parts import Part
from harness import pages
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.waiting import Deadline, pause

NAME = "load"
_WATCHED = 50  # seconds: two of every container's health checks, which come every 25 s
_SETTLED = 5  # seconds after which nothing of the start is running any longer
_BUSY = 10  # seconds
_CLIENTS = 4
_OK = 200
_MIB = 1024 * 1024


def measure(ground: Ground) -> Iterator[Figure]:
    """The machine's CPU time with and without it, engine and health checks included; memory as the engine counts it."""
    without = _cost(lambda: pause(_WATCHED))
    with ground.deployed() as deployment:
        pause(_SETTLED)
        idle, memory = _cost(lambda: pause(_WATCHED)), _memory(deployment)
        answers: list[int] = []
        busy = _cost(lambda: answers.append(_ask(deployment)))
        busy_memory = _memory(deployment)
    note = f"{idle * 100:.1f} % with it, {without * 100:.1f} % without, over {_WATCHED} s"
    yield Figure(part=NAME, name="idle", value=max(0.0, idle - without) * 100, unit="% of a core", target=5, note=note)
    yield Figure(part=NAME, name="memory, idle", value=memory, unit="MiB", note="all containers, probes included")
    yield Figure(
        part=NAME,
        name="busy",
        value=(busy - without) * 100,
        unit="% of a core",
        note=f"{answers[0] / _BUSY:.0f} health pages a second for {_CLIENTS} clients, each a query and a PING "
        "through the tunnel; the clients included",
    )
    yield Figure(part=NAME, name="memory, busy", value=busy_memory, unit="MiB", note="all containers, probes included")


def _cost(work: Callable[[], object]) -> float:
    """Cores that were busy on average while something was done."""
    spent, took = machine.spent(), Deadline(0)
    work()
    return (machine.spent() - spent) / took.elapsed


def _memory(deployment: Deployment) -> float:
    """MiB that the containers hold, the files' cache left out, as `docker stats` shows it."""
    total = 0
    for node in deployment.everyone:
        stats = node.container.stats(stream=False)
        assert isinstance(stats, dict)  # noqa: S101 (a stream only when asked for one)
        used = stats["memory_stats"]
        details = used.get("stats", {})
        total += used["usage"] - details.get("total_inactive_file", details.get("inactive_file", 0))
    return total / _MIB


def _ask(deployment: Deployment) -> int:
    """Ask web for its health page with several clients at once; returns how many answers there were."""
    until = Deadline(_BUSY)
    url = deployment.url("web", "/health/")

    def client(_number: int) -> int:
        for count in itertools.count():
            if until.passed:
                return count
            if (page := pages.get(url)).status != _OK:
                message = f"web's health page under load: {page}"
                raise HarnessError(message)
        raise AssertionError("counting has no end")

    with ThreadPoolExecutor(max_workers=_CLIENTS) as pool:
        return sum(pool.map(client, range(_CLIENTS)))


PART = Part(name=NAME, what="CPU and memory of one deployment, idle and busy", measure=measure)
