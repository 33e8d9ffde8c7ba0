"""The Redis password of the two servers has come to differ."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import credentials, mutations, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.overlays import SecretFile
from harness.probes.health import HealthVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPasswordDiffers(Fault):
    """Web's server has another one than the services server, where Redis is."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("prod",)  # in dev Redis asks for no password

    name = "Redis password differs at web"
    seen = "web says that its broker rejects the password, while services is well"
    roots = frozenset({"credentials-rejected"})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Web's own words; nobody else has that password."""
        return Symptom(probe=HealthVerdict("web", "broker"), outcomes=(Outcome.DENIED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create web anew with another file in the place of the secret."""
        file = mutations.secret_file(
            deployment, undo, "web", "wrong_redis_password", secrets.token_urlsafe(), credentials.uid()
        )
        recreation.redeploy(deployment, undo, SecretFile("redis_password", file), "web")


CASES: tuple[Fault, ...] = (RedisPasswordDiffers(),)
