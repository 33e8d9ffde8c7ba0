"""The kernel drops what comes in by an interface that it would not answer by."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from harness.diagnosis.facts import End, Facts
from harness.diagnosis.nodefacts import GatewayFacts
from harness.diagnosis.rules import Case, Rule
from harness.model import Hop
from harness.wireguard import INTERFACE

_STRICT = 1  # Linux, Documentation/networking/ip-sysctl.rst, rp_filter

_REASONS = frozenset({"route-missing", "address-missing", "interface-down", "interface-missing"})


def _over(facts: Facts) -> tuple[End, ...]:
    return () if facts.snapshot.static else facts.ends


def _when(_facts: Facts, end: End) -> Iterator[Case]:
    gateway, other = end.gateway, end.other.wanted_address
    if other is None or INTERFACE not in gateway.links:
        return
    by = gateway.leads_to(other.ip)
    if _effective(gateway, INTERFACE) == _STRICT and by not in (INTERFACE, None):
        yield _case(gateway, INTERFACE, other.ip, by)
        return
    for forward in gateway.declared:
        device = next(
            (each.interface for each in gateway.addresses if forward.destination in each.address.network), None
        )
        answered_by = gateway.leads_to(forward.destination)
        if device and _effective(gateway, device) == _STRICT and answered_by not in (device, None):
            yield _case(gateway, device, forward.destination, answered_by)


def _effective(gateway: GatewayFacts, interface: str) -> int:
    """The stricter of the interface's own setting and that for all."""
    values = [gateway.sysctl(f"conf/{name}/rp_filter") for name in ("all", interface)]
    return max(int(value) if value.isdecimal() else 0 for value in values)


def _case(gateway: GatewayFacts, interface: str, source: IPv4Address, by: str | None) -> Case:
    evidence = (f"{gateway.service}: rp_filter of {interface} is 1", f"{gateway.service}: to {source} leads {by}")
    return Case(node=gateway.service, evidence=evidence, values={"interface": interface, "source": source, "by": by})


RULES = (
    Rule(
        id="reverse-path-filter",
        title="The reverse path filter drops packets",
        hop=Hop.FORWARDING,
        over=_over,
        when=_when,
        cause=(
            "{node} drops what comes from {source} by {interface}, because it would answer by {by} (rp_filter is "
            "strict)"
        ),
        remedy="give {node} a route to {source} by {interface}, or sysctls: {{net.ipv4.conf.all.rp_filter: 2}}",
        consequence_of=_REASONS,
        local=_REASONS,
    ),
)
