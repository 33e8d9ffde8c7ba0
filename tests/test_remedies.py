"""What people are told: the very thing that is wrong, and words that do something where they are typed."""

from __future__ import annotations

from harness.model import Finding

from .evidence_samples import FRONT, GATEWAYS, Sample
from .rule_cases import tunnel


def root(sample: Sample, rule: str) -> Finding:
    """The one finding of the only root."""
    found = [finding for finding in sample.diagnosis.findings if finding.root]
    assert [finding.rule for finding in found] == [rule]
    return found[0]


def test_the_rule_that_stops_wireguards_packets_is_named_whoever_else_is_served() -> None:
    """They are sent to the other end, not to the first peer that has an endpoint."""
    sample = Sample()
    sample.kill_tunnel()
    first = "[1320:302858] -A INPUT"
    sample.change(FRONT, "rules", first, f"[9:540] -A OUTPUT -d 172.20.0.3/32 -p udp -j DROP\n{first}")
    tunnel.with_a_foreign_peer_first(sample, *GATEWAYS)
    finding = root(sample, "peer-unreachable")
    assert (finding.node, "-d 172.20.0.3/32 -p udp -j DROP" in finding.cause) == (FRONT, True)
