from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.diagnosis.packetpath import Firewall, Journey, Packet, dnat_rules, loss_probability
from harness.errors import ParseError
from harness.model import NetfilterRule

# What compose/wireguard/lib/firewall.sh leaves, as iptables-nft prints it, with Docker's own rules in the nat table.
GATEWAY = """\
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
[0:0] -A FORWARD -i wg0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
[0:0] -A FORWARD -o wg0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
[0:0] -A INPUT -i wg0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
[0:0] -A INPUT -i wg0 -p icmp -m icmp --icmp-type 8 -j ACCEPT
[0:0] -A INPUT -i wg0 -p tcp -j REJECT --reject-with tcp-reset
[0:0] -A INPUT -i wg0 -j REJECT --reject-with icmp-port-unreachable
[0:0] -A FORWARD -o wg0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
[0:0] -A FORWARD -d 10.101.0.2/32 -i wg0 -o eth1 -p tcp -m tcp --dport 3306 -m conntrack --ctstate DNAT -j ACCEPT
[0:0] -A FORWARD -d 10.101.0.4/32 -i wg0 -o eth1 -p tcp -m tcp --dport 6379 -m conntrack --ctstate DNAT -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER_OUTPUT - [0:0]
:DOCKER_POSTROUTING - [0:0]
[0:0] -A PREROUTING -i wg0 -p tcp -m tcp --dport 3306 -j DNAT --to-destination 10.101.0.2:3306
[0:0] -A PREROUTING -i wg0 -p tcp -m tcp --dport 6379 -j DNAT --to-destination 10.101.0.4:6379
[0:0] -A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
[0:0] -A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING
[0:0] -A POSTROUTING -d 10.101.0.2/32 -o eth1 -p tcp -m tcp --dport 3306 -j MASQUERADE
[0:0] -A POSTROUTING -d 10.101.0.4/32 -o eth1 -p tcp -m tcp --dport 6379 -j MASQUERADE
[0:0] -A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:40001
[0:0] -A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:53921
[0:0] -A DOCKER_POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport 40001 -j SNAT --to-source :53
COMMIT
"""

WEB, TUNNEL, INSIDE = (IPv4Address(text) for text in ("10.100.0.10", "10.100.0.11", "10.101.0.10"))
MARIADB, REDIS = IPv4Address("10.101.0.2"), IPv4Address("10.101.0.4")
LOCAL = frozenset({TUNNEL, INSIDE})
DIAL = Packet(interface_in="wg0", protocol="tcp", source=WEB, destination=TUNNEL, port=3306, source_port=40000)
GATEWAYS = Firewall.parse(GATEWAY, LOCAL)


def route(address: IPv4Address) -> str | None:
    networks = {"wg0": "10.100.0.0/24", "eth1": "10.101.0.0/24", "lo": "127.0.0.0/8"}
    return next((name for name, network in networks.items() if address in IPv4Network(network)), None)


def rule(text: str) -> NetfilterRule:
    """From `TABLE CHAIN SPECIFICATION`."""
    table, chain, specification = text.split(" ", 2)
    return NetfilterRule(table=table, chain=chain, specification=specification, packets=0, bytes=0)


def firewall(*texts: str, **policies: str) -> Firewall:
    """Rules of the filter table's INPUT, or of chains that begin with the table's name, and policies of filter."""
    return Firewall(
        rules=tuple(map(rule, texts)), policies={("filter", chain): policy for chain, policy in policies.items()}
    )


def with_first(*texts: str) -> Firewall:
    """The gateway's rules, with others put before them."""
    return replace(GATEWAYS, rules=(*map(rule, texts), *GATEWAYS.rules))


def decided(journey: Journey) -> tuple[str, str, str] | None:
    """Table, chain and action of what dropped the packet."""
    verdict = journey.dropped_by
    return None if verdict is None else (verdict.table, verdict.chain, verdict.action)


# --- the gateway's own rules


@pytest.mark.parametrize(("port", "backend"), [(3306, MARIADB), (6379, REDIS)])
def test_a_declared_port_is_sent_to_its_backend(port: int, backend: IPv4Address) -> None:
    """DNATed by its own rule, accepted by FORWARD, masqueraded by its own rule; nothing about it is uncertain."""
    journey = GATEWAYS.forward(replace(DIAL, port=port), route)
    assert (journey.dropped_by, journey.delivered_to, journey.outgoing) == (None, (backend, port), "eth1")
    assert journey.translated_destination in GATEWAYS.rules
    assert str(journey.translated_destination).endswith(f"--to-destination {backend}:{port}")
    assert str(journey.translated_source).endswith(
        f"-d {backend}/32 -o eth1 -p tcp -m tcp --dport {port} -j MASQUERADE"
    )
    assert (journey.local, journey.uncertain, journey.untracked_by) == (False, (), None)


