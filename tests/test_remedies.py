"""What people are told: the very thing that is wrong, and words that do something where they are typed."""

from __future__ import annotations

import pytest

from harness.model import Finding

from .evidence_samples import APPS, FRONT, GATEWAYS, Sample
from .rule_cases import tunnel, two_servers
from .sample_cases import Change


def root(sample: Sample, rule: str) -> Finding:
    """The one finding of the only root."""
    found = [finding for finding in sample.diagnosis.findings if finding.root]
    assert [finding.rule for finding in found] == [rule]
    return found[0]


@pytest.mark.parametrize(
    ("change", "kind", "place"),
    [
        (two_servers.the_database_takes_no_more_clients, "database", "10.101.0.2:3306"),
        (two_servers.the_database_has_blocked_the_server, "database", "10.101.0.2:3306"),
        (two_servers.the_account_is_locked, "database", "10.101.0.2:3306"),
        (two_servers.the_user_may_not_use_the_database, "database", "10.101.0.2:3306"),
        (two_servers.the_database_takes_no_writes, "database", "10.101.0.2:3306"),
        (two_servers.a_redis_outside_is_in_protected_mode, "broker", "10.101.0.4:6379"),
        (two_servers.a_redis_outside_cannot_save, "broker", "10.101.0.4:6379"),
    ],
)
def test_what_a_backend_outside_does_is_said_once_and_of_itself(change: Change, kind: str, place: str) -> None:
    """Not of each application that meets it; and nobody is sent into a container for it, nor to one of the servers."""
    sample = Sample()
    change(sample)
    (finding,) = sample.diagnosis.findings
    assert (finding.root, finding.node) == (True, f"the {kind} at {place}")
    assert finding.paths == {f"{app}→{kind}" for app in APPS}
    assert finding.node in finding.cause
    assert "docker" not in finding.remedy
    assert "on the server" not in finding.remedy


def test_a_backend_in_a_container_is_worked_on_in_that_container() -> None:
    """There its client is, and is root of it."""
    sample = Sample()
    for app in APPS:
        sample.fail(app, "database", "login", code=4151, said="(4151, 'locked')")
    assert root(sample, "account-unusable").remedy.startswith("docker exec mariadb mariadb -e")


def test_the_rule_that_stops_wireguards_packets_is_named_whoever_else_is_served() -> None:
    """They are sent to the other end, not to the first peer that has an endpoint."""
    sample = Sample()
    sample.kill_tunnel()
    first = "[1320:302858] -A INPUT"
    sample.change(FRONT, "rules", first, f"[9:540] -A OUTPUT -d 172.20.0.3/32 -p udp -j DROP\n{first}")
    tunnel.with_a_foreign_peer_first(sample, *GATEWAYS)
    finding = root(sample, "peer-unreachable")
    assert (finding.node, "-d 172.20.0.3/32 -p udp -j DROP" in finding.cause) == (FRONT, True)
