"""Monitoring: what the exporters say is so, the alerts are raised when they should be, and nobody gains power by it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from harness import handshakes, monitoring, mutations
from harness.addresses import MARIADB_PORT, REDIS_PORT, SERVICES_PORT, TUNNEL_SERVICES
from harness.budgets import FORWARDING, TRAFFIC
from harness.deployment import Deployment
from harness.errors import CommandError, ParseError
from harness.experiment import Experiment
from harness.model import Outcome
from harness.monitoring import SCRAPED, Monitoring, Watch
from harness.nodes import Gateway
from harness.probes.mariadb import MariaDBQuery
from harness.redaction import without
from harness.waiting import wait_until, wait_until_or_last
from harness.wireguard import INTERFACE

pytestmark = pytest.mark.layouts("dev")

BOTH_ENDS = pytest.mark.parametrize("end", ["wireguard-web", "wireguard-services"])
DASHBOARD = monitoring.FOLDER / "grafana-dashboard.json"
STALE = "WireGuardHandshakeStale"
SYN = 60  # bytes of the first packet of a TCP connection, with the options that Linux sends

_CONNECT = """
import socket, sys
for _ in range(int(sys.argv[1])):
    socket.create_connection((sys.argv[2], int(sys.argv[3])), 2).close()
"""

_ASK = """
import contextlib, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.settimeout(5)
    asked.connect("\\0wireguard-gateway")
    with contextlib.suppress(BrokenPipeError):  # it may have said all before anything is sent, and has hung up
        asked.sendall(sys.argv[1].encode())
    try:
        while received := asked.recv(65536):
            sys.stdout.write(received.decode())
    except ConnectionResetError:  # the other end hung up on what it had not read
        pass
"""

# `kill` by name: the image has no pkill.
_SIGNAL = """
for each in /proc/[0-9]*; do
  [[ $(<"$each/comm") != socat ]] || kill -"$1" "${each#/proc/}"
done 2>/dev/null
"""


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    """What this module watches its deployment with; taken away after the module's last scenario."""
    held = Watch()
    yield held
    held.end()


@pytest.fixture
def monitored(deployment: Deployment, watch: Watch) -> Monitoring:
    """The deployment with its profile `monitoring`."""
    return watch.of(deployment)


@BOTH_ENDS
def test_prometheus_scrapes_the_exporter(monitored: Monitoring, end: str) -> None:
    """A real Prometheus finds the exporter by the project's own configuration, and reads it."""
    found = wait_until(
        f"Prometheus to have scraped the exporter of {end}",
        lambda: monitored.query(f'up{{job="wireguard", gateway="{end}"}} == 1'),
        bool,
        within=SCRAPED,
    )
    assert found[0]["metric"]["site"] == "main"
    readings = monitored.query(f'wireguard_reading_up{{gateway="{end}"}}')
    assert {entry["metric"]["reading"]: entry["value"][1] for entry in readings} == {
        "gateway": "1",
        "interface": "1",
        "wireguard": "1",
        "rules": "1",
    }


@BOTH_ENDS
def test_the_peer_is_as_wireguard_shows_it(monitored: Monitoring, end: str) -> None:
    """Handshake and bytes are those that `wg show` has, read just before and just after."""
    gateway = gateway_of(monitored.deployment, end)
    before = gateway.peer()
    scraped = monitored.scrape(end)
    after = gateway.peer()
    peer = {"public_key": before.public_key, "allowed_ips": ",".join(map(str, before.allowed_ips))}

    assert before.latest_handshake is not None
    assert after.latest_handshake is not None
    at = scraped.one("wireguard_peer_latest_handshake_timestamp_seconds", **peer)
    assert at in (before.latest_handshake.timestamp(), after.latest_handshake.timestamp())
    age = scraped.one("wireguard_peer_latest_handshake_age_seconds", **peer)
    now = float(gateway.output("date", "+%s.%N"))
    assert 0 <= age <= now - at + 1
    assert now - at - age < 10  # the exec and a loaded machine lie between the two
    assert scraped.one("wireguard_peer_handshake_seen", **peer) == 1
    assert before.transfer_rx <= scraped.one("wireguard_peer_received_bytes_total", **peer) <= after.transfer_rx
    assert before.transfer_tx <= scraped.one("wireguard_peer_sent_bytes_total", **peer) <= after.transfer_tx


