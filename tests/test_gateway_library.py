from __future__ import annotations

import os
import time
from collections.abc import Callable
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import command, keys
from harness.model import CommandResult, Forward

from .conftest import ROOT
from .evidence_samples import BACK, FRONT, SERVICES_KEY, Sample

LIBRARY = ROOT / "compose" / "wireguard" / "lib"
SOURCES = "; ".join(f"source {LIBRARY / name}.sh" for name in ("log", "addresses", "settings"))
EX_CONFIG = 78

addresses = st.ip_addresses(v=4)
cidrs = st.builds("{}/{}".format, addresses, st.integers(min_value=0, max_value=32))


def bash(script: str, *arguments: str, env: dict[str, str] | None = None) -> CommandResult:
    """Run a script that has the gateway's library at hand, under the gateway's own shell options."""
    whole = f"set -euo pipefail -o noglob; {SOURCES}; {script}"
    return command.run(["bash", "-c", whole, "bash", *arguments], timeout=20, check=False, env=env)


def answers(script: str, arguments: list[str]) -> list[str]:
    result = bash(script, *arguments)
    assert result.ok, result
    return result.stdout.splitlines()


@settings(max_examples=15)
@given(st.lists(cidrs, min_size=1, max_size=40))
def test_a_subnet_is_what_python_says(texts: list[str]) -> None:
    """`subnet_of` clears the host's bits under every prefix length."""
    script = 'for cidr in "$@"; do subnet_of "$cidr"; echo "$REPLY"; done'
    assert answers(script, texts) == [str(IPv4Interface(text).network) for text in texts]


@settings(max_examples=25)
@given(st.lists(st.tuples(cidrs, cidrs), min_size=1, max_size=40))
def test_overlap_is_what_python_says(pairs: list[tuple[str, str]]) -> None:
    """`overlaps` agrees with arithmetic on every pair of subnets, whichever is the wider."""
    script = 'while (($#)); do overlaps "$1" "$2" && echo yes || echo no; shift 2; done'
    expected = [
        "yes" if IPv4Interface(one).network.overlaps(IPv4Interface(other).network) else "no" for one, other in pairs
    ]
    assert answers(script, [text for pair in pairs for text in pair]) == expected


@settings(max_examples=15)
@given(addresses.map(str), st.integers(min_value=1, max_value=32))
def test_a_subnet_overlaps_its_own_halves_and_not_its_neighbour(address: str, prefix: int) -> None:
    """Near misses, which random subnets seldom are: either half of a subnet overlaps it, its sibling does not."""
    network = IPv4Interface(f"{address}/{prefix}").network
    sibling = next(half for half in network.supernet().subnets() if half != network)
    script = 'overlaps "$1" "$2" && echo yes || echo no; overlaps "$1" "$3" && echo yes || echo no'
    assert answers(script, [str(network), str(network.supernet()), str(sibling)]) == ["yes", "no"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.101.0",
        "10.101.0.2.3",
        "10.101.0.256",
        "10.101.0.02",
        "10.101.0.-1",
        "db",
        "10.101.0.2 ",
        "::1",
        "1e1.0.0.0",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """`is_ipv4` takes four plain octets and nothing else."""
    assert bash('is_ipv4 "$1"', text).exit_status == 1


@pytest.mark.parametrize("text", ["0.0.0.0", "255.255.255.255", "10.101.0.2", "100.200.250.249"])
def test_an_address_is_an_address(text: str) -> None:
    """The extremes and the ordinary are taken."""
    assert bash('is_ipv4 "$1"', text).ok


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("1", True),
        ("65535", True),
        ("0", False),
        ("65536", False),
        ("01", False),
        ("1 ", False),
        ("a", False),
        ("", False),
        ("-1", False),
        ("99999999999999999999", False),
        ("1+1", False),
        ("x[$(id)]", False),
    ],
)
def test_a_number_is_a_plain_number_in_range(text: str, *, taken: bool) -> None:
    """`is_number` knows no signs, leading zeros, sums or overflow, and never evaluates what it is given."""
    assert bash('is_number "$1" 1 65535', text).ok is taken


