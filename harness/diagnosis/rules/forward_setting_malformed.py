"""WG_FORWARD_PORTS cannot be read."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop


def _over(facts: Facts) -> list[GatewayFacts]:
    return facts.gateways


def _when(facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    setting = gateway.environment.get("WG_FORWARD_PORTS", "")
    problem = _problem(facts, gateway)
    if problem:
        evidence = (f"{gateway.service}: WG_FORWARD_PORTS={setting}", *gateway.log_lines("WG_FORWARD_PORTS")[-1:])
        yield Case(node=gateway.service, evidence=evidence, values={"problem": problem})


def _problem(facts: Facts, gateway: GatewayFacts) -> str | None:
    try:
        declared = [(forward.port, forward.protocol) for forward in gateway.forwards]
    except ValueError as error:
        return str(error)
    twice = next((each for each in declared if declared.count(each) > 1), None)
    if twice:
        return f"{twice[0]}:{twice[1]} is declared twice"
    inside = next((each for each in gateway.forwards if facts.is_within_tunnel(gateway, each.destination)), None)
    return f"{inside} leads back into the tunnel" if inside else None


RULES = (
    Rule(
        id="forward-setting-malformed",
        title="WG_FORWARD_PORTS cannot be read",
        hop=Hop.SETTING,
        over=_over,
        when=_when,
        cause="WG_FORWARD_PORTS of {node} cannot be read: {problem}",
        remedy=(
            "write each entry as PORT:tcp|udp:ADDRESS, such as 3306:tcp:10.101.0.2, then: docker compose up -d {node}"
        ),
    ),
)
