"""WG_FORWARD_PORTS cannot be read."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis import Case, Rule
from harness.facts import Facts
from harness.model import Hop
from harness.nodefacts import GatewayFacts


def _over(facts: Facts) -> list[GatewayFacts]:
    return facts.gateways


def _when(_facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    setting = gateway.environment.get("WG_FORWARD_PORTS", "")
    declared: set[tuple[int, str]] = set()
    try:
        for forward in gateway.forwards:
            if (forward.port, forward.protocol) in declared:
                raise ValueError(f"{forward.port}:{forward.protocol} is declared twice")
            declared.add((forward.port, forward.protocol))
    except ValueError as error:
        evidence = (f"{gateway.service}: WG_FORWARD_PORTS={setting}", *gateway.log_lines("WG_FORWARD_PORTS")[-1:])
        yield Case(node=gateway.service, evidence=evidence, values={"problem": str(error)})


RULES = (
    Rule(
        id="forward-setting-malformed",
        title="WG_FORWARD_PORTS cannot be read",
        hop=Hop.SETTING,
        over=_over,
        when=_when,
        cause="WG_FORWARD_PORTS of {node} cannot be read: {problem}",
        remedy="write each entry as PORT:tcp|udp:ADDRESS, such as 3306:tcp:10.101.0.2, then: docker compose up -d {node}",
    ),
)
