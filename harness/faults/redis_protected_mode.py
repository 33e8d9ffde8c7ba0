"""Redis turns away every client that is not on loopback."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.redis import RedisPing


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisProtectedMode(Fault):
    """Redis's own default where no password is set: it accepts, says `-DENIED` and hangs up."""

    layouts: ClassVar[tuple[str, ...]] = ("dev",)  # where a password is asked for that mode has no effect

    name = "Redis in protected mode"
    seen = "Redis hangs up on web and services, while `redis-cli ping` in its own container says PONG"
    roots = frozenset({"redis-protected-mode"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """An error where PONG is expected; or, where it has hung up before it was asked, nothing at all."""
        return Symptom(probe=RedisPing("web"), outcomes=(Outcome.WRONG_SERVICE, Outcome.TIMED_OUT, Outcome.DENIED))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Switch it on in the running Redis."""
        disruptions.set_redis(deployment, undo, "protected-mode", "yes")


CASES: tuple[Fault, ...] = (RedisProtectedMode(),)