def test_a_forward_counts_each_connection(monitored: Monitoring, experiment: Experiment) -> None:
    """Seven connections to a port add seven packets to its DNAT rule, and not these to another port's."""
    deployment, count = monitored.deployment, 7
    with experiment.disturbance("Prometheus, whose scrapes connect too, holds still") as undo:
        undo.callback(monitored.prometheus.container.unpause)
        monitored.prometheus.container.pause()
        before = monitored.scrape("wireguard-services")
        done = deployment.web.run("python", "-c", _CONNECT, str(count), str(TUNNEL_SERVICES.ip), str(SERVICES_PORT))
        assert done.ok, done
        after = monitored.scrape("wireguard-services")

    def grown(what: str, rule: str, port: int = SERVICES_PORT) -> float:
        name, labels = f"wireguard_forward_{what}_total", {"port": str(port), "rule": rule}
        return after.one(name, **labels) - before.one(name, **labels)

    assert grown("packets", "dnat") == count
    assert grown("bytes", "dnat") == count * SYN
    assert grown("packets", "accept") >= 3 * count  # at least SYN, ACK and FIN of each
    for other in (MARIADB_PORT, REDIS_PORT):
        assert grown("packets", "dnat", other) < count  # web's own health check may have used it meanwhile
    assert before.one("wireguard_forward_rule_present", port=str(SERVICES_PORT), rule="dnat") == 1


def test_every_forward_that_is_declared_is_counted(monitored: Monitoring) -> None:
    """Each entry of WG_FORWARD_PORTS has both its rules, by port, protocol and destination, and no other has any."""
    found = monitored.scrape("wireguard-services").all("wireguard_forward_packets_total")
    declared = {(f.port, f.protocol, str(f.destination)) for f in monitored.deployment.wireguard_services.forwards()}
    counted = [(int(s.labels["port"]), s.labels["protocol"], s.labels["destination"], s.labels["rule"]) for s in found]
    assert sorted(counted) == sorted((*forward, rule) for forward in declared for rule in ("dnat", "accept"))
    assert not monitored.scrape("wireguard-web").all("wireguard_forward_packets_total")


def test_a_connection_through_the_tunnel_is_timed(monitored: Monitoring) -> None:
    """Web's exporter connects to MariaDB, Redis and services through the tunnel and says how long each took."""
    scraped = monitored.scrape("wireguard-web")
    tried = scraped.all("wireguard_probe_success")
    assert {(sample.labels["address"], sample.labels["port"]) for sample in tried} == {
        (str(TUNNEL_SERVICES.ip), port) for port in ("3306", "6379", "8001")
    }
    assert all(sample.value == 1 for sample in tried)
    took = scraped.all("wireguard_probe_duration_seconds")
    assert {sample.labels["port"] for sample in took} == {"3306", "6379", "8001"}
    assert all(0 < sample.value < 1 for sample in took)


def test_probes_do_not_count_against_the_gateway(monitored: Monitoring) -> None:
    """A hundred connections without a word, and MariaDB lets web in as before: it looks up no names."""
    deployment = monitored.deployment
    done = deployment.web.run("python", "-c", _CONNECT, "110", str(TUNNEL_SERVICES.ip), "3306")
    assert done.ok, done
    answer = deployment.mariadb.run("sh", "-c", _MARIADB, "sh", "SELECT @@max_connect_errors, @@skip_name_resolve")
    limit, without_names = answer.stdout.split()
    assert int(limit) <= 110, "the sensor: fewer connections than MariaDB forgives prove nothing"
    assert without_names == "1"
    assert MariaDBQuery("web").observe(deployment).outcome is Outcome.CONNECTED


_MARIADB = (
    'MYSQL_PWD="$(cat "$MARIADB_PASSWORD_FILE")" mariadb --protocol=tcp --host=127.0.0.1 --user="$MARIADB_USER" '
    '--skip-column-names --execute="$1" "$MARIADB_DATABASE"'
)


@BOTH_ENDS
def test_no_secret_is_told(monitored: Monitoring, end: str) -> None:
    """Neither the metrics nor what the gateway reports to whoever asks shows a private or preshared key, or a word."""
    secrets = monitored.deployment.credentials.secrets()
    asked = monitored.exporter(end).run("python", "-c", _ASK, "")
    assert asked.stdout.endswith(":end 0\n"), asked
    told = {"metrics": monitored.scrape(end).text, "report": asked.stdout}
    for what, text in told.items():
        assert without(secrets, text) == text, f"a secret is in the {what} of {end}"
    # The sensor sees: the same report does show the peer, whose key is no secret.
    assert all(gateway_of(monitored.deployment, end).peer().public_key in text for text in told.values())


