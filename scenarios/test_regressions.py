"""What once broke the deployment breaks it in the way that is documented, is seen, and is mended.

Each scenario brings one root cause or common issue of the deployment's history back into the real thing.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from harness import compose, layouts, lifecycle, mutations, preflight
from harness.addresses import (
    MARIADB_PORT,
    REDIS_PORT,
    SERVICES_PORT,
    TUNNEL_SERVICES,
    TUNNEL_WEB,
    WEB_PORT,
    AddressPlan,
)
from harness.budgets import FORWARDING, HANDSHAKE, HEALTH_PAGE, RECOVERY, SETTLE, TRAFFIC
from harness.deployment import Deployment
from harness.errors import ConfigurationError
from harness.experiment import Experiment
from harness.keys import KeyPair, derive_public, generate_private
from harness.model import Outcome
from harness.netfilter import dnat_specification
from harness.nodes import Gateway
from harness.overlays import SecretFile, Variables
from harness.ownership import PLAN
from harness.pages import Page, get
from harness.probes.mariadb import MariaDBQuery
from harness.probes.redis import RedisPing
from harness.probes.tcp import TcpConnect
from harness.waiting import holds_for, wait_until
from harness.workbench import KEYS, Workbench, ending

pytestmark = pytest.mark.ours("gateway and application")

REMOTE = str(TUNNEL_SERVICES.ip)
NO_WAY = (Outcome.TIMED_OUT, Outcome.UNREACHABLE)
"""How a client learns that nobody is at an address: not at all, or when the last router gives up on it."""


# --- root cause 1: a public key that was generated, not derived ("0 B received in tunnel") --------


@pytest.mark.parametrize(
    ("secret", "wrong_end"),
    [
        ("services_public_key", "web"),
        pytest.param("web_public_key", "services", marks=pytest.mark.thorough),  # on prod the other end stands for it
    ],
)
def test_a_public_key_that_was_not_derived_lets_nothing_through(
    experiment: Experiment, secret: str, wrong_end: str
) -> None:
    """A peer key from a second `wg genkey`: no handshake, 0 B received, no data; both ends and /health/ show it."""
    deployment = experiment.deployment
    generated = generate_private()

    with experiment.disturbance(f"{wrong_end} holds a key that belongs to nobody") as undo:
        file = mutations.key_file(deployment, undo, f"wireguard-{wrong_end}", generated)
        overlay = SecretFile(secret, file)
        experiment.redeploy(undo, overlay, f"wireguard-{wrong_end}")
        other_end = {"web": "services", "services": "web"}[wrong_end]
        holder, other = gateway(deployment, wrong_end), gateway(deployment, other_end)
        wait_until("web to try", lambda: sent(deployment.wireguard_web), bool, TRAFFIC)
        assert holder.peer().public_key == generated
        assert generated != other.interface().public_key, "the key derives from the other end's private key after all"

        with experiment.step("neither end shakes hands or receives anything"):
            held, seen, _reads = holds_for(lambda: counters(deployment), lambda seen: set(seen) == {(0, 0)}, SETTLE)
            assert held, f"(latest handshake, bytes received) of each end: {seen}"
        assert "transfer: 0 B received" in deployment.wireguard_web.output("wg", "show"), "what a person reads"
        # services, who only answers, has sent nothing either, and then `wg show` leaves the line out.
        assert "B received" not in deployment.wireguard_services.output("wg", "show").replace("0 B received", "")

        experiment.expect(MariaDBQuery("web")).becomes(*NO_WAY, within=FORWARDING)
        page = wait_until("web to say so", lambda: health(deployment, "web"), is_unavailable, RECOVERY)
        assert failing(page) == {"database", "broker"}
        assert health(deployment, "services").status == 200, "services, who needs no tunnel, are well"

    for end, peer in (deployment.gateways, deployment.gateways[::-1]):
        assert end.peer().public_key == peer.interface().public_key
        assert end.peer().transfer_rx > 0
    assert health(deployment, "web").status == 200


def test_a_derived_key_is_what_the_other_end_has(deployment: Deployment) -> None:
    """The twin: each end's configured peer key is the one that derives from the other end's private key."""
    keys = deployment.credentials.keys
    assert deployment.wireguard_web.peer().public_key == derive_public(keys.services.private)
    assert deployment.wireguard_services.peer().public_key == derive_public(keys.web.private)


# --- root cause 2: services-net on the tunnel's subnet ("Subnet conflict warnings") ----------------


@pytest.fixture
def original_topology(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AddressPlan:
    """The compose file as it once was: services-net on 10.100.0.0/24, where the tunnel is too; and a plan to try it.

    The deployment itself comes first: it is brought up from the file as it is.
    """
    text = compose.FILES["dev"].read_text(encoding="utf-8")
    was = text.replace("10.101.${PLAN:-0}", "10.100.0")
    assert was != text
    file = tmp_path / "docker-compose.yml"
    file.write_text(was, encoding="utf-8")
    monkeypatch.setitem(compose.FILES, "dev", file)
    return AddressPlan(index=99 - deployment.plan.index)


@pytest.mark.layouts("dev")  # it is the harness that refuses, and a compose file
def test_services_net_on_the_tunnels_subnet_is_refused_before_anything_starts(
    deployment: Deployment, original_topology: AddressPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bringing it up stops with both named, and neither a container nor a network was made."""
    monkeypatch.setattr(layouts, "provide", lambda *_arguments: pytest.fail("it was begun"))
    engine, index = deployment.engine, original_topology.index
    with (
        pytest.raises(ConfigurationError, match=rf"services-net \({TUNNEL_WEB.network}\) overlaps the tunnel"),
        lifecycle.deployed(engine, original_topology, say=lambda _line: None),
    ):
        pytest.fail("it came up")
    assert engine.containers(f"{PLAN}={index}") == []
    assert [network.name for network in engine.networks() if network.labels.get(PLAN) == str(index)] == []