def test_the_rest_of_a_connection_passes_both_ways() -> None:
    """Later packets go where the first one went, answers come back to whom dialled, without meeting the nat table."""
    first = GATEWAYS.forward(DIAL, route)
    later = GATEWAYS.forward(first.later(DIAL), route)
    assert (later.dropped_by, later.delivered_to) == (None, (MARIADB, 3306))
    answer = GATEWAYS.forward(first.answer(INSIDE), route)
    assert (answer.dropped_by, answer.delivered_to, answer.outgoing) == (None, (WEB, 40000), "wg0")
    assert later.translated_destination is answer.translated_destination is None


@pytest.mark.parametrize(
    ("packet", "table_chain_action", "said"),
    [
        (replace(DIAL, port=8001), ("filter", "INPUT", "REJECT"), "tcp-reset"),
        (replace(DIAL, protocol="udp"), ("filter", "INPUT", "REJECT"), "icmp-port-unreachable"),
        (replace(DIAL, destination=MARIADB), ("filter", "FORWARD", "DROP"), "filter FORWARD policy DROP"),
        (replace(DIAL, interface_in="eth1", destination=MARIADB), ("filter", "FORWARD", "DROP"), "policy DROP"),
        (replace(DIAL, interface_in="eth1", source=MARIADB, destination=WEB), ("filter", "FORWARD", "DROP"), "policy"),
    ],
    ids=["undeclared port", "wrong protocol", "route past DNAT", "between backends", "backend dials the tunnel"],
)
def test_what_was_not_declared_is_refused(packet: Packet, table_chain_action: tuple[str, str, str], said: str) -> None:
    """The chain that refuses is named, with its rule where one did it, else as a policy."""
    journey = GATEWAYS.forward(packet, route)
    assert decided(journey) == table_chain_action
    assert said in str(journey.dropped_by)
    assert journey.delivered_to is None


def test_the_gateway_answers_pings_only() -> None:
    """Echo requests are accepted, other ICMP is not; where the type is unknown, the rule is uncertain."""
    ping = replace(DIAL, protocol="icmp", port=None, source_port=None, icmp_type=8)
    assert GATEWAYS.forward(ping, route).delivered_to == (TUNNEL, None)
    assert decided(GATEWAYS.forward(replace(ping, icmp_type=13), route)) == ("filter", "INPUT", "REJECT")
    unknown = GATEWAYS.forward(replace(ping, icmp_type=None), route)
    assert decided(unknown) == ("filter", "INPUT", "REJECT")
    assert [found.specification for found in unknown.uncertain] == ["-i wg0 -p icmp -m icmp --icmp-type 8 -j ACCEPT"]


def test_without_its_rule_a_port_ends_in_input() -> None:
    """A DNAT rule that was lost shows as a local packet that INPUT refuses, not as one dropped on the way."""
    lost = replace(GATEWAYS, rules=tuple(kept for kept in GATEWAYS.rules if ":3306" not in kept.specification))
    journey = lost.forward(DIAL, route)
    assert journey.local
    assert journey.translated_destination is None
    assert decided(journey) == ("filter", "INPUT", "REJECT")


# --- the same with something in the way


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raw PREROUTING -i wg0 -j DROP", ("raw", "PREROUTING", "DROP")),
        ("mangle PREROUTING -p tcp -m tcp --dport 3306 -j DROP", ("mangle", "PREROUTING", "DROP")),
        ("nat PREROUTING -i wg0 -p tcp -m tcp --dport 3000:4000 -j DROP", ("nat", "PREROUTING", "DROP")),
        ("mangle FORWARD -d 10.101.0.2/32 -j DROP", ("mangle", "FORWARD", "DROP")),
        ("filter FORWARD -o eth1 -p tcp -j REJECT --reject-with tcp-reset", ("filter", "FORWARD", "REJECT")),
        ("security FORWARD -i wg+ -j DROP", ("security", "FORWARD", "DROP")),
        ("mangle POSTROUTING -o eth1 -j DROP", ("mangle", "POSTROUTING", "DROP")),
        ("filter FORWARD -m conntrack --ctorigdstport 3306 -j DROP", ("filter", "FORWARD", "DROP")),
        ("raw PREROUTING -m conntrack --ctstate INVALID -j DROP", ("raw", "PREROUTING", "DROP")),
        ("nat PREROUTING -i wg0 -j ACCEPT", ("filter", "INPUT", "REJECT")),
        ("nat PREROUTING -i wg0 -j RETURN", ("filter", "INPUT", "REJECT")),
        ("nat PREROUTING -p tcp -j REDIRECT --to-ports 3307", ("filter", "INPUT", "REJECT")),
        ("nat PREROUTING -p tcp -j DNAT --to-destination 10.101.0.9:3306", ("filter", "FORWARD", "DROP")),
        ("raw PREROUTING -i wg0 -p tcp -j CT --notrack", ("filter", "INPUT", "REJECT")),
        ("filter FORWARD -i wg0 -j RETURN", ("filter", "FORWARD", "DROP")),
        ("filter INPUT -j DROP", None),
        ("filter FORWARD -i eth1 -j DROP", None),
        ("filter FORWARD -m conntrack --ctstate INVALID -j DROP", None),
        ('filter FORWARD -i wg0 -j LOG --log-prefix "-j DROP "', None),
        ("raw PREROUTING -m conntrack --ctstate NEW -j DROP", None),
        ("nat POSTROUTING -o eth1 -j ACCEPT", None),
    ],
)
def test_a_rule_in_the_way_is_named(text: str, expected: tuple[str, str, str] | None) -> None:
    """Wherever a rule stops the packet, or sends it past its DNAT rule, the chain that refuses it is the one named."""
    assert decided(with_first(text).forward(DIAL, route)) == expected


