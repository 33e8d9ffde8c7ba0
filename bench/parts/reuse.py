"""Using a deployment again that is up, healthy and unchanged, instead of bringing one up."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

from bench.figures import Figure, ratio
from bench.ground import Ground, quiet
from bench.parts import Part
from harness import lifecycle
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.model import Budget
from harness.waiting import Deadline, wait_until

NAME = "reuse"
_LOOKED = Budget(seconds=60, reason="the engine looks at each container after 3 s, and then every 15 s")


def measure(ground: Ground) -> Iterator[Figure]:
    """In one process, as pytest does it, and as the command that people type."""
    anew, again, typed = [], [], []
    try:
        for _round in range(ground.rounds):
            ground.harness("down")
            took = Deadline(0)
            deployment = lifecycle.bring_up(ground.engine, ground.plan, keep=True, say=quiet)
            anew.append(took.elapsed)
            wait_until("the engine to have looked at all of it", partial(_all_well, deployment), bool, within=_LOOKED)
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


def _all_well(deployment: Deployment) -> bool:
    return all(state.well for state in deployment.states().values())


PART = Part(name=NAME, what="--reuse beside a bring-up", measure=measure)
