from __future__ import annotations

import json

import pytest

from harness.diagnosis.evidence import NetworkEvidence
from harness.diagnosis.facts import Facts
from harness.diagnosis.judgement import FAULTY, UNDIAGNOSED, UNKNOWN
from harness.diagnosis.rules import rules
from harness.model import Hop, Severity

from . import test_rules_paths as paths
from . import test_rules_tunnel as tunnel
from .evidence_samples import BACK, CELERY, FRONT, HANDSHAKE, MARIADB, OTHER_KEY, REDIS, REFUSED, SERVICES, WEB, Sample
from .rule_cases import backends, without_gateway
from .sample_cases import Change

# --- what no rule explains


@pytest.mark.parametrize(
    ("app", "backend", "step"),
    [
        (SERVICES, "database", "answer"),
        (WEB, "database", "login"),
        (CELERY, "broker", "connect"),
        (WEB, "broker", "answer"),
    ],
)
def test_a_path_that_fails_unexplained_is_undiagnosed(app: str, backend: str, step: str) -> None:
    """A failure that no rule knows is a finding of its own with what the application was told, never health."""
    sample = Sample()
    sample.fail(app, backend, step, said="something new", errno=None)
    diagnosis = sample.diagnosis
    assert (diagnosis.status, diagnosis.roots) == (FAULTY, frozenset({UNDIAGNOSED}))
    (finding,) = diagnosis.findings
    assert (finding.node, finding.paths) == (app, frozenset({f"{app}→{backend}"}))
    assert "something new" in finding.evidence[0]


def test_a_forward_that_fails_unexplained_is_undiagnosed() -> None:
    """Also a port that no setting of the application names."""
    sample = Sample()
    sample.fail(WEB, "10.100.0.11:8001", "connect")
    assert sample.diagnosis.roots == {UNDIAGNOSED}


@pytest.mark.parametrize("node", [MARIADB, REDIS, SERVICES, CELERY, WEB, FRONT, BACK])
def test_an_unhealthy_container_that_no_rule_explains_is_undiagnosed(node: str) -> None:
    """A health check that fails now is a finding, with what it said; one that passes now is none."""
    for said, roots in (("page /health/ answers 500\nfailing", {UNDIAGNOSED}), ("", set())):
        sample = Sample()
        sample.containers[node]["health"] = "unhealthy"
        sample.pieces[node]["health"] = said
        diagnosis = sample.diagnosis
        assert diagnosis.roots == roots
        assert all(finding.node == node and "500" in finding.evidence[0] for finding in diagnosis.findings)


def test_an_unhealthy_container_that_a_rule_explains_is_none_of_its_own() -> None:
    """Where the cause is known, the health check that fails because of it is no second root."""
    sample = Sample()
    paths.a_dnat_rule_was_deleted(sample)
    sample.containers[WEB]["health"] = "unhealthy"
    sample.pieces[WEB]["health"] = "database: refused\nfailing"
    assert sample.diagnosis.roots == {"forward-rule-missing"}


def test_a_fault_of_one_path_does_not_explain_another() -> None:
    """A lost rule for MariaDB says nothing about a Redis that does not answer."""
    sample = Sample()
    paths.a_dnat_rule_was_deleted(sample)
    sample.fail(CELERY, "broker", "answer", said="something new")
    assert sample.diagnosis.roots == {"forward-rule-missing", UNDIAGNOSED}


def test_an_exposure_does_not_explain_a_failure() -> None:
    """What is merely open breaks no path, so that a failure beside it is undiagnosed all the same."""
    sample = Sample()
    tunnel.a_private_key_is_readable_by_all(sample)
    sample.fail(WEB, "database", "answer", said="something new")
    assert sample.diagnosis.roots == {"secret-permissions", UNDIAGNOSED}


# --- pairs of faults that have nothing to do with each other

