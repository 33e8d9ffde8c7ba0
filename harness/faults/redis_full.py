"""Redis has as much memory as it may, and forgets nothing to make room."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.redis import RedisWrite


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFull(Fault):
    """`maxmemory` with the policy `noeviction`, which is Redis's own."""

    anywhere: ClassVar[bool] = True

    name = "Redis is full"
    seen = "no job is accepted any longer, while /health/ says that Redis answers"
    roots = frozenset({"backend-read-only"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """OOM command not allowed."""
        return Symptom(probe=RedisWrite("web"), outcomes=(Outcome.DENIED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Allow it less than it has."""
        disruptions.set_redis(deployment, undo, "maxmemory-policy", "noeviction")
        disruptions.set_redis(deployment, undo, "maxmemory", "1")


CASES: tuple[Fault, ...] = (RedisFull(),)
