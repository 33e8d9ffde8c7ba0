"""Web reaches the backends through the tunnel or not at all, and nobody else reaches or reads anything.

Every "nothing was seen" has its twin in the same test: the same sensor, shown something that it has to see.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network

import pytest

from harness import capture, clients, keys, mutations
from harness.addresses import SERVICES_PORT, WEB_PORT, WIREGUARD_PORT
from harness.budgets import RECOVERY
from harness.capture import Capture
from harness.compose import RELAYED_MARIADB
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.model import Outcome
from harness.nodes import Node
from harness.probes.tcp import TcpConnect
from harness.wireguard import INTERFACE

BACKENDS = pytest.mark.parametrize("backend", ["mariadb", "redis"])

ANYWHERE = "0.0.0.0"  # noqa: S104 (what Docker makes of a port that is published without an address)
PUBLISHED = {
    "dev": {("wireguard-web", "127.0.0.1", WEB_PORT), ("services", "127.0.0.1", SERVICES_PORT)},
    "prod": {
        ("wireguard-web", "127.0.0.1", WEB_PORT),
        ("services", "127.0.0.1", SERVICES_PORT),
        ("flower", "127.0.0.1", 5555),
        ("nginx", ANYWHERE, 8443),
        ("wireguard-services", ANYWHERE, WIREGUARD_PORT),
    },
}
"""By whom, where, and which of its ports."""

BUT_THE_RELAY = f"not tcp port {RELAYED_MARIADB}"
"""The test's own client comes in by the interface of the underlay, on a port that only the harness publishes."""

NET_ADMIN = 1 << 12  # capabilities(7), by their number
NO_CAPABILITY = 0

ALL_OF_THE_LOG = 1_000_000  # lines


@BACKENDS
def test_web_cannot_reach_a_backend_by_address(deployment: Deployment, backend: str) -> None:
    """A backend's address on services-net leads nowhere from web; services connects to it."""
    address = str({"mariadb": deployment.plan.mariadb, "redis": deployment.plan.redis}[backend])
    port = port_of(deployment, backend)
    unreached = TcpConnect("web", address, port).observe(deployment)
    assert unreached.outcome in (Outcome.TIMED_OUT, Outcome.UNREACHABLE, Outcome.REFUSED), unreached
    reached = TcpConnect("services", address, port).observe(deployment)
    assert reached.outcome is Outcome.CONNECTED, reached


@pytest.mark.parametrize(
    "backend", [pytest.param("mariadb", marks=pytest.mark.layouts("dev", "yours")), pytest.param("redis")]
)
def test_web_cannot_resolve_a_backend_by_name(deployment: Deployment, backend: str) -> None:
    """A backend's name means nothing to web; services resolves it and connects."""
    name, port = deployment.node(backend).service, port_of(deployment, backend)
    assert TcpConnect("web", name, port).observe(deployment).outcome is Outcome.UNRESOLVED
    assert TcpConnect("services", name, port).observe(deployment).outcome is Outcome.CONNECTED


@pytest.mark.layouts("dev", "yours")  # on a server of its own there is another network with these addresses
def test_web_has_no_route_to_services_net(deployment: Deployment) -> None:
    """No route of web's namespace leads to services-net; one of the services gateway does."""
    assert leading_to(deployment.plan.services_net, deployment.wireguard_web) == []
    assert leading_to(deployment.plan.services_net, deployment.wireguard_services) == [
        str(deployment.plan.services_net)
    ]


def test_web_has_no_network_but_its_gateways(deployment: Deployment) -> None:
    """Web is in its gateway's network namespace: it is attached to no network of its own."""
    gateway = deployment.wireguard_web
    assert deployment.web.inspect()["HostConfig"]["NetworkMode"] == f"container:{gateway.container.id}"
    assert deployment.web.output("readlink", "/proc/self/ns/net") == gateway.output("readlink", "/proc/self/ns/net")


@pytest.mark.ours("ports of the host")
def test_only_what_is_meant_to_be_is_published(deployment: Deployment, layout: str) -> None:
    """The files publish 8000 of web and 8001 of services on 127.0.0.1, in production nginx too: never a backend."""
    published = {
        (service, port.get("host_ip", ANYWHERE), port["target"])
        for service, definition in deployment.configuration()["services"].items()
        for port in definition.get("ports", [])
    }
    assert published == PUBLISHED[layout]


