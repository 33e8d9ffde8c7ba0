"""Jobs: services that come to their end, for which others wait, such as a migration of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from docker.models.containers import Container

from harness.engine import COMPOSE_DEPENDS_ON

COMPLETED = "service_completed_successfully"
"""The condition of `depends_on` that makes a service a job (compose specification)."""


def awaited(containers: Iterable[Container]) -> set[str]:
    """The services for whose end one of the containers waited, as compose has written on it."""
    needs = (need for each in containers for need in each.labels.get(COMPOSE_DEPENDS_ON, "").split(","))
    parts = (need.split(":") for need in needs)
    return {name for name, *conditions in parts if COMPLETED in conditions[:1]}


def declared(services: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The jobs among the services of compose files, each with those that wait for its end.

    One that is in a profile that is off is none: whoever does not require it waits for nobody.
    """
    found: dict[str, list[str]] = {}
    for name, definition in services.items():
        for need, how in (definition.get("depends_on") or {}).items():
            if how.get("condition") == COMPLETED and need in services:
                found.setdefault(need, []).append(name)
    return found
