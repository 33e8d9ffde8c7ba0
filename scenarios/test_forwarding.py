"""The services gateway forwards the declared ports from the tunnel, and nothing else from anywhere.

What is declared is `WG_FORWARD_PORTS`. Rules are read as `iptables-save` prints them, with their counters; a counter
of the nat table moves once for each new connection. Web's health check uses the tunnel every few seconds, so web is
held wherever counters are compared.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from harness import capture, clients, mutations
from harness.budgets import CONNECT_TIMEOUT
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.model import Forward, NetfilterRule, Outcome
from harness.netfilter import dnat_specification, masquerade_specification
from harness.nodes import Gateway, Node
from harness.probes.tcp import TcpConnect
from harness.wireguard import INTERFACE

DECLARED = pytest.mark.parametrize("target", ["mariadb", "redis", "services"])
UNDECLARED = (3307, 22, 5555)

REFUSED_OR_DROPPED = (Outcome.REFUSED, Outcome.TIMED_OUT)

DROPS_ON_THE_BRIDGE = (28, 0)

TCP_HEADERS = 40  # bytes of IPv4 and TCP in a packet that is full


def test_declared_are_the_documented_ports(deployment: Deployment) -> None:
    """MariaDB, Redis and the services application are declared, each at its static address on services-net."""
    plan = deployment.plan
    destinations = {"mariadb": plan.mariadb, "redis": plan.redis, "services": plan.services}
    declared = deployment.wireguard_services.forwards()
    assert set(declared) == {
        Forward(port=port, protocol="tcp", destination=destinations[target])
        for target, port in declared_ports(deployment).items()
    }


@pytest.mark.ours("rules of the gateway")
def test_nat_rules_are_exactly_what_is_declared(deployment: Deployment) -> None:
    """Each declared port has one DNAT and one MASQUERADE rule as documented, and there is no other rule."""
    gateway = deployment.wireguard_services
    declared = gateway.forwards()
    way_out = way_to(gateway, deployment.plan.mariadb)
    assert own_nat_rules(gateway) == {
        "PREROUTING": sorted(dnat_specification(forward) for forward in declared),
        "POSTROUTING": sorted(masquerade_specification(forward, way_out) for forward in declared),
    }


@pytest.mark.ours("rules of the gateway")
def test_webs_gateway_forwards_nothing(deployment: Deployment) -> None:
    """Web's gateway has no nat rule of its own and lets nothing through."""
    gateway = deployment.wireguard_web
    assert own_nat_rules(gateway) == {}
    assert gateway.rules("filter", "FORWARD") == ()
    assert gateway.policies()["filter", "FORWARD"] == "DROP"


@pytest.mark.ours("rules of the gateway")
def test_forwarding_is_closed_but_for_what_is_declared(deployment: Deployment) -> None:
    """The FORWARD chain drops by policy and accepts answers, and what the DNAT of a declared port sends on."""
    gateway = deployment.wireguard_services
    way_out = way_to(gateway, deployment.plan.mariadb)
    accepted = [
        f"-d {forward.destination}/32 -i {INTERFACE} -o {way_out} -p {forward.protocol} -m {forward.protocol} "
        f"--dport {forward.port} -m conntrack --ctstate DNAT -j ACCEPT"
        for forward in gateway.forwards()
    ]
    assert gateway.policies()["filter", "FORWARD"] == "DROP"
    assert sorted(rule.specification for rule in gateway.rules("filter", "FORWARD")) == sorted(
        [f"-o {INTERFACE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", *accepted]
    )


@pytest.mark.ours("rules of the gateway")
def test_segment_size_is_clamped_to_the_tunnel(deployment: Deployment) -> None:
    """Both sides of a forwarded connection agree on segments that fit into the tunnel."""
    (mtu,) = {address.mtu for address in deployment.wireguard_web.addresses() if address.interface == INTERFACE}
    with capture.tunnel(deployment, "tcp[tcpflags] & tcp-syn != 0") as in_the_tunnel:
        assert knock(deployment.probe_web, deployment.plan.tunnel_services.ip, deployment.plan.mariadb_port)

    for sender in (deployment.plan.tunnel_web, deployment.plan.tunnel_services):
        opening = in_the_tunnel.lines(f"src host {sender.ip}")
        sizes = {int(size) for line in opening for size in re.findall(r"\bmss (\d+)", line)}
        assert sizes == {mtu - TCP_HEADERS}, f"from {sender.ip}: {opening}"


@DECLARED
def test_using_a_port_counts_on_its_rule_alone(experiment: Experiment, target: str) -> None:
    """A connection to a declared port moves that port's DNAT counter by one, and no other port's."""
    deployment = experiment.deployment
    port = declared_ports(deployment)[target]
    with web_held(experiment):
        before = dnat_counters(deployment)
        assert knock(deployment.probe_web, deployment.plan.tunnel_services.ip, port)
        assert moved(before, dnat_counters(deployment)) == {port: 1}