def test_exempt_from_tracking_is_exempt_from_nat() -> None:
    """NOTRACK in raw leaves the DNAT rule in place and useless; the rule that did it is named."""
    for target in ("CT --notrack", "NOTRACK"):
        journey = with_first(f"raw PREROUTING -i wg0 -j {target}").forward(DIAL, route)
        assert journey.untracked_by == rule(f"raw PREROUTING -i wg0 -j {target}")
        assert (journey.local, journey.translated_destination) == (True, None)


def test_a_connection_that_loses_its_tracking_loses_its_translation() -> None:
    """Where raw exempts only what follows the first packet, that is no longer taken for part of the connection."""
    exempt = with_first("raw PREROUTING -i wg0 -p tcp -m tcp --tcp-flags SYN,ACK ACK -j CT --notrack")
    first = exempt.forward(DIAL, route)
    assert first.delivered_to == (MARIADB, 3306)
    later = exempt.forward(first.later(DIAL), route)
    assert (later.local, later.packet.state, later.packet.dnat) == (True, "UNTRACKED", False)
    assert decided(later) == ("filter", "INPUT", "REJECT")


def test_shadowed_is_sent_elsewhere_by_the_earlier_rule() -> None:
    """The first DNAT rule that matches wins; the journey names it, and where the packet went instead."""
    shadow = "nat PREROUTING -p tcp -j DNAT --to-destination 10.101.0.4"
    journey = with_first(shadow, "filter FORWARD -j ACCEPT").forward(DIAL, route)
    assert journey.translated_destination == rule(shadow)
    assert journey.delivered_to == (REDIS, 3306)


def test_what_stops_only_the_later_packets_is_found() -> None:
    """A connection whose first packet passes and whose next does not, and one whose answers do not."""
    blocked = with_first("filter FORWARD -i wg0 -m conntrack --ctstate ESTABLISHED -j DROP")
    first = blocked.forward(DIAL, route)
    assert first.dropped_by is None
    assert decided(blocked.forward(first.later(DIAL), route)) == ("filter", "FORWARD", "DROP")
    unanswered = with_first("raw PREROUTING -i eth1 -p tcp -m tcp --sport 3306 -j DROP")
    first = unanswered.forward(DIAL, route)
    assert first.dropped_by is None
    assert decided(unanswered.forward(first.answer(INSIDE), route)) == ("raw", "PREROUTING", "DROP")


def test_source_nat_other_than_masquerade_counts() -> None:
    """SNAT translates the source as well; ACCEPT before both leaves the packet with an address nobody answers."""
    snat = "nat POSTROUTING -o eth1 -j SNAT --to-source 10.101.0.10"
    assert with_first(snat).forward(DIAL, route).translated_source == rule(snat)
    assert with_first("nat POSTROUTING -j ACCEPT").forward(DIAL, route).translated_source is None
    assert with_first(snat).decide("nat", "POSTROUTING", replace(DIAL, interface_out="eth1")).to == (INSIDE, 40000)


def test_redirect_ends_at_the_machine_itself() -> None:
    """REDIRECT makes a packet for anybody local, on the port it names or on its own."""
    open_ = firewall("nat PREROUTING -p tcp -j REDIRECT --to-ports 3307")
    journey = replace(open_, local=frozenset({TUNNEL})).forward(replace(DIAL, destination=MARIADB), route)
    assert (journey.local, journey.delivered_to) == (True, (TUNNEL, 3307))
    plain = firewall("nat PREROUTING -p tcp -j REDIRECT").forward(DIAL, route)
    assert (plain.local, plain.delivered_to) == (True, (TUNNEL, 3306))


