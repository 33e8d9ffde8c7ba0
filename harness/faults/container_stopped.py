"""A container is stopped, and nothing starts it again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from harness import disruptions
from harness.deployment import Deployment
from harness.faults import Fault, Symptom
from harness.probes.served import NOT_SERVED, Served

_STOP_GRACE = 5  # seconds, as in the compose file


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStopped(Fault):
    """`docker stop`, which also `restart: unless-stopped` respects."""

    anywhere: ClassVar[bool] = True

    service: str
    title: str
    """Whom a user knows it as."""

    @property
    def name(self) -> str:
        """The fault's name."""
        return f"{self.title} is stopped"

    @property
    def seen(self) -> str:
        """What a user sees."""
        return f"nobody answers any more where {self.title} was"

    @property
    def roots(self) -> frozenset[str]:
        """The rule that names it."""
        return frozenset({disruptions.down_rule(self.service)})

    def symptom(self, deployment: Deployment) -> Symptom:  # noqa: ARG002 (the same everywhere)
        """Its clients find nobody."""
        return Symptom(probe=Served(self.service), outcomes=NOT_SERVED)

    def apply(self, deployment: Deployment, undo: ExitStack) -> None:
        """Stop the container."""
        node = deployment.node(self.service)
        undo.callback(node.container.start)
        node.container.stop(timeout=_STOP_GRACE)


CASES: tuple[Fault, ...] = (
    ContainerStopped(service="mariadb", title="MariaDB"),
    ContainerStopped(service="web", title="web"),
)
