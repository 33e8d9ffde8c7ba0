"""The tunnel's ends and what lies between them."""

from __future__ import annotations

from typing import Any

from harness.evidence import NetworkEvidence
from tests.evidence_samples import BACK, FRONT, GATEWAYS, HANDSHAKE, NOW, SERVICES, WEB, Sample

from . import broken, cut, fine, untold, without_data, without_gateway, without_route


def _wg0(links: list[dict[str, Any]]) -> dict[str, Any]:
    return next(link for link in links if link["ifname"] == "wg0")


def _without_interface(sample: Sample, gateway: str) -> None:
    sample.kill_tunnel()
    for piece in ("addresses", "links"):
        with sample.edited(gateway, piece) as links:
            links.remove(_wg0(links))
    without_route(sample, gateway)
    sample.pieces[gateway] |= {"dump": "", "dump-before": ""}
    sample.without_lines(gateway, "sysctls", "conf/wg0")
    untold(sample, "there is no wg0")


@broken("interface-missing")
def services_runs_without_wg0(sample: Sample) -> None:
    _without_interface(sample, BACK)


@broken("interface-missing")
def web_runs_without_wg0(sample: Sample) -> None:
    _without_interface(sample, FRONT)


@broken("interface-missing")
def wg0_is_there_and_is_no_wireguard_interface(sample: Sample) -> None:
    sample.kill_tunnel()
    sample.pieces[BACK] |= {"dump": "", "dump-before": ""}
    untold(sample, "there is no wg0")


@broken("interface-down")
def wg0_is_down(sample: Sample) -> None:
    sample.kill_tunnel()
    for piece in ("addresses", "links"):
        with sample.edited(BACK, piece) as links:
            _wg0(links)["flags"] = ["POINTOPOINT", "NOARP"]
    without_route(sample, BACK)


@broken("interface-down", "fail-open")
def wg0_is_down_and_nothing_lies_under_its_route(sample: Sample) -> None:
    sample.kill_tunnel()
    for piece in ("addresses", "links"):
        with sample.edited(FRONT, piece) as links:
            _wg0(links)["flags"] = []
    with sample.edited(FRONT, "routes") as routes:
        routes[:] = [route for route in routes if route["dst"] != "10.100.0.0/24"]


@broken("address-missing")
def webs_tunnel_address_is_missing(sample: Sample) -> None:
    sample.kill_tunnel()
    with sample.edited(FRONT, "addresses") as addresses:
        _wg0(addresses)["addr_info"] = []
    without_route(sample, FRONT)


@broken("address-missing")
def services_tunnel_address_is_another(sample: Sample) -> None:
    without_data(sample)
    with sample.edited(BACK, "addresses") as addresses:
        _wg0(addresses)["addr_info"][0]["local"] = "10.100.0.12"


@fine
def a_second_address_on_wg0(sample: Sample) -> None:
    with sample.edited(BACK, "addresses") as addresses:
        _wg0(addresses)["addr_info"].append({"family": "inet", "local": "10.100.0.111", "prefixlen": 32})


@broken("address-duplicated")
def both_ends_have_one_tunnel_address(sample: Sample) -> None:
    without_data(sample)
    sample.tell(BACK, WG_ADDRESS="10.100.0.10/24")
    with sample.edited(BACK, "addresses") as addresses:
        _wg0(addresses)["addr_info"][0]["local"] = "10.100.0.10"


@broken("address-duplicated")
def webs_gateway_has_services_address_besides_its_own(sample: Sample) -> None:
    without_data(sample)
    with sample.edited(FRONT, "addresses") as addresses:
        _wg0(addresses)["addr_info"].append({"family": "inet", "local": "10.100.0.11", "prefixlen": 32})


@broken("route-missing")
def the_tunnel_address_is_a_single_one_without_a_route(sample: Sample) -> None:
    without_data(sample, said="[Errno 113] No route to host", errno=113)
    with sample.edited(FRONT, "addresses") as addresses:
        _wg0(addresses)["addr_info"][0]["prefixlen"] = 32
    without_route(sample, FRONT)


