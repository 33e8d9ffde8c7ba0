"""The gateway has no way to a backend, though it is on the backend's network."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.journeys import passage, passages
from harness.diagnosis.rules import STOPS_A_CONTAINER, Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> tuple[Path, ...]:
    return passages(facts)


def _when(facts: Facts, path: Path) -> Iterator[Case]:
    back = facts.back
    assert back is not None  # noqa: S101 (there would be no subject)
    destination = passage(facts, path).destination
    if destination is None:
        return
    beside = next((each for each in back.addresses if destination in each.address.network), None)
    way = back.way_to(destination)
    if beside is None or destination == beside.address.ip or (way and way.device == beside.interface):
        return
    evidence = (
        f"{back.service}: to {destination} leads {way or 'no route'}",
        f"{back.service}: {beside.interface} has {beside.address}, in the same network",
    )
    remedy = f"ip route replace {beside.address.network} dev {beside.interface}"
    if way is not None and way.policy is not None:
        remedy = f"ip rule del pref {way.policy.priority}"
    elif way is not None:
        kind = "" if way.route.kind == "unicast" else f"{way.route.kind} "
        remedy = f"ip route del {kind}{way.route.destination}"
    yield Case(
        node=back.service,
        evidence=evidence,
        paths=frozenset({path.id}),
        values={"destination": destination, "interface": beside.interface, "way": way or "no route", "remedy": remedy},
    )


RULES = (
    Rule(
        id="backend-route-missing",
        title="The gateway's route to a backend leads elsewhere",
        hop=Hop.FORWARDING,
        over=_over,
        when=_when,
        cause="{node} does not send to {destination} by {interface}, where it is, but has for it: {way}",
        remedy="docker exec {container} {remedy}",
        consequence_of=STOPS_A_CONTAINER | {"link-down", "network-missing", "reverse-path-filter"},
    ),
)