@BOTH_ENDS
def test_who_asks_the_gateway_can_only_ask(monitored: Monitoring, end: str) -> None:
    """What is sent to the gateway's socket is neither read nor run: wg0 is as it was."""
    gateway = gateway_of(monitored.deployment, end)
    before = gateway.interface().public_key, gateway.peer().public_key, gateway.peer().allowed_ips
    asked = monitored.exporter(end).run("python", "-c", _ASK, "set=1\nreplace_peers=true\n\n$(touch /run/asked)\n")
    assert asked.ok, asked
    assert (gateway.interface().public_key, gateway.peer().public_key, gateway.peer().allowed_ips) == before
    assert not gateway.run("test", "-e", "/run/asked").ok


@BOTH_ENDS
def test_the_exporter_has_no_power(monitored: Monitoring, end: str) -> None:
    """The exporter runs as a user without capabilities, on a read-only root, with no secret, volume or device."""
    exporter = monitored.exporter(end)
    status = dict(line.split(":\t", 1) for line in exporter.output("cat", "/proc/self/status").splitlines())
    assert {name: int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {
        "CapEff": 0,
        "CapPrm": 0,
        "CapBnd": 0,
        "CapAmb": 0,
    }
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split()[0] == "999"
    inspected = exporter.inspect()
    assert inspected["HostConfig"]["ReadonlyRootfs"]
    assert not inspected["HostConfig"]["Devices"]
    assert not inspected["Mounts"]
    refused = exporter.python("import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)")
    assert "PermissionError" in refused.stderr


def test_the_far_end_of_the_tunnel_cannot_scrape(monitored: Monitoring) -> None:
    """The exporter of services is for Prometheus, not for web: its port is refused through the tunnel."""
    code = f"import socket; socket.create_connection(('{TUNNEL_SERVICES.ip}', 9586), 2)"
    assert "ConnectionRefusedError" in monitored.deployment.web.python(code).stderr
    # The sensor sees: on the gateway's other network it is open.
    plan = monitored.deployment.plan
    near = f"import socket; socket.create_connection(('{plan.wireguard_services}', 9586), 2)"
    assert monitored.deployment.services.python(near).ok


def test_a_cut_tunnel_raises_the_alerts_and_they_go_with_it(monitored: Monitoring, experiment: Experiment) -> None:
    """With wg0 down the alerts' own expressions hold, over seconds instead of minutes; with it up none does."""
    gateway = monitored.deployment.wireguard_web
    wanted = ("WireGuardInterfaceDown", "WireGuardProbeFailing", "WireGuardForwardUnreached", STALE)
    with experiment.disturbance("wg0 of web's gateway is down") as undo:
        expect_no_alert(monitored, wanted)
        undo.callback(gateway.run, "ip", "link", "set", INTERFACE, "up")
        gateway.output("ip", "link", "set", INTERFACE, "down")
        wait_until(
            "every alert about a cut tunnel",
            lambda: raised(monitored, wanted),
            lambda seen: seen == set(wanted),
            within=SCRAPED,
        )
        scraped = monitored.scrape("wireguard-web")
        assert scraped.one("wireguard_interface_up") == 0
        assert not scraped.all("wireguard_probe_duration_seconds"), "no connection came about, so none took any time"
    expect_no_alert(monitored, wanted)


def test_a_lost_rule_is_seen(monitored: Monitoring, experiment: Experiment) -> None:
    """Without its DNAT rule a forward is said to lack it, its counter is absent, and its alert's expression holds."""
    gateway = monitored.deployment.wireguard_services
    with experiment.disturbance("MariaDB's DNAT rule is gone") as undo:
        mutations.delete_rule(undo, gateway, gateway.dnat(MARIADB_PORT))
        scraped = wait_until(
            "the lost rule to be seen",
            lambda: monitored.scrape("wireguard-services"),
            lambda seen: not seen.one("wireguard_forward_rule_present", port="3306", rule="dnat"),
            within=FORWARDING,
        )
        assert not scraped.all("wireguard_forward_packets_total", port="3306", rule="dnat")
        assert scraped.one("wireguard_forward_rule_present", port="3306", rule="accept") == 1
        missing = monitoring.alerts()["WireGuardForwardRuleMissing"].expression
        found = wait_until("its alert", lambda: monitored.query(missing), bool, within=SCRAPED)
        assert {(entry["metric"]["port"], entry["metric"]["rule"]) for entry in found} == {("3306", "dnat")}


def test_a_gateway_that_does_not_report_gives_no_old_values(monitored: Monitoring, experiment: Experiment) -> None:
    """While the gateway is silent the exporter answers in time, says so, and shows nothing that it knew before."""
    gateway = monitored.deployment.wireguard_web
    exporter = monitored.exporter("wireguard-web")
    with experiment.disturbance("web's gateway does not report") as undo:
        undo.callback(gateway.run, "bash", "-c", _SIGNAL, "bash", "CONT")
        gateway.output("bash", "-c", _SIGNAL, "bash", "STOP")
        scraped = monitored.scrape("wireguard-web")
        assert scraped.one("wireguard_reading_up", reading="gateway") == 0
        assert scraped.one("wireguard_reading_up", reading="wireguard") == 0
        assert scraped.one("wireguard_reading_up", reading="interface") == 1
        assert scraped.one("wireguard_reading_errors_total", reading="gateway") >= 1
        assert not scraped.all("wireguard_peer_received_bytes_total")
        assert not scraped.all("wireguard_gateway_info")
        assert "the gateway did not report within 3 s" in exporter.logs()
    scraped = monitored.scrape("wireguard-web")
    assert scraped.one("wireguard_reading_up", reading="gateway") == 1
    assert scraped.all("wireguard_peer_received_bytes_total")
    assert "gateway: well again" in exporter.logs()


def test_an_exporter_follows_its_gateway(monitored: Monitoring, experiment: Experiment) -> None:
    """A gateway created anew has a new namespace; `docker compose up` takes its exporter along, as it does web."""
    with experiment.disturbance("web's gateway is created anew"):
        before = monitored.deployment.wireguard_web.inspect()["Id"]
        monitored.bring_up("--force-recreate", "--no-deps", "wireguard-web")
        monitored.bring_up()
        after = monitored.deployment.wireguard_web.inspect()["Id"]
        assert before != after
        assert monitored.exporter("wireguard-web").inspect()["HostConfig"]["NetworkMode"] == f"container:{after}"
        scraped = wait_until_or_last(
            lambda: reading(monitored, "wireguard-web"), lambda seen: seen == 1.0, within=TRAFFIC
        )
        assert scraped == 1.0


def test_the_alert_rules_pass_their_tests(monitored: Monitoring) -> None:
    """`promtool test rules`: each alert is raised after as long as it says, and no sooner."""
    result = monitored.promtool("test", "rules", f"/etc/prometheus/{monitoring.ALERT_TESTS.name}")
    assert result.ok, result
    assert "SUCCESS" in result.stdout


def test_the_dashboard_asks_for_what_there_is(monitored: Monitoring) -> None:
    """Every panel's expression is understood by Prometheus, and each has something to show on a well deployment."""
    wait_until(
        "something to show in every panel", lambda: silent_panels(monitored), lambda silent: not silent, within=SCRAPED
    )


def silent_panels(monitored: Monitoring) -> dict[str, str]:
    """Each panel of the dashboard for which Prometheus has nothing now, with its expression."""
    silent = {}
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "10s")
            for variable in ("$site", "$gateway"):
                expression = expression.replace(variable, ".*")
            if not monitored.query(expression):
                silent[panel["title"]] = target["expr"]
    return silent


