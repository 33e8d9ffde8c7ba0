"""Eight deployments on one engine at once: what that costs, and that all of them come up and go away."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench import machine
from bench.figures import Figure
from bench.ground import Ground, at_once, each, plans_from
from bench.parts import Part
from harness import layouts, leases
from harness.addresses import AddressPlan
from harness.engine import Engine
from harness.errors import HarnessError, HeldError
from harness.model import Outcome
from harness.probes.mariadb import MariaDBQuery
from harness.probes.redis import RedisPing
from harness.waiting import Deadline

NAME = "together"
_COUNT = 8


def measure(ground: Ground) -> Iterator[Figure]:
    """One alone for comparison, then all of them side by side."""
    plans = plans_from(ground.plan, _COUNT)
    for plan in plans:
        if leases.holder(ground.engine, plan.index):
            raise HeldError(leases.describe_holder(ground.engine, plan.index))
    try:
        alone = ground.harness("up")
    finally:
        ground.harness("down")
    memory, spent, took = machine.available_memory(), machine.spent(), Deadline(0)
    try:
        ups = at_once(each(ground, "up", plans))
        up = took.elapsed
        cpu = machine.spent() - spent
        memory -= machine.available_memory()
        unwell = _unwell(ground.engine, plans)
    finally:
        took = Deadline(0)
        at_once(each(ground, "down", plans))
        down = took.elapsed
    if unwell:
        message = f"{_COUNT} deployments came up side by side, and not all are well: {'; '.join(unwell)}"
        raise HarnessError(message)
    if left := [plan.project for plan in plans if leases.holder(ground.engine, plan.index)]:
        message = f"{', '.join(left)} did not go away"
        raise HarnessError(message)
    yield Figure(
        part=NAME,
        name=f"{_COUNT} up at once / one alone",
        value=up / alone,
        note=f"{up:.1f} s over {alone:.1f} s; {cpu:.0f} CPU-seconds, so {machine.cores()} cores are the limit",
        samples={"each": ups},
    )
    yield Figure(part=NAME, name=f"{_COUNT} down at once", value=down, unit="s")
    yield Figure(part=NAME, name=f"memory of {_COUNT}", value=memory, unit="MiB", note="less that is available")


def _unwell(engine: Engine, plans: list[AddressPlan]) -> list[str]:
    with ThreadPoolExecutor(max_workers=len(plans)) as pool:
        return [complaint for found in pool.map(lambda plan: _complaints(engine, plan), plans) for complaint in found]


def _complaints(engine: Engine, plan: AddressPlan) -> list[str]:
    held = leases.holder(engine, plan.index)
    if held is None:
        return [f"{plan.project} is not up"]
    deployment = layouts.view(engine, plan, held)
    found = [f"{plan.project}: {service} {ailment}" for service, ailment in deployment.unwell().items()]
    seen = [probe.observe(deployment) for probe in (MariaDBQuery("web"), RedisPing("web"))]
    return found + [f"{plan.project}: {each}" for each in seen if each.outcome is not Outcome.CONNECTED]


PART = Part(name=NAME, what=f"{_COUNT} deployments side by side", measure=measure)
