"""A gateway that needs /dev/net/tun was not given it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop

_TUN = "/dev/net/tun"


def _over(facts: Facts) -> list[GatewayFacts]:
    return [gateway for gateway in facts.gateways if gateway.container.status != ABSENT]


def _when(_facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    container = gateway.container
    if container.privileged or _TUN in container.devices:
        return
    complaints = gateway.log_lines(_TUN)[-1:]
    if container.running and not complaints:
        return  # the kernel's own WireGuard needs no such device
    if complaints or container.environment.get("WG_IMPLEMENTATION") == "userspace":
        evidence = (f"{gateway.service}: devices given: {', '.join(container.devices) or 'none'}", *complaints)
        yield Case(node=gateway.service, evidence=evidence)


RULES = (
    Rule(
        id="device-missing",
        title="A gateway lacks /dev/net/tun",
        hop=Hop.INTERFACE,
        over=_over,
        when=_when,
        cause="{node} was not given /dev/net/tun, which wireguard-go needs where the kernel has no WireGuard",
        remedy="give {node} devices: [/dev/net/tun] in the compose file, then: docker compose up -d {node}",
    ),
)
