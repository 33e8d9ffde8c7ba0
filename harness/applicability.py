"""Which scenarios mean something for a deployment that is not this project's own, and why the others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from harness.foreign.plan import LAYOUT

_WRITING = frozenset({"scratch", "prefix"})
"""Fixtures by which a scenario writes into the backends, what it has written is gone at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What may be done to the deployment: `faults` lets it be broken and mended, `writes` lets its backends be used."""

    faults: bool
    writes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a scenario says of itself: its fixtures, its `layouts` (None for all), and why it is `ours` alone."""

    fixtures: Collection[str]
    layouts: Collection[str] | None
    ours: str | None


def left_out(claim: Claim, allowed: Allowance) -> str | None:
    """Why a scenario is left out, or None when it is not."""
    if claim.layouts is not None and LAYOUT not in claim.layouts:
        return "about this project's own layouts"
    if claim.ours is not None:
        return f"about what only this project's deployment has: {claim.ours}"
    if "experiment" in claim.fixtures and not allowed.faults:
        return "breaks and mends things, which --allow-faults allows"
    if _WRITING & set(claim.fixtures) and not allowed.writes:
        return "writes into the backends, which is done in a copy alone (--compose)"
    return None


def summary(reasons: Iterable[str]) -> Iterator[str]:
    """A line for each reason, with how many scenarios it left out."""
    for reason, count in sorted(Counter(reasons).items()):
        yield f"{count} left out: {reason}"
