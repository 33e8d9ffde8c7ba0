"""Rules about the gateways and what is between them: keys, interface, routes, handshake, allowed IPs."""

from __future__ import annotations

import pytest

from harness.diagnosis.evidence import NetworkEvidence

from .evidence_samples import (
    BACK,
    FRONT,
    GATEWAYS,
    HANDSHAKE,
    NOW,
    OTHER_KEY,
    OTHER_SEAL,
    PSK_SEAL,
    SERVICES_KEY,
    SERVICES_SEAL,
    WEB,
    WEB_KEY,
    WEB_SEAL,
    Sample,
)
from .sample_cases import Case, Cases

cases = Cases()

IDLE_PEER = f"wg0\t{OTHER_KEY}\t(none)\t(none)\t10.100.0.77/32\t0\t0\t0\toff\n"


def _file(sample: Sample, gateway: str, name: str, **values: object) -> None:
    with sample.edited(gateway, "secret-files") as files:
        next(each for each in files if each["path"].endswith(name)).update(values)


# --- keys


@cases.makes("peer-key-mismatch")
def a_stranger_is_expected(sample: Sample) -> None:
    sample.change(FRONT, "dump", SERVICES_KEY, OTHER_KEY)
    _file(sample, FRONT, "public_key", content=OTHER_KEY)
    sample.kill_tunnel()


@cases.makes("peer-key-mismatch")
def a_stranger_is_expected_at_the_other_end(sample: Sample) -> None:
    sample.change(BACK, "dump", WEB_KEY, OTHER_KEY)
    _file(sample, BACK, "public_key", content=OTHER_KEY)
    sample.kill_tunnel()


@cases.spares("peer-key-mismatch")
def an_idle_peer_is_known_too(sample: Sample) -> None:
    sample.pieces[FRONT]["dump"] += IDLE_PEER
    sample.change(BACK, "dump", f"wg0\t{WEB_KEY}", f"{IDLE_PEER}wg0\t{WEB_KEY}")


@cases.makes("preshared-key-mismatch")
def the_preshared_keys_differ(sample: Sample) -> None:
    sample.change(BACK, "dump", PSK_SEAL, OTHER_SEAL)
    _file(sample, BACK, "preshared_key", seal=OTHER_SEAL)
    sample.kill_tunnel()


@cases.makes("preshared-key-mismatch")
def one_end_has_no_preshared_key(sample: Sample) -> None:
    sample.change(FRONT, "dump", PSK_SEAL, "(none)")
    sample.tell(FRONT, WG_PRESHARED_KEY_FILE=None)
    sample.kill_tunnel()


@cases.spares("preshared-key-mismatch")
def neither_end_has_a_preshared_key(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "dump", PSK_SEAL, "(none)")
        sample.tell(gateway, WG_PRESHARED_KEY_FILE=None)


@cases.makes("private-key-invalid")
def a_private_key_is_cut_off(sample: Sample) -> None:
    _file(sample, BACK, "private_key", fault="has 31 bytes where a key has 32", public=None)
    sample.stop(BACK, log="gateway: WG_PRIVATE_KEY_FILE: not a key\n")
    sample.problems.append("not measured")
    sample.kill_tunnel()


@cases.makes("private-key-invalid")
def a_private_key_is_empty(sample: Sample) -> None:
    _file(sample, FRONT, "private_key", empty=True, public=None, seal="(none)", fault="is empty")
    sample.stop(FRONT, "restarting")
    sample.stop(WEB)


@cases.makes("private-key-invalid")
def a_private_key_is_not_there(sample: Sample) -> None:
    with sample.edited(FRONT, "secret-files") as files:
        files[:] = [each for each in files if not each["path"].endswith("private_key")]
    sample.stop(FRONT, log="gateway: WG_PRIVATE_KEY_FILE: /run/secrets/wg_private_key cannot be read\n")
    sample.stop(WEB)


@cases.makes("key-file-invalid")
def a_peers_public_key_is_no_key(sample: Sample) -> None:
    _file(sample, FRONT, "public_key", fault="is not base64", content="no key")
    sample.stop(FRONT, log="gateway: WG_PEER_PUBLIC_KEY_FILE: not a key\n")
    sample.stop(WEB)


@cases.makes("key-file-invalid")
def a_preshared_key_is_no_key(sample: Sample) -> None:
    _file(sample, BACK, "preshared_key", fault="has 16 bytes where a key has 32", seal=OTHER_SEAL)
    sample.stop(BACK, log="gateway: WG_PRESHARED_KEY_FILE: not a key\n")
    sample.kill_tunnel()


@cases.makes("peer-key-is-own")
def a_gateway_is_its_own_peer(sample: Sample) -> None:
    _file(sample, FRONT, "public_key", content=WEB_KEY)
    sample.stop(FRONT, log="gateway: WG_PEER_PUBLIC_KEY_FILE holds the own public key\n")
    sample.stop(WEB)


