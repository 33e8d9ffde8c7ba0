"""The tunnel is up, carries data, and is set up as configured on both ends.

The one assertion that "0 B received" and mismatched keys can never pass again: what WireGuard itself reports on each
end is compared with the keys and settings that the deployment was given.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from harness import capture, keys
from harness.budgets import HANDSHAKE, TRAFFIC
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.model import CommandResult
from harness.nodes import Gateway
from harness.overlays import Variables
from harness.waiting import wait_until
from harness.wireguard import INTERFACE, REJECT_AFTER

BOTH_ENDS = pytest.mark.parametrize("end", ["wireguard-web", "wireguard-services"])

HEADERS = 28  # bytes of IPv4 and ICMP before what `ping -s` counts
DEFAULT_MTU = "1420"

IMPLEMENTATIONS = {"wireguard": "kernel", "tun": "wireguard-go"}
"""What made a link, by its kind: the kernel's WireGuard has a kind of its own, wireguard-go holds a tun device."""


@BOTH_ENDS
def test_handshake_is_recent(deployment: Deployment, end: str) -> None:
    """Both ends have shaken hands, and not longer ago than a session lasts."""
    gateway = gateway_of(deployment, end)
    handshake = gateway.peer().latest_handshake
    assert handshake is not None, f"{end} has never shaken hands"
    age = clock(gateway) - handshake.timestamp()
    assert age < REJECT_AFTER, f"the last handshake of {end} is {age:.0f} s old"


@BOTH_ENDS
def test_bytes_are_received(deployment: Deployment, end: str) -> None:
    """Both ends have received bytes and sent some: the tunnel does not stand at "0 B received"."""
    peer = gateway_of(deployment, end).peer()
    assert peer.transfer_rx > 0
    assert peer.transfer_tx > 0


def test_received_bytes_grow_with_traffic(deployment: Deployment) -> None:
    """What is sent through the tunnel and answered is counted as received on both ends."""
    count, size = 10, 1000
    before = received(deployment)

    # ping itself ends two round trips after the last request, be it answered or not: the counters tell what arrived.
    pinged = ping(deployment, deployment.plan.tunnel_services.ip, "-c", str(count), "-i", "0.02", "-s", str(size))
    assert pinged.ok, pinged

    wait_until(
        f"both ends to have received {count * size} bytes more than {before}",
        lambda: received(deployment),
        lambda now: all(now[end] - before[end] >= count * size for end in before),
        within=TRAFFIC,
    )


@BOTH_ENDS
def test_key_of_an_end_derives_from_its_private_key(deployment: Deployment, end: str) -> None:
    """Each end's public key is the one that derives from the private key it was given."""
    derived = derived_key(deployment, end)
    assert gateway_of(deployment, end).interface().public_key == derived


@BOTH_ENDS
def test_peer_key_derives_from_the_other_ends_private_key(deployment: Deployment, end: str) -> None:
    """Each end knows its peer by the key that derives from the other's private key, not by one made separately."""
    derived = derived_key(deployment, opposite(end))
    assert gateway_of(deployment, end).peer().public_key == derived
    assert gateway_of(deployment, end).interface().public_key != derived


@BOTH_ENDS
def test_preshared_key_is_set(deployment: Deployment, end: str) -> None:
    """Both ends mix a preshared key into the handshake, where they were given one."""
    if not deployment.credentials.keys.preshared:
        pytest.skip("no end was given a preshared key")
    assert gateway_of(deployment, end).peer().preshared_key_set


def test_web_knows_the_endpoint_of_services(deployment: Deployment) -> None:
    """Web's end sends to the services gateway's address on tunnel-net, on WireGuard's port."""
    expected = f"{deployment.plan.underlay_services}:{deployment.plan.wireguard_port}"
    assert deployment.wireguard_web.environment()["WG_PEER_ENDPOINT"] == expected
    assert deployment.wireguard_web.peer().endpoint == expected


def test_services_has_learnt_the_endpoint_of_web(deployment: Deployment, layout: str) -> None:
    """The services end was told no endpoint and has learnt from the handshake where web's end is."""
    address, _, port = str(deployment.wireguard_services.peer().endpoint).rpartition(":")
    if layout == "dev":
        own = deployment.wireguard_web.interface().listen_port
        assert (address, port) == (str(deployment.plan.underlay_web), str(own))
    else:
        # The web server's NAT has chosen the port. A handshake that comes while the engine publishes WireGuard's port
        # is handed on by the engine's own proxy, from the server's end of the bridge, and so is that flow for good.
        assert address in {str(deployment.plan.underlay_web), str(deployment.plan.services_net[1])}


def test_exactly_one_end_initiates(deployment: Deployment) -> None:
    """Only web's end is given an endpoint: were both, handshakes could cross and each wait 5 s."""
    told = [gateway.role for gateway in deployment.gateways if gateway.environment().get("WG_PEER_ENDPOINT")]
    assert told == ["wireguard-web"]