def test_the_gateway_refuses_a_network_on_the_tunnels_subnet(deployment: Deployment) -> None:
    """A gateway attached to the subnet of its own tunnel ends, with a line that names the network and the fix."""
    workbench = Workbench(deployment)
    own, peer = KeyPair.generate(), KeyPair.generate()
    subnet = workbench.subnet  # not 10.100.0.0/24: an engine has a subnet once, and other workers test this too
    tunnel = f"{subnet[11]}/{subnet.prefixlen}"
    settings = {
        "WG_ADDRESS": tunnel,
        "WG_PEER_ALLOWED_IPS": f"{subnet[10]}/32",
        "WG_PRIVATE_KEY_FILE": f"{KEYS}/private.key",
        "WG_PEER_PUBLIC_KEY": peer.public,
    }
    with (
        workbench.network() as network,
        workbench.gateway(settings, {"private.key": own.private}, network=network) as attached,
    ):
        ended = ending(attached)
    assert ended.exit_code not in {0, 137}
    (line,) = ended.stderr.splitlines()
    for part in ("WG_ADDRESS", tunnel, f"overlaps {subnet}", "another subnet"):
        assert part in line


@pytest.mark.layouts("dev")  # in production each server has one network
def test_the_networks_of_the_deployment_are_sound(deployment: Deployment) -> None:
    """The twin: the configuration that is deployed passes the same check, and the two networks are its own."""
    configuration = deployment.project("web").configuration()
    preflight.require_sound(configuration)
    subnets = {
        name: IPv4Network(entry["subnet"])
        for name, definition in configuration["networks"].items()
        for entry in definition["ipam"]["config"]
    }
    assert subnets == deployment.plan.networks


# --- root cause 3: no forwarding rules ("Connection timeout to 10.100.0.11") -----------------------


