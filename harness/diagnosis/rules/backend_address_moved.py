"""A backend is not at the address where all the others look for it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts
from harness.diagnosis.journeys import has_moved, shared_addresses
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[NodeFacts]:
    served = {path.backend.service: path.backend for path in facts.paths if path.backend}
    return [node for node in served.values() if node.container.attachments] if facts.back else []


def _when(facts: Facts, backend: NodeFacts) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    addresses = shared_addresses(facts.back, backend)
    for path in facts.paths:
        if path.backend is not backend or not path.tunnelled:
            continue
        for forward in facts.back.declared:
            if forward.port != path.port or forward.destination in addresses:
                continue
            if forward.destination in backend.container.addresses:
                continue  # it is where it should be: the gateway is not
            if not has_moved(facts, path, forward.destination):
                continue
            listed = ", ".join(map(str, addresses)) or "no address that the gateway can reach"
            evidence = (f"{facts.back.service}: forwards {forward}", f"{backend.service}: {listed}")
            values = {"expected": forward.destination, "actual": listed}
            yield Case(node=backend.service, evidence=evidence, values=values)
            return


RULES = (
    Rule(
        id="backend-address-moved",
        title="A backend has another address than everybody expects",
        hop=Hop.BACKEND,
        over=_over,
        when=_when,
        cause="{node} has {actual}, and is looked for at {expected}",
        remedy=(
            "give {node} the fixed address (ipv4_address: {expected}) in the compose file, then: docker compose up "
            "-d {node}"
        ),
        consequence_of=frozenset({"app-inside-gateway", "subnet-overlap", "network-missing", "address-duplicated"}),
    ),
)
