"""Thirty bring-ups in a row: how much they differ, how far above the floor they are, and where the time goes."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench import machine
from bench.figures import Figure
from bench.ground import Ground
from bench.parts import Part
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.timeline import Timeline

NAME = "spread"
_TIMES = 30

# What an application has to import before it can serve, in CPU-seconds of a process of its own.
_IMPORTS = {
    "web and services": "import website.wsgi, website.urls, gunicorn.app.wsgiapp, gunicorn.workers.gthread",
    "celery": "import celery.bin.celery, website.broker, website.worker, jobs.models; "
    "import celery.worker.worker, kombu.transport.redis",
}


def measure(ground: Ground) -> Iterator[Figure]:
    """Every bring-up is of a deployment of its own, which is removed again."""
    took: list[float] = []
    floors: list[float] = []
    phases: dict[str, list[float]] = {}
    imports: dict[str, float] = {}
    for number in range(_TIMES):
        timeline = Timeline()
        spent = machine.spent()
        with ground.deployed(timeline) as deployment:
            took.append(timeline.now)
            floors.append((machine.spent() - spent) / machine.cores())
            for phase in timeline.phases:
                phases.setdefault(phase.name, []).append(phase.ended)
            if number == _TIMES - 1:
                imports = {name: _cost(deployment, code) for name, code in _IMPORTS.items()}
    yield Figure(
        part=NAME,
        name=f"worst / median of {_TIMES} bring-ups",
        value=max(took) / median(took),
        target=1.5,
        note=f"{max(took):.2f} s over {median(took):.2f} s",
        samples={"bring-ups": took},
    )
    yield Figure(
        part=NAME,
        name="bring-up / CPU time over cores",
        value=median(took) / median(floors),
        target=1.8,
        note=f"{median(took):.2f} s over {median(floors):.2f} s, which the whole machine spent",
        samples={"CPU-seconds over cores": floors},
    )
    for name, cost in imports.items():
        yield Figure(part=NAME, name=f"imports of {name}", value=cost, unit="s", note="CPU time of one process")
    for name, ends in phases.items():
        yield Figure(
            part=NAME, name=f"phase: {name}", value=median(ends), unit="s", note="ended", samples={"ended": ends}
        )


def _cost(deployment: Deployment, code: str) -> float:
    said = deployment.services.run(
        "python", "-c", f"import time, django; django.setup(); {code}; print(time.process_time())"
    )
    if not said.ok:
        message = f"what an application imports could not be measured: {said}"
        raise HarnessError(message)
    return float(said.stdout)


PART = Part(name=NAME, what=f"{_TIMES} bring-ups, their phases, and what CPU time they take", measure=measure)
