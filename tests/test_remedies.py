"""What people are told: the very thing that is wrong, and words that do something where they are typed."""

from __future__ import annotations

import pytest

from harness.diagnosis.containers import CONFIGURED
from harness.diagnosis.judgement import judge
from harness.model import Finding

from . import test_rules_paths, test_rules_tunnel, test_rules_way
from .evidence_samples import APPS, BACK, CELERY, FRONT, GATEWAYS, MARIADB, REDIS, WEB, Sample
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


@pytest.mark.parametrize(("service", "rule"), [(CELERY, "container-down"), (MARIADB, "backend-down")])
def test_a_container_that_is_not_there_is_made_by_its_service(service: str, rule: str) -> None:
    """The name that it would have is a guess; one that has ended is started by the name that it has."""
    absent, ended = Sample(), Sample()
    absent.stop(service, "absent")
    ended.stop(service)
    up = f"docker compose up -d {service}; if it ends again its log says why: docker compose logs {service}"
    assert root(absent, rule).remedy == up
    assert root(ended, rule).remedy.startswith(f"docker start {service} ")


@pytest.mark.parametrize("hidden", [False, True])
def test_a_forward_is_to_lead_where_the_gateway_comes(*, hidden: bool) -> None:
    """Not to the first address that a backend has; of a backend outside, to where others reach it."""
    sample = Sample()
    test_rules_paths.a_port_was_not_declared(sample)
    attached = {"network": "backup", "address": "10.9.0.2", "prefix": 24, "wanted": None}
    sample.containers[MARIADB]["attachments"].insert(0, attached)
    if hidden:
        sample.drop(MARIADB)
    assert "contains 3306:tcp:10.101.0.2, then" in root(sample, "forward-rule-missing").remedy


def test_a_process_is_continued_by_the_shell() -> None:
    """`kill` is a program of procps, which slim images lack; every shell has it built in."""
    sample = Sample()
    test_rules_way.redis_was_stopped_by_a_signal(sample)
    assert "docker exec redis sh -c 'kill -CONT 8' " in root(sample, "process-stopped").remedy


BOTH_GATEWAYS = [
    (test_rules_tunnel.the_preshared_keys_differ, " --force-recreate"),
    (tunnel.large_packets_to_web_vanish, ""),
]


@pytest.mark.parametrize(("change", "forced"), BOTH_GATEWAYS)
def test_both_gateways_are_created_anew_by_their_own_names(change: Change, forced: str) -> None:
    """With all that live in their namespaces, such as web and an exporter, and nothing of other names."""
    sample = Sample()
    change(sample)
    sample.pieces["gauge"], sample.missing["gauge"] = dict(sample.pieces[REDIS]), {}
    sample.containers["gauge"] = sample.containers[WEB] | {"environment": {}}
    sample.pieces["gauge"]["netns"] = sample.pieces[WEB]["netns"]
    sample.rename(FRONT, "gw-a")
    sample.rename(BACK, "gw-b")
    (finding,) = [each for each in sample.diagnosis.findings if each.root]
    assert finding.remedy.startswith(("set WG_MTU of gw-", "give gw-a and gw-b the same file"))
    up, services = finding.remedy.partition("then: ")[2].split(" -d", 1)
    assert (up, services.startswith(forced)) == ("docker compose up", True)
    assert set(services.removeprefix(forced).split()) == {"gw-a", "gw-b", WEB, "gauge"}


@pytest.mark.parametrize(("change", "forced"), BOTH_GATEWAYS)
def test_each_server_creates_its_own_gateway_anew(change: Change, forced: str) -> None:
    """A second services' gateway on the web server would help nobody."""
    sample = Sample()
    two_servers.each_side_is_on_a_server_of_its_own(sample)
    change(sample)
    (finding,) = [each for each in sample.diagnosis.findings if each.root]
    commands = {
        "web": f"docker compose up -d{forced} wireguard-web web",
        "services": f"docker compose up -d{forced} wireguard-services",
    }
    here = "web" if finding.node == FRONT else "services"
    there = "services" if here == "web" else "web"
    assert finding.remedy.startswith(f"on the server {here}: ")
    assert finding.remedy.endswith(f"then: {commands[here]}; and on the server {there} likewise: {commands[there]}")


def test_a_configuration_says_that_there_is_another_server_and_not_how_it_is_called() -> None:
    """Compose files part a deployment by profiles; which machine has which they do not say."""
    sample = Sample()
    two_servers.each_side_is_on_a_server_of_its_own(sample)
    test_rules_tunnel.the_preshared_keys_differ(sample)
    sample.machines.clear()
    sample.hosts.clear()
    for container in sample.containers.values():
        container["status"] = CONFIGURED
    (finding,) = [each for each in judge(sample.snapshot(static=True)).findings if each.rule.startswith("preshared")]
    up = "docker compose up -d --force-recreate"
    own = f"{up} wireguard-web web; and on the other server likewise: {up} wireguard-services"
    assert finding.remedy.endswith(f"then: {own}")


def test_the_rule_that_stops_wireguards_packets_is_named_whoever_else_is_served() -> None:
    """They are sent to the other end, not to the first peer that has an endpoint."""
    sample = Sample()
    sample.kill_tunnel()
    first = "[1320:302858] -A INPUT"
    sample.change(FRONT, "rules", first, f"[9:540] -A OUTPUT -d 172.20.0.3/32 -p udp -j DROP\n{first}")
    tunnel.with_a_foreign_peer_first(sample, *GATEWAYS)
    finding = root(sample, "peer-unreachable")
    assert (finding.node, "-d 172.20.0.3/32 -p udp -j DROP" in finding.cause) == (FRONT, True)


def _routed_by_wg_quick(sample: Sample) -> None:
    """Web's end sends everything into the tunnel, by a table of its own, as `AllowedIPs = 0.0.0.0/0` makes wg-quick."""
    sample.change(FRONT, "dump", "\t51820\toff\n", "\t51820\t0xca6c\n")
    with sample.edited(FRONT, "routing-policy") as policies:
        policies[1:1] = [
            {"priority": 32764, "src": "all", "table": "main", "suppress_prefixlen": 0},
            {"priority": 32765, "not": None, "src": "all", "fwmark": "0xca6c", "table": "51820"},
        ]
    with sample.edited(FRONT, "routes") as routes:
        routes[:] = [each for each in routes if each["dst"] != "10.100.0.0/24"]
        routes.append({"dst": "default", "dev": "wg0", "table": "51820", "flags": []})


def test_what_lies_under_the_tunnels_route_never_hides_it() -> None:
    """It is of the same length and in the same table: a longer one would be taken instead, and the tunnel be cut."""
    plain, routed = Sample(), Sample()
    test_rules_tunnel.nothing_is_under_the_tunnels_route(plain)
    assert root(plain, "fail-open").remedy.endswith("ip route replace blackhole 10.100.0.0/24 metric 9999")
    _routed_by_wg_quick(routed)
    assert root(routed, "fail-open").remedy.endswith("ip route replace blackhole default metric 9999 table 51820")
    with routed.edited(FRONT, "routes") as routes:
        routes.append({"type": "blackhole", "dst": "default", "metric": 9999, "table": "51820", "flags": []})
    assert routed.diagnosis.findings == ()