PAIRS: list[tuple[Change, Change, set[str]]] = [
    (
        paths.a_dnat_rule_was_deleted,
        paths.redis_listens_on_another_port,
        {"forward-rule-missing", "backend-not-listening"},
    ),
    (paths.mariadb_was_stopped, tunnel.a_private_key_is_readable_by_all, {"backend-down", "secret-permissions"}),
    (paths.mariadb_was_stopped, tunnel.the_other_end_is_not_allowed, {"backend-down", "allowed-ips-missing"}),
    (
        tunnel.the_endpoint_is_nobodys_address,
        paths.mariadb_listens_on_loopback,
        {"endpoint-wrong", "backend-not-listening"},
    ),
    (tunnel.a_stranger_is_expected, tunnel.the_preshared_keys_differ, {"peer-key-mismatch", "preshared-key-mismatch"}),
    (paths.an_application_was_killed, paths.a_masquerade_was_deleted, {"container-down", "return-path-missing"}),
    (paths.an_application_was_killed, paths.mariadb_was_stopped, {"container-down", "backend-down"}),
    (paths.mariadb_is_published_for_all, tunnel.nothing_is_under_the_tunnels_route, {"port-exposed", "fail-open"}),
    (paths.the_user_may_only_read, paths.redis_wants_a_password, {"grant-missing", "credentials-rejected"}),
    (tunnel.a_third_is_lost, paths.a_dnat_rule_was_deleted, {"packet-loss", "forward-rule-missing"}),
]


@pytest.mark.parametrize(("first", "second", "roots"), PAIRS, ids=lambda each: getattr(each, "__name__", ""))
def test_two_independent_faults_are_two_roots(first: Change, second: Change, roots: set[str]) -> None:
    """Neither hides the other, in whichever order they came."""
    for order in ((first, second), (second, first)):
        sample = Sample()
        for change in order:
            change(sample)
        assert sample.diagnosis.roots == roots


# --- which way an explanation goes


def test_what_is_wrong_with_an_application_explains_no_backend() -> None:
    """An application that ran out of memory does not make a MariaDB that is down a consequence."""
    sample = Sample()
    paths.a_worker_gets_too_little_memory(sample)
    sample.stop(MARIADB)
    sample.fail(SERVICES, "database", "connect")
    sample.fail(WEB, "database", "connect")
    assert sample.diagnosis.roots == {"out-of-memory", "backend-down"}


def test_what_is_wrong_with_a_gateway_explains_what_the_application_sees() -> None:
    """Of a gateway with a setting that cannot be read, that is the root; all that follows is shown as such."""
    sample = Sample()
    paths.a_forward_is_written_otherwise(sample)
    diagnosis = sample.diagnosis
    assert diagnosis.roots == {"forward-setting-malformed"}
    consequences = {finding.rule for finding in diagnosis.findings if not finding.root}
    assert "container-down" in consequences
    assert diagnosis.findings[0].root


def _without_a_right(sample: Sample) -> None:
    sample.containers[BACK]["capabilities"] = []  # it may have been given its network otherwise


def _once_short_of_memory(sample: Sample) -> None:
    sample.containers[BACK]["oom_killed"] = True  # stays so while it runs, whoever of its processes it was


def _told_twice(sample: Sample) -> None:
    sample.tell(BACK, WG_FORWARD_PORTS=f"{sample.environment(BACK)['WG_FORWARD_PORTS']} 8001:tcp:10.101.0.5")


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (_without_a_right, "capability-missing"),
        (_once_short_of_memory, "out-of-memory"),
        (_told_twice, "forward-setting-malformed"),
    ],
)
def test_what_a_container_cannot_start_with_explains_nothing_while_it_runs(said: Change, rule: str) -> None:
    """A gateway that runs has started: the rule that it lost is a root beside. Where it does not run it is none."""
    sample = Sample()
    said(sample)
    paths.a_dnat_rule_was_deleted(sample)
    assert sample.diagnosis.roots == {rule, "forward-rule-missing"}
    sample = Sample()
    said(sample)
    without_gateway(sample, BACK)
    assert rule in sample.diagnosis.roots
    assert "container-down" not in sample.diagnosis.roots


def test_every_finding_that_is_no_root_is_explained() -> None:
    """For all cases: whatever is suppressed has a finding beside it that names it as a consequence."""
    reasons = {rule.id: rule.consequence_of for rule in rules()}
    for case in (*tunnel.cases.broken, *paths.cases.broken):
        sample = Sample()
        case.change(sample)
        findings = sample.diagnosis.findings
        assert any(finding.root for finding in findings)
        for finding in findings:
            if not finding.root:
                assert reasons[finding.rule] & {other.rule for other in findings if other is not finding}


# --- the rest of a diagnosis


def test_what_is_said_of_a_node_in_the_same_words_is_one_finding() -> None:
    """With the paths of all that met it, and what each of them was told; what two users lack is two findings."""
    for other, number in ((None, 1), ("reports", 2)):
        sample = Sample()
        if other:
            sample.tell(WEB, DATABASE_USER=other)
        for app in (SERVICES, CELERY, WEB):
            sample.fail(app, "database", "login", code=1044, said="(1044, 'Access denied')")
        findings = sample.diagnosis.findings
        assert [finding.rule for finding in findings] == ["grant-missing"] * number
        assert frozenset().union(*(each.paths for each in findings)) == {
            f"{app}→database" for app in (SERVICES, CELERY, WEB)
        }
        assert sum(len(each.evidence) for each in findings) == len((SERVICES, CELERY, WEB))


