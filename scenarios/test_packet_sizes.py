"""Large values cross the tunnel in full segments, whatever the MTU of wg0 is, and none is fragmented on the way."""

from __future__ import annotations

import re
import secrets
from contextlib import ExitStack

import pytest

from harness import capture, clients
from harness.addresses import TUNNEL_SERVICES, TUNNEL_WEB, WIREGUARD_PORT
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.nodes import Gateway
from harness.wireguard import INTERFACE

pytestmark = pytest.mark.ours("gateway")

TCP_HEADERS = 40  # bytes of IPv4 and TCP
OUTER_HEADERS = (
    74  # bytes of Ethernet, IPv4, UDP and WireGuard's own around a packet as large as the MTU (paper, 5.4.6)
)

LARGE = 1024 * 1024  # bytes: hundreds of full segments in each direction


# On prod the deployed MTU stands for its neighbours: what fits is WireGuard's and the kernel's, the same on dev.
@pytest.mark.parametrize(
    "mtu", [pytest.param(1419, marks=pytest.mark.thorough), 1420, pytest.param(1421, marks=pytest.mark.thorough)]
)
def test_large_values_cross_in_full_segments(experiment: Experiment, mtu: int) -> None:
    """At this MTU a MariaDB row and a Redis value of 1 MiB come back byte for byte, in segments as large as fit.

    The packets on the underlay are as large as such segments make them, and none is a fragment; the same capture sees
    those of a ping that is too big for the underlay.
    """
    deployment = experiment.deployment
    value = secrets.token_bytes(LARGE)
    before = {gateway: mtu_of(gateway) for gateway in deployment.gateways}

    with experiment.disturbance(f"wg0 of both ends has an MTU of {mtu}") as undo:
        for gateway in deployment.gateways:
            set_mtu(undo, gateway, mtu)
        with (
            capture.tunnel(deployment, "tcp[tcpflags] & tcp-syn != 0") as openings,
            capture.underlay(deployment, ON_THE_WAY) as underlay,
        ):
            assert by_mariadb(deployment, value) == value[::-1]
            assert by_redis(deployment, value) == value
            too_big = deployment.probe_web.run(
                "ping", "-n", "-c", "1", "-s", "2000", str(deployment.plan.underlay_services), user="0"
            )

        for inside in (TUNNEL_WEB, TUNNEL_SERVICES):
            assert segment_sizes(openings.lines(f"src host {inside.ip}")) == {mtu - TCP_HEADERS}
        for sender in (deployment.plan.outward_web, deployment.plan.underlay_services):
            assert underlay.lines(f"src host {sender} and udp port {WIREGUARD_PORT} and greater {mtu + OUTER_HEADERS}")
        assert underlay.lines(f"udp and {FRAGMENT}") == []
        assert too_big.ok, too_big
        assert underlay.lines(f"icmp and {FRAGMENT}"), "the capture cannot see fragments"

    assert {gateway: mtu_of(gateway) for gateway in deployment.gateways} == before


FRAGMENT = "ip[6:2] & 0x3fff != 0"
ON_THE_WAY = f"udp port {WIREGUARD_PORT} or icmp or {FRAGMENT}"


def set_mtu(undo: ExitStack, gateway: Gateway, mtu: int) -> None:
    """Give wg0 another MTU."""
    undo.callback(gateway.output, "ip", "link", "set", INTERFACE, "mtu", str(mtu_of(gateway)))
    gateway.output("ip", "link", "set", INTERFACE, "mtu", str(mtu))


def mtu_of(gateway: Gateway) -> int:
    """The MTU of wg0."""
    (found,) = {address.mtu for address in gateway.addresses() if address.interface == INTERFACE}
    return found


def segment_sizes(openings: list[str]) -> set[int]:
    """The largest segment that each SYN says its sender accepts."""
    return {int(size) for line in openings for size in re.findall(r"\bmss (\d+)", line)}


def by_mariadb(deployment: Deployment, value: bytes) -> object:
    """Have MariaDB return the value backwards, which it cannot do without having read it."""
    with (
        clients.mariadb(deployment, "web", timeout=clients.TRANSFER_TIMEOUT) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT REVERSE(%s)", (value,))
        (row,) = cursor.fetchall()
    return row[0]


def by_redis(deployment: Deployment, value: bytes) -> object:
    """Have Redis return the value, and keep nothing."""
    with clients.redis(deployment, "web", timeout=clients.TRANSFER_TIMEOUT) as client:
        return client.echo(value)
