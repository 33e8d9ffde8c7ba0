"""What the applications were seen to do stands, whatever the gateway's rules look like; and what these do not show."""

from __future__ import annotations

from harness.diagnosis.evidence import NetworkEvidence
from tests.evidence_samples import (
    APPS,
    BACK,
    CELERY,
    FORWARDS,
    FRONT,
    MARIADB,
    REFUSED,
    SERVICES,
    WEB,
    Sample,
    forward_rules,
)

from . import broken, cut, fine

_DNAT, _MASQUERADE, _ACCEPT = forward_rules(3306, "10.101.0.2")
_LEGACY = "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n"
_NATIVE = "# Table `nat' is incompatible, use 'nft' tool.\n"
_BY_SET = "[935:197165] -A FORWARD -i wg0 -m set --match-set backends dst,dst -j ACCEPT\n"
_DEAD = {"errno": 113, "code": None, "timed_out": False, "said": "[Errno 113] No route to host"}


def _show(sample: Sample, rules: str) -> None:
    sample.pieces[BACK] |= {"rules": rules, "rules-before": rules}


def _make_nat_by_nft(sample: Sample) -> None:
    shown, _, _ = sample.pieces[BACK]["rules"].partition("*nat\n")
    _show(sample, shown + _NATIVE)


def _dial(sample: Sample, app: str, host: str) -> None:
    sample.tell(app, DATABASE_HOST=host)
    with sample.edited(app, "backends") as reaches:
        reaches["database"]["host"] = host


# --- rules that are not shown


@fine
def rules_of_the_other_iptables(sample: Sample) -> None:
    _show(sample, _LEGACY)


@fine
def a_nat_table_of_nfts_own(sample: Sample) -> None:
    _make_nat_by_nft(sample)


@broken("undiagnosed")
def a_nat_table_of_nfts_own_and_a_path_that_fails(sample: Sample) -> None:
    """The rule may well be there."""
    _make_nat_by_nft(sample)
    sample.fail(WEB, "database", "connect", **REFUSED)


@broken("undiagnosed")
def a_masquerade_may_be_the_other_iptables(sample: Sample) -> None:
    sample.change(BACK, "rules", _MASQUERADE, "")
    _show(sample, sample.pieces[BACK]["rules"] + _LEGACY)
    cut(sample, "database")


@broken("undiagnosed")
def a_forward_for_tcp_may_be_the_other_iptables(sample: Sample) -> None:
    sample.change(BACK, "rules", _DNAT, forward_rules(3306, "10.101.0.2", protocol="udp")[0])
    _show(sample, sample.pieces[BACK]["rules"] + _LEGACY)
    sample.fail(WEB, "database", "connect", **REFUSED)


@broken("forward-dropped")
def what_is_shown_drops_it_whatever_else_there_is(sample: Sample) -> None:
    """A packet has to pass the rules of both."""
    sample.change(BACK, "rules", _ACCEPT, "")
    _show(sample, sample.pieces[BACK]["rules"] + _LEGACY)
    cut(sample, "database")


# --- rules of which cannot be told what they match


@fine
def what_is_accepted_is_in_a_set(sample: Sample) -> None:
    sample.change(BACK, "rules", _ACCEPT, _BY_SET)


@broken("backend-down")
def what_is_accepted_is_in_a_set_and_mariadb_is_down(sample: Sample) -> None:
    sample.change(BACK, "rules", _ACCEPT, _BY_SET)
    sample.stop(MARIADB)
    for app in APPS:
        sample.fail(app, "database", "connect", **_DEAD)


@broken("backend-down")
def what_web_sends_is_accepted_by_its_user_and_mariadb_is_down(sample: Sample) -> None:
    sample.change(
        FRONT,
        "rules",
        ":OUTPUT ACCEPT [0:0]\n[1320",
        ":OUTPUT DROP [0:0]\n[935:55555] -A OUTPUT -o wg0 -m owner --uid-owner 999 -j ACCEPT\n[1320",
    )
    sample.stop(MARIADB)
    for app in APPS:
        sample.fail(app, "database", "connect", **_DEAD)


@fine
def the_source_is_rewritten_by_a_mark(sample: Sample) -> None:
    for port, address in FORWARDS.items():
        sample.change(BACK, "rules", forward_rules(port, address)[1], "")
    marked = "[9:540] -A POSTROUTING -m mark --mark 0x66 -j MASQUERADE\n"
    sample.change(BACK, "rules", "[0:0] -A DOCKER_OUTPUT", f"{marked}[0:0] -A DOCKER_OUTPUT")


# --- other ways that work


@fine
def the_backends_answer_by_a_route_of_their_machine(sample: Sample) -> None:
    for port, address in FORWARDS.items():
        sample.change(BACK, "rules", forward_rules(port, address)[1], "")


@fine
def a_program_of_the_gateways_passes_on_what_comes(sample: Sample) -> None:
    sample.without_lines(BACK, "rules", "PREROUTING -i wg0")


@fine
def a_rule_for_udp_beside_such_a_program(sample: Sample) -> None:
    sample.change(BACK, "rules", _DNAT, forward_rules(3306, "10.101.0.2", protocol="udp")[0])