@BACKENDS
def test_backend_holds_no_port_of_the_host(deployment: Deployment, backend: str) -> None:
    """No port of the host leads to a backend's container; one leads to services'."""
    node = deployment.node(backend)
    held = {held.container for held in node.engine.published_ports()}
    assert node.name not in held
    assert not any(node.inspect()["NetworkSettings"]["Ports"].get(f"{port_of(deployment, backend)}/tcp") or [])
    assert deployment.services.name in {held.container for held in deployment.services.engine.published_ports()}


@pytest.mark.ours("ports of the host")
def test_ports_are_held_where_they_are_meant_to_be(deployment: Deployment, layout: str) -> None:
    """Every port of a host that the deployment holds is bound to 127.0.0.1, but for those that are for everybody."""
    own = {node.name: node.service for node in deployment.nodes}
    bound = {
        (own[held.container], held.address)
        for host in deployment.hosts
        for held in host.engine.published_ports()
        if held.container in own and held.address != "::"  # the same once more, for IPv6
    }
    assert bound == {(service, address) for service, address, _port in PUBLISHED[layout]}


@pytest.mark.ours("confinement of containers")
def test_only_the_gateways_may_administer_the_network(deployment: Deployment) -> None:
    """The gateways have NET_ADMIN and nothing else, and no other container has any capability."""
    granted = {node.service: bounding_set(node) for node in deployment.observed}
    expected = dict.fromkeys(granted, NO_CAPABILITY) | {gateway.service: NET_ADMIN for gateway in deployment.gateways}
    assert granted == expected


@pytest.mark.ours("confinement of containers")
def test_containers_run_with_least_privilege(deployment: Deployment) -> None:
    """Each container drops what it was not given, gains nothing by setuid, and writes nowhere but where it must."""
    for node in deployment.observed:
        found = node.inspect()
        host = found["HostConfig"]
        added = [name.removeprefix("CAP_") for name in host["CapAdd"] or []]
        assert added == (["NET_ADMIN"] if node in deployment.gateways else []), node
        assert host["CapDrop"] == ["ALL"], node
        assert not host["Privileged"], node
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), node
        assert host["ReadonlyRootfs"], node
        assert [mount["Destination"] for mount in found["Mounts"] if mount["RW"]] == written_by(node), node
        assert not node.run("sh", "-c", ": >/usr/written").ok, node


@pytest.mark.ours("confinement of containers")
def test_applications_and_backends_are_not_root(deployment: Deployment) -> None:
    """Only the gateways run as root."""
    users = {node.service: node.output("id", "-u").strip() for node in deployment.nodes}
    assert sorted(service for service, user in users.items() if user == "0") == ["wireguard-services", "wireguard-web"]


@pytest.mark.ours("confinement of containers")
def test_containers_are_bounded(deployment: Deployment) -> None:
    """Each container has a memory limit, log rotation, an init, and is restarted unless it was stopped."""
    for node in deployment.observed:
        host = node.inspect()["HostConfig"]
        assert 0 < host["Memory"] <= 1024**3, node
        assert host["LogConfig"]["Config"].keys() >= {"max-size", "max-file"}, node
        assert host["Init"], node
        assert host["RestartPolicy"]["Name"] == "unless-stopped", node


def test_secrets_are_shown_nowhere(deployment: Deployment) -> None:
    """No private key, preshared key or password is in an environment, a command line, a label, a mount or a log.

    The same search finds what may be shown: the database user's name.
    """
    shown = {node.service: what_is_shown(node) for node in deployment.nodes}

    hidden = [form for secret in deployment.credentials.secrets() for form in forms_of(secret)]
    leaks = [
        f"{service}: {where}"
        for service, places in shown.items()
        for where, text in places.items()
        if any(secret in text for secret in hidden)
    ]
    assert not leaks

    for node in (deployment.web, deployment.services):
        user = re.compile(rf"(=|//){node.environment()['DATABASE_USER']}\b")  # by itself, or in a URL
        assert user.search(shown[node.service]["inspect"])
        assert user.search(shown[node.service]["environment"])


@pytest.mark.ours("programs and logs")
def test_what_may_be_shown_is(deployment: Deployment) -> None:
    """The search for secrets sees what there is in logs and command lines: public keys, each container's program."""
    own = {"wireguard-web": deployment.credentials.keys.web, "wireguard-services": deployment.credentials.keys.services}
    for service, pair in own.items():
        assert pair.public in what_is_shown(deployment.node(service))["log"]
    for service, program in {"mariadb": "mariadbd", "redis": "redis-server", "web": "python"}.items():
        assert program in what_is_shown(deployment.node(service))["processes"]