def test_no_route_is_no_delivery() -> None:
    """What nothing leads to was not dropped by netfilter, and did not arrive either."""
    journey = with_first("nat PREROUTING -p tcp -j DNAT --to-destination 192.0.2.1").forward(DIAL, route)
    assert (journey.dropped_by, journey.outgoing, journey.delivered_to) == (None, None, None)


# --- packets that the machine sends itself


def test_dockers_name_server_is_reached_by_its_own_chain() -> None:
    """OUTPUT jumps to Docker's chain, which DNATs the query; TCP and UDP go to ports of their own."""
    query = Packet(protocol="udp", source=INSIDE, destination=IPv4Address("127.0.0.11"), port=53)
    assert GATEWAYS.send(query, route).delivered_to == (query.destination, 53921)
    assert GATEWAYS.send(replace(query, protocol="tcp"), route).delivered_to == (query.destination, 40001)
    assert GATEWAYS.send(replace(query, port=54), route).delivered_to == (query.destination, 54)
    later = GATEWAYS.send(query, route).later(query)
    assert GATEWAYS.send(later, route).delivered_to == (query.destination, 53921)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("filter OUTPUT -o wg0 -p tcp -j DROP", ("filter", "OUTPUT", "DROP")),
        ("mangle POSTROUTING -o wg0 -j DROP", ("mangle", "POSTROUTING", "DROP")),
        ("filter INPUT -j DROP", None),
        ("filter FORWARD -j DROP", None),
    ],
)
def test_what_is_sent_meets_output_and_postrouting(text: str, expected: tuple[str, str, str] | None) -> None:
    """A rule in the way of what the machine sends is named, one of another way is not met."""
    packet = Packet(protocol="tcp", source=WEB, destination=TUNNEL, port=3306)
    assert decided(firewall(text).send(packet, route)) == expected


# --- matches

MATCHES = [
    ("-i wg0", True),
    ("-i eth0", False),
    ("-i wg+", True),
    ("-i eth+", False),
    ("-o eth1", False),
    ("-p tcp", True),
    ("-p 6", True),
    ("-p udp", False),
    ("-s 10.100.0.10/32", True),
    ("-s 10.100.0.0/24", True),
    ("-s 10.0.0.10/255.0.0.255", True),
    ("-s 10.0.0.11/255.0.0.255", False),
    ("-d 10.101.0.0/16", False),
    ("-p tcp -m tcp --dport 3306", True),
    ("-p tcp -m tcp --dport 3307:65535", False),
    ("-p tcp -m tcp --dport 1:3306", True),
    ("-p tcp -m tcp --sport 40000", True),
    ("-p tcp -m multiport --dports 80,3300:3310", True),
    ("-p tcp -m multiport --dports 80,443", False),
    ("-p tcp -m multiport --sports 3306", False),
    ("-p tcp -m multiport --ports 3306", True),
    ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", True),
    ("-p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK", False),
    ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE", False),
    ("-m conntrack --ctstate RELATED,NEW", True),
    ("-m conntrack --ctstate DNAT", False),
    ("-m conntrack --ctproto 6 --ctorigdstport 3306", True),
    ("-m conntrack --ctorigdst 10.101.0.2", False),
    ("-m state --state NEW", True),
    ("-m length --length 0:100", True),
    ("-m length --length 1400:65535", False),
    ("-m iprange --src-range 10.100.0.9-10.100.0.11", True),
    ("-m iprange --dst-range 10.101.0.1-10.101.0.9", False),
    ("-m addrtype --dst-type LOCAL", False),
    ("-f", False),
    ("-m statistic --mode random --probability 1.00000000000", True),
    ("-m statistic --mode nth --every 1 --packet 0", True),
    ("-m comment --comment -j", True),
    ('-m comment --comment "it\\\'s \\"-j DROP\\" ! -i eth0"', True),
]

# What text cannot tell, or what this module does not know: neither may be taken for a yes or a no.
UNDECIDABLE = [
    "-m statistic --mode random --probability 0.29999999981",
    "-m statistic --mode nth --every 3 --packet 0",
    "-m statistic --mode random ! --probability 0.3",
    "-m limit --limit 5/sec",
    '-m u32 --u32 "0x0&0xff=0x0"',
    '-m bpf --bytecode "1,6 0 0 1"',
    '-m string --string "foo bar" --algo bm',
    "-m connmark --mark 0x1",
    "-m mark ! --mark 0x1",
    "-m set --match-set blocked src",
    "-m owner --uid-owner 0",
    "-m recent --set --name x --mask 255.255.255.255 --rsource",
    "-m time --timestart 10:00:00 --timestop 23:59:59 --datestop 2038-01-19T03:14:07",
    "-m socket",
    "-m rpfilter --invert",
    "-m conntrack --ctstatus SEEN_REPLY",
    "-m policy --dir in --pol ipsec --mode tunnel",
    "-m addrtype --dst-type BROADCAST",
    "-p tcp -m tcp --tcp-option 5",
    "-p tcp -m tcp --dport mysql",
    "-m invented --option 1",
    "-m invented --state ESTABLISHED",
    "--invented",
    "-p tcp [unsupported revision]",
    "-s elsewhere",
]