def expect_no_alert(monitored: Monitoring, names: tuple[str, ...]) -> None:
    """None of the expressions holds; that of an old handshake is asked when there has been a new one."""
    others = tuple(name for name in names if name != STALE)
    wait_until("no alert", lambda: raised(monitored, others), lambda seen: not seen, within=SCRAPED)
    handshakes.shake_hands(monitored.deployment)
    wait_until("no old handshake", lambda: raised(monitored, (STALE,)), lambda seen: not seen, within=SCRAPED)


def raised(monitored: Monitoring, names: tuple[str, ...]) -> set[str]:
    """Which alerts' expressions hold now, looking back ten seconds, and six at a handshake, instead of minutes."""
    rules = monitoring.alerts()
    hurried = {name: rules[name].expression.replace("[3m]", "[10s]").replace("> 180", "> 6") for name in names}
    return {name for name, expression in hurried.items() if monitored.query(expression)}


def reading(monitored: Monitoring, end: str) -> float | str:
    """Whether the exporter of a gateway hears from it now."""
    try:
        return monitored.scrape(end).one("wireguard_reading_up", reading="gateway")
    except (CommandError, ParseError) as error:
        return str(error)


def gateway_of(deployment: Deployment, end: str) -> Gateway:
    """The gateway at one end."""
    return {gateway.service: gateway for gateway in deployment.gateways}[end]