@fine
def an_exemption_from_tracking_beside_such_a_program(sample: Sample) -> None:
    exempt = "[9:540] -A PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j CT --notrack\n"
    sample.change(BACK, "rules", "*mangle\n", f"*raw\n:PREROUTING ACCEPT [0:0]\n{exempt}COMMIT\n*mangle\n")


@fine
def an_earlier_rule_leads_to_mariadb_by_a_proxy(sample: Sample) -> None:
    earlier = "[9:540] -A PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j DNAT --to-destination 10.101.0.20:3306\n"
    sample.change(BACK, "rules", _DNAT, earlier + _DNAT)


@broken("forward-rule-shadowed")
def somebody_else_takes_the_connections_to_services(sample: Sample) -> None:
    """That a connection is made does not say with whom."""
    dnat = forward_rules(8001, "10.101.0.5")[0]
    sample.change(BACK, "rules", dnat, dnat.replace("10.101.0.5", "10.101.0.99") + dnat)


@broken("forward-rule-shadowed")
def somebody_else_takes_the_connections_to_mariadb_and_services_was_not_tried(sample: Sample) -> None:
    taken = "[9:540] -A PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j REDIRECT --to-ports 9\n"
    sample.change(BACK, "rules", _DNAT, taken + _DNAT)
    sample.fail(WEB, "database", "connect", **REFUSED)
    with sample.edited(WEB, "backends") as reaches:
        del reaches["10.100.0.11:8001"]


@fine
def web_dials_a_proxy_in_its_own_namespace(sample: Sample) -> None:
    _dial(sample, WEB, "127.0.0.1")


@fine
def the_tunnel_is_routed_to_mariadb(sample: Sample) -> None:
    _dial(sample, WEB, "10.101.0.2")
    with sample.edited(FRONT, "routes") as routes:
        routes.append({"dst": "10.101.0.0/24", "dev": "wg0", "scope": "link", "flags": []})


@broken("setting-contradicted")
def web_reaches_a_database_past_the_tunnel(sample: Sample) -> None:
    """All works, and whoever listens on the way reads it."""
    _dial(sample, WEB, "203.0.113.7")


@broken("tunnel-bypassed")
def web_reaches_mariadb_by_a_second_path(sample: Sample) -> None:
    attachment = {"network": "services-net", "address": "10.101.0.140", "prefix": 24, "wanted": None}
    sample.containers[FRONT]["attachments"].append(attachment)
    with sample.edited(FRONT, "addresses") as links:
        inside = {"family": "inet", "local": "10.101.0.140", "prefixlen": 24}
        links.append({"ifname": "eth1", "flags": ["UP"], "mtu": 1500, "addr_info": [inside]})
    with sample.edited(FRONT, "routes") as routes:
        routes.append({"dst": "10.101.0.0/24", "dev": "eth1", "scope": "link", "flags": []})
    _dial(sample, WEB, "10.101.0.2")


@fine
def mariadb_is_reached_on_a_network_that_the_gateway_is_not_on(sample: Sample) -> None:
    subnets = ("10.102.0.0/24",)
    sample.networks.append(NetworkEvidence(name="db-net", subnets=subnets, project="wireguard-dev", ours=True))
    for service, number in ((MARIADB, 2), (SERVICES, 5), (CELERY, 6)):
        attachment = {"network": "db-net", "address": f"10.102.0.{number}", "prefix": 24, "wanted": None}
        sample.containers[service]["attachments"].append(attachment)
    for app in (SERVICES, CELERY):
        _dial(sample, app, "10.102.0.2")


# --- networks that nobody needs


def _part_gateways(sample: Sample) -> None:
    """Leave services' gateway on its own network alone, with its port published on the machine of both."""
    inside, _ = sample.containers[BACK]["attachments"]
    sample.containers[BACK]["attachments"] = [inside]
    sample.containers[BACK]["published"] = [{"port": 51820, "protocol": "udp", "host": "0.0.0.0", "host_port": "51820"}]
    sample.tell(FRONT, WG_PEER_ENDPOINT="172.20.0.1:51820")
    sample.change(FRONT, "dump", "172.20.0.3:51820", "172.20.0.1:51820")


@fine
def the_gateways_meet_by_a_port_of_their_machine(sample: Sample) -> None:
    _part_gateways(sample)


@broken("network-missing")
def nothing_arrives_by_a_network_that_services_gateway_is_not_on(sample: Sample) -> None:
    _part_gateways(sample)
    sample.kill_tunnel()


@fine
def mariadb_is_dialled_by_a_port_of_the_machine(sample: Sample) -> None:
    """On that machine's address on a network that neither is on."""
    for app in (SERVICES, CELERY):
        _dial(sample, app, "172.20.0.1")


@fine
def a_forward_leads_to_a_port_of_the_machine(sample: Sample) -> None:
    _part_gateways(sample)
    sample.tell(BACK, WG_FORWARD_PORTS="3306:tcp:172.20.0.1 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5")
    for old, new in zip(forward_rules(3306, "10.101.0.2"), forward_rules(3306, "172.20.0.1"), strict=True):
        sample.change(BACK, "rules", old, new)