@broken("route-missing")
def services_has_no_route_back_into_the_tunnel(sample: Sample) -> None:
    without_data(sample)
    without_route(sample, BACK)


@broken("route-missing")
def a_narrower_route_leads_past_the_tunnel(sample: Sample) -> None:
    """It has no lower metric and no wider network, and wins all the same."""
    without_data(sample)
    with sample.edited(FRONT, "routes") as routes:
        routes.append({"type": "blackhole", "dst": "10.100.0.11", "metric": 4000, "flags": []})


@fine
def a_route_for_the_one_address_beside_that_for_the_subnet(sample: Sample) -> None:
    with sample.edited(FRONT, "routes") as routes:
        routes.append({"dst": "10.100.0.11", "dev": "wg0", "scope": "link", "flags": []})


@broken("allowed-ips-missing")
def web_does_not_allow_services_address(sample: Sample) -> None:
    without_data(sample, said="[Errno 126] Required key not available", errno=126)
    sample.change(FRONT, "dump", "10.100.0.11/32", "10.100.0.99/32")


@broken("allowed-ips-missing")
def services_does_not_allow_webs_address(sample: Sample) -> None:
    without_data(sample)
    sample.change(BACK, "dump", "10.100.0.10/32", "(none)")


@broken("allowed-ips-missing")
def another_peer_took_over_the_address(sample: Sample) -> None:
    """An address belongs to one peer: setting it on another takes it from the first."""
    without_data(sample)
    sample.change(FRONT, "dump", "10.100.0.11/32", "10.100.0.64/26,192.168.0.0/16")


@fine
def a_peer_with_several_allowed_ips(sample: Sample) -> None:
    sample.change(FRONT, "dump", "10.100.0.11/32", "192.168.7.0/24,10.100.0.11/32,fd00::1/128")


@fine
def a_peer_that_may_have_every_address(sample: Sample) -> None:
    sample.change(FRONT, "dump", "10.100.0.11/32", "0.0.0.0/0,::/0")
    sample.tell(FRONT, WG_PEER_ALLOWED_IPS="0.0.0.0/0")


@broken("endpoint-wrong")
def web_sends_to_an_address_where_nobody_is(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT="172.20.0.99:51820")
    sample.change(FRONT, "dump", "172.20.0.3:51820", "172.20.0.99:51820")
    sample.kill_tunnel()


@broken("endpoint-wrong")
def web_sends_to_a_port_where_nobody_listens(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT="172.20.0.3:51821")
    sample.change(FRONT, "dump", "172.20.0.3:51820", "172.20.0.3:51821")
    sample.kill_tunnel()


@broken("endpoint-wrong")
def services_listens_on_another_port(sample: Sample) -> None:
    sample.tell(BACK, WG_LISTEN_PORT="51999")
    sample.change(BACK, "dump", "\t51820\toff\n", "\t51999\toff\n")
    sample.change(BACK, "dump", "172.20.0.2:51820", "(none)")
    sample.kill_tunnel()


@broken("endpoint-wrong")
def services_gateway_came_back_on_another_underlay_address(sample: Sample) -> None:
    for attachment in sample.containers[BACK]["attachments"]:
        if attachment["network"] == "tunnel-net":
            attachment |= {"address": "172.20.0.98", "wanted": "172.20.0.98"}
    sample.change(BACK, "addresses", '"172.20.0.3"', '"172.20.0.98"')
    sample.change(BACK, "dump", "172.20.0.2:51820", "(none)")
    sample.kill_tunnel()


@fine
def an_endpoint_that_has_roamed_while_the_tunnel_is_alive(sample: Sample) -> None:
    sample.change(FRONT, "dump", "172.20.0.3:51820", "172.20.0.77:40123")
    sample.change(BACK, "dump", "172.20.0.2:51820", "192.0.2.9:1024")


@fine
def an_endpoint_that_is_a_name(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT="wireguard-services:51820")


@broken("peer-unreachable")
def the_underlay_is_cut(sample: Sample) -> None:
    sample.kill_tunnel()


@broken("peer-unreachable")
def the_underlay_was_cut_after_a_while(sample: Sample) -> None:
    sample.kill_tunnel(handshake=NOW - 400)