def held(matches: str, packet: Packet = DIAL) -> bool | None:
    """Whether a rule with these matches drops, does not, or is uncertain."""
    verdict = firewall(f"filter INPUT {matches} -j DROP").decide("filter", "INPUT", packet)
    assert (verdict.action == "DROP") is (verdict.rule is not None)
    return None if verdict.uncertain else verdict.stops


@pytest.mark.parametrize(("matches", "expected"), MATCHES)
def test_a_match_holds_or_does_not(matches: str, expected: bool) -> None:  # noqa: FBT001 (an expectation)
    """Every match that text decides is decided as the kernel does."""
    assert held(matches, replace(DIAL, length=60)) is expected


@pytest.mark.parametrize(
    ("matches", "expected"),
    [(matches, expected) for matches, expected in MATCHES if "comment" not in matches and "nth" not in matches],
)
def test_a_negation_turns_a_match_round(matches: str, expected: bool) -> None:  # noqa: FBT001 (an expectation)
    """`!` before the last option, where `iptables-save` puts it, turns what holds into what does not, and back."""
    before, long, option = matches.rpartition(" --")
    negated = f"{before} !{long}{option}" if long else f"! {matches}"
    assert held(negated, replace(DIAL, length=60)) is not expected


@pytest.mark.parametrize("matches", UNDECIDABLE)
def test_what_cannot_be_told_is_uncertain(matches: str) -> None:
    """Such a rule neither drops nor is passed over in silence."""
    assert held(matches) is None
    assert held(f"-i wg0 {matches}") is None


@pytest.mark.parametrize("matches", UNDECIDABLE)
def test_what_is_ruled_out_is_not_uncertain(matches: str) -> None:
    """One match that does not hold settles a rule, whatever its others say."""
    assert held(f"-i eth0 {matches}") is False


@pytest.mark.parametrize(
    ("matches", "change"),
    [
        ("-p tcp -m tcp --dport 3306", {"port": None}),
        ("-p tcp -m multiport --ports 80", {"source_port": None}),
        ("-m length --length 0:100", {"length": None}),
        ("-p tcp -m tcp --tcp-flags SYN SYN", {"state": "ESTABLISHED"}),
        ("-m conntrack --ctorigdstport 3306", {"state": "ESTABLISHED"}),
    ],
)
def test_what_the_packet_does_not_say_is_uncertain(matches: str, change: dict[str, Any]) -> None:
    """A property that was left out is not taken for one that the packet lacks."""
    assert held(matches, replace(DIAL, **change)) is None


@pytest.mark.parametrize(
    ("states", "change", "expected"),
    [
        ("DNAT", {"dnat": True}, True),
        ("NEW", {"dnat": True}, True),
        ("SNAT", {"state": "ESTABLISHED", "snat": True}, True),
        ("ESTABLISHED,RELATED", {"state": "RELATED"}, True),
        ("NEW,DNAT", {"state": "ESTABLISHED"}, False),
        ("INVALID", {"state": "UNTRACKED"}, False),
    ],
)
def test_states_are_those_of_the_connection(states: str, change: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """A packet has one state, and DNAT and SNAT besides if its connection was translated."""
    assert held(f"-m conntrack --ctstate {states}", replace(DIAL, **change)) is expected
    assert held(f"-m conntrack ! --ctstate {states}", replace(DIAL, **change)) is not expected


def test_local_addresses_are_of_type_local() -> None:
    """`addrtype` knows the namespace's own addresses, at either end."""
    for option, packet in (("--dst-type", DIAL), ("--src-type", replace(DIAL, source=TUNNEL))):
        one = replace(firewall(f"filter INPUT -m addrtype {option} LOCAL -j DROP"), local=LOCAL)
        assert one.decide("filter", "INPUT", packet).stops
        assert not one.decide("filter", "INPUT", replace(packet, source=WEB, destination=MARIADB)).stops


# --- traversal


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["INPUT -j A", "A -j DROP"], "DROP"),
        (["INPUT -j A", "A -i eth0 -j DROP", "INPUT -j REJECT"], "REJECT"),
        (["INPUT -j A", "A -j RETURN", "A -j DROP", "INPUT -j ACCEPT"], "ACCEPT"),
        (["INPUT -j A", "A -j B", "B -j RETURN", "A -j REJECT", "INPUT -j DROP"], "REJECT"),
        (["INPUT -g A", "A -i eth0 -j DROP", "INPUT -j DROP"], "policy"),
        (["INPUT -j A", "A -g B", "B -j RETURN", "A -j DROP", "INPUT -j REJECT"], "REJECT"),
        (["INPUT -j A", "A -g B", "B -j DROP", "INPUT -j ACCEPT"], "DROP"),
        (["INPUT -j RETURN", "INPUT -j DROP"], "policy"),
        (["INPUT", "INPUT -i wg0", "INPUT -j DROP"], "DROP"),
        (["INPUT -j LOG", "INPUT -j MARK --set-xmark 0x1/0xffffffff", "INPUT -j CT --zone 1", "INPUT -j DROP"], "DROP"),
        (["INPUT -j ACCEPT", "INPUT -j DROP"], "ACCEPT"),
        (["OUTPUT -j DROP", "A -j DROP"], "policy"),
    ],
)
def test_chains_are_followed_as_by_the_kernel(texts: list[str], expected: str) -> None:
    """Jumps come back, gotos do not, RETURN leaves one chain, in a built-in one for its policy; counting goes on."""
    verdict = firewall(*(f"filter {text} " for text in texts), INPUT="policy").decide("filter", "INPUT", DIAL)
    assert (verdict.action, verdict.uncertain) == (expected, ())


