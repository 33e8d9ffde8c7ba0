"""A published port leads to one in the container on which nobody listens."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions, recreation
from harness.deployment import Deployment
from harness.faults import Fault, Stage, Symptom
from harness.model import Outcome
from harness.probes.published import PublishedPage


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationMisled(Fault):
    """`ports: ["8000:80"]`, for an application that listens on 8000."""

    stage: ClassVar[Stage] = Stage.BEFORE_UP
    layouts: ClassVar[tuple[str, ...]] = ("dev",)  # what leads to a server's own port is the same there

    side: str
    publisher: str
    wrong: int

    roots = frozenset({"publication-dead"})

    @property
    def name(self) -> str:
        """By who cannot be reached."""
        return f"{self.side} is published as port {self.wrong}, on which it does not listen"

    @property
    def seen(self) -> str:
        """What a browser says."""
        return f"whoever asks {self.side} for a page is turned away, while all containers are healthy"

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """There is no page."""
        return Symptom(probe=PublishedPage(self.side), outcomes=(Outcome.REFUSED,))

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Create whoever publishes it anew."""
        port = {"web": deployment.plan.web_port, "services": deployment.plan.services_port}[self.side]
        ports = f'!override ["127.0.0.1:{port}:{self.wrong}"]'
        recreation.redeploy(deployment, undo, f"services: {{{self.publisher}: {{ports: {ports}}}}}\n", self.publisher)
        disruptions.settle(deployment.node(self.side))


CASES: tuple[Fault, ...] = (
    PublicationMisled(side="web", publisher="wireguard-web", wrong=80),
    PublicationMisled(side="services", publisher="services", wrong=8000),
)
