"""A firewall stands before Redis, in its own namespace."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import mutations
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.redis import RedisPing


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendFiltered(Fault):
    """It swallows what is for Redis's port, also from services, which is beside it."""

    name = "a firewall before Redis"
    seen = "web and services get no answer from Redis, while `redis-cli ping` in its own container says PONG"
    roots = frozenset({"backend-filtered"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Nobody answers."""
        return Symptom(probe=RedisPing("services"), outcomes=(Outcome.TIMED_OUT,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Drop what arrives, but from Redis itself."""
        dropped = f"! -i lo -p tcp -m tcp --dport {deployment.plan.redis_port} -j DROP"
        mutations.insert_rule_from_outside(deployment, undo, deployment.redis, "filter", "INPUT", dropped)


CASES: tuple[Fault, ...] = (BackendFiltered(),)