@cases.makes("key-reused")
def both_ends_have_one_pair(sample: Sample) -> None:
    sample.change(BACK, "dump", SERVICES_KEY, WEB_KEY)
    sample.change(BACK, "dump", SERVICES_SEAL, WEB_SEAL)
    _file(sample, BACK, "private_key", public=WEB_KEY, seal=WEB_SEAL)
    sample.change(FRONT, "dump", SERVICES_KEY, WEB_KEY)
    _file(sample, FRONT, "public_key", content=WEB_KEY)
    sample.kill_tunnel()


@cases.makes("key-not-reloaded")
def a_private_key_was_replaced_and_the_peer_knows(sample: Sample) -> None:
    _file(sample, BACK, "private_key", public=OTHER_KEY, seal=OTHER_SEAL)
    _file(sample, FRONT, "public_key", content=OTHER_KEY)
    sample.change(FRONT, "dump", SERVICES_KEY, OTHER_KEY)
    sample.kill_tunnel()


@cases.makes("key-not-reloaded")
def a_preshared_key_was_replaced_at_one_end(sample: Sample) -> None:
    for gateway in GATEWAYS:
        _file(sample, gateway, "preshared_key", seal=OTHER_SEAL)
    sample.change(FRONT, "dump", PSK_SEAL, OTHER_SEAL)
    sample.kill_tunnel()


@cases.spares("key-not-reloaded")
def a_key_is_given_as_a_setting(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_PUBLIC_KEY_FILE=None, WG_PEER_PUBLIC_KEY=SERVICES_KEY)
    with sample.edited(FRONT, "secret-files") as files:
        del files[0]


# --- interface, addresses, routes


@cases.makes("interface-missing")
def wg0_is_gone(sample: Sample) -> None:
    for piece in ("addresses", "links", "routes"):
        with sample.edited(BACK, piece) as entries:
            entries[:] = [each for each in entries if "wg0" not in (each.get("ifname"), each.get("dev"))]
    sample.without_lines(BACK, "dump", "wg0")
    sample.without_lines(BACK, "sysctls", "wg0")
    sample.kill_tunnel()


@cases.makes("interface-down")
def wg0_is_down(sample: Sample) -> None:
    for piece in ("addresses", "links"):
        with sample.edited(FRONT, piece) as entries:
            entries[1]["flags"] = ["POINTOPOINT", "NOARP"]
    with sample.edited(FRONT, "routes") as routes:
        routes[:] = [each for each in routes if each.get("dev") != "wg0"]
    sample.kill_tunnel(handshake=HANDSHAKE - 600)


@cases.makes("address-missing")
def wg0_has_no_address(sample: Sample) -> None:
    with sample.edited(BACK, "addresses") as entries:
        entries[1]["addr_info"] = []
    with sample.edited(BACK, "routes") as routes:
        routes[:] = [each for each in routes if each.get("dev") != "wg0"]
    sample.kill_tunnel(handshake=HANDSHAKE)


@cases.makes("address-missing")
def wg0_has_another_address(sample: Sample) -> None:
    sample.change(BACK, "addresses", "10.100.0.11", "10.100.0.12")
    sample.kill_tunnel(handshake=HANDSHAKE)


@cases.spares("address-missing")
def wg0_has_an_address_more(sample: Sample) -> None:
    with sample.edited(BACK, "addresses") as entries:
        entries[1]["addr_info"].append({"family": "inet", "local": "10.100.0.12", "prefixlen": 24})


@cases.makes("address-duplicated")
def both_ends_have_one_tunnel_address(sample: Sample) -> None:
    sample.tell(FRONT, WG_ADDRESS="10.100.0.11/24")
    for piece in ("addresses", "routes"):
        sample.change(FRONT, piece, "10.100.0.10", "10.100.0.11")
    sample.kill_tunnel(handshake=HANDSHAKE)


@cases.makes("address-duplicated")
def a_stray_address_is_the_other_ends(sample: Sample) -> None:
    with sample.edited(FRONT, "addresses") as entries:
        entries[2]["addr_info"].append({"family": "inet", "local": "10.100.0.11", "prefixlen": 32})
    sample.fail_tunnel(errno=111, said="[Errno 111] Connection refused")


@cases.makes("route-missing")
def the_route_into_the_tunnel_is_gone(sample: Sample) -> None:
    with sample.edited(FRONT, "routes") as routes:
        del routes[1]
    sample.kill_tunnel(handshake=HANDSHAKE)


@cases.makes("route-missing")
def the_route_leads_elsewhere(sample: Sample) -> None:
    with sample.edited(FRONT, "routes") as routes:
        routes.append({"dst": "10.100.0.11", "dev": "eth0", "gateway": "172.20.0.1", "flags": []})
    sample.kill_tunnel(handshake=HANDSHAKE)


