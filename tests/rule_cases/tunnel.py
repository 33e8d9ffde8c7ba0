"""The tunnel's ends and what lies between them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from harness.diagnosis.evidence import NetworkEvidence
from tests.evidence_samples import APPS, BACK, FRONT, GATEWAYS, HANDSHAKE, NOW, SERVICES, WEB, Sample

from . import broken, fine, untold, without_data, without_gateway, without_interface, without_route


def _wg0(links: list[dict[str, Any]]) -> dict[str, Any]:
    return next(link for link in links if link["ifname"] == "wg0")


@broken("interface-missing")
def services_runs_without_wg0(sample: Sample) -> None:
    without_interface(sample, BACK)


@broken("interface-missing")
def wg0_is_there_and_is_no_wireguard_interface(sample: Sample) -> None:
    sample.kill_tunnel()
    sample.pieces[BACK] |= {"dump": "", "dump-before": ""}
    untold(sample, "there is no wg0")


@broken("interface-down", "fail-open")
def wg0_is_down_and_nothing_lies_under_its_route(sample: Sample) -> None:
    sample.kill_tunnel()
    for piece in ("addresses", "links"):
        with sample.edited(FRONT, piece) as links:
            _wg0(links)["flags"] = []
    with sample.edited(FRONT, "routes") as routes:
        routes[:] = [route for route in routes if route["dst"] != "10.100.0.0/24"]


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


@broken("allowed-ips-missing")
def the_peer_may_have_other_networks(sample: Sample) -> None:
    without_data(sample)
    sample.change(FRONT, "dump", "10.100.0.11/32", "10.100.0.64/26,192.168.0.0/16")


@broken("allowed-ips-taken")
def another_peer_took_over_the_address(sample: Sample) -> None:
    """An address belongs to one peer: setting it on another takes it from the first."""
    without_data(sample)
    sample.change(FRONT, "dump", "10.100.0.11/32", "(none)")
    _with_another_peer(sample, FRONT, "10.100.0.11/32")


@broken("allowed-ips-taken")
def another_peer_has_the_address_in_a_narrower_network(sample: Sample) -> None:
    without_data(sample)
    sample.change(FRONT, "dump", "10.100.0.11/32", "10.100.0.0/24")
    _with_another_peer(sample, FRONT, "10.100.0.11/32")


@fine
def another_peer_has_a_wider_network(sample: Sample) -> None:
    _with_another_peer(sample, FRONT, "10.100.0.0/24")


def _with_another_peer(sample: Sample, gateway: str, allowed: str) -> None:
    stranger = "wg0\t" + "S" * 43 + f"=\t(none)\t(none)\t{allowed}\t0\t0\t0\toff\n"
    sample.pieces[gateway]["dump"] += stranger


@fine
def a_peer_that_may_have_every_address(sample: Sample) -> None:
    sample.change(FRONT, "dump", "10.100.0.11/32", "0.0.0.0/0,::/0")
    sample.tell(FRONT, WG_PEER_ALLOWED_IPS="0.0.0.0/0")


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


def _without_endpoint(sample: Sample, *gateways: str) -> None:
    """Have web's gateway not be told where services' is, and these not know where the other one is."""
    sample.tell(FRONT, WG_PEER_ENDPOINT="")
    for gateway, known in ((FRONT, "172.20.0.3:51820"), (BACK, "172.20.0.2:51820")):
        if gateway in gateways:
            sample.change(gateway, "dump", known, "(none)")


@broken("endpoint-missing")
def services_knows_where_web_was_and_has_nothing_to_send(sample: Sample) -> None:
    _without_endpoint(sample, FRONT)
    sample.kill_tunnel()


@fine
def an_endpoint_was_set_by_hand(sample: Sample) -> None:
    _without_endpoint(sample)


@fine
def services_has_begun_and_told_web_where_it_is(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT=None)
    sample.tell(BACK, WG_PEER_ENDPOINT="172.20.0.2:51820", WG_PERSISTENT_KEEPALIVE="25")
    sample.change(BACK, "dump", "\toff\n", "\t25\n")


@fine
def an_endpoint_that_has_roamed_while_the_tunnel_is_alive(sample: Sample) -> None:
    sample.change(FRONT, "dump", "172.20.0.3:51820", "172.20.0.77:40123")
    sample.change(BACK, "dump", "172.20.0.2:51820", "192.0.2.9:1024")


def with_a_foreign_peer_first(sample: Sample, *gateways: str) -> None:
    """Have gateways serve a third end as well, which is elsewhere, well, and listed before the other end."""
    stranger = "wg0\t" + "S" * 43 + f"=\t(none)\t198.51.100.9:51820\t10.99.0.0/24\t{HANDSHAKE}\t1\t1\toff\n"
    for gateway in gateways:
        own, _, _ = sample.pieces[gateway]["dump"].partition("\n")
        sample.change(gateway, "dump", f"{own}\n", f"{own}\n{stranger}")


@fine
def a_foreign_peer_is_served_too(sample: Sample) -> None:
    with_a_foreign_peer_first(sample, *GATEWAYS)


@broken("peer-unreachable")
def the_underlay_was_cut_and_a_foreign_peer_is_well(sample: Sample) -> None:
    sample.kill_tunnel()
    with_a_foreign_peer_first(sample, *GATEWAYS)


@broken("peer-unreachable")
def the_underlay_was_cut_unmeasured_and_a_foreign_peer_is_well(sample: Sample) -> None:
    """The only sign is that the two have not shaken hands; with somebody else they have."""
    sample.kill_tunnel()
    untold(sample, "it was not tried")
    with_a_foreign_peer_first(sample, *GATEWAYS)


@broken("endpoint-wrong")
def the_other_end_is_looked_for_elsewhere_and_a_foreign_peer_is_well(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT="172.20.0.77:51820")
    sample.change(FRONT, "dump", "172.20.0.3:51820", "172.20.0.77:51820")
    sample.kill_tunnel()
    with_a_foreign_peer_first(sample, FRONT)


@broken("handshake-stale")
def the_last_handshake_with_the_other_end_is_old_and_that_with_a_foreign_peer_is_not(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "dump", f"\t{HANDSHAKE}\t", f"\t{NOW - 181}\t")
    with_a_foreign_peer_first(sample, *GATEWAYS)


@broken("peer-unreachable")
def the_underlay_was_cut_after_a_while(sample: Sample) -> None:
    sample.kill_tunnel(handshake=NOW - 400)


@broken("peer-unreachable")
def the_underlay_was_cut_just_now(sample: Sample) -> None:
    """The session is as good as any for three minutes; the counters tell."""
    sample.kill_tunnel(handshake=NOW - 20)


@broken("endpoint-missing")
def neither_end_was_told_where_the_other_is(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT=None, WG_PERSISTENT_KEEPALIVE=None)
    sample.change(FRONT, "dump", "172.20.0.3:51820", "(none)")
    sample.change(FRONT, "dump", "\t25\n", "\toff\n")
    sample.change(BACK, "dump", "172.20.0.2:51820", "(none)")
    for gateway in GATEWAYS:
        sample.change(gateway, "dump", f"\t{HANDSHAKE}\t", "\t0\t")
    without_data(sample, said="[Errno 89] Destination address required", errno=89)


@broken("path-mtu")
def large_packets_to_web_vanish(sample: Sample) -> None:
    sample.traffic[f"{BACK}>{FRONT}"]["large"] = (16552, 148)
    sample.fail(WEB, "database", "bulk down")


@broken("path-mtu")
def large_packets_vanish_on_a_way_that_loses_others_too(sample: Sample) -> None:
    sample.traffic[f"{BACK}>{FRONT}"] |= {"small": (8000, 6400), "large": (16552, 148)}
    sample.fail(WEB, "database", "bulk down")


@fine
def wg0_with_another_mtu(sample: Sample) -> None:
    for gateway in GATEWAYS:
        for piece in ("links", "addresses"):
            with sample.edited(gateway, piece) as links:
                _wg0(links)["mtu"] = 1380


@broken("packet-loss")
def many_packets_are_lost_on_the_underlay(sample: Sample) -> None:
    for sizes in sample.traffic.values():
        sizes |= {"small": (8000, 4800), "large": (16552, 9600)}


@broken("packet-loss")
def many_packets_are_lost_and_most_large_ones_by_accident(sample: Sample) -> None:
    for sizes in sample.traffic.values():
        sizes |= {"small": (8000, 4800), "large": (16552, 3310)}


@broken("keepalive-missing")
def web_sends_no_keepalives(sample: Sample) -> None:
    sample.tell(FRONT, WG_PERSISTENT_KEEPALIVE="0")
    sample.change(FRONT, "dump", "\t25\n", "\toff\n")


@fine
def both_ends_know_where_the_other_is_and_send_no_keepalives(sample: Sample) -> None:
    sample.tell(BACK, WG_PEER_ENDPOINT="172.20.0.2:51820")
    web_sends_no_keepalives(sample)


@fine
def a_stray_address_and_a_loose_reverse_path_filter(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "sysctls", "conf/all/rp_filter:0", "conf/all/rp_filter:2")


@broken("fail-open")
def a_wider_route_lies_before_the_blackhole(sample: Sample) -> None:
    with sample.edited(BACK, "routes") as routes:
        next(route for route in routes if route.get("type") == "blackhole")["dst"] = "10.100.0.0/16"
        routes.append({"dst": "10.100.0.0/20", "gateway": "172.20.0.1", "dev": "eth1", "flags": []})


@broken("capability-missing")
def webs_gateway_was_given_another_capability(sample: Sample) -> None:
    sample.containers[FRONT]["capabilities"] = ["NET_RAW"]
    without_gateway(sample, FRONT)


@fine
def a_privileged_gateway(sample: Sample) -> None:
    sample.containers[BACK] |= {"capabilities": [], "devices": [], "privileged": True}


@broken("device-missing")
def webs_gateway_is_to_use_wireguard_go_and_has_no_tun(sample: Sample) -> None:
    sample.containers[FRONT]["devices"] = []
    sample.tell(FRONT, WG_IMPLEMENTATION="userspace")
    without_gateway(sample, FRONT)


@broken("subnet-overlap")
def another_docker_network_is_wider(sample: Sample) -> None:
    sample.networks.append(
        NetworkEvidence(name="foreign", subnets=("fd00::/64", "172.16.0.0/12"), project=None, ours=False)
    )


@broken("subnet-overlap")
def the_backends_network_has_the_tunnels_addresses(sample: Sample) -> None:
    """As in the deployment's first version: what is forwarded lies inside the tunnel, and on the network as well."""
    sample.networks = [
        replace(each, subnets=("10.100.0.0/24",)) if each.subnets == ("10.101.0.0/24",) else each
        for each in sample.networks
    ]
    moved = json.dumps(sample.containers).replace("10.101.0.", "10.100.0.")
    sample.containers = json.loads(moved)
    for app in APPS:
        sample.pieces[app]["backends"] = sample.pieces[app]["backends"].replace("10.101.0.", "10.100.0.")
    without_gateway(sample, BACK, log="gateway: WG_FORWARD_PORTS='3306:tcp:10.100.0.2': lies inside the tunnel\n")


@fine
def other_docker_networks_that_have_the_tunnels_subnet(sample: Sample) -> None:
    """No gateway is on it: in its own namespace the tunnel's subnet is its own."""
    sample.networks.append(NetworkEvidence(name="vpn", subnets=("10.100.0.0/24",), project="vpn", ours=False))


@fine
def a_network_right_beside(sample: Sample) -> None:
    sample.networks.append(NetworkEvidence(name="beside", subnets=("10.101.1.0/24",), project=None, ours=True))
    attachment = {"network": "beside", "address": "10.101.1.2", "prefix": 24, "wanted": None}
    sample.containers[SERVICES]["attachments"].append(attachment)


@fine
def the_ends_counters_were_read_a_moment_apart(sample: Sample) -> None:
    """A keepalive arrived that was counted at its sender before: of nothing sent, something came."""
    for sizes in sample.traffic.values():
        sizes |= {"small": (0, 32)}
