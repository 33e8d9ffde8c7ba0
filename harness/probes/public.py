"""What the public gets of production's site: a page of the application, or a word of nginx's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from harness import pages, playbooks
from harness.deployment import Deployment
from harness.model import Observation, Outcome
from harness.pages import Page
from harness.production import Production

_VERDICTS = {"database", "broker"}  # what the application's page speaks of, whether they are well or not


@dataclass(frozen=True, slots=True)
class PublicPage:
    """Fetch the health page as browsers do, by TLS and through nginx."""

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        outcome, detail = Outcome.INCONCLUSIVE, "only production has a public site"
        if isinstance(deployment, Production):
            page = pages.get(deployment.url("public", "/health/"), trusted=playbooks.trusted(deployment))
            outcome, detail = _judged(page)
        return Observation(
            probe="page of the public site",
            source="a browser",
            destination="nginx",
            outcome=outcome,
            detail=detail,
            observed_at=datetime.now(tz=UTC),
        )


def _judged(page: Page) -> tuple[Outcome, str]:
    if not page.status:
        return Outcome.INCONCLUSIVE, str(page)
    try:
        served = page.json().keys() >= _VERDICTS
    except ValueError:
        served = False
    return (Outcome.CONNECTED, "") if served else (Outcome.WRONG_SERVICE, str(page))