def test_roots_come_first_and_errors_before_warnings() -> None:
    """Whoever reads only the first finding reads the worst cause."""
    sample = Sample()
    tunnel.nobody_keeps_the_way_open(sample)
    paths.the_kernel_does_not_forward(sample)
    findings = sample.diagnosis.findings
    assert [finding.rule for finding in findings] == ["forwarding-disabled", "keepalive-missing"]
    assert [finding.severity for finding in findings] == [Severity.ERROR, Severity.WARNING]


def test_a_fault_is_a_fault_also_where_something_was_not_seen() -> None:
    """What was found outweighs what is unknown, and what is unknown is listed beside it."""
    sample = Sample()
    paths.the_kernel_does_not_forward(sample)
    sample.lose(REDIS, "sockets", "timed out")
    diagnosis = sample.diagnosis
    assert (diagnosis.status, diagnosis.exit_code) == (FAULTY, 1)
    assert diagnosis.unknown == ("sockets of redis could not be seen: timed out",)


def test_what_a_container_that_is_down_hides_is_not_unknown() -> None:
    """That nothing is seen inside a container that does not run follows from it, and is not said again."""
    sample = Sample()
    sample.stop(CELERY)
    assert sample.diagnosis.unknown == ()


def test_the_hop_that_fails_is_marked() -> None:
    """The way up to it is passed, it fails with the cause, and nothing after it is claimed."""
    sample = Sample()
    paths.a_dnat_rule_was_deleted(sample)
    hops = [hop for hop in sample.diagnosis.hops if hop.path == "web→database"]
    statuses = {hop.hop: hop.status for hop in hops}
    assert [hop.hop for hop in hops] == [hop for hop in Hop if hop is not Hop.EXPOSURE]
    assert statuses[Hop.DNAT] == "fail"
    assert {statuses[hop] for hop in list(Hop)[: list(Hop).index(Hop.DNAT)]} == {"pass"}
    assert {statuses[hop] for hop in (Hop.RETURN_PATH, Hop.BACKEND, Hop.GREETING, Hop.CREDENTIALS)} == {"unknown"}
    assert {hop.status for hop in sample.diagnosis.hops if hop.path != "web→database"} == {"pass"}
    beside = {hop.hop for hop in sample.diagnosis.hops if hop.path == "services→database"}
    assert Hop.DNAT not in beside


def starting(own_check: str) -> Sample:
    """MariaDB is called starting by Docker, does not listen yet, and all applications are refused."""
    sample = Sample()
    sample.containers[MARIADB]["health"] = "starting"
    sample.pieces[MARIADB]["health"] = own_check
    sample.change(MARIADB, "sockets", "00000000:0CEA 00000000:0000 0A", "00000000:0CEA 00000000:0000 07")
    for app in (SERVICES, CELERY, WEB):
        sample.fail(app, "database", "connect", **REFUSED)
    return sample


def test_what_is_caught_between_two_ends_is_told_with_its_last_words() -> None:
    """That it restarts, how often it ended, and what its log said: a state of `running` says none of it."""
    sample = Sample()
    backends.mariadb_is_caught_running_between_two_ends(sample)
    (finding,) = (each for each in sample.diagnosis.findings if each.root)
    assert "restarts again and again" in finding.cause
    assert "ended 5 times" in finding.evidence[0]
    assert finding.evidence[-1] == "[ERROR] Aborting"
    assert finding.remedy == "mend what it ends by; if it ends again its log says why: docker logs mariadb"


def test_a_container_that_is_only_starting_is_unknown() -> None:
    """Neither well nor ill: who asks a moment later gets an answer."""
    diagnosis = starting("not yet\nfailing").diagnosis
    assert (diagnosis.status, diagnosis.roots) == (UNKNOWN, frozenset())
    assert any("mariadb" in line for line in diagnosis.unknown)


def test_a_container_whose_own_check_passes_has_started() -> None:
    """Docker calls it starting until its next look; its check was made just now, so what it does not do is a fault."""
    assert starting("").diagnosis.roots == {"backend-not-listening"}