@pytest.mark.thorough  # on prod the deleted rule below, and on dev this, stand for it
def test_a_port_that_is_not_declared_is_dead_though_the_tunnel_is_up(experiment: Experiment) -> None:
    """Without 3306 in WG_FORWARD_PORTS the tunnel shakes hands and Redis answers, and MariaDB is refused."""
    deployment = experiment.deployment
    declared = deployment.wireguard_services.forwards()
    rest = " ".join(str(forward) for forward in declared if forward.port != MARIADB_PORT)
    overlay = Variables({"wireguard-services": {"WG_FORWARD_PORTS": rest}})

    with experiment.disturbance("MariaDB's port is not declared") as undo:
        experiment.redeploy(undo, overlay, "wireguard-services")
        experiment.expect(RedisPing("web")).becomes(Outcome.CONNECTED, within=HANDSHAKE)
        assert all(end.peer().latest_handshake for end in deployment.gateways)
        assert dnat_rules(deployment) == [dnat_specification(forward) for forward in declared if forward.port != 3306]
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.REFUSED, within=FORWARDING)
        experiment.expect(MariaDBQuery("services")).stays(Outcome.CONNECTED, during=SETTLE)
        page = wait_until("web to say so", lambda: health(deployment, "web"), is_unavailable, RECOVERY)
        assert failing(page) == {"database"}

    assert dnat_rules(deployment) == [dnat_specification(forward) for forward in declared]


def test_a_lost_rule_cuts_only_its_own_port(experiment: Experiment) -> None:
    """With MariaDB's DNAT rule deleted MariaDB is refused, Redis is not; put back where it was, all is as before."""
    deployment = experiment.deployment
    services = deployment.wireguard_services
    (forward,) = (forward for forward in services.forwards() if forward.port == MARIADB_PORT)
    rules = [rule.specification for rule in services.rules("nat", "PREROUTING")]
    rule = dnat_specification(forward)
    before = rules_of(services)

    with experiment.disturbance("MariaDB's DNAT rule is deleted") as undo:
        delete_rule(undo, services, rule, position=rules.index(rule) + 1)
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.REFUSED, within=FORWARDING)
        experiment.expect(RedisPing("web")).stays(Outcome.CONNECTED, during=SETTLE)
        assert services.peer().latest_handshake is not None
        page = wait_until("web to say so", lambda: health(deployment, "web"), is_unavailable, HEALTH_PAGE)
        assert failing(page) == {"database"}

    assert rules_of(services) == before


@pytest.mark.layouts("dev")  # it needs a second network
def test_a_backend_without_its_static_address_is_not_found(experiment: Experiment) -> None:
    """Redis at an address that Docker chose: the forward leads to nobody, though Redis is healthy and has its name."""
    deployment = experiment.deployment
    overlay = "services: {redis: {networks: {services-net: !override {}}}}"

    with experiment.disturbance("Redis has no static address") as undo:
        experiment.redeploy(undo, overlay, "redis")
        moved = deployment.redis.inspect()["NetworkSettings"]["Networks"]
        assert str(deployment.plan.redis) not in {network["IPAddress"] for network in moved.values()}
        experiment.expect(RedisPing("web")).becomes(*NO_WAY, within=FORWARDING)
        experiment.expect(MariaDBQuery("web")).stays(Outcome.CONNECTED, during=SETTLE)
        experiment.expect(TcpConnect("services", "redis", REDIS_PORT)).becomes(Outcome.CONNECTED, within=RECOVERY)
        page = wait_until("web to say so", lambda: health(deployment, "web"), is_unavailable, HEALTH_PAGE)
        assert failing(page) == {"broker"}


# --- root cause 4: `network_mode: service` ("Container can't resolve service names") ---------------


