"""A gateway that is to forward may not."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis import Case, Rule
from harness.facts import Facts
from harness.model import Hop
from harness.nodefacts import GatewayFacts

_SYSCTL = "net.ipv4.ip_forward"


def _over(facts: Facts) -> list[GatewayFacts]:
    return [gateway for gateway in facts.gateways if gateway.environment.get("WG_FORWARD_PORTS")]


def _when(facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    complaint = gateway.log_lines(_SYSCTL)[-1:]
    if gateway.container.running:
        value = gateway.sysctl("ip_forward")
        if value == "0":
            yield Case(node=gateway.service, evidence=(f"{gateway.service}: {_SYSCTL} = 0",))
    elif facts.snapshot.static:
        if gateway.container.sysctls.get(_SYSCTL) == "0":
            yield Case(node=gateway.service, evidence=(f"{gateway.service}: sysctls: {_SYSCTL}: 0",))
    elif complaint:
        yield Case(node=gateway.service, evidence=complaint)


RULES = (
    Rule(
        id="forwarding-disabled",
        title="IP forwarding is off",
        hop=Hop.FORWARDING,
        over=_over,
        when=_when,
        cause="net.ipv4.ip_forward is 0 in {node}, so the kernel forwards nothing",
        remedy="give {node} sysctls: {{net.ipv4.ip_forward: 1}} in the compose file, then: docker compose up -d {node}",
    ),
)