@pytest.mark.ours("secret files")
def test_secret_files_are_for_their_owner_alone(deployment: Deployment) -> None:
    """Each secret is there, and readable by the one user that needs it; a public key may be read by all."""
    definitions = deployment.configuration()["services"]
    for node in deployment.observed:
        wanted = {secret["target"].rpartition("/")[2] for secret in definitions[node.service].get("secrets", [])}
        modes = modes_of_secrets(node)
        assert modes.keys() == wanted, node
        assert {mode for name, mode in modes.items() if "public" not in name} <= {"600", "400"}, node
    assert modes_of_secrets(deployment.wireguard_web)["wg_peer_public_key"] == "644"
    assert modes_of_secrets(deployment.web)["db_password"] in ("600", "400")


@pytest.mark.parametrize("end", ["wireguard-web", "wireguard-services"])
def test_blackhole_lies_under_the_tunnel(deployment: Deployment, end: str) -> None:
    """On both ends what is for the other one leads into wg0, and without it into a blackhole: nowhere else."""
    other = {"wireguard-web": deployment.plan.tunnel_services, "wireguard-services": deployment.plan.tunnel_web}[end].ip
    preferred, underneath, *_ = deployment.node(end).routes_to(other)
    assert (preferred.kind, preferred.device) == ("unicast", INTERFACE)
    assert underneath.kind == "blackhole"


def test_tunnel_fails_closed_when_it_is_down(experiment: Experiment) -> None:
    """With wg0 down, what is meant for the tunnel is refused at once, and none of it leaves in the clear.

    The twin: by a route made for it, the same connection does leave in the clear, and the same capture sees it.
    """
    deployment = experiment.deployment
    gateway = deployment.wireguard_web
    addresses, routes, peer = gateway.addresses(), gateway.routes(), gateway.peer()

    with experiment.disturbance("wg0 of web's gateway is down") as undo:
        mutations.set_tunnel_down(undo, gateway)

        with capture.underlay(deployment) as underlay:
            for port in (deployment.plan.mariadb_port, deployment.plan.redis_port, deployment.plan.services_listen):
                refused = TcpConnect("web", str(deployment.plan.tunnel_services.ip), port).observe(deployment)
                assert refused.outcome is Outcome.UNREACHABLE, refused  # had it waited, it would be TIMED_OUT
        assert in_the_clear(deployment, underlay) == []

        aside = (str(deployment.plan.tunnel_services.ip), "via", str(deployment.plan.next_hop_web))
        undo.callback(gateway.run, "ip", "route", "delete", *aside)
        gateway.output("ip", "route", "add", *aside)
        with capture.underlay(deployment) as underlay:
            assert through_the_tunnel(deployment).observe(deployment).outcome is not Outcome.CONNECTED
        assert in_the_clear(deployment, underlay) != []

    assert gateway.addresses() == addresses
    assert gateway.routes() == routes
    assert settings_of(gateway.peer()) == settings_of(peer)


@pytest.mark.ours("gateway that makes wg0 anew")
def test_tunnel_fails_closed_while_it_is_rebuilt(experiment: Experiment) -> None:
    """When wg0 is deleted the gateway makes it anew by itself, and meanwhile nothing leaves in the clear."""
    deployment = experiment.deployment
    gateway = deployment.wireguard_web
    addresses, routes, peer = gateway.addresses(), gateway.routes(), gateway.peer()

    with experiment.disturbance("wg0 of web's gateway is deleted"), capture.underlay(deployment) as underlay:
        refused = gateway.output(
            "bash", "-c", DELETE_AND_SEND, "bash", INTERFACE, str(deployment.plan.tunnel_services.ip)
        )
        assert int(refused) > 0, "nothing was sent while wg0 was gone"
        experiment.expect(through_the_tunnel(deployment)).becomes(Outcome.CONNECTED, within=RECOVERY)

    assert in_the_clear(deployment, underlay) == []
    assert underlay.lines(f"udp port {deployment.plan.wireguard_port}"), "the capture saw nothing of the new tunnel"
    assert gateway.addresses() == addresses
    assert gateway.routes() == routes
    assert settings_of(gateway.peer()) == settings_of(peer)