@pytest.mark.thorough  # on prod web outside its gateway, below, stands for it
def test_services_in_the_gateways_namespace_have_neither_name_nor_address(experiment: Experiment) -> None:
    """Joined to wireguard-services by network_mode, services lose their address, their name and their published port.

    Whatever is forwarded, or addressed by name, no longer reaches them.
    """
    deployment = experiment.deployment
    address = str(deployment.plan.services)
    overlay = """
        services:
          services:
            network_mode: service:wireguard-services
            networks: !reset null
            ports: !reset []
    """
    by_name, by_address = TcpConnect("celery", "services", SERVICES_PORT), TcpConnect("celery", address, SERVICES_PORT)
    through_the_tunnel = TcpConnect("web", REMOTE, SERVICES_PORT)
    for probe in (by_name, by_address, through_the_tunnel):
        experiment.expect(probe).becomes(Outcome.CONNECTED, within=RECOVERY)

    with experiment.disturbance("services join their gateway's namespace") as undo:
        experiment.redeploy(undo, overlay, "services", alone=True)
        inside = TcpConnect("services", "127.0.0.1", SERVICES_PORT)
        experiment.expect(inside).becomes(Outcome.CONNECTED, within=RECOVERY)
        experiment.expect(by_name).becomes(Outcome.UNRESOLVED, within=FORWARDING)
        experiment.expect(by_address).becomes(*NO_WAY, within=FORWARDING)
        experiment.expect(through_the_tunnel).becomes(*NO_WAY, within=FORWARDING)
        assert address not in {str(found.address.ip) for found in deployment.wireguard_services.addresses()}
        assert deployment.services.inspect()["NetworkSettings"]["Networks"] == {}
        assert health(deployment, "services").status == 0, "its port was published, and no longer is"

    for probe in (by_name, by_address, through_the_tunnel):
        experiment.expect(probe).becomes(Outcome.CONNECTED, within=FORWARDING)
    assert health(deployment, "services").status == 200


@pytest.mark.layouts("dev")  # in production the other side is another server
def test_names_of_the_other_side_do_not_resolve_in_the_gateways_namespace(experiment: Experiment) -> None:
    """web, joined to its gateway, cannot resolve `mariadb`, and by the address that it is given instead all is well."""
    experiment.expect(TcpConnect("web", "mariadb", MARIADB_PORT)).stays(Outcome.UNRESOLVED, during=SETTLE)
    experiment.expect(TcpConnect("web", "redis", REDIS_PORT)).stays(Outcome.UNRESOLVED, during=SETTLE)
    experiment.expect(TcpConnect("services", "mariadb", MARIADB_PORT)).stays(Outcome.CONNECTED, during=SETTLE)
    assert experiment.deployment.web.environment()["DATABASE_HOST"] == REMOTE
    experiment.expect(MariaDBQuery("web")).stays(Outcome.CONNECTED, during=SETTLE)


# --- where web lives -------------------------------------------------------------------------------


def test_web_outside_its_gateways_namespace_reaches_nothing(experiment: Experiment) -> None:
    """Web on a network of its own cannot reach 10.100.0.11, says so, and is not behind the published port."""
    deployment = experiment.deployment
    # A network that leads nowhere: on others, what web sends to 10.100.0.11 would leave by the host's default route.
    overlay = f"""
        services:
          web:
            network_mode: !reset null
            networks: !override [astray]
        networks:
          astray:
            internal: true
            labels: {json.dumps(deployment.run.labels())}
            ipam: {{config: [{{subnet: {Workbench(deployment).subnet}}}]}}
    """

    with experiment.disturbance("web is started outside its gateway's namespace") as undo:
        undo.callback(remove_network, deployment, "astray")
        experiment.redeploy(undo, overlay, "web")
        listening = TcpConnect("web", "127.0.0.1", WEB_PORT)
        experiment.expect(listening).becomes(Outcome.CONNECTED, within=RECOVERY)
        for port in (MARIADB_PORT, REDIS_PORT):
            experiment.expect(TcpConnect("web", REMOTE, port)).becomes(Outcome.UNREACHABLE, within=FORWARDING)
        assert health(deployment, "web").status == 0, "the gateway publishes the port, and nobody there listens on it"
        assert failing(health_from_inside(deployment)) == {"database", "broker"}
        assert all(end.peer().latest_handshake for end in deployment.gateways), "the tunnel itself is up"

    assert health(deployment, "web").status == 200


