"""Probes: each asks one question of the deployment, as a real client does, and returns an `Observation`.

A probe never asserts. One that cannot run is INCONCLUSIVE, which no expectation accepts.
"""

from __future__ import annotations

from typing import Protocol

from harness.deployment import Deployment
from harness.model import Observation


class Probe(Protocol):
    """What an expectation can be laid on."""

    def observe(self, deployment: Deployment) -> Observation:
        """Ask once."""
        ...