@BOTH_ENDS
def test_allowed_ips_are_the_other_end_alone(deployment: Deployment, end: str) -> None:
    """Each end accepts from its peer, and sends to it, the peer's own tunnel address and no other."""
    other = tunnel_address(deployment, opposite(end))
    assert gateway_of(deployment, end).peer().allowed_ips == (IPv4Network(other.ip),)


@BOTH_ENDS
def test_wg0_bears_the_documented_address(deployment: Deployment, end: str) -> None:
    """Web's end is 10.100.0.10/24 and services' is 10.100.0.11/24, on every copy of the deployment."""
    found = [address.address for address in gateway_of(deployment, end).addresses() if address.interface == INTERFACE]
    assert found == [tunnel_address(deployment, end)]


@pytest.mark.ours("keepalive of 25 s")
@pytest.mark.parametrize(("end", "seconds"), [("wireguard-web", 25), ("wireguard-services", 0)])
def test_keepalive_is_the_documented_one(deployment: Deployment, end: str, seconds: int) -> None:
    """Web's end is told a keepalive of 25 s, and services' end none."""
    assert int(gateway_of(deployment, end).environment().get("WG_PERSISTENT_KEEPALIVE", "0")) == seconds


def test_keepalive_comes_from_the_initiator_alone(deployment: Deployment) -> None:
    """Web's end keeps the session and the way back open as often as it was told; services' end does not."""
    web, services = deployment.gateways
    assert web.peer().persistent_keepalive == int(web.environment()["WG_PERSISTENT_KEEPALIVE"]) > 0
    assert services.peer().persistent_keepalive == 0


@BOTH_ENDS
def test_mtu_is_as_configured(deployment: Deployment, end: str) -> None:
    """wg0 has the configured MTU, 1420 unless another was chosen."""
    gateway = gateway_of(deployment, end)
    assert mtu(gateway) == int(gateway.environment().get("WG_MTU", DEFAULT_MTU))


@BOTH_ENDS
def test_listen_port_is_as_configured(deployment: Deployment, end: str) -> None:
    """Both ends listen on UDP 51820, or where they were told to."""
    gateway = gateway_of(deployment, end)
    told = gateway.environment().get("WG_LISTEN_PORT")
    if told is None and end == "wireguard-web":
        pytest.skip("it begins, was told no port, and may take any")
    assert str(gateway.interface().listen_port) == told


@pytest.mark.parametrize("short_of_the_limit", [1, 0])
def test_packet_up_to_the_mtu_passes_whole(deployment: Deployment, short_of_the_limit: int) -> None:
    """A packet of 1420 bytes, or one less, that may not be fragmented crosses the tunnel and is answered."""
    size = mtu(deployment.wireguard_web) - short_of_the_limit
    pinged = ping(deployment, deployment.plan.tunnel_services.ip, "-M", "do", "-c", "1", "-s", str(size - HEADERS))
    assert pinged.ok, pinged


def test_packet_over_the_mtu_is_refused_at_once(deployment: Deployment) -> None:
    """A packet of 1421 bytes that may not be fragmented is refused where it is sent, not lost on the way."""
    size = mtu(deployment.wireguard_web) + 1
    pinged = ping(deployment, deployment.plan.tunnel_services.ip, "-M", "do", "-c", "1", "-s", str(size - HEADERS))
    assert not pinged.ok, pinged
    assert "message too long" in pinged.stderr.lower(), pinged


@pytest.mark.parametrize("beyond_the_limit", [1, 3000])
def test_packet_over_the_mtu_passes_in_fragments(deployment: Deployment, beyond_the_limit: int) -> None:
    """A packet over the MTU that may be fragmented is, and crosses the tunnel."""
    size = mtu(deployment.wireguard_web) + beyond_the_limit
    with capture.tunnel(deployment, "icmp or ip[6:2] & 0x3fff != 0") as in_the_tunnel:
        pinged = ping(
            deployment, deployment.plan.tunnel_services.ip, "-M", "dont", "-c", "1", "-s", str(size - HEADERS)
        )
    assert pinged.ok, pinged
    assert in_the_tunnel.lines(f"src host {deployment.plan.tunnel_web.ip} and ip[6:2] & 0x1fff != 0"), (
        "nothing was fragmented"
    )


def test_full_packets_cross_the_underlay_unfragmented(deployment: Deployment) -> None:
    """The MTU leaves room for WireGuard's headers: no packet of the tunnel is fragmented on the way.

    The same capture sees the fragments of a ping that is too big for the underlay.
    """
    fragments, full = "ip[6:2] & 0x3fff != 0", str(mtu(deployment.wireguard_web) - HEADERS)
    too_big_for_the_underlay = "2000"
    with capture.underlay(deployment) as underlay:
        through = ping(deployment, deployment.plan.tunnel_services.ip, "-M", "do", "-c", "1", "-s", full)
        beside = ping(deployment, deployment.plan.underlay_services, "-c", "1", "-s", too_big_for_the_underlay)
    assert through.ok, through
    assert beside.ok, beside

    assert underlay.lines(f"udp port {deployment.plan.wireguard_port} and greater {mtu(deployment.wireguard_web)}")
    assert not underlay.lines(f"udp and {fragments}")
    assert underlay.lines(f"icmp and {fragments}"), "the capture cannot see fragments"


