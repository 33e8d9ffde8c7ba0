"""Redis is given a password that the applications are not."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.model import Outcome
from harness.probes.redis import RedisPing


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisWantsPassword(Fault):
    """`requirepass`: what is connected stays so, every new client is asked."""

    anywhere: ClassVar[bool] = True

    name = "Redis wants a password that the apps do not have"
    seen = "web and services say that Redis rejects their password"
    roots = frozenset({"credentials-rejected"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """NOAUTH."""
        return Symptom(probe=RedisPing("web"), outcomes=(Outcome.DENIED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Set a password in the running Redis."""
        disruptions.set_redis(deployment, undo, "requirepass", secrets.token_urlsafe())


CASES: tuple[Fault, ...] = (RedisWantsPassword(),)
