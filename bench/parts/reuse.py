"""Using a deployment again that is up, healthy and unchanged, instead of bringing one up."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.figures import Figure, ratio
from bench.ground import Ground, quiet
from bench.parts import Part
from harness import lifecycle
from harness.errors import HarnessError
from harness.waiting import Deadline

NAME = "reuse"


def measure(ground: Ground) -> Iterator[Figure]:
    """In one process, as pytest does it, and as the command that people type."""
    anew, again, typed = [], [], []
    try:
        for _round in range(ground.rounds):
            ground.harness("down")
            took = Deadline(0)
            lifecycle.bring_up(ground.engine, ground.plan, keep=True, say=quiet)
            anew.append(took.elapsed)
            took = Deadline(0)
            if lifecycle.attach(ground.engine, ground.plan, say=quiet) is None:
                raise HarnessError("the deployment that has just been brought up was not used again")
            again.append(took.elapsed)
            typed.append(ground.harness("up"))
    finally:
        ground.harness("down")
    yield ratio(NAME, "--reuse / bring-up", again, anew, 0.05)
    yield Figure(
        part=NAME,
        name="`up` on what is up",
        value=median(typed),
        unit="s",
        note="a process of its own",
        samples={"typed": typed},
    )


PART = Part(name=NAME, what="--reuse beside a bring-up", measure=measure)
