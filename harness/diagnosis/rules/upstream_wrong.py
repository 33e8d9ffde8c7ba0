"""A web server passes requests on to where nobody listens, while an application listens elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from harness.diagnosis.containerfacts import Upstream
from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import AppFacts, NodeFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[NodeFacts]:
    return [node for node in facts.nodes if node.container.running and "upstreams" in node.evidence.pieces]


def _when(facts: Facts, front: NodeFacts) -> Iterator[Case]:
    upstreams = front.upstreams
    beside = [app for app in facts.apps if app.host == front.host]
    if not upstreams or not all(facts.is_in_place(app) for app in beside):
        return  # what is wrong with an application says so itself
    places = dict.fromkeys(place for app in beside for place in _places(facts, front, app))
    for upstream in upstreams:
        trouble = _trouble(facts, front, upstream)
        if trouble and places:
            yield Case(
                node=front.service,
                evidence=(f"{front.service}: {upstream.directive}: {trouble}",),
                paths=frozenset(),
                values={
                    "target": f"{upstream.host}:{upstream.port}",
                    "trouble": trouble,
                    "directive": upstream.directive.partition(" ")[0],
                    "places": " or ".join(places),
                },
            )


def _places(facts: Facts, front: NodeFacts, app: AppFacts) -> Iterator[str]:
    """Where an application listens on the web server's networks: at the ports that it publishes, if there are any."""
    owner = facts.owner_of(app)
    near = tuple(facts.subnets_of(front))
    published = {each.port for each in owner.container.published}
    for address in owner.container.addresses:
        ports = sorted({each.port for each in app.listeners if each.serves(address)})
        if any(address in subnet for subnet in near):
            yield from (f"{address}:{port}" for port in [each for each in ports if each in published] or ports)


def _trouble(facts: Facts, front: NodeFacts, upstream: Upstream) -> str | None:
    """Why a request meets nobody there; None where it meets somebody, or leaves what was looked at."""
    address = upstream.address
    if address is None:
        return f"nobody knows the name {upstream.host}"
    household = _household(facts, front, address)
    seen = [node for node in household if node.evidence.has("sockets")]
    listening = [each for node in seen for each in node.listeners]
    if seen and not any(each.port == upstream.port and each.serves(address) for each in listening):
        return f"{household[0].service} has that address, and nobody listens there on port {upstream.port}"
    if not household and front.container.joined is None and facts.in_tunnel(str(address)):
        return f"that address is in the tunnel, which {front.service} is not"
    if not household and upstream.said is None and any(address in subnet for subnet in facts.subnets_of(front)):
        reason = f"no container that was looked at has {address}, and it could not be dialled"
        raise UnseenError(front.service, "upstreams", reason)
    return f"a connection fails: {upstream.said}" if upstream.said else None


def _household(facts: Facts, front: NodeFacts, address: IPv4Address) -> tuple[NodeFacts, ...]:
    """Whoever has an address, first, and those in its namespace."""
    owners = [front] if address.is_loopback else [n for n in facts.nodes if address in n.container.addresses]
    owner = next((each for each in owners if each.host == front.host), None)
    return facts.household(owner) if owner else ()


RULES = (
    Rule(
        id="upstream-wrong",
        title="A web server passes requests on to where nobody listens",
        hop=Hop.EXPOSURE,
        over=_over,
        when=_when,
        cause="{node} passes requests on to {target}, where nobody answers: {trouble}",
        remedy=(
            "have {directive} in {node}'s configuration name {places}, where an application listens, then: "
            "docker kill -s HUP {container}"
        ),
    ),
)
