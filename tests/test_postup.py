from __future__ import annotations

import contextlib
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import postup
from harness.model import Forward

DNAT = "iptables -t nat -A PREROUTING -i %i -p tcp --dport 3306 -j DNAT --to-destination 10.44.5.10"


def told(*commands: str) -> tuple[str, bool]:
    """What commands send on, as the setting says it, and whether that is known to be all."""
    found = postup.read(commands)
    return " ".join(map(str, found.forwards)), not found.obscure


@pytest.mark.parametrize(
    "command",
    [
        "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
        "iptables -P FORWARD DROP; sysctl -w net.ipv4.ip_forward=1",
        "iptables -A FORWARD -i %i -j ACCEPT 2>/dev/null || true",
        "iptables -t nat -D PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2",
        "iptables -t mangle -A PREROUTING -i %i -j MARK --set-mark 7",
        "iptables -t nat -N WAYS",
        "ip6tables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination fd00::2",
        "/sbin/ip route add 10.9.0.0/16 dev %i && echo 1 > /proc/sys/net/ipv4/ip_forward",
        "wg set %i private-key /etc/wireguard/key",
        "iptables -t nat -A OUTPUT -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2",
        DNAT.replace("%i", "eth0"),
        DNAT.replace("-i %i", "! -i %i"),
        DNAT.replace("-i %i", "--in-interface wg1"),
        DNAT.replace("tcp", "sctp"),
        "",
    ],
)
def test_what_sends_nothing_on_is_known_not_to(command: str) -> None:
    """Other rules, rules taken away, what another interface brings, and tools of which everybody knows what they do."""
    assert told(command) == ("", True)


@pytest.mark.parametrize(
    "command",
    [
        "/etc/wireguard/up.sh",
        "nft -f /etc/wireguard/rules.nft",
        "iptables-restore < /etc/wireguard/rules",
        "cat /etc/wireguard/rules | iptables-restore",
        f"for port in 3306 6380; do {DNAT.replace('3306', '$port')}; done",
        "bash -c 'iptables -t nat -A PREROUTING -j DNAT'",
        "iptables -t nat -A PREROUTING -i %i -j WAYS",
        "iptables -t nat -A WAYS -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2",
        "iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080",
        "iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination backend",
        "iptables -t nat -A PREROUTING -p tcp --dport 80:90 -j DNAT --to-destination 10.0.0.2",
        "iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2-10.0.0.4",
        "iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2:80-90",
        "iptables -t nat -A PREROUTING -p tcp ! --dport 22 -j DNAT --to-destination 10.0.0.2",
        "iptables -t nat -A PREROUTING -p tcp --dport 99999 -j DNAT --to-destination 10.0.0.2",
        "iptables -t nat -A PREROUTING -i %i -p tcp -j DNAT --to-destination 10.0.0.2",
        "iptables -t nat -R PREROUTING 1 -i %i -p tcp --dport 3306 -j DNAT --to-destination 10.44.5.10",
        DNAT.replace("%i", "$INTERFACE"),
        DNAT.replace("10.44.5.10", "${LEDGER}"),
        DNAT.replace("10.44.5.10", "$(getent hosts ledger)"),
        DNAT.replace("-p tcp", "-p all"),
        "echo 'iptables -t nat -A PREROUTING",
    ],
)
def test_what_cannot_be_read_is_said_to_be_obscure(command: str) -> None:
    """It sends on nothing that is known, and may send on anything."""
    assert told(command) == ("", False)
    assert postup.read([DNAT, command]).obscure == (1,)


def test_commands_on_one_line_are_each_read() -> None:
    """A line may hold several commands, as PostUp lines often do."""
    both = f"{DNAT} && {DNAT.replace('3306', '6380').replace('.10', '.11')}"
    assert postup.read([both]).forwards == (
        Forward(port=3306, protocol="tcp", destination=IPv4Address("10.44.5.10")),
        Forward(port=6380, protocol="tcp", destination=IPv4Address("10.44.5.11")),
    )
    assert told(f"{DNAT}; /etc/wireguard/up.sh") == ("3306:tcp:10.44.5.10", False)
    assert told(f"iptables -C FORWARD -j ACCEPT || {{ {DNAT}; }}")[0] == "3306:tcp:10.44.5.10"


@pytest.mark.parametrize("interface", ["-i wg0", "-iwg0", "--in-interface=wg0", "-i wg+", "! -i eth0", ""])
@pytest.mark.parametrize("protocol", ["-p tcp", "-p TCP", "-p 6", "--protocol=tcp"])
@pytest.mark.parametrize("port", ["--dport 3306", "--dport=3306", "--dport 3306:3306", "-m multiport --dports 3306"])
@pytest.mark.parametrize("target", ["-j DNAT", "-jDNAT", "--jump DNAT", '-m comment --comment "a; b | c" -j DNAT'])
def test_one_forward_has_many_spellings(interface: str, protocol: str, port: str, target: str) -> None:
    """The interface by its name or not at all, the protocol in capitals or by its number, an option with its value."""
    command = DNAT.replace("-i %i", interface).replace("-p tcp", protocol)
    command = command.replace("--dport 3306", port).replace("-j DNAT", target)
    assert told(command) == ("3306:tcp:10.44.5.10", True)


def test_a_rule_may_be_of_several_ports_and_lead_to_another_one() -> None:
    """Each port is a forward; one that is changed says so."""
    several = DNAT.replace("--dport 3306", "-m multiport --dports 3306,6380")
    assert told(several) == ("3306:tcp:10.44.5.10 6380:tcp:10.44.5.10", True)
    assert told(f"{several}:3306") == ("3306:tcp:10.44.5.10 6380:tcp:10.44.5.10:3306", True)
    assert told(several.replace("6380", "6380:6390")) == ("", False)
    assert told(f"{DNAT}:3307")[0] == "3306:tcp:10.44.5.10:3307"


def test_of_several_rules_for_one_port_the_first_that_is_met_counts() -> None:
    """What is appended comes too late, what is inserted comes before; udp is a port of its own."""
    later, udp = DNAT.replace(".10", ".99"), DNAT.replace("tcp", "udp")
    for commands, expected in (
        ([DNAT, DNAT], "10"),
        ([DNAT, later], "10"),
        ([DNAT, later.replace("-A", "-I")], "99"),
    ):
        assert told(*commands) == (f"3306:tcp:10.44.5.{expected}", True)
    assert len(postup.read([DNAT, udp]).forwards) == 2


@given(st.text(alphabet=st.sampled_from("iptables -AjDNAT PREROUTING--dport 3306 10./:,;&|()<>$`!'\"\\")))
def test_any_command_is_read(text: str) -> None:
    """Whatever stands there, the answer is what it sends on, or that nobody can say."""
    found = postup.read([text])
    assert Forward.parse_all(" ".join(map(str, found.forwards))) == found.forwards
    with contextlib.suppress(IndexError):
        assert found.obscure[0] == 0
