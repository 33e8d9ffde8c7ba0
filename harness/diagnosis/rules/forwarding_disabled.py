"""A gateway that is to forward may not."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop
from harness.wireguard import INTERFACE

_SYSCTL = "net.ipv4.ip_forward"


def _over(facts: Facts) -> list[GatewayFacts]:
    return [gateway for gateway in facts.gateways if gateway.environment.get("WG_FORWARD_PORTS")]


def _when(facts: Facts, gateway: GatewayFacts) -> Iterator[Case]:
    complaint = gateway.log_lines(_SYSCTL)[-1:]
    if gateway.container.running:
        value = gateway.sysctl("ip_forward")
        closed = [] if value == "0" else _closed(gateway)
        if value == "0":
            yield _case(gateway, f"{_SYSCTL} = 0", _SYSCTL)
        elif closed:
            yield _case(gateway, f"{closed[0]} = 0", closed[0])
    elif facts.snapshot.static:
        if gateway.container.sysctls.get(_SYSCTL) == "0":
            yield _case(gateway, f"sysctls: {_SYSCTL}: 0", _SYSCTL)
    elif complaint:
        yield Case(node=gateway.service, evidence=complaint, values={"name": _SYSCTL})


def _closed(gateway: GatewayFacts) -> list[str]:
    """The settings of single interfaces, wg0 or one by which a forward leaves, that forbid what is allowed for all."""
    leaves = {gateway.leads_to(forward.destination) for forward in gateway.declared}
    names = (INTERFACE, *sorted(filter(None, leaves)))
    return [f"net.ipv4.conf.{name}.forwarding" for name in names if _is_closed(gateway, name)]


def _is_closed(gateway: GatewayFacts, interface: str) -> bool:
    try:
        return gateway.sysctl(f"conf/{interface}/forwarding") == "0"
    except UnseenError:
        return False  # an older bundle has only the setting for all


def _case(gateway: GatewayFacts, said: str, name: str) -> Case:
    return Case(node=gateway.service, evidence=(f"{gateway.service}: {said}",), values={"name": name})


RULES = (
    Rule(
        id="forwarding-disabled",
        title="IP forwarding is off",
        hop=Hop.FORWARDING,
        over=_over,
        when=_when,
        cause="{name} is 0 in {node}, so the kernel forwards nothing",
        remedy="give {node} sysctls: {{{name}: 1}} in the compose file, then: docker compose up -d {node}",
    ),
)