@cases.spares("route-missing")
def a_host_route_leads_into_the_tunnel(sample: Sample) -> None:
    with sample.edited(FRONT, "routes") as routes:
        routes[1]["dst"] = "10.100.0.11"


@cases.makes("fail-open")
def nothing_is_under_the_tunnels_route(sample: Sample) -> None:
    with sample.edited(FRONT, "routes") as routes:
        del routes[2]


@cases.spares("fail-open")
def nothing_is_under_it_and_nothing_leads_there(sample: Sample) -> None:
    with sample.edited(BACK, "routes") as routes:
        del routes[2], routes[0]


@cases.spares("fail-open")
def it_is_unreachable_instead_of_a_black_hole(sample: Sample) -> None:
    with sample.edited(FRONT, "routes") as routes:
        routes[2]["type"] = "unreachable"


@cases.makes("capability-missing")
def net_admin_was_not_given(sample: Sample) -> None:
    sample.containers[BACK]["capabilities"] = ["NET_RAW"]
    sample.stop(BACK, "restarting", log="gateway: NET_ADMIN is missing\n")
    sample.kill_tunnel()


@cases.spares("capability-missing")
def all_was_given(sample: Sample) -> None:
    sample.containers[BACK] |= {"capabilities": [], "privileged": True}
    sample.containers[FRONT]["capabilities"] = ["ALL"]


@cases.makes("device-missing")
def the_tun_device_was_not_given(sample: Sample) -> None:
    sample.containers[FRONT]["devices"] = []
    sample.stop(FRONT, log="gateway: /dev/net/tun is not there, and the kernel has no WireGuard\n")
    sample.stop(WEB)


@cases.spares("device-missing")
def the_kernel_has_wireguard(sample: Sample) -> None:
    sample.containers[FRONT]["devices"] = []


@cases.makes("subnet-overlap")
def another_deployment_has_our_addresses(sample: Sample) -> None:
    sample.networks.append(NetworkEvidence(name="foreign", subnets=("10.101.0.0/16",), project=None, ours=False))


@cases.makes("subnet-overlap")
def the_underlay_has_the_tunnels_addresses(sample: Sample) -> None:
    sample.networks.append(NetworkEvidence(name="third", subnets=("10.100.0.128/25",), project="x", ours=True))


@cases.spares("subnet-overlap")
def there_are_other_networks_and_ipv6(sample: Sample) -> None:
    more = ("fd00:1::/64", "10.100.1.0/24")
    sample.networks.append(NetworkEvidence(name="third", subnets=more, project="x", ours=True))
    attached = {"network": "third", "address": "10.100.1.9", "prefix": 24, "wanted": None}
    sample.containers[WEB]["attachments"] = []
    sample.containers["celery"]["attachments"].append(attached)


# --- handshake and underlay


@cases.makes("endpoint-wrong")
def the_endpoint_is_nobodys_address(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT="172.20.0.9:51820")
    sample.change(FRONT, "dump", "172.20.0.3:51820", "172.20.0.9:51820")
    sample.kill_tunnel()


@cases.makes("endpoint-wrong")
def the_endpoint_has_another_port(sample: Sample) -> None:
    sample.tell(BACK, WG_LISTEN_PORT="51821")
    sample.change(BACK, "dump", "\t51820\toff", "\t51821\toff")
    sample.kill_tunnel()


@cases.spares("endpoint-wrong")
def the_peer_has_roamed(sample: Sample) -> None:
    sample.change(FRONT, "dump", "172.20.0.3:51820", "172.20.0.1:40312")
    sample.change(BACK, "dump", "172.20.0.2:51820", "172.20.0.1:51001")


@cases.spares("endpoint-wrong")
def the_endpoint_is_a_name(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ENDPOINT="wireguard-services:51820")


@cases.makes("peer-unreachable")
def the_underlay_carries_nothing(sample: Sample) -> None:
    sample.kill_tunnel(handshake=HANDSHAKE - 600)


@cases.makes("peer-unreachable")
def a_rule_drops_wireguards_packets(sample: Sample) -> None:
    rule = "[1320:302858] -A INPUT"
    sample.change(BACK, "rules", rule, f"[9:999] -A INPUT -p udp -m udp --dport 51820 -j DROP\n{rule}")
    sample.kill_tunnel(handshake=HANDSHAKE - 600)


@cases.spares("peer-unreachable")
def udp_of_another_port_is_dropped(sample: Sample) -> None:
    rule = "[1320:302858] -A INPUT"
    sample.change(BACK, "rules", rule, f"[9:999] -A INPUT -p udp -m udp --dport 53 -j DROP\n{rule}")


@cases.makes("handshake-stale")
def the_handshake_is_old_though_packets_arrive(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "dump", f"\t{HANDSHAKE}\t", f"\t{NOW - 181}\t")