@pytest.mark.parametrize("side", ["web", "services"])
def test_mariadb_sees_the_gateway_as_its_client(deployment: Deployment, side: str) -> None:
    """Through the tunnel MariaDB sees 10.101.0.3, the services gateway; directly it sees services itself."""
    through = deployment.wireguard_services.dnat(deployment.plan.mariadb_port).packets
    with clients.mariadb(deployment, side) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT USER()")
        (user,) = cursor.fetchone()
        cursor.execute("SELECT host FROM information_schema.processlist WHERE id = CONNECTION_ID()")
        (host,) = cursor.fetchone()
    assert user.partition("@")[2] == str(deployment.plan.seen_by_mariadb(side))
    assert host.partition(":")[0] == str(deployment.plan.seen_by_mariadb(side))
    if side == "web":  # of production's MariaDB both are behind one address
        assert deployment.wireguard_services.dnat(deployment.plan.mariadb_port).packets > through


@pytest.mark.parametrize("side", ["web", "services"])
def test_redis_sees_the_gateway_as_its_client(deployment: Deployment, side: str) -> None:
    """Through the tunnel Redis sees 10.101.0.3, the services gateway; directly it sees services itself."""
    with clients.redis(deployment, side) as client:
        seen = client.client_info()["addr"]
    assert seen.partition(":")[0] == str(deployment.plan.seen_by_redis(side))


@pytest.mark.ours("application")
def test_web_reads_the_health_page_of_services(deployment: Deployment) -> None:
    """Through the tunnel web gets services' /health/ at 10.100.0.11:8001, and it is well."""
    url = f"http://{deployment.plan.tunnel_services.ip}:{deployment.plan.services_listen}/health/"
    answered = deployment.web.python(
        "import os, urllib.request\n"
        "with urllib.request.urlopen(os.environ['URL'], timeout=8) as page: print(page.read().decode())",
        environment={"URL": url},
    )
    assert answered.ok, answered
    assert json.loads(answered.stdout)["status"] == "ok"


@pytest.mark.parametrize("port", UNDECLARED)
def test_undeclared_port_is_closed(deployment: Deployment, port: int) -> None:
    """A port that is not declared is refused or dropped through the tunnel."""
    assert (
        TcpConnect("web", str(deployment.plan.tunnel_services.ip), port).observe(deployment).outcome
        in REFUSED_OR_DROPPED
    )


@pytest.mark.ours("rules of the gateway")
def test_web_is_not_open_to_the_other_end(deployment: Deployment) -> None:
    """Web listens on all its addresses, the tunnel's too, and who comes through the tunnel is refused there."""
    web = str(deployment.plan.tunnel_web.ip), deployment.plan.web_listen
    assert TcpConnect("web", *web).observe(deployment).outcome is Outcome.CONNECTED
    assert TcpConnect("wireguard-services", *web).observe(deployment).outcome is Outcome.REFUSED


@DECLARED
def test_declared_port_is_open(deployment: Deployment, target: str) -> None:
    """A port that is declared connects through the tunnel: what finds the others closed can see an open one."""
    port = declared_ports(deployment)[target]
    assert (
        TcpConnect("web", str(deployment.plan.tunnel_services.ip), port).observe(deployment).outcome
        is Outcome.CONNECTED
    )


@pytest.mark.layouts("dev", "yours")  # between servers the packet does not come as far as the gateway
def test_nothing_enters_from_tunnel_net(experiment: Experiment) -> None:
    """The declared ports are closed on the services gateway's address on tunnel-net, and no DNAT rule counts."""
    deployment = experiment.deployment
    with web_held(experiment) as undo:
        before = dnat_counters(deployment)
        expect_closed_on_arrival(undo, deployment, deployment.probe_web, deployment.plan.underlay_services)
        assert moved(before, dnat_counters(deployment)) == {}

        assert knock(deployment.probe_web, deployment.plan.tunnel_services.ip, deployment.plan.mariadb_port), (
            "the probe cannot connect at all"
        )
        assert moved(before, dnat_counters(deployment)) == {deployment.plan.mariadb_port: 1}


def test_nothing_enters_from_services_net(experiment: Experiment) -> None:
    """The declared ports are closed on the services gateway's address on services-net, and no DNAT rule counts."""
    deployment = experiment.deployment
    with web_held(experiment) as undo:
        before = dnat_counters(deployment)
        expect_closed_on_arrival(undo, deployment, deployment.probe_services, deployment.plan.wireguard_services)
        assert moved(before, dnat_counters(deployment)) == {}

        assert knock(deployment.probe_services, deployment.plan.mariadb, deployment.plan.mariadb_port), (
            "the probe cannot connect"
        )


@pytest.mark.layouts("dev")  # between servers the packet does not come as far as the gateway
def test_underlay_is_not_routed_to_the_backends(experiment: Experiment) -> None:
    """A packet for a backend that comes in from tunnel-net, by a route made for it, is dropped.

    From Engine 28 on the engine itself drops on its bridge what is for a container of another network, where the kernel
    shows it bridged packets.
    """
    deployment = experiment.deployment
    way = (str(deployment.plan.mariadb), "via", str(deployment.plan.underlay_services))
    with web_held(experiment) as undo:
        undo.callback(deployment.wireguard_web.run, "ip", "route", "delete", *way)
        deployment.wireguard_web.output("ip", "route", "add", *way)
        before = dnat_counters(deployment)
        came = knock_in_vain(deployment)
        assert moved(before, dnat_counters(deployment)) == {}
    if not came and deployment.engine.version() >= DROPS_ON_THE_BRIDGE:
        pytest.skip("this engine lets no such packet come as far as the gateway")
    assert came, "the packets never came to the gateway"


