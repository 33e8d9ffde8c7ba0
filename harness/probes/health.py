"""What an application says on its /health/ page of a backend, with the settings and secrets that it was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from harness import pages
from harness.deployment import Deployment
from harness.errors import HarnessError
from harness.model import Observation, Outcome
from harness.pages import Page

# The application's own words (website/reasons.py); any other is of a backend that answers, though not as it should.
_OUTCOMES = {
    "timed out": Outcome.TIMED_OUT,
    "connection refused": Outcome.REFUSED,
    "network unreachable": Outcome.UNREACHABLE,
    "name cannot be resolved": Outcome.UNRESOLVED,
    "login denied": Outcome.DENIED,
    "password rejected": Outcome.DENIED,
    "access to the database denied": Outcome.DENIED,
    "access to the table denied": Outcome.DENIED,
    "this host is not allowed to connect": Outcome.DENIED,
}


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """Ask the application of `side`, `web` or `services`, about its `backend`, `database` or `broker`."""

    side: str
    backend: str

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        try:
            page = pages.get(deployment.url(self.side, "/health/"))
            outcome, detail = self._judged(page)
        except (HarnessError, ValueError, KeyError) as error:
            outcome, detail = Outcome.INCONCLUSIVE, str(error)
        return Observation(
            probe="verdict on /health/",
            source=self.side,
            destination=self.backend,
            outcome=outcome,
            detail=detail,
            observed_at=datetime.now(tz=UTC),
        )

    def _judged(self, page: Page) -> tuple[Outcome, str]:
        if not page.status:
            return Outcome.INCONCLUSIVE, str(page)
        verdict = page.json()[self.backend]
        if verdict["status"] == "ok":
            return Outcome.CONNECTED, ""
        reason = str(verdict.get("error"))
        return _OUTCOMES.get(reason, Outcome.WRONG_SERVICE), reason