@broken("peer-unreachable")
def the_underlay_was_cut_just_now(sample: Sample) -> None:
    """The session is as good as any for three minutes; the counters tell."""
    sample.kill_tunnel(handshake=NOW - 20)


@broken("peer-unreachable")
def services_drops_wireguards_port(sample: Sample) -> None:
    drop = "[9:1332] -A INPUT -p udp -m udp --dport 51820 -j DROP\n"
    sample.change(BACK, "rules", "[1320:302858] -A INPUT", f"{drop}[1320:302858] -A INPUT")
    sample.kill_tunnel()


@broken("handshake-stale")
def neither_end_was_told_where_the_other_is(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT=None, WG_PERSISTENT_KEEPALIVE=None)
    sample.change(FRONT, "dump", "172.20.0.3:51820", "(none)")
    sample.change(FRONT, "dump", "\t25\n", "\toff\n")
    sample.change(BACK, "dump", "172.20.0.2:51820", "(none)")
    for gateway in GATEWAYS:
        sample.change(gateway, "dump", f"\t{HANDSHAKE}\t", "\t0\t")
    without_data(sample, said="[Errno 89] Destination address required", errno=89)


@fine
def a_handshake_that_is_almost_due(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "dump", f"\t{HANDSHAKE}\t", f"\t{NOW - 175}\t")


@broken("path-mtu")
def large_packets_to_services_vanish(sample: Sample) -> None:
    sample.traffic[f"{FRONT}>{BACK}"]["large"] = (14060, 0)
    sample.fail(WEB, "database", "bulk up")
    sample.fail(WEB, "broker", "bulk up")


@broken("path-mtu")
def large_packets_to_web_vanish(sample: Sample) -> None:
    sample.traffic[f"{BACK}>{FRONT}"]["large"] = (16552, 148)
    sample.fail(WEB, "database", "bulk down")


@fine
def wg0_with_another_mtu(sample: Sample) -> None:
    for gateway in GATEWAYS:
        for piece in ("links", "addresses"):
            with sample.edited(gateway, piece) as links:
                _wg0(links)["mtu"] = 1380


@broken("packet-loss", warning=True)
def some_packets_are_lost_on_the_underlay(sample: Sample) -> None:
    sample.traffic[f"{BACK}>{FRONT}"] |= {"small": (8000, 7600), "large": (16552, 15000)}


@broken("packet-loss", warning=True)
def many_packets_are_lost_on_the_underlay(sample: Sample) -> None:
    for sizes in sample.traffic.values():
        sizes |= {"small": (8000, 4800), "large": (16552, 9600)}


@fine
def one_packet_in_a_hundred_is_lost(sample: Sample) -> None:
    sample.traffic[f"{FRONT}>{BACK}"]["small"] = (8000, 7920)


@broken("keepalive-missing", warning=True)
def web_sends_no_keepalives(sample: Sample) -> None:
    sample.tell(FRONT, WG_PERSISTENT_KEEPALIVE="0")
    sample.change(FRONT, "dump", "\t25\n", "\toff\n")


@fine
def web_sends_keepalives_less_often(sample: Sample) -> None:
    sample.tell(FRONT, WG_PERSISTENT_KEEPALIVE="40")
    sample.change(FRONT, "dump", "\t25\n", "\t40\n")


@fine
def both_ends_know_where_the_other_is_and_send_no_keepalives(sample: Sample) -> None:
    sample.tell(BACK, WG_PEER_ENDPOINT="172.20.0.2:51820")
    web_sends_no_keepalives(sample)


@broken("reverse-path-filter")
def a_stray_route_and_a_strict_reverse_path_filter(sample: Sample) -> None:
    """The rules name no outgoing interface, so that nothing else stops what is forwarded."""
    sample.change(BACK, "rules", " -o eth0 -p tcp", " -p tcp")
    sample.change(BACK, "sysctls", "conf/all/rp_filter:0", "conf/all/rp_filter:1")
    with sample.edited(BACK, "routes") as routes:
        routes.append({"dst": "10.101.0.2", "dev": "eth1", "scope": "link", "flags": []})
    cut(sample, "database")


