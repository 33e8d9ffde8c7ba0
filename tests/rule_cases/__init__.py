"""What can be wrong with a deployment, as changes of the healthy sample, and what looks wrong and is not.

Each case is a function that changes a `Sample`; its name says what happened. `@broken` gives the roots that the
doctor has to name for it, all of them and no others; after `@fine` it has to find nothing, or only the warnings given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.evidence_samples import BACK, FRONT, HANDSHAKE, WEB, Sample

Change = Callable[[Sample], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCase:
    """One change of the healthy sample, and the roots that it has to give."""

    name: str
    roots: frozenset[str]
    healthy: bool
    change: Change

    def __str__(self) -> str:
        return self.name


CASES: list[RuleCase] = []


def broken(*roots: str, warning: bool = False) -> Callable[[Change], Change]:
    """Register a fault by its roots; a `warning` leaves the deployment healthy."""

    def registered(change: Change) -> Change:
        CASES.append(
            RuleCase(name=_sentence(change), roots=frozenset(roots), healthy=warning, change=change),
        )
        return change

    return registered


def fine(change: Change) -> Change:
    """Register a change that a healthy deployment bears, the nearest neighbour of a fault."""
    CASES.append(RuleCase(name=_sentence(change), roots=frozenset(), healthy=True, change=change))
    return change


def _sentence(change: Change) -> str:
    return change.__name__.replace("_", " ")


def without_gateway(sample: Sample, gateway: str, *, status: str = "restarting", log: str = "") -> None:
    """A gateway's container has ended; the other end has no session any more, and web is cut off."""
    sample.stop(gateway, status, log=log)
    other = FRONT if gateway == BACK else BACK
    sample.change(other, "dump", f"\t{HANDSHAKE}\t", "\t0\t")
    untold(sample, f"{gateway} is {status}")
    sample.fail_tunnel()


def untold(sample: Sample, reason: str) -> None:
    """Have the traffic not be measured."""
    sample.traffic.clear()
    sample.problems.append(f"the tunnel's traffic was not measured: {reason}")


def without_data(sample: Sample, *, said: str = "timed out", errno: int | None = None) -> None:
    """The ends shake hands, and no data passes."""
    for sizes in sample.traffic.values():
        sizes |= {"small": (0, 0), "large": (0, 0)}
    sample.fail_tunnel(errno=errno, code=None, timed_out=errno is None, said=said)


def without_route(sample: Sample, gateway: str) -> None:
    """Take the kernel's route through wg0 away, as it does itself without an address or with the link down."""
    with sample.edited(gateway, "routes") as routes:
        routes[:] = [route for route in routes if route.get("dev") != "wg0"]


def cut(sample: Sample, *backends: str, app: str = WEB) -> None:
    """An application comes no further with some backends than to the connection."""
    for backend in backends:
        sample.fail(app, backend, "connect")