def test_a_gateway_created_anew_without_web_leaves_web_in_a_dead_namespace(experiment: Experiment) -> None:
    """Web runs on without any network, its page is dead, and creating web anew is what mends it."""
    deployment = experiment.deployment
    as_it_is = "services: {}"
    container = deployment.web.container.id

    with experiment.disturbance("wireguard-web is created anew without web") as undo:
        experiment.redeploy(undo, as_it_is, "wireguard-web", alone=True)
        wait_until("the new tunnel", lambda: deployment.wireguard_web.run("gateway-health").ok, bool, HANDSHAKE)
        assert deployment.web.container.id == container
        assert deployment.web.state().status == "running", "nothing tells that it is cut off"
        assert interfaces(deployment) == ["lo"]
        experiment.expect(TcpConnect("web", REMOTE, MARIADB_PORT)).becomes(Outcome.UNREACHABLE, within=FORWARDING)
        assert health(deployment, "web").status == 0
        assert failing(health_from_inside(deployment)) == {"database", "broker"}

        with experiment.step("web is created anew"):
            deployment.project("web").recreate("web")
        page = wait_until("web's page", lambda: health(deployment, "web"), lambda seen: seen.status == 200, RECOVERY)
        assert failing(page) == set()
        assert len(interfaces(deployment)) > 1


# --- how it looks ----------------------------------------------------------------------------------


def gateway(deployment: Deployment, side: str) -> Gateway:
    """The gateway of `web` or of `services`."""
    return {"web": deployment.wireguard_web, "services": deployment.wireguard_services}[side]


def sent(end: Gateway) -> int:
    """Bytes that a gateway has sent to its peer; 0 while it has no wg0 yet."""
    _peer, _received, bytes_sent = (end.run("wg", "show", "wg0", "transfer").stdout.split() or ["", "0", "0"])[:3]
    return int(bytes_sent)


def counters(deployment: Deployment) -> list[tuple[int, int]]:
    """Each end's latest handshake, in seconds since 1970 and 0 for never, and the bytes that it has received."""
    return [
        (
            int(end.output("wg", "show", "wg0", "latest-handshakes").split()[1]),
            int(end.output("wg", "show", "wg0", "transfer").split()[1]),
        )
        for end in deployment.gateways
    ]


def health(deployment: Deployment, side: str) -> Page:
    """The /health/ page as people see it, on the published port."""
    return get(deployment.url(side, "/health/"))


def health_from_inside(deployment: Deployment) -> Page:
    """Web's /health/ page, asked for in web's own container."""
    code = f"""
import urllib.error, urllib.request
try:
    answer = urllib.request.urlopen("http://127.0.0.1:{WEB_PORT}/health/", timeout=8)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""
    status, _, body = deployment.web.python(code).stdout.partition(" ")
    return Page(status=int(status), body=body)


def is_unavailable(page: Page) -> bool:
    """Whether the application itself says that it cannot do its work."""
    return page.status == 503


def failing(page: Page) -> set[str]:
    """The backends that a /health/ page does not call ok."""
    verdicts = page.json()
    return {name for name in ("database", "broker") if verdicts[name]["status"] != "ok"}


def interfaces(deployment: Deployment) -> list[str]:
    """The network interfaces that web's processes see."""
    code = "import socket; print(*(name for _, name in socket.if_nameindex()))"
    return deployment.web.python(code).stdout.split()


def dnat_rules(deployment: Deployment) -> list[str]:
    """The DNAT rules for what comes out of the tunnel."""
    rules = deployment.wireguard_services.rules("nat", "PREROUTING")
    return [rule.specification for rule in rules if "-i wg0" in rule.specification]


def rules_of(end: Gateway) -> list[str]:
    """Every rule in its place, without counters."""
    return [f"{rule.table} {rule.chain} {rule.specification}" for rule in end.rules()]


def delete_rule(undo: ExitStack, end: Gateway, rule: str, *, position: int) -> None:
    """Delete a PREROUTING rule; the undo puts it back at its place, unless it is there."""
    chain = ("iptables", "-w", "-t", "nat")

    def restore() -> None:
        if not end.run(*chain, "-C", "PREROUTING", *rule.split()).ok:
            end.output(*chain, "-I", "PREROUTING", str(position), *rule.split())

    undo.callback(restore)
    end.output(*chain, "-D", "PREROUTING", *rule.split())


def remove_network(deployment: Deployment, name: str) -> None:
    """Remove a network that an overlay brought in."""
    for network in deployment.engine.client.networks.list(names=[f"{deployment.plan.project}_{name}"]):
        network.remove()