@fine
def a_strict_reverse_path_filter_and_routes_that_are_right(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "sysctls", "conf/all/rp_filter:0", "conf/all/rp_filter:1")


@fine
def a_stray_address_and_a_loose_reverse_path_filter(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "sysctls", "conf/all/rp_filter:0", "conf/all/rp_filter:2")


@broken("fail-open")
def nothing_lies_under_webs_tunnel_route(sample: Sample) -> None:
    with sample.edited(FRONT, "routes") as routes:
        routes[:] = [route for route in routes if route.get("type") != "blackhole"]


@broken("fail-open")
def a_wider_route_lies_before_the_blackhole(sample: Sample) -> None:
    with sample.edited(BACK, "routes") as routes:
        next(route for route in routes if route.get("type") == "blackhole")["dst"] = "10.100.0.0/16"
        routes.append({"dst": "10.100.0.0/20", "gateway": "172.20.0.1", "dev": "eth1", "flags": []})


@fine
def nothing_lies_under_the_tunnels_route_and_nothing_leads_elsewhere(sample: Sample) -> None:
    with sample.edited(FRONT, "routes") as routes:
        routes[:] = [route for route in routes if route.get("type") != "blackhole" and route["dst"] != "default"]


@fine
def an_unreachable_route_instead_of_a_blackhole(sample: Sample) -> None:
    sample.change(FRONT, "routes", "blackhole", "unreachable")


@broken("capability-missing")
def services_gateway_may_not_administer_its_network(sample: Sample) -> None:
    sample.containers[BACK]["capabilities"] = []
    without_gateway(sample, BACK, log="gateway: this container lacks NET_ADMIN\n")


@broken("capability-missing")
def webs_gateway_was_given_another_capability(sample: Sample) -> None:
    sample.containers[FRONT]["capabilities"] = ["NET_RAW"]
    without_gateway(sample, FRONT)


@fine
def a_privileged_gateway(sample: Sample) -> None:
    sample.containers[BACK] |= {"capabilities": [], "devices": [], "privileged": True}


@fine
def a_gateway_with_every_capability(sample: Sample) -> None:
    sample.containers[FRONT]["capabilities"] = ["ALL"]


@broken("device-missing")
def services_gateway_was_not_given_tun(sample: Sample) -> None:
    sample.containers[BACK]["devices"] = []
    without_gateway(sample, BACK, log="gateway: /dev/net/tun is not there\n")


@broken("device-missing")
def webs_gateway_is_to_use_wireguard_go_and_has_no_tun(sample: Sample) -> None:
    sample.containers[FRONT]["devices"] = []
    sample.tell(FRONT, WG_IMPLEMENTATION="userspace")
    without_gateway(sample, FRONT)


@fine
def a_gateway_that_uses_the_kernels_wireguard_without_tun(sample: Sample) -> None:
    sample.containers[BACK]["devices"] = []
    sample.change(BACK, "implementation", "wireguard-go", "kernel")


@broken("subnet-overlap")
def another_docker_network_has_the_subnet(sample: Sample) -> None:
    sample.networks.append(NetworkEvidence(name="foreign", subnets=("10.101.0.128/25",), project="x", ours=False))


@broken("subnet-overlap")
def another_docker_network_is_wider(sample: Sample) -> None:
    sample.networks.append(
        NetworkEvidence(name="foreign", subnets=("fd00::/64", "172.16.0.0/12"), project=None, ours=False)
    )


@fine
def other_docker_networks_that_have_the_tunnels_subnet(sample: Sample) -> None:
    """No gateway is on it: in its own namespace the tunnel's subnet is its own."""
    sample.networks.append(NetworkEvidence(name="vpn", subnets=("10.100.0.0/24",), project="vpn", ours=False))


@fine
def a_network_right_beside(sample: Sample) -> None:
    sample.networks.append(NetworkEvidence(name="beside", subnets=("10.101.1.0/24",), project=None, ours=True))
    attachment = {"network": "beside", "address": "10.101.1.2", "prefix": 24, "wanted": None}
    sample.containers[SERVICES]["attachments"].append(attachment)
