"""What somebody on the machine gets of an application, over the port that is published there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from harness import pages
from harness.deployment import Deployment
from harness.model import Observation, Outcome


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """Fetch the health page of the application of `side`, `web` or `services`; any answer of its own will do."""

    side: str

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        page = pages.get(deployment.url(self.side, "/health/"))
        return Observation(
            probe="page over the published port",
            source="the machine",
            destination=self.side,
            outcome=page.failed or Outcome.CONNECTED,
            detail=page.body if page.failed else "",
            observed_at=datetime.now(tz=UTC),
        )