def test_ipv6_beside_it_changes_nothing() -> None:
    """Networks, sockets, peers and endpoints of IPv6 are neither faults nor in the way."""
    sample = Sample()
    sample.networks.append(NetworkEvidence(name="services-net", subnets=("fd00:1::/64",), project="x", ours=True))
    for gateway in (FRONT, BACK):
        sample.pieces[gateway]["dump"] += (
            f"wg0\t{OTHER_KEY}\t(none)\t[fd00::9]:51820\tfd00:9::/64\t{HANDSHAKE}\t1\t1\toff\n"
        )
    assert sample.diagnosis.findings == ()


def _told_by_wg_quick(addresses: dict[str, str]) -> Sample:
    """Ends that have their keys and an address in a file that wg-quick reads, by the gateways' names."""
    sample = Sample()
    path = "/etc/wireguard/wg0.conf"
    for gateway, address in addresses.items():
        sample.change(gateway, "secret-files", sample.environment(gateway)["WG_PRIVATE_KEY_FILE"], path)
        sample.tell(gateway, WG_ADDRESS=address, WG_PRIVATE_KEY_FILE=path)
    return sample


def test_an_address_of_wg_quick_may_stand_for_itself_alone() -> None:
    """wg-quick(8) makes a route for what the peer may use; this project's own gateway refuses such an address."""
    assert _told_by_wg_quick({FRONT: "10.100.0.10/32"}).diagnosis.findings == ()
    assert _told_by_wg_quick({FRONT: "10.100.0.10/33"}).diagnosis.roots == {"setting-malformed"}
    own = Sample()
    own.tell(FRONT, WG_ADDRESS="10.100.0.10/32")
    assert own.diagnosis.roots == {"setting-malformed"}


@pytest.mark.parametrize("endpoint", ["vpn_services:51820", "[fe80::3%eth0]:51820"])
def test_an_endpoint_of_wg_quick_may_be_whatever_wg_takes(endpoint: str) -> None:
    """A service's name with an underscore, which compose allows, or an address of one link; ours refuse both."""
    sample = _told_by_wg_quick({FRONT: "10.100.0.10/32"})
    sample.tell(FRONT, WG_PEER_ENDPOINT=endpoint)
    assert "setting-malformed" not in sample.diagnosis.errors
    sample.tell(FRONT, WG_PEER_ENDPOINT=endpoint.replace(":51820", ""))
    assert "setting-malformed" in sample.diagnosis.roots
    own = Sample()
    own.tell(FRONT, WG_PEER_ENDPOINT=endpoint)
    assert "setting-malformed" in own.diagnosis.errors


def test_both_ends_may_stand_for_themselves_alone() -> None:
    """What is dialled at the other end goes through the tunnel, and a network that has an end's address overlaps."""
    sample = _told_by_wg_quick({FRONT: "10.100.0.10/32", BACK: "10.100.0.11/32"})
    assert sample.diagnosis.findings == ()
    facts = Facts(sample.snapshot())
    assert [facts.in_tunnel(host) for host in ("10.100.0.10", "10.100.0.11", "10.100.0.12")] == [True, True, False]
    sample.networks.append(NetworkEvidence(name="more", subnets=("10.100.0.8/29",), project="x", ours=True))
    assert "subnet-overlap" in sample.diagnosis.roots


def test_json_has_exactly_the_documented_shape() -> None:
    """`doctor --json`: the documented keys, with each finding's hop and paths, and what is unknown."""
    sample = Sample()
    paths.a_dnat_rule_was_deleted(sample)
    sample.lose(REDIS, "sockets", "timed out")
    document = json.loads(sample.diagnosis.to_json())
    assert list(document) == ["status", "layout", "findings", "hops", "unknown"]
    assert (document["status"], document["layout"]) == ("faulty", "dev")
    (finding,) = document["findings"]
    assert list(finding) == ["rule", "node", "severity", "root", "cause", "remedy", "evidence", "hop", "paths", "words"]
    assert (finding["rule"], finding["node"], finding["severity"]) == ("forward-rule-missing", BACK, "error")
    assert finding["root"] is True
    assert (finding["hop"], finding["paths"]) == ("DNAT", ["web→database"])
    assert all(isinstance(line, str) for line in finding["evidence"])
    assert all(list(hop) == ["path", "hop", "status", "evidence"] for hop in document["hops"])
    assert {hop["status"] for hop in document["hops"]} == {"pass", "fail", "unknown"}
    assert document["unknown"] == ["sockets of redis could not be seen: timed out"]