def test_a_chain_that_is_declared_but_empty_is_a_chain() -> None:
    """A jump to it comes back; a target that nothing declares is one that nobody knows, hence uncertain."""
    texts = ("filter INPUT -j EMPTY", "filter INPUT -j DROP")
    assert firewall(*texts, EMPTY="-").decide("filter", "INPUT", DIAL).uncertain == ()
    unknown = firewall(*texts).decide("filter", "INPUT", DIAL)
    assert (unknown.action, unknown.uncertain) == ("DROP", (rule(texts[0]),))


@pytest.mark.parametrize("how", ["-j", "-g", "-m limit --limit 5/sec -j"])
@pytest.mark.parametrize("chains", [["A", "A"], ["A", "B", "A"]])
def test_chains_in_a_loop_are_refused(how: str, chains: list[str]) -> None:
    """The kernel never holds such, so it is said what is wrong instead of walking forever."""
    texts = [f"filter {one} {how} {other}" for one, other in zip(["INPUT", *chains], chains, strict=False)]
    with pytest.raises(ParseError, match=r"INPUT -> A -> .*loop"):
        firewall(*texts).decide("filter", "INPUT", DIAL)


def test_one_chain_called_twice_is_no_loop() -> None:
    """Each call walks it anew."""
    texts = ("filter INPUT -j A", "filter INPUT -j A", "filter INPUT -j DROP", "filter A -j LOG")
    assert firewall(*texts).decide("filter", "INPUT", DIAL).stops


SOMETIMES = "-m statistic --mode random --probability 0.5"


@pytest.mark.parametrize(
    ("texts", "action", "noted"),
    [
        ([f"INPUT {SOMETIMES} -j DROP", "INPUT -j ACCEPT"], "ACCEPT", [0]),
        ([f"INPUT {SOMETIMES} -j ACCEPT", "INPUT -j DROP"], "DROP", [0]),
        ([f"INPUT {SOMETIMES} -j RETURN", "INPUT -j DROP"], "DROP", [0]),
        ([f"INPUT {SOMETIMES} -j LOG", "INPUT -j DROP"], "DROP", []),
        (["INPUT -j ACCEPT", f"INPUT {SOMETIMES} -j DROP"], "ACCEPT", []),
        ([f"INPUT {SOMETIMES} -j A", "A -j DROP"], "policy", [0, 1]),
        ([f"INPUT {SOMETIMES} -j A", "A -j LOG"], "policy", []),
        ([f"INPUT {SOMETIMES} -g A", "A -j LOG", "INPUT -j DROP"], "DROP", [0]),
        (["INPUT -j A", f"A {SOMETIMES} -j DROP", "INPUT -j ACCEPT"], "ACCEPT", [1]),
        ([f"INPUT {SOMETIMES} -j A", f"A {SOMETIMES} -j B", "B -j DROP"], "policy", [0, 1, 2]),
        (["INPUT -j NFQUEUE --queue-num 1", "INPUT -j DROP"], "NFQUEUE", [0]),
        (["INPUT -j TTL --ttl-set 1", "INPUT -j ACCEPT"], "ACCEPT", [0]),
    ],
)
def test_what_may_decide_is_noted_and_does_not(texts: list[str], action: str, noted: list[int]) -> None:
    """The verdict is that of the rules that are certain; those that could have changed it come along, no others."""
    texts = [f"filter {text}" for text in texts]
    verdict = firewall(*texts, INPUT="policy").decide("filter", "INPUT", DIAL)
    assert verdict.action == action
    assert verdict.uncertain == tuple(rule(texts[index]) for index in noted)


