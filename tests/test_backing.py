from __future__ import annotations

from dataclasses import replace

import pytest

from harness.diagnosis.backing import backend_at
from harness.diagnosis.nodefacts import NodeFacts

from .evidence_samples import REDIS, Sample
from .rule_cases.backends import beside

OWN, OTHER, NOBODYS = "10.101.0.4", "10.101.0.9", "10.101.0.77"
EXPORTER, SESSIONS = ("exporter", "oliver006/redis_exporter:v1"), ("sessions", "redis:7")


def backends(first: tuple[str, str], role: str) -> list[NodeFacts]:
    """All backends: something at `OTHER` before all, the broker at `OWN` after all, under another name."""
    sample = Sample()
    beside(sample, *first, port=9121)
    sample.rename(REDIS, "queue")
    nodes = [replace(each, role=role if each.service == "queue" else "") for each in sample.snapshot().nodes]
    return [NodeFacts(each) for each in nodes if each.service in (first[0], "mariadb", "queue")]


@pytest.mark.parametrize(
    ("first", "role", "place", "works", "expected"),
    [
        (EXPORTER, "", OWN, False, "queue"),
        (EXPORTER, "", NOBODYS, False, "queue"),
        (SESSIONS, "redis", OTHER, False, "queue"),
        (SESSIONS, "", OWN, False, "queue"),
        (SESSIONS, "", "queue", False, "queue"),
        (SESSIONS, "", OTHER, True, "sessions"),
        (SESSIONS, "redis", OTHER, True, "sessions"),
        (SESSIONS, "redis", NOBODYS, True, None),
        (SESSIONS, "redis", "queue.internal", True, "queue"),
        (SESSIONS, "redis", None, True, "queue"),
        (SESSIONS, "", NOBODYS, False, "sessions"),
    ],
)
def test_the_backend_is_the_documented_one_or_whoever_is_dialled(
    first: tuple[str, str], role: str, place: str | None, *, works: bool, expected: str | None
) -> None:
    """No exporter, nor whoever comes first; and of a way that works only who has the address at its end."""
    found = backend_at(backends(first, role), "broker", place, works=works)
    assert (found.service if found else None) == expected
    database = backend_at(backends(first, role), "database", "10.101.0.2", works=works)
    assert database is not None
    assert database.service == "mariadb"
