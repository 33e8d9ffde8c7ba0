"""A session that one end has lost: recovery by itself, and with the peer removed and added again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.figures import Figure, ratio
from bench.ground import Ground
from bench.parts import Part
from harness import recreation
from harness.budgets import HANDSHAKE, LOST_SESSION
from harness.deployment import Deployment
from harness.model import Outcome
from harness.probes.redis import RedisPing
from harness.waiting import Deadline, wait_until

NAME = "kick"
_ROUNDS = 3  # each waits for WireGuard's own 15 s


def measure(ground: Ground) -> Iterator[Figure]:
    """The services end forgets its session, as it does when its keys are lost; web still believes in it."""
    alone, kicked = [], []
    with ground.deployed() as deployment:
        for _round in range(_ROUNDS):
            alone.append(_lose(deployment, lambda: None))
            kicked.append(_lose(deployment, lambda: recreation.shake_hands_after_absence(deployment)))
    yield ratio(NAME, "kicked / natural recovery", kicked, alone, 0.05, note="services has lost its session")


def _lose(deployment: Deployment, kick: Callable[[], None]) -> float:
    wait_until("the tunnel to carry", lambda: _answers(deployment), bool, within=HANDSHAKE)
    deployment.wireguard_services.renew_peer()
    took = Deadline(0)
    kick()
    wait_until("the tunnel to carry again", lambda: _answers(deployment), bool, within=LOST_SESSION)
    return took.elapsed


def _answers(deployment: Deployment) -> bool:
    return RedisPing("web").observe(deployment).outcome is Outcome.CONNECTED


PART = Part(name=NAME, what="a lost session, kicked and left to itself", measure=measure)
