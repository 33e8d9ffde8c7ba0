"""What the gateway in front of the backends does with packets."""

from __future__ import annotations

from tests.evidence_samples import BACK, MARIADB, REFUSED, WEB, Sample, forward_rules

from . import broken, cut, fine, without_gateway

_DNAT, _MASQUERADE, _ACCEPT = forward_rules(3306, "10.101.0.2")
_ANSWERS = "[1339:314840] -A FORWARD -o wg0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"


def _refused(sample: Sample, *backends: str) -> None:
    for backend in backends:
        sample.fail(WEB, backend, "connect", **REFUSED)


def _before(sample: Sample, rule: str, *new: str) -> None:
    sample.change(BACK, "rules", rule, "".join(new) + rule)


def _declare(sample: Sample, port: int, entry: str) -> None:
    entries = [
        entry if each.startswith(f"{port}:") else each for each in sample.environment(BACK)["WG_FORWARD_PORTS"].split()
    ]
    sample.tell(BACK, WG_FORWARD_PORTS=" ".join(each for each in entries if each))


@broken("forward-rule-missing")
def only_the_rule_for_services_port_is_gone(sample: Sample) -> None:
    sample.change(BACK, "rules", forward_rules(8001, "10.101.0.5")[0], "")
    _refused(sample, "10.100.0.11:8001")


@broken("forward-rule-missing")
def nothing_is_declared_at_all(sample: Sample) -> None:
    sample.tell(BACK, WG_FORWARD_PORTS="")
    for port, address in ((3306, "10.101.0.2"), (6379, "10.101.0.4"), (8001, "10.101.0.5")):
        for rule in forward_rules(port, address):
            sample.change(BACK, "rules", rule, "")
    _refused(sample, "database", "broker")
    with sample.edited(WEB, "backends") as reaches:
        del reaches["10.100.0.11:8001"]


@fine
def a_rule_that_nobody_declared(sample: Sample) -> None:
    _before(sample, _DNAT, forward_rules(9000, "10.101.0.9")[0])


@broken("forward-rule-wrong-destination")
def the_rule_alone_leads_elsewhere(sample: Sample) -> None:
    """The setting is right: somebody changed the rule."""
    sample.change(BACK, "rules", "10.101.0.2:3306", "10.101.0.9:3306")
    cut(sample, "database")


@fine
def a_rule_that_keeps_the_port(sample: Sample) -> None:
    sample.change(BACK, "rules", "--to-destination 10.101.0.2:3306", "--to-destination 10.101.0.2")


@broken("forward-rule-wrong-protocol")
def the_rule_alone_is_for_udp(sample: Sample) -> None:
    sample.change(BACK, "rules", _DNAT, forward_rules(3306, "10.101.0.2", protocol="udp")[0])
    _refused(sample, "database")


@broken("forward-rule-shadowed")
def an_earlier_rule_sends_the_packets_elsewhere(sample: Sample) -> None:
    _before(sample, _DNAT, "[3:180] -A PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j REDIRECT --to-ports 1\n")
    _refused(sample, "database")


@broken("forward-rule-shadowed")
def a_rule_in_a_chain_of_the_users_takes_the_packets(sample: Sample) -> None:
    sample.change(BACK, "rules", ":DOCKER_OUTPUT - [0:0]\n", ":DOCKER_OUTPUT - [0:0]\n:MINE - [0:0]\n")
    _before(
        sample,
        _DNAT,
        "[3:180] -A PREROUTING -i wg+ -j MINE\n",
        "[3:180] -A MINE -p tcp -m multiport --dports 3000:4000 -j DNAT --to-destination 10.101.0.200\n",
    )
    cut(sample, "database")


@broken("forward-rule-shadowed")
def an_earlier_rule_takes_every_port(sample: Sample) -> None:
    _before(sample, _DNAT, "[3:180] -A PREROUTING -s 10.100.0.0/24 -j ACCEPT\n")
    _refused(sample, "database", "broker", "10.100.0.11:8001")


@fine
def an_earlier_rule_for_another_interface(sample: Sample) -> None:
    _before(sample, _DNAT, "[0:0] -A PREROUTING -i eth1 -p tcp -m tcp --dport 3306 -j ACCEPT\n")


@broken("forward-dropped")
def a_chain_of_the_users_refuses_what_is_for_redis(sample: Sample) -> None:
    sample.change(BACK, "rules", ":OUTPUT ACCEPT [0:0]\n[1320", ":OUTPUT ACCEPT [0:0]\n:MINE - [0:0]\n[1320")
    _before(
        sample,
        _ANSWERS,
        "[3:180] -A FORWARD -j MINE\n[3:180] -A MINE -p tcp -m tcp --dport 6379 -j REJECT --reject-with tcp-reset\n",
    )
    _refused(sample, "broker")


@broken("forward-dropped")
def the_answers_of_mariadb_alone_are_dropped(sample: Sample) -> None:
    _before(sample, _ANSWERS, "[3:180] -A FORWARD -s 10.101.0.2/32 -p tcp -m tcp --sport 3306 -j DROP\n")
    cut(sample, "database")


@broken("forward-dropped")
def a_rule_drops_them_before_nat(sample: Sample) -> None:
    sample.change(
        BACK,
        "rules",
        "*mangle\n",
        "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
        "[3:180] -A PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j DROP\nCOMMIT\n*mangle\n",
    )
    cut(sample, "database")


@fine
def a_rule_that_drops_something_else(sample: Sample) -> None:
    _before(sample, _ANSWERS, "[0:0] -A FORWARD -d 10.101.0.2/32 -p tcp -m tcp --dport 22 -j DROP\n")


@fine
def a_gateway_that_forwards_everything(sample: Sample) -> None:
    sample.change(BACK, "rules", ":FORWARD DROP", ":FORWARD ACCEPT")
    sample.change(BACK, "rules", _ACCEPT, "")


@broken("forwarding-disabled")
def services_gateway_does_not_start_because_it_may_not_forward(sample: Sample) -> None:
    sample.containers[BACK]["sysctls"] = {"net.ipv4.ip_forward": "0"}
    without_gateway(sample, BACK, log="gateway: net.ipv4.ip_forward is 0\n")


@broken("return-path-missing")
def mariadbs_port_is_not_masqueraded(sample: Sample) -> None:
    sample.change(BACK, "rules", _MASQUERADE, "")
    cut(sample, "database")


@broken("return-path-missing")
def mariadb_has_a_route_to_the_tunnel_by_somebody_else(sample: Sample) -> None:
    mariadbs_port_is_not_masqueraded(sample)
    sample.pieces[MARIADB]["kernel-routes"] += "eth0\t0000640A\t0900650A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"


@fine
def everything_that_leaves_is_masqueraded(sample: Sample) -> None:
    sample.without_lines(BACK, "rules", "MASQUERADE")
    everything = "[9:540] -A POSTROUTING -o eth0 -j MASQUERADE\n"
    sample.change(BACK, "rules", "[0:0] -A DOCKER_OUTPUT", f"{everything}[0:0] -A DOCKER_OUTPUT")


@broken("forward-setting-malformed")
def an_entry_has_a_name_for_an_address(sample: Sample) -> None:
    _declare(sample, 6379, "6379:tcp:redis")
    without_gateway(sample, BACK)
