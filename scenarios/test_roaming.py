"""The tunnel follows an end that moves: its first authenticated packet from elsewhere says where it is now.

Web's address on the underlay may change, or its port, as behind a router that translates addresses: services was never
told an endpoint, and answers where the last packet came from. Web was told services' endpoint, but learns in the same
way. The difference is who speaks first: when services moves, what web sends goes astray until services has sent
something itself, at the latest the keepalive that it owes for what it received last, after 10 s (paper, 6.5).
"""

from __future__ import annotations

from contextlib import ExitStack
from ipaddress import IPv4Address

import pytest

from harness import capture, traffic
from harness.addresses import MARIADB_PORT, TUNNEL_SERVICES, TUNNEL_WEB, WEB_PORT, WIREGUARD_PORT
from harness.budgets import FORWARDING, ROAMING
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.handshakes import shake_hands
from harness.model import Outcome
from harness.nodes import Gateway
from harness.probes.mariadb import MariaDBQuery
from harness.probes.tcp import TcpConnect
from harness.waiting import wait_until
from harness.wireguard import INTERFACE

pytestmark = pytest.mark.ours("gateway")

THROUGH_THE_TUNNEL = TcpConnect("web", str(TUNNEL_SERVICES.ip), MARIADB_PORT)
"""From inside web's namespace: the harness's own ways in lead to the address that web's gateway has left."""

ELSEWHERE = 66  # on tunnel-net; neither the compose file nor Docker gives it to anybody
OTHER_PORT = 51920


@pytest.mark.layouts("dev")  # in production a server moves, and its NAT with it
def test_the_tunnel_follows_web_to_another_address(experiment: Experiment) -> None:
    """Web's gateway gets another address: services answers there within 2 s, in the same session, and web works."""
    deployment = experiment.deployment
    web, services = deployment.gateways
    here, there = deployment.plan.underlay_web, deployment.plan.tunnel_net[ELSEWHERE]
    addresses, routes = web.addresses(), web.routes()

    with experiment.disturbance(f"web's gateway moves to {there}") as undo:
        shake_hands(deployment)
        handshake = services.peer().latest_handshake
        with traffic.pings(deployment) as pings:
            move(undo, deployment, web, here, there)
            experiment.expect(THROUGH_THE_TUNNEL).becomes(Outcome.CONNECTED, within=ROAMING)
        with experiment.step(str(pings)):
            assert services.peer().endpoint == f"{there}:{WIREGUARD_PORT}"
        assert services.peer().latest_handshake == handshake, "it took another handshake"
        assert health_of_web(deployment).startswith("200 ")

    assert services.peer().endpoint == f"{here}:{WIREGUARD_PORT}"
    assert (web.addresses(), web.routes()) == (addresses, routes)


@pytest.mark.thorough  # on prod the services server that moves stands for it
def test_the_tunnel_follows_web_to_another_port(experiment: Experiment) -> None:
    """Web's packets come from another port: connections that are open stay so, and not a query on them fails."""
    deployment = experiment.deployment
    web, services = deployment.gateways
    here, there = (f"{deployment.plan.underlay_web}:{port}" for port in (WIREGUARD_PORT, OTHER_PORT))

    with experiment.disturbance(f"web's gateway sends from port {OTHER_PORT}") as undo:
        assert services.peer().endpoint == here
        undo.callback(web.output, "wg", "set", INTERFACE, "listen-port", str(WIREGUARD_PORT))
        with traffic.load(deployment, fresh=False) as load:
            web.output("wg", "set", INTERFACE, "listen-port", str(OTHER_PORT))
            wait_until("services to follow", lambda: services.peer().endpoint, lambda seen: seen == there, ROAMING)
            load.everyone_is_answered(within=ROAMING)
        with experiment.step(str(load)):
            assert load.failed() == ()
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=ROAMING)

    assert services.peer().endpoint == here


@pytest.mark.layouts("dev")  # as above
def test_web_follows_services_to_another_address_once_it_speaks(experiment: Experiment) -> None:
    """Services' gateway gets another address: web goes on sending to the old one, and follows its first packet."""
    deployment = experiment.deployment
    web, services = deployment.gateways
    here, there = deployment.plan.underlay_services, deployment.plan.tunnel_net[ELSEWHERE]
    before = services.addresses(), services.routes()
    told = f"{here}:{WIREGUARD_PORT}"

    with experiment.disturbance(f"services' gateway moves to {there}") as undo:
        shake_hands(deployment)
        handshake = web.peer().latest_handshake
        undo.callback(web.output, "wg", "set", INTERFACE, "peer", web.peer().public_key, "endpoint", told)
        move(undo, deployment, services, here, there)
        experiment.expect(THROUGH_THE_TUNNEL).becomes(Outcome.TIMED_OUT, within=FORWARDING)
        assert web.peer().endpoint == told

        with experiment.step("services sends a packet through the tunnel"):
            services.output("bash", "-c", f"echo >/dev/udp/{TUNNEL_WEB.ip}/9")
        experiment.expect(THROUGH_THE_TUNNEL).becomes(Outcome.CONNECTED, within=ROAMING)
        assert web.peer().endpoint == f"{there}:{WIREGUARD_PORT}"
        assert web.peer().latest_handshake == handshake, "it took another handshake"
        experiment.expect(MariaDBQuery("web")).becomes(Outcome.CONNECTED, within=ROAMING)

    assert (services.addresses(), services.routes()) == before
    assert web.peer().endpoint == told


# --- how it is done --------------------------------------------------------------------------------


MOVE = """
set -euo pipefail
interface=$1 from=$2 to=$3
default=$(ip -4 route show default dev "$interface")
if [[ $(ip -4 -oneline address show dev "$interface" to "${from%/*}") ]]; then
  ip address delete "$from" dev "$interface"
fi
ip address replace "$to" broadcast + dev "$interface"
[[ -z $default ]] || ip route replace $default dev "$interface"
"""
"""The default route goes with the last address of its interface."""


def move(undo: ExitStack, deployment: Deployment, gateway: Gateway, here: IPv4Address, there: IPv4Address) -> None:
    """Give a gateway another address on tunnel-net, in place of the one it has; the undo moves it back."""
    interface, length = capture.interface_of(gateway, here), deployment.plan.tunnel_net.prefixlen
    old, new = f"{here}/{length}", f"{there}/{length}"
    undo.callback(gateway.output, "bash", "-c", MOVE, "bash", interface, new, old)
    gateway.output("bash", "-c", MOVE, "bash", interface, old, new)


def health_of_web(deployment: Deployment) -> str:
    """The status and text of web's /health/ page, asked for in web's own container."""
    code = (
        "import urllib.request\n"
        f"with urllib.request.urlopen('http://127.0.0.1:{WEB_PORT}/health/', timeout=8) as page:\n"
        "    print(page.status, page.read().decode())"
    )
    answered = deployment.web.python(code)
    assert answered.ok, answered
    return answered.stdout
