"""One service runs on two servers: the profile of the one was started on the other too."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from harness.diagnosis.evidence import HostEvidence
from harness.diagnosis.facts import Facts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

Pair = tuple[HostEvidence, HostEvidence]


def _over(facts: Facts) -> Iterator[Pair]:
    yield from itertools.combinations(facts.snapshot.hosts, 2)


def _when(facts: Facts, pair: Pair) -> Iterator[Case]:
    first, second = pair
    for service in sorted(set(first.services) & set(second.services)):
        node = facts.node(service)
        wrong = second if node is None or node.host == first.name else first
        evidence = (f"{first.name} runs {' '.join(first.services)}", f"{second.name} runs {' '.join(second.services)}")
        values = {"service": service, "wrong": wrong.name, "first": first.name, "second": second.name}
        # Not the service's own name: that is a node on the right server.
        yield Case(node=f"{service} on {wrong.name}", evidence=evidence, paths=frozenset(), values=values)


RULES = (
    Rule(
        id="profile-misplaced",
        title="A service runs on two servers",
        hop=Hop.EXPOSURE,
        over=_over,
        when=_when,
        cause="{service} runs on {first} and on {second}: a profile was started on the wrong server",
        remedy=(
            "on the server {wrong}: docker compose stop {service}, then docker compose rm {service}, with the profile "
            "under which it was started"
        ),
    ),
)