@cases.spares("handshake-stale")
def the_handshake_is_as_old_as_may_be(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "dump", f"\t{HANDSHAKE}\t", f"\t{NOW - 179}\t")


@cases.makes("packet-loss")
def a_third_is_lost(sample: Sample) -> None:
    sample.traffic[f"{FRONT}>{BACK}"]["small"] = (8000, 5600)


@cases.spares("packet-loss")
def one_of_a_hundred_is_late(sample: Sample) -> None:
    sample.traffic[f"{FRONT}>{BACK}"]["small"] = (8000, 7920)


@cases.spares("packet-loss")
def more_arrives_than_was_sent(sample: Sample) -> None:
    sample.traffic[f"{BACK}>{FRONT}"] = {"small": (8000, 9300), "large": (16552, 17000)}


@cases.makes("path-mtu")
def large_packets_vanish(sample: Sample) -> None:
    sample.traffic[f"{FRONT}>{BACK}"]["large"] = (14060, 0)
    sample.fail(WEB, "database", "bulk up")
    sample.fail(WEB, "broker", "bulk up")


@cases.makes("path-mtu")
def large_packets_vanish_and_somebodys_beside_the_small_ones_too(sample: Sample) -> None:
    sample.traffic[f"{BACK}>{FRONT}"] = {"small": (8000, 7000), "large": (16552, 1000)}
    sample.fail(WEB, "database", "bulk down")


@cases.makes("keepalive-missing")
def nobody_keeps_the_way_open(sample: Sample) -> None:
    sample.tell(FRONT, WG_PERSISTENT_KEEPALIVE="0")
    sample.change(FRONT, "dump", "\t25\n", "\toff\n")


@cases.spares("keepalive-missing")
def the_keepalive_is_a_long_one(sample: Sample) -> None:
    sample.change(FRONT, "dump", "\t25\n", "\t120\n")


# --- allowed IPs


@cases.makes("allowed-ips-missing")
def the_other_end_is_not_allowed(sample: Sample) -> None:
    sample.tell(FRONT, WG_PEER_ALLOWED_IPS="10.100.0.12/32")
    sample.change(FRONT, "dump", "10.100.0.11/32", "10.100.0.12/32")
    sample.kill_tunnel(handshake=HANDSHAKE)


@cases.makes("allowed-ips-missing")
def nothing_is_allowed(sample: Sample) -> None:
    sample.change(BACK, "dump", "10.100.0.10/32", "(none)")
    sample.kill_tunnel(handshake=HANDSHAKE)


@cases.spares("allowed-ips-missing")
def several_networks_are_allowed_and_ipv6(sample: Sample) -> None:
    sample.change(FRONT, "dump", "10.100.0.11/32", "192.168.7.0/24,fd00::11/128,10.100.0.0/28")


# --- rp_filter


@cases.makes("reverse-path-filter")
def strict_filtering_meets_a_way_back_by_another_device(sample: Sample) -> None:
    sample.change(BACK, "sysctls", "conf/all/rp_filter:0", "conf/all/rp_filter:1")
    with sample.edited(BACK, "routes") as routes:
        routes.append({"dst": "10.101.0.2", "dev": "eth1", "gateway": "172.20.0.1", "flags": []})
    sample.change(BACK, "rules", "-o eth0 ", "")
    sample.fail(WEB, "database", "connect")


@cases.spares("reverse-path-filter")
def strict_filtering_and_all_goes_back_as_it_came(sample: Sample) -> None:
    for gateway in GATEWAYS:
        sample.change(gateway, "sysctls", "conf/all/rp_filter:0", "conf/all/rp_filter:1")
        sample.change(gateway, "sysctls", "conf/wg0/rp_filter:0", "conf/wg0/rp_filter:1")


# --- exposure


@cases.makes("secret-permissions")
def a_private_key_is_readable_by_all(sample: Sample) -> None:
    _file(sample, FRONT, "private_key", mode="644")


@cases.makes("secret-permissions")
def a_password_is_readable_by_the_group(sample: Sample) -> None:
    _file(sample, "mariadb", "db_root_password", mode="0640")


@cases.spares("secret-permissions")
def secrets_are_read_only(sample: Sample) -> None:
    _file(sample, FRONT, "private_key", mode="400")
    _file(sample, FRONT, "public_key", mode="444")


# --- all of them


@pytest.mark.parametrize("case", cases.broken, ids=str)
def test_the_cause_alone_is_the_root(case: Case) -> None:
    """Of everything that a fault brings about, exactly its cause is named as the root."""
    case.check()


@pytest.mark.parametrize("case", cases.well, ids=str)
def test_what_looks_alike_and_works_is_healthy(case: Case) -> None:
    """The nearest neighbour of a fault that breaks nothing is not found at all."""
    case.check()