def test_tunnel_is_not_routed_to_the_backends(experiment: Experiment) -> None:
    """A packet from the tunnel that is addressed to a backend itself, and not to the gateway, is dropped."""
    deployment = experiment.deployment
    web, backend = deployment.wireguard_web, str(deployment.plan.mariadb)
    peer = web.peer()
    allowed = ",".join(map(str, peer.allowed_ips))
    with web_held(experiment) as undo:
        undo.callback(web.run, "wg", "set", INTERFACE, "peer", peer.public_key, "allowed-ips", allowed)
        web.output("wg", "set", INTERFACE, "peer", peer.public_key, "allowed-ips", f"{allowed},{backend}/32")
        undo.callback(web.run, "ip", "route", "delete", backend, "dev", INTERFACE)
        web.output("ip", "route", "add", backend, "dev", INTERFACE)
        assert knock_in_vain(deployment), "the packets never came to the gateway"
    assert web.peer().allowed_ips == peer.allowed_ips


def knock_in_vain(deployment: Deployment) -> int:
    """Knock at MariaDB's own address: how many packets reached the services gateway, and met its DROP policy there."""
    gateway = deployment.wireguard_services
    dropped = gateway.unmatched("filter", "FORWARD")
    assert not knock(deployment.probe_web, deployment.plan.mariadb, deployment.plan.mariadb_port)
    return gateway.unmatched("filter", "FORWARD") - dropped


def expect_closed_on_arrival(
    undo: contextlib.ExitStack, deployment: Deployment, source: Node, address: IPv4Address
) -> None:
    """Knock at each declared port of an address of the services gateway: the packets reach it, and are not let in."""
    gateway = deployment.wireguard_services
    for port in declared_ports(deployment).values():
        match = f"-d {address}/32 -p tcp -m tcp --dport {port}"
        arrived = mutations.count_arrivals(undo, gateway, "mangle", match)
        assert not knock(source, address, port)
        assert arrived() > 0, f"nothing for port {port} came to the gateway"


@contextlib.contextmanager
def web_held(experiment: Experiment) -> Iterator[contextlib.ExitStack]:
    """Nothing but the test itself uses the tunnel while the block runs.

    The signal goes to all of web's processes. Pausing the container would do too, but Docker then waits a whole
    interval of the health check before it calls web healthy again.
    """
    web = experiment.deployment.web
    with experiment.disturbance("web is held, so that its health check does not count") as undo:
        undo.callback(web.run, "sh", "-c", "kill -CONT -1")
        web.output("sh", "-c", "kill -STOP -1")
        yield undo


def declared_ports(deployment: Deployment) -> dict[str, int]:
    """The port by which web finds each of the three."""
    plan = deployment.plan
    return {"mariadb": plan.mariadb_port, "redis": plan.redis_port, "services": plan.services_listen}


def knock(source: Node, host: IPv4Address, port: int) -> bool:
    """Whether a connection from a probe's namespace is accepted; it is closed at once."""
    target = f"TCP4:{host}:{port},connect-timeout={CONNECT_TIMEOUT:g}"
    return source.run("socat", "-u", "OPEN:/dev/null", target).ok


def dnat_counters(deployment: Deployment) -> dict[int, int]:
    """How many connections each declared port's DNAT rule has counted."""
    gateway = deployment.wireguard_services
    return {forward.port: gateway.dnat(forward.port).packets for forward in gateway.forwards()}


def moved(before: dict[int, int], after: dict[int, int]) -> dict[int, int]:
    """By how much each counter has moved, those that have not left out."""
    return {port: after[port] - before[port] for port in after if after[port] != before[port]}


def own_nat_rules(gateway: Gateway) -> dict[str, list[str]]:
    """The nat rules by chain, without those of Docker's name server."""
    found: dict[str, list[str]] = {}
    for rule in gateway.rules("nat"):
        if not of_dockers_name_server(rule):
            found.setdefault(rule.chain, []).append(rule.specification)
    return {chain: sorted(specifications) for chain, specifications in found.items()}


def of_dockers_name_server(rule: NetfilterRule) -> bool:
    """Docker answers names at 127.0.0.11 by rules in two chains of its own, and one jump to each."""
    name_server = "127.0.0.11/32"
    if rule.chain in ("DOCKER_OUTPUT", "DOCKER_POSTROUTING"):
        return name_server in rule.specification
    return rule.specification in (f"-d {name_server} -j DOCKER_OUTPUT", f"-d {name_server} -j DOCKER_POSTROUTING")


def way_to(gateway: Gateway, destination: IPv4Address) -> str:
    """The interface by which the gateway's routes lead to an address."""
    (route,) = json.loads(gateway.output("ip", "-j", "route", "get", str(destination)))
    return str(route["dev"])
