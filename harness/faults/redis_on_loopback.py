"""Redis listens where only its own container can reach it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.redis import RedisPing


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOnLoopback(Fault):
    """`bind 127.0.0.1`, as many distributions' own redis.conf has it."""

    name = "Redis listens on loopback only"
    seen = "Redis refuses every connection, while its own health check passes"
    roots = frozenset({"backend-not-listening"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """The host is there and its port is not."""
        return Symptom(probe=RedisPing("web"), outcomes=(Outcome.REFUSED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Have the running Redis listen anew."""
        disruptions.set_redis(deployment, undo, "bind", "127.0.0.1")


CASES: tuple[Fault, ...] = (RedisOnLoopback(),)
