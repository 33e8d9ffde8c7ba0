"""The doctor's look at the whole dev topology."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.figures import Figure
from bench.ground import Ground
from bench.parts import Part
from harness.diagnosis.judgement import judge
from harness.snapshot import collect
from harness.waiting import Deadline

NAME = "snapshot"
_TIMES = 20


def measure(ground: Ground) -> Iterator[Figure]:
    """Collected again and again on a deployment that is well."""
    looked, judged = [], []
    with ground.deployed() as deployment:
        for _time in range(_TIMES):
            took = Deadline(0)
            seen = collect(deployment)
            looked.append(took.elapsed)
            took = Deadline(0)
            judge(seen)
            judged.append(took.elapsed)
    note = f"median of {_TIMES}, worst {max(looked):.2f} s"
    yield Figure(
        part=NAME, name="one snapshot", value=median(looked), unit="s", target=0.5, note=note, samples={"looks": looked}
    )
    yield Figure(part=NAME, name="judging it", value=median(judged), unit="s", note=f"median of {_TIMES}")


PART = Part(name=NAME, what="one look at everything", measure=measure)