def test_underlay_shows_nothing_of_a_query(deployment: Deployment) -> None:
    """On the underlay neither a query's text nor its result nor the database's password can be read.

    The tunnel alone sees to that: the connection itself does without TLS, and inside the tunnel all three are
    readable. On the underlay a datagram that is sent beside the tunnel is.
    """
    query, beside = secrets.token_hex(16), secrets.token_hex(16)
    password = deployment.credentials.db_password
    passed = {"the query": query, "its result": query[::-1], "the password": password}
    with capture.underlay(deployment, BUT_THE_RELAY) as underlay, capture.tunnel(deployment) as inside:
        with clients.mariadb(deployment, "web", ssl_disabled=True) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT REVERSE(%s), LENGTH(%s)", (query, password))
            assert cursor.fetchone() == (query[::-1], len(password))
        send_beside_the_tunnel(deployment, beside)

    assert readable(underlay, passed) == set()
    assert readable(inside, passed) == passed.keys(), "the query did not pass here in the clear"
    assert readable(underlay, {"the datagram": beside}) == {"the datagram"}, "the capture shows nothing at all"


DELETE_AND_SEND = """
ip link delete "$1"
refused=0
for _ in {1..100}; do
  { echo 'for the tunnel' >"/dev/udp/$2/9"; } 2>/dev/null || ((++refused))
done
echo "$refused"
"""
"""Deletes an interface, sends to an address 100 times at once, and prints how often that was refused."""


def port_of(deployment: Deployment, backend: str) -> int:
    """Where a backend listens."""
    return {"mariadb": deployment.plan.mariadb_port, "redis": deployment.plan.redis_port}[backend]


def through_the_tunnel(deployment: Deployment) -> TcpConnect:
    """A connection of web's to MariaDB."""
    return TcpConnect("web", str(deployment.plan.tunnel_services.ip), deployment.plan.mariadb_port)


def leading_to(network: IPv4Network, node: Node) -> list[str]:
    """The destinations of the routes that overlap a network, the default route left out."""
    destinations = [route.destination for route in node.routes() if route.destination != "default"]
    return [destination for destination in destinations if IPv4Network(destination).overlaps(network)]


def bounding_set(node: Node) -> int:
    """All capabilities that a process in the container could ever have, as a mask (capabilities(7))."""
    fields = dict(line.split(":", 1) for line in node.output("cat", "/proc/1/status").splitlines())
    return int(fields["CapBnd"], 16)


def written_by(node: Node) -> list[str]:
    """What a node may write that outlives its container."""
    return ["/var/lib/mysql"] if node.service == "mariadb" else []


FAMILY = """
family() {
  cat "/proc/$1/environ"
  for child in $(cat /proc/"$1"/task/*/children); do family "$child"; done
}
family 1 2>/dev/null || true
"""
"""The environments of a container's main process and all that came of it, but for those that end meanwhile."""


def what_is_shown(node: Node) -> dict[str, str]:
    """What somebody who may look at the container from outside gets to see, by where."""
    return {
        "inspect": json.dumps(node.inspect()),
        "environment": node.output("sh", "-c", FAMILY),
        "processes": "\n".join(node.processes()),
        "log": node.logs(tail=ALL_OF_THE_LOG),
    }


def forms_of(secret: str) -> Iterable[str]:
    """A secret as it is written; a key also in hexadecimal, as WireGuard's own protocol writes it."""
    yield secret
    try:
        yield keys.decode(secret).hex()
    except ValueError:
        return


def modes_of_secrets(node: Node) -> dict[str, str]:
    """The mode of each secret file in the container, by its name."""
    listed = node.output("sh", "-c", "if [ -d /run/secrets ]; then cd /run/secrets && stat -c '%n %a' *; fi")
    return dict(line.split() for line in listed.splitlines())


def settings_of(peer: object) -> dict[str, object]:
    """What a peer was configured with, its counters and its last handshake left out."""
    names = ("public_key", "preshared_key_set", "endpoint", "allowed_ips", "persistent_keepalive")
    return {name: getattr(peer, name) for name in names}


def in_the_clear(deployment: Deployment, underlay: Capture) -> list[str]:
    """The packets on the underlay that bear an address of the tunnel, and so are outside of it."""
    return underlay.lines(f"net {deployment.plan.tunnel}")


def readable(captured: Capture, texts: Mapping[str, str]) -> set[str]:
    """Which of the texts stand in a capture as they are, by name: a failure must not show a password either."""
    seen = captured.raw()
    return {name for name, text in texts.items() if text.encode() in seen}


def send_beside_the_tunnel(deployment: Deployment, text: str) -> None:
    """Send a datagram over the underlay itself. WireGuard's port does not answer it."""
    target = f"UDP4-SENDTO:{deployment.plan.underlay_services}:{deployment.plan.wireguard_port}"
    sent = deployment.probe_web.run("sh", "-c", f"echo {text} | socat -u - {target}")
    assert sent.ok, sent