def settings_of(directory: Path) -> dict[str, str]:
    """The services gateway's settings, sound, with its keys in a directory."""
    return {
        "WG_ADDRESS": "10.100.0.11/24",
        "WG_PEER_ALLOWED_IPS": "10.100.0.10/32",
        "WG_PRIVATE_KEY_FILE": str(directory / keys.SERVICES_PRIVATE),
        "WG_PEER_PUBLIC_KEY_FILE": str(directory / keys.WEB_PUBLIC),
        "WG_PRESHARED_KEY_FILE": str(directory / keys.PRESHARED),
        "WG_FORWARD_PORTS": "3306:tcp:10.101.0.2 6379:tcp:10.101.0.4 8001:tcp:10.101.0.5",
    }


@pytest.fixture
def gateway(key_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Sound settings, and a `wg pubkey` where this host has none, by the same derivation."""
    for name in [name for name in os.environ if name.startswith("WG_")]:
        monkeypatch.delenv(name)
    derived = keys.derive_public((key_directory / keys.SERVICES_PRIVATE).read_text(encoding="ascii").strip())
    program = tmp_path / "bin" / "wg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$*" = pubkey ] && cat >/dev/null && echo {derived}\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return settings_of(key_directory)


def test_sound_settings_are_read(gateway: dict[str, str]) -> None:
    """The documented forwards, the tunnel's subnet and the defaults come out of the settings as they went in."""
    script = (
        'read_settings; echo "$tunnel_subnet $WG_LISTEN_PORT $WG_MTU $peer_allowed_ips";'
        'for i in "${!forward_port[@]}"; do'
        ' echo "${forward_port[i]}:${forward_protocol[i]}:${forward_destination[i]}"; done'
    )
    result = bash(script, env=gateway)
    assert result.ok, result
    first, *entries = result.stdout.splitlines()
    assert first == "10.100.0.0/24 51820 1420 10.100.0.10/32"
    assert Forward.parse_all(" ".join(entries)) == Forward.parse_all(gateway["WG_FORWARD_PORTS"])


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("WG_FORWARD_PORTS", "3306", "'3306'"),
        ("WG_FORWARD_PORTS", "70000:tcp:10.101.0.2", "'70000' is not a port"),
        ("WG_FORWARD_PORTS", "3306:sctp:10.101.0.2", "'sctp' is not a protocol"),
        ("WG_FORWARD_PORTS", "3306:tcp:db", "'db' is not an IPv4 address"),
        ("WG_FORWARD_PORTS", "3306:tcp:10.101.0.2:1", "not port:protocol:address"),
        ("WG_FORWARD_PORTS", "3306:tcp:10.100.0.2", "lies inside the tunnel"),
        ("WG_FORWARD_PORTS", "3306:tcp:10.101.0.2 3306:tcp:10.101.0.3", "3306:tcp is declared twice"),
        ("WG_ADDRESS", "10.100.0.11", "not an IPv4 address with the prefix length"),
        ("WG_ADDRESS", "10.100.0.11/33", "not an IPv4 address with the prefix length"),
        ("WG_PEER_ALLOWED_IPS", "10.100.0.10/32,anything", "'anything'"),
        ("WG_PEER_ENDPOINT", "172.20.0.3", "not host:port"),
        ("WG_PEER_ENDPOINT", "172.20.0.300:51820", "is not an IPv4 address"),
        ("WG_PEER_ENDPOINT", "10.100.0.10:51820", "lies inside the tunnel"),
        ("WG_LISTEN_PORT", "0", "not a UDP port"),
        ("WG_MTU", "9", "not an MTU"),
        ("WG_IMPLEMENTATION", "fast", "write auto, kernel or userspace"),
        ("WG_PRIVATE_KEY_FILE", "/nonexistent", "there is no such file"),
        ("WG_PRIVATE_KEY_FILE", "/dev", "not a file"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(gateway: dict[str, str], name: str, value: str, shown: str) -> None:
    """Each is one line with the variable and what is wrong with it, and the status of a wrong configuration."""
    result = bash("read_settings", env=gateway | {name: value})
    assert result.exit_status == EX_CONFIG
    assert result.stderr.startswith(f"gateway: {name}=")
    assert shown in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "name", ["WG_ADDRESS", "WG_PRIVATE_KEY_FILE", "WG_PEER_ALLOWED_IPS", "WG_PEER_PUBLIC_KEY_FILE"]
)
def test_a_missing_setting_is_named(gateway: dict[str, str], name: str) -> None:
    """A gateway that lacks a setting does not start, and says which."""
    result = bash("read_settings", env=gateway | {name: ""})
    assert result.exit_status == EX_CONFIG
    assert f"{name} is not set" in result.stderr or f"nor is {name}" in result.stderr


def test_a_misspelt_setting_is_refused_without_its_value(gateway: dict[str, str]) -> None:
    """WG_FORWARD_PORT would mean a gateway that forwards nothing; the right name is proposed, the value not shown."""
    result = bash("read_settings", env=gateway | {"WG_FORWARD_PORT": "s3cr3t"})
    assert result.exit_status == EX_CONFIG
    assert "did you mean WG_FORWARD_PORTS" in result.stderr
    assert "s3cr3t" not in result.stderr + result.stdout


@pytest.mark.parametrize(
    "content",
    ["", "short", "A" * 43, "A" * 42 + "B=", "A" * 44, "!" * 43 + "="],
    ids=lambda text: text[:3] + str(len(text)),
)
def test_a_file_without_a_key_is_refused_without_being_shown(
    gateway: dict[str, str], key_directory: Path, content: str
) -> None:
    """What the private key's file holds is never printed, also when it is no key; `keys verify` refuses it too."""
    (key_directory / keys.SERVICES_PRIVATE).write_text(content, encoding="ascii")
    result = bash("read_settings", env=gateway)
    assert result.exit_status == EX_CONFIG
    assert "WG_PRIVATE_KEY_FILE" in result.stderr
    assert not content or content not in result.stderr
    assert len(keys.verify(key_directory)) == 1


@pytest.mark.parametrize("name", [keys.SERVICES_PRIVATE, keys.SERVICES_PUBLIC])
def test_an_own_key_in_the_peers_place_is_refused(gateway: dict[str, str], key_directory: Path, name: str) -> None:
    """A peer whose key is this end's own could never shake hands; a private key there is not shown."""
    private = (key_directory / keys.SERVICES_PRIVATE).read_text(encoding="ascii").strip()
    gateway["WG_PEER_PUBLIC_KEY_FILE"] = str(key_directory / name)
    result = bash("read_settings", env=gateway)
    assert result.exit_status == EX_CONFIG
    assert "WG_PEER_PUBLIC_KEY_FILE=" in result.stderr
    assert "own" in result.stderr
    assert private not in result.stderr + result.stdout


def test_the_gateway_and_the_harness_read_forwards_alike(gateway: dict[str, str]) -> None:
    """What `Forward.parse_all` refuses the gateway refuses, so that no scenario expects a rule that cannot be."""
    for entry in (
        "03306:tcp:10.101.0.2",
        "3306:TCP:10.101.0.2",
        "3306:tcp:10.101.0.02",
        "3306:udp:",
        "0:tcp:10.101.0.2",
    ):
        assert bash("read_settings", env=gateway | {"WG_FORWARD_PORTS": entry}).exit_status == EX_CONFIG, entry
        with pytest.raises(ValueError, match="PORT:tcp"):
            Forward.parse_all(entry)


TAKEN = {
    "WG_ADDRESS": ("10.100.0.11/24", "10.100.0.11/31"),
    "WG_PEER_ALLOWED_IPS": ("10.100.0.10/32", "0.0.0.0/0", "10.1.0.9/8, 10.2.0.0/16"),
    "WG_PEER_ENDPOINT": ("172.20.0.3:51820", "gw.example.org:1", "[fd00::3]:51820", ""),
    "WG_IMPLEMENTATION": ("auto", "kernel", "userspace", ""),
    "WG_IPTABLES": ("auto", "nft", "legacy", ""),
    "WG_LISTEN_PORT": ("1", "65535", ""),
    "WG_MTU": ("576", "9000", ""),
    "WG_PERSISTENT_KEEPALIVE": ("0", "25", ""),
    "WG_HANDSHAKE_MAX_AGE": ("0", "999999999", ""),
    "WG_FORWARD_PORTS": ("", "53:udp:10.101.0.9 53:tcp:10.101.0.9"),
}
REFUSED = {
    "WG_ADDRESS": (
        *("10.100.0.11", "10.100.0.11/32", "10.100.0.11/0", "10.100.0.11/024", "10.100.0.11/255.255.255.0"),
        *("10.100.0.011/24", "fd00::11/64", "x/24"),
    ),
    "WG_PEER_ALLOWED_IPS": (
        *("10.100.0.10", "10.100.0.0/255.255.255.0", ",", "::/0", "10.100.0.10/33", "10.100.0.10/032"),
        "10.100.0.10/32;",
    ),
    "WG_PEER_ENDPOINT": (
        *("172.20.0.3", "172.20.0.300:51820", ":51820", "a_b:51820", "gw:051820", "gw:0", "gw:65536", "gw-:1"),
        "10.100.0.10:51820",
    ),
    "WG_IMPLEMENTATION": ("go", "Kernel", "wireguard-go", "auto "),
    "WG_IPTABLES": ("nftables", "iptables-nft", "NFT"),
    "WG_LISTEN_PORT": ("0", "65536", "051820", "default"),
    "WG_MTU": ("575", "9001", "01420", "1420 "),
    "WG_PERSISTENT_KEEPALIVE": ("025", "off", "65536"),
    "WG_HANDSHAKE_MAX_AGE": ("3m", "0180", "-1", "1000000000", "99999999999", "1+1"),
    "WG_FORWARD_PORTS": (
        *("3306", "03306:tcp:10.101.0.2", "0:tcp:10.101.0.2", "1:icmp:10.101.0.2", "1:tcp:db", "1:tcp:10.100.0.2"),
        "1:tcp:10.101.0.2 1:tcp:10.101.0.3",
    ),
    "WG_PEER_PUBLIC_KEY": (SERVICES_KEY,),  # since WG_PEER_PUBLIC_KEY_FILE is set as well
}
SETTINGS = [
    (name, value, table is TAKEN) for table in (TAKEN, REFUSED) for name, values in table.items() for value in values
]


@pytest.mark.parametrize(("name", "value", "taken"), SETTINGS, ids=repr)
def test_the_gateway_and_the_doctor_refuse_the_same(
    gateway: dict[str, str], name: str, value: str, *, taken: bool
) -> None:
    """What a gateway does not start with the doctor calls malformed, of the same setting; and nothing else."""
    result = bash("read_settings", env=gateway | {name: value})
    assert result.exit_status == (0 if taken else EX_CONFIG), result
    sample = Sample()
    sample.environment(BACK)[name] = value
    found = [finding for finding in sample.diagnosis.findings if finding.rule.endswith("setting-malformed")]
    assert any(finding.node == BACK and name in finding.cause for finding in found) is not taken
    assert not (found and taken)


@pytest.mark.parametrize(("value", "taken"), [(SERVICES_KEY, True), ("short", False), ("A" * 42 + "B=", False)])
def test_the_gateway_and_the_doctor_refuse_the_same_keys(gateway: dict[str, str], value: str, *, taken: bool) -> None:
    """A peer's public key that is given as such, without a file."""
    settings = gateway | {"WG_PEER_PUBLIC_KEY": value, "WG_PEER_PUBLIC_KEY_FILE": ""}
    assert bash("read_settings", env=settings).exit_status == (0 if taken else EX_CONFIG)
    sample = Sample()
    sample.tell(FRONT, WG_PEER_PUBLIC_KEY=value, WG_PEER_PUBLIC_KEY_FILE=None)
    assert ("setting-malformed" in sample.diagnosis.errors) is not taken


def test_the_tunnels_subnet_covers_both_ends() -> None:
    """The blackhole route's subnet, as the library computes it, holds both tunnel addresses."""
    (subnet,) = answers('subnet_of "$1"; echo "$REPLY"', ["10.100.0.11/24"])
    assert all(IPv4Interface(f"10.100.0.{host}/32").ip in IPv4Network(subnet) for host in (10, 11))


GATEWAY = LIBRARY.parent
PEER, OTHER = "w" * 43 + "=", "o" * 43 + "="


@pytest.fixture
def prints(tmp_path: Path) -> Callable[[str], Path]:
    """Have a `wg` print a text whatever it is asked, and note what it was told; returns the folder of all this."""

    def put(text: str) -> Path:
        (tmp_path / "printed").write_text(text, encoding="utf-8")
        program = tmp_path / "wg"
        program.write_text(
            f'#!/bin/sh\necho "$@" >>{tmp_path}/told\n[ "$1" = set ] || cat {tmp_path}/printed\n', encoding="utf-8"
        )
        program.chmod(0o755)
        return tmp_path

    return put


def found_first(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


WEB, WEB_100, WEB_IDLE = (
    {"WG_PEER_ENDPOINT": "192.0.2.1:51820", "WG_PERSISTENT_KEEPALIVE": keepalive} for keepalive in ("25", "100", "0")
)


@pytest.mark.parametrize(
    ("settings", "age", "verdict"),
    [
        (WEB, 170, "healthy: s old"),
        (WEB, 190, "unhealthy: more than 180 s"),
        (WEB_100, 300, "healthy: s old"),
        (WEB_100, 330, "unhealthy: more than 320 s"),
        (WEB_IDLE, 9000, "healthy: s old"),
        (WEB_IDLE, None, "unhealthy: at 192.0.2.1:51820 yet"),
        ({}, None, "healthy: it is for that side to begin"),
        ({"WG_PERSISTENT_KEEPALIVE": "25"}, None, "unhealthy: WG_PEER_ENDPOINT is not"),
        ({}, 9000, "healthy: it is for that side to begin anew"),
        ({}, 100, "healthy: s old"),
        ({"WG_HANDSHAKE_MAX_AGE": "300"}, 330, "unhealthy: more than 300 s"),
        ({"WG_HANDSHAKE_MAX_AGE": "300"}, 270, "healthy: s old"),
    ],
)
def test_a_gateway_is_healthy_where_what_it_is_to_see_to_is_well(
    prints: Callable[[str], Path], settings: dict[str, str], age: int | None, verdict: str
) -> None:
    """Who begins has to have a handshake, and a recent one where there is a keepalive; who answers cannot make any."""
    folder = prints(f"{PEER}\t0\n" if age is None else f"{OTHER}\t0\n{PEER}\t{int(time.time()) - age}\n")
    (folder / "wg0").mkdir()
    (folder / "wg0" / "flags").write_text("0x10d1\n", encoding="utf-8")
    script = (GATEWAY / "gateway-health").read_text(encoding="utf-8").replace("/sys/class/net", str(folder))
    result = command.run(["bash", "-c", script], timeout=20, check=False, env={**found_first(folder), **settings})
    state, _, said = verdict.partition(": ")
    assert result.ok == (state == "healthy"), result
    assert said in result.stdout


def test_a_report_has_no_private_key_whatever_stands_before_the_dump(prints: Callable[[str], Path]) -> None:
    """A warning pushes the interface's line, which begins with the private key, to where peers are expected."""
    private, preshared = "p" * 43 + "=", "s" * 43 + "="
    interface = f"{private}\t{OTHER}\t51820\toff"
    peer = f"{PEER}\t{preshared}\t192.0.2.1:51820\t10.100.0.11/32\t1\t2\t3\t25"
    folder = prints(f"Warning: a line that nobody expects\n{interface}\n{peer}\n")
    for name in ("implementation", "iptables"):
        (folder / name).write_text("-\n", encoding="utf-8")
    script = (GATEWAY / "gateway-report").read_text(encoding="utf-8").replace("/run/gateway", str(folder))
    result = command.run(["bash", "-c", script], timeout=20, check=False, env=found_first(folder))
    assert f"{OTHER}\t51820\toff\n{PEER}\t192.0.2.1:51820\t10.100.0.11/32\t1\t2\t3\t25\n" in result.stdout
    assert private not in result.stdout
    assert preshared not in result.stdout


@pytest.mark.parametrize(
    ("peers", "outcome"),
    [
        (f"{PEER}\t0\n", "awaiting true, and added again"),
        (f"{PEER}\t1764000000\n", "awaiting false"),
        ("", "awaiting true, and added again"),  # its endpoint's name was not known at first
        (f"{OTHER}\t0\n", "awaiting false"),
        (f"{OTHER}\t1764000000\n", "awaiting false"),
    ],
)
def test_a_peer_that_somebody_has_exchanged_is_left_alone(
    prints: Callable[[str], Path], peers: str, outcome: str
) -> None:
    """To add the peer of the start again would take its address from the one that was put in its place."""
    script = f"""
        source {LIBRARY}/tunnel.sh
        add_peer() {{ added=', and added again'; }}
        peer_public_key={PEER} awaiting_handshake=true sought_since=0 added_at=0 add_again_after=250 added=''
        report_after=99999999999999 WG_PERSISTENT_KEEPALIVE=25
        look_for_handshake
        echo "awaiting $awaiting_handshake$added"
    """
    result = bash(script, env=found_first(prints(peers)))
    assert result.stdout.splitlines()[-1:] == [outcome], result