def test_an_exemption_that_may_come_is_noted_and_not_made() -> None:
    """Untracked now and then: the packet is followed as tracked, and the rule is among the uncertain ones."""
    direct = f"raw PREROUTING {SOMETIMES} -j CT --notrack"
    journey = with_first(direct).forward(DIAL, route)
    assert (journey.delivered_to, journey.uncertain) == ((MARIADB, 3306), (rule(direct),))
    jump = f"raw PREROUTING {SOMETIMES} -j A"
    journey = with_first(jump, "raw A -j NOTRACK").forward(DIAL, route)
    assert (journey.delivered_to, journey.untracked_by, journey.uncertain) == ((MARIADB, 3306), None, (rule(jump),))


# --- where NAT sends a packet


@pytest.mark.parametrize(
    ("target", "to", "sure"),
    [
        ("DNAT --to-destination 10.101.0.2:3307", (MARIADB, 3307), True),
        ("DNAT --to-destination 10.101.0.2", (MARIADB, 3306), True),
        ("DNAT --to-destination 10.101.0.2 --random --persistent", (MARIADB, 3306), True),
        ("DNAT --to-destination :3307", (TUNNEL, 3307), True),
        ("DNAT --to-destination 10.101.0.2:3300-3310", (MARIADB, 3306), True),
        ("DNAT --to-destination 10.101.0.2:80-90", (MARIADB, 80), False),
        ("DNAT --to-destination 10.101.0.2:7000-7100/3300", (MARIADB, 7006), True),
        ("DNAT --to-destination 10.101.0.2-10.101.0.4:3306", (MARIADB, 3306), False),
        ("DNAT --to-destination 10.101.0.999", (TUNNEL, 3306), False),
        ("DNAT --to-destination [fd00::1]:80", (TUNNEL, 3306), False),
        ("NETMAP --to 10.101.0.0/24", (IPv4Address("10.101.0.11"), 3306), True),
        ("NETMAP --to nowhere", (TUNNEL, 3306), False),
    ],
)
def test_a_translation_is_read(target: str, to: tuple[IPv4Address, int], sure: bool) -> None:  # noqa: FBT001
    """Address, port, both or ranges of them; where the kernel could choose another, the rule is uncertain."""
    text = f"nat PREROUTING -p tcp -j {target}"
    verdict = firewall(text).decide("nat", "PREROUTING", DIAL)
    assert verdict.to == to == (verdict.packet.destination, verdict.packet.port)
    assert verdict.action == target.split(maxsplit=1)[0]
    assert verdict.uncertain == (() if sure else (rule(text),))


def test_a_translation_to_the_same_place_is_none() -> None:
    """Connection tracking does not count it as DNAT, so that `--ctstate DNAT` does not match afterwards."""
    for to, dnat in (("10.100.0.11:3306", False), ("10.100.0.11:3307", True)):
        verdict = firewall(f"nat PREROUTING -p tcp -j DNAT --to-destination {to}").decide("nat", "PREROUTING", DIAL)
        assert (verdict.action, verdict.packet.dnat) == ("DNAT", dnat)


# --- what callers ask of rules


def test_dnat_rules_of_a_port_are_found_wherever_they_are() -> None:
    """For another protocol, interface or place, in a chain nobody calls: all that do not leave the port out."""
    texts = [
        "nat PREROUTING -i wg0 -p udp -m udp --dport 3306 -j DNAT --to-destination 10.101.0.2:3306",
        "nat LOST ! -i eth0 -p tcp -m multiport --dports 80,3300:3310 -j DNAT --to-destination 10.101.0.4",
        "nat PREROUTING -p tcp -m tcp ! --dport 80 -j DNAT --to-destination :3307",
        "nat PREROUTING -d 10.100.0.11/32 -j DNAT --to-destination 10.101.0.2",
        "nat PREROUTING -p tcp -m tcp --dport 3307 -j DNAT --to-destination 10.101.0.2:3306",
        "nat PREROUTING -p tcp -m tcp ! --dport 3306 -j DNAT --to-destination 10.101.0.2:3306",
        "nat PREROUTING -p tcp -m tcp --dport 3306 -j ACCEPT",
    ]
    found = dnat_rules(map(rule, texts), 3306)
    assert [(one.rule, one.protocol, one.interface, one.address, one.port) for one in found] == [
        (rule(texts[0]), "udp", "wg0", MARIADB, 3306),
        (rule(texts[1]), "tcp", "! eth0", REDIS, 3306),
        (rule(texts[2]), "tcp", None, None, 3307),
        (rule(texts[3]), None, None, MARIADB, 3306),
    ]


