"""A machine beside the services server reaches nothing but WireGuard's port, by whatever route it makes itself.

Docker itself sees to most of that, and the rules of docs/deploy-steps.md to the rest: they are typed as they stand
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from ipaddress import IPv4Address

import pytest

from harness import mutations, netfilter, places, recreation
from harness.addresses import REDIS_PORT, SERVICES_PORT
from harness.budgets import FORWARDING, HANDSHAKE, REFUSED_HANDSHAKE, SETTLE
from harness.experiment import Experiment
from harness.model import Outcome
from harness.probes.health import HealthVerdict
from harness.probes.mariadb import MariaDBQuery
from harness.production import Production
from harness.servers import Server
from harness.waiting import wait_until
from harness.wireguard import INTERFACE

pytestmark = pytest.mark.layouts("prod")

DEPLOY_STEPS = places.ROOT / "docs" / "deploy-steps.md"
LOOPBACK_IS_CLOSED = (28, 0)
"""The Docker Engine that first keeps what is published on 127.0.0.1 from neighbours (its release notes)."""
ELSEWHERE = "198.51.100.10"
"""The web server's address in the documented rule."""

NEIGHBOUR = "192.0.2.2"
BESIDE = """
ip netns add neighbour
ip link add beside type veth peer name server netns neighbour
ip address add 192.0.2.1/30 dev beside
ip link set beside up
ip -n neighbour address add 192.0.2.2/30 dev server
ip -n neighbour link set server up
ip -n neighbour route add default via 192.0.2.1
"""
"""A machine on a segment of its own with a server, by which it sends whatever it has for others."""


def test_a_server_routes_nothing_to_its_containers(experiment: Experiment, production: Production) -> None:
    """A packet that comes from a neighbour for Redis itself comes to the services server, and ends there."""
    redis, there = production.plan.redis, production.services_server
    with experiment.disturbance("a neighbour routes to the services server's containers") as undo:
        set_beside(undo, there)
        arrived = mutations.count_arrivals(undo, there, "raw", f"-s {NEIGHBOUR}/32 -d {redis}/32")
        assert not neighbour_connects(there, redis, REDIS_PORT)
        assert arrived() > 0, "the packets never came to the services server"
        assert connects(there, redis, REDIS_PORT), "the sensor cannot see Redis"


def test_what_is_on_loopback_is_closed_to_neighbours(experiment: Experiment, production: Production) -> None:
    """Services is published on 127.0.0.1 alone: no route leads to it, before Engine 28 with the documented rule."""
    services, there = production.plan.services, production.services_server
    with experiment.disturbance("a neighbour routes to what is published on loopback") as undo:
        set_beside(undo, there)
        if there.inner.version() < LOOPBACK_IS_CLOSED:
            assert neighbour_connects(there, services, SERVICES_PORT), "the sensor cannot see what is to be closed"
            type_documented(undo, there, "iptables -t raw")
        arrived = mutations.count_arrivals(undo, there, "raw", f"-s {NEIGHBOUR}/32 -d {services}/32")
        assert not neighbour_connects(there, services, SERVICES_PORT)
        assert arrived() > 0, "the packets never came to the services server"
        experiment.expect(MariaDBQuery("web")).stays(Outcome.CONNECTED, during=SETTLE)
        experiment.expect(HealthVerdict("services", "database")).stays(Outcome.CONNECTED, during=SETTLE)


@pytest.mark.thorough  # the gateway starts twice, once for nothing
@pytest.mark.parametrize("let_in", ["the web server", "another machine"])
def test_the_documented_rule_lets_in_one_machine(experiment: Experiment, production: Production, let_in: str) -> None:
    """The tunnel begins anew, its answers too, where the rule names the web server, and never where another."""
    gateway = production.wireguard_services
    address = {"the web server": str(production.plan.underlay_web), "another machine": ELSEWHERE}[let_in]
    outcome = {"the web server": Outcome.CONNECTED, "another machine": Outcome.TIMED_OUT}[let_in]
    with experiment.disturbance(f"the services server lets in {let_in} alone") as undo:
        undo.callback(recreation.shake_hands_after_absence, production)
        type_documented(undo, production.services_server, "iptables -I DOCKER-USER", {ELSEWHERE: address})
        gateway.container.restart(timeout=0)  # with which the engine forgets the flow that there was
        wait_until(
            "the gateway to have its peer",
            lambda: gateway.run("wg", "show", INTERFACE, "peers"),
            lambda shown: bool(shown.ok and shown.stdout.strip()),
            within=HANDSHAKE,
        )
        recreation.shake_hands_after_absence(production)
        experiment.expect(MariaDBQuery("web")).becomes(outcome, within=FORWARDING)
        if let_in == "another machine":
            experiment.expect(MariaDBQuery("web")).stays(outcome, during=REFUSED_HANDSHAKE)
            assert dropped(production.services_server, address) > 0, "nothing came to the rule"
        assert (gateway.peer().latest_handshake is not None) is (outcome is Outcome.CONNECTED)


# --- words -----------------------------------------------------------------------------------------


def set_beside(undo: ExitStack, server: Server) -> None:
    """Set a neighbour beside a server; the undo takes it away, and with it what joins the two."""
    undo.callback(server.run, "ip", "netns", "delete", "neighbour")
    for line in BESIDE.strip().splitlines():
        server.output(*line.split())


def neighbour_connects(server: Server, address: IPv4Address, port: int) -> bool:
    """Whether the server's neighbour can connect to an address."""
    return server.run("ip", "netns", "exec", "neighbour", *knock(address, port)).ok


def connects(server: Server, address: IPv4Address, port: int) -> bool:
    """Whether the server itself can."""
    return server.run(*knock(address, port)).ok


def knock(address: IPv4Address, port: int) -> tuple[str, ...]:
    """The command that connects, and closes at once."""
    return ("socat", "-u", "OPEN:/dev/null", f"TCP4:{address}:{port},connect-timeout=1")


def dropped(server: Server, let_in: str) -> int:
    """How many packets the documented rule has dropped that lets in one address."""
    rules = netfilter.parse_save(server.output(*netfilter.SAVE, "-t", "filter"))
    (own,) = [each for each in rules if each.chain == "DOCKER-USER" and f"! -s {let_in}/32" in each.specification]
    return own.packets


def type_documented(undo: ExitStack, server: Server, beginning: str, instead: Mapping[str, str] | None = None) -> None:
    """Type the one line of the documented steps that begins so, with other addresses; the undo deletes its rule."""
    (line,) = [each for each in DEPLOY_STEPS.read_text(encoding="utf-8").splitlines() if each.startswith(beginning)]
    for documented, address in (instead or {}).items():
        line = line.replace(documented, address)
    undo.callback(server.run, "sh", "-c", line.replace(" -I ", " -D "))
    server.output("sh", "-c", line)
