"""A forward leads to where the backend is not."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import destination_of, has_moved, shared_addresses, would_arrive
from harness.diagnosis.outside import places
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[Path]:
    return [path for path in facts.paths if path.tunnelled and facts.back is not None]


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    assert facts.back is not None  # noqa: S101 (there would be no subject)
    addresses = shared_addresses(facts.back, path.backend) if path.backend else places(facts, path)
    found = destination_of(facts, path)
    if found is None or not addresses:
        return
    destination, port, line = found
    listening = _listening(facts, path)
    if (destination in addresses and port == listening) or would_arrive(facts, path):
        return
    backend = path.backend.service if path.backend else f"the {path.kind}"
    if path.backend and destination not in addresses and has_moved(facts, path, destination):
        return
    yield Case(
        node=facts.back.service,
        evidence=(line, f"{backend}: {_listed(addresses)}, port {listening}"),
        paths=frozenset({path.id}),
        values={
            "port": path.port,
            "destination": f"{destination}:{port}",
            "backend": backend,
            "right": f"{path.port}:tcp:{addresses[0]}{f':{listening}' if listening != path.port else ''}",
        },
    )


def _listening(facts: Facts, path: Path) -> int:
    """The port at which the backend should be found: a forward keeps the port, unless it was told another one.

    That has to be one by which others find the backend without it, where there are any.
    """
    target = facts.target_of(path.port)
    beside = {each.port for each in facts.paths if each.backend is path.backend and not each.tunnelled}
    return target if target == path.port or target in beside or not beside else min(beside)


def _listed(addresses: tuple[IPv4Address, ...]) -> str:
    return ", ".join(map(str, addresses))


RULES = (
    Rule(
        id="forward-rule-wrong-destination",
        title="A forward leads to where the backend is not",
        hop=Hop.DNAT,
        over=_over,
        when=_when,
        cause="{node} forwards port {port} to {destination}, and {backend} is not there",
        remedy=(
            "see that WG_FORWARD_PORTS of {node} contains {right}, then: docker compose up -d --force-recreate {node}"
        ),
        consequence_of=STOPS_A_CONTAINER | {"backend-address-moved", "app-inside-gateway", "forward-rule-shadowed"},
    ),
)