@pytest.mark.parametrize(
    ("specification", "expected"),
    [
        ("-m statistic --mode random --probability 0.29999999981 -j DROP", 0.3),
        ("-m statistic --mode random ! --probability 0.3 -j REJECT", 0.7),
        ("-m statistic --mode nth --every 4 --packet 1 -j DROP", 0.25),
        ("-m statistic --mode random --probability 0.3 -j ACCEPT", None),
        ("-m statistic --mode random --probability often -j DROP", None),
        ("-m limit --limit 5/sec -j DROP", None),
        ("-j DROP", None),
    ],
)
def test_a_loss_is_as_likely_as_its_rule_says(specification: str, expected: float | None) -> None:
    """Only a rule that drops, and says how often, has a probability."""
    found = loss_probability(rule(f"filter FORWARD {specification}"))
    assert found == (expected if expected is None else pytest.approx(expected, abs=1e-6))


# --- properties

addresses = st.ip_addresses(v=4)
ports = st.integers(min_value=0, max_value=65535)


@given(addresses, addresses, st.integers(min_value=0, max_value=32))
def test_a_network_holds_what_python_says(address: IPv4Address, base: IPv4Address, prefix: int) -> None:
    """`-s` under every prefix, as a length and as a mask, for strangers and for neighbours."""
    network = IPv4Network((base, prefix), strict=False)
    for source in (address, base, network.broadcast_address):
        for text in (f"{base}/{prefix}", f"{base}/{network.netmask}"):
            assert held(f"-s {text}", replace(DIAL, source=source)) is (source in network)


@given(ports, ports, ports)
def test_a_range_of_ports_holds_its_ends_and_all_between(one: int, other: int, port: int) -> None:
    """`--dport FIRST:LAST`, and the same within a multiport list."""
    first, last = sorted((one, other))
    for dialled in (port, first, last, first - 1, last + 1):
        packet = replace(DIAL, port=dialled)
        assert held(f"-p tcp -m tcp --dport {first}:{last}", packet) is (first <= dialled <= last)
        listed = held(f"-p tcp -m multiport ! --dports {first}:{last},{port}", packet)
        assert listed is not (first <= dialled <= last or dialled == port)


words = st.one_of(
    st.sampled_from(
        [*"!-", "-m", "-j", "-g", "-i", "-p", "-s", "--dport", "--to-destination", "--tcp-flags", '"', "/"]
    ),
    st.sampled_from(
        ["tcp", "multiport", "conntrack", "DNAT", "NETMAP", "REDIRECT", "--ctstate", "--to", "--every", "0"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6),
)


@given(st.lists(words, max_size=10).map(" ".join))
def test_no_specification_is_too_strange(specification: str) -> None:
    """Whatever stands in a rule, a verdict comes of it, and never an exception of the parser's own."""
    strange = NetfilterRule(table="nat", chain="PREROUTING", specification=specification, packets=0, bytes=0)
    verdict = Firewall(rules=(strange,), policies={}).decide("nat", "PREROUTING", DIAL)
    assert verdict.rule in (None, strange)
    dnat_rules([strange], 3306)
    loss_probability(strange)


simple = st.builds(
    "{}-j {}".format,
    st.sampled_from(["", "-i wg0 ", "-i eth0 ", f"{SOMETIMES} ", "! -p tcp "]),
    st.sampled_from(["ACCEPT", "DROP", "REJECT", "LOG"]),
)


@given(st.lists(simple, max_size=8), st.integers(min_value=0, max_value=8))
def test_a_tail_moved_into_a_chain_of_its_own_decides_alike(specifications: list[str], cut: int) -> None:
    """Splitting a chain by a jump or a goto changes neither the verdict nor what is uncertain about it."""
    whole = [f"filter INPUT {text}" for text in specifications]
    moved = [f"filter TAIL {text}" for text in specifications[cut:]]
    expected = firewall(*whole, INPUT="policy").decide("filter", "INPUT", DIAL)
    for jump in ("-j TAIL", "-g TAIL"):
        split = firewall(*whole[:cut], f"filter INPUT {jump}", *moved, INPUT="policy", TAIL="-")
        verdict = split.decide("filter", "INPUT", DIAL)
        assert verdict.action == expected.action
        assert [one.specification for one in verdict.uncertain] == [one.specification for one in expected.uncertain]


@given(st.lists(simple, max_size=8), st.data())
def test_what_does_not_match_may_stand_anywhere(specifications: list[str], data: st.DataObject) -> None:
    """A rule for other packets, put at any place, changes nothing."""
    texts = [f"filter INPUT {text}" for text in specifications]
    place = data.draw(st.integers(min_value=0, max_value=len(texts)))
    other = data.draw(
        st.sampled_from(["-i eth0 -j DROP", "-p udp -m udp --dport 3306 -j REJECT", "-d 10.9.9.9/32 -j DROP"])
    )
    more = [*texts[:place], f"filter INPUT {other}", *texts[place:]]
    assert firewall(*more).decide("filter", "INPUT", DIAL) == firewall(*texts).decide("filter", "INPUT", DIAL)