@pytest.mark.ours("health check of the gateway")
@BOTH_ENDS
def test_health_check_agrees(deployment: Deployment, end: str) -> None:
    """The gateway's own health check passes, and says how old the handshake is."""
    checked = gateway_of(deployment, end).run("gateway-health")
    assert checked.ok, checked
    assert "the last handshake with" in checked.stdout


@pytest.mark.ours("health check of the gateway")
def test_health_check_sees_a_tunnel_that_is_down(experiment: Experiment) -> None:
    """The health check of the gateway fails, with the reason, while wg0 is down."""
    gateway = experiment.deployment.wireguard_web
    with experiment.disturbance("wg0 of web's gateway is down") as undo:
        undo.callback(gateway.run, "ip", "link", "set", INTERFACE, "up")
        gateway.output("ip", "link", "set", INTERFACE, "down")
        checked = gateway.run("gateway-health")
        assert not checked.ok, checked
        assert f"{INTERFACE} is down" in checked.stdout


@pytest.mark.ours("report of what the gateway uses")
@BOTH_ENDS
def test_implementation_is_the_one_at_work(deployment: Deployment, end: str) -> None:
    """Which WireGuard a gateway uses, the kernel's or wireguard-go, is reported, and is what made wg0."""
    gateway = gateway_of(deployment, end)
    reported = gateway.implementation()
    (link,) = json.loads(gateway.output("ip", "-d", "-j", "link", "show", INTERFACE))
    assert reported == IMPLEMENTATIONS.get(link["linkinfo"]["info_kind"]), f"wg0 is {link['linkinfo']}"
    assert (f"wireguard-go {INTERFACE}" in gateway.processes()) is (reported == "wireguard-go")
    assert f"using {reported} " in gateway.logs(tail=10_000)


@pytest.mark.ours("setting WG_IMPLEMENTATION")
@pytest.mark.needs_kernel_wireguard
def test_kernel_and_wireguard_go_understand_each_other(experiment: Experiment) -> None:
    """A gateway that is made to use wireguard-go shakes hands with one that uses the kernel's WireGuard."""
    deployment = experiment.deployment
    if deployment.wireguard_services.implementation() != "kernel":
        pytest.skip("this kernel has no WireGuard (the module wireguard is missing): the gateways took wireguard-go")
    overlay = Variables({"wireguard-web": {"WG_IMPLEMENTATION": "userspace"}})
    with experiment.disturbance("web's gateway is made to use wireguard-go") as undo:
        experiment.redeploy(undo, overlay, "wireguard-web")
        wait_until(
            "web's gateway to shake hands",
            lambda: deployment.wireguard_web.run("gateway-health"),
            lambda checked: checked.ok,
            within=HANDSHAKE,
        )
        assert deployment.wireguard_web.implementation() == "wireguard-go"
        assert deployment.wireguard_services.implementation() == "kernel"
        assert ping(deployment, deployment.plan.tunnel_services.ip, "-c", "1").ok


def gateway_of(deployment: Deployment, end: str) -> Gateway:
    """The gateway at one end."""
    return {gateway.role: gateway for gateway in deployment.gateways}[end]


def tunnel_address(deployment: Deployment, end: str) -> IPv4Interface:
    """The address of an end in the tunnel."""
    return {"wireguard-web": deployment.plan.tunnel_web, "wireguard-services": deployment.plan.tunnel_services}[end]


def opposite(end: str) -> str:
    """The other end."""
    return {"wireguard-web": "wireguard-services", "wireguard-services": "wireguard-web"}[end]


def derived_key(deployment: Deployment, end: str) -> str:
    """The public key that derives from the private key of an end; a failed comparison must not show the latter."""
    made = deployment.credentials.keys
    return keys.derive_public({"wireguard-web": made.web, "wireguard-services": made.services}[end].private)


def clock(gateway: Gateway) -> int:
    """The time there, in seconds since 1970: the engine's machine may not be this one."""
    return int(gateway.output("date", "+%s"))


def mtu(gateway: Gateway) -> int:
    """The MTU of wg0."""
    (found,) = {address.mtu for address in gateway.addresses() if address.interface == INTERFACE}
    return found


def received(deployment: Deployment) -> dict[str, int]:
    """How many bytes each end has received."""
    return {gateway.role: gateway.peer().transfer_rx for gateway in deployment.gateways}


def ping(deployment: Deployment, target: IPv4Address, *options: str) -> CommandResult:
    """Ping from web's namespace, waiting at most 2 s for each answer. Root there: raw sockets are root's."""
    return deployment.probe_web.run("ping", "-n", "-W", "2", *options, str(target), user="0")
