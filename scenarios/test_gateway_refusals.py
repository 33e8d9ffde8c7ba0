"""The gateway starts only if it can be right: a wrong setting is refused at once, by name, with the fix."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.addresses import TUNNEL_SERVICES, TUNNEL_WEB
from harness.keys import KeyPair, generate_preshared
from harness.model import Budget
from harness.netfilter import parse_save
from harness.nodes import Gateway
from harness.stage import Stage
from harness.waiting import holds_for, wait_until
from harness.workbench import CAPABILITIES, KEYS, Ending, Workbench, ending, refuse

OWN, PEER = KeyPair.generate(), KeyPair.generate()
pytestmark = pytest.mark.layouts("dev")  # the image by itself, which is the same in each layout

PRESHARED = generate_preshared()
FILES = {"private.key": OWN.private, "peer.key": PEER.public, "preshared.key": PRESHARED}
SECRETS = (OWN.private, PEER.private, PRESHARED)

LEGACY = (*CAPABILITIES, "NET_RAW")  # iptables-legacy speaks to the kernel over a raw socket

SOUND = {
    "WG_ADDRESS": str(TUNNEL_SERVICES),
    "WG_PEER_ALLOWED_IPS": f"{TUNNEL_WEB.ip}/32",
    "WG_PRIVATE_KEY_FILE": f"{KEYS}/private.key",
    "WG_PEER_PUBLIC_KEY_FILE": f"{KEYS}/peer.key",
    "WG_PRESHARED_KEY_FILE": f"{KEYS}/preshared.key",
}

# The promise is 2 s on a machine that is idle; the engine's own start and a loaded machine come on top.
SECONDS_TO_REFUSE = 5
SECONDS_TO_STOP = 5  # the promise is one on an idle machine; `date` counts whole ones
EX_CONFIG = 78  # sysexits.h

READY = Budget(seconds=15, reason="a gateway builds its rules and wg0 within a second; a loaded machine takes longer")
STAYS = Budget(seconds=1, reason="from ready on; every refusal comes before that")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One thing that is wrong, and what the gateway's line must say: the setting, its value, and the way out."""

    name: str
    value: str
    fix: str
    settings: dict[str, str | None] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)


def _forward(entry: str, fix: str, *, value: str | None = None) -> Wrong:
    return Wrong(name="WG_FORWARD_PORTS", value=value or entry, fix=fix, settings={"WG_FORWARD_PORTS": entry})


def _setting(name: str, value: str, fix: str) -> Wrong:
    return Wrong(name=name, value=value, fix=fix, settings={name: value})


def _missing(name: str) -> Wrong:
    return Wrong(name=name, value="not set", fix="", settings={name: None})


def _key_file(name: str, file: str, content: str, fix: str) -> Wrong:
    return Wrong(name=name, value=f"{KEYS}/{file}", fix=fix, files={file: content})


SHORT_KEY = base64.b64encode(bytes(31)).decode()
FORWARD = "3306:tcp:10.101.0.2"

WRONG = {
    "a forward without protocol and address": _forward("3306", "port:protocol:address"),
    "a forward without an address": _forward("3306:tcp", "port:protocol:address"),
    "a forward with a port above 65535": _forward("70000:tcp:10.101.0.2", "from 1 to 65535"),
    "a forward with port 0": _forward("0:tcp:10.101.0.2", "from 1 to 65535"),
    "a forward of SCTP": _forward("3306:sctp:10.101.0.2", "tcp or udp"),
    "a forward to a name": _forward("3306:tcp:db", "not an IPv4 address"),
    "a forward to an impossible address": _forward("3306:tcp:10.101.0.256", "not an IPv4 address"),
    "a port forwarded twice": _forward(f"{FORWARD} 3306:tcp:10.101.0.4", "remove one", value="3306:tcp:10.101.0.4"),
    "a forward into the tunnel": _forward("3306:tcp:10.100.0.10", "inside the tunnel"),
    "a forward to where no route leads": _forward(FORWARD, "no route"),
    "a peer key that is too short": Wrong(
        name="WG_PEER_PUBLIC_KEY",
        value=SHORT_KEY[:-1],
        fix="32 bytes",
        settings={"WG_PEER_PUBLIC_KEY_FILE": None, "WG_PEER_PUBLIC_KEY": SHORT_KEY[:-1]},
    ),
    "a private key that is too short": _key_file("WG_PRIVATE_KEY_FILE", "private.key", OWN.private[:40], "32 bytes"),
    "a preshared key that is too long": _key_file(
        "WG_PRESHARED_KEY_FILE", "preshared.key", f"{PRESHARED}A", "32 bytes"
    ),
    "an empty private key file": _key_file("WG_PRIVATE_KEY_FILE", "private.key", "", "wg genkey"),
    "an empty file of the peer's key": _key_file("WG_PEER_PUBLIC_KEY_FILE", "peer.key", "\n", "wg pubkey"),
    "a key file that is not there": _setting("WG_PRIVATE_KEY_FILE", "/nowhere/private.key", "no such file"),
    "its own key as the peer's": _key_file("WG_PEER_PUBLIC_KEY_FILE", "peer.key", OWN.public, "give the peer's"),
    "its private key as the peer's": Wrong(
        name="WG_PEER_PUBLIC_KEY_FILE", value="not shown", fix="give the peer's", files={"peer.key": OWN.private}
    ),
    "the peer's key given in two ways": Wrong(
        name="WG_PEER_PUBLIC_KEY_FILE",
        value=f"{KEYS}/peer.key",
        fix="keep one",
        settings={"WG_PEER_PUBLIC_KEY": PEER.public},
    ),
    "no address": _missing("WG_ADDRESS"),
    "no private key": _missing("WG_PRIVATE_KEY_FILE"),
    "no allowed IPs": _missing("WG_PEER_ALLOWED_IPS"),
    "no key of the peer": _missing("WG_PEER_PUBLIC_KEY_FILE"),
    "a misspelt name": Wrong(
        name="WG_FORWARD_PORT", value="did you mean", fix="WG_FORWARD_PORTS", settings={"WG_FORWARD_PORT": FORWARD}
    ),
    "a private key in the environment": Wrong(
        name="WG_PRIVATE_KEY", value="not shown", fix="WG_PRIVATE_KEY_FILE", settings={"WG_PRIVATE_KEY": OWN.private}
    ),
    "an address without a prefix length": _setting("WG_ADDRESS", "10.100.0.11", "10.100.0.11/24"),
    "allowed IPs that are none": _setting("WG_PEER_ALLOWED_IPS", "web", "10.100.0.10/32"),
    "an MTU that no IPv4 network has": _setting("WG_MTU", "10", "1420"),
    "an MTU that is no number": _setting("WG_MTU", "1420k", "1420"),
    "a keepalive in words": _setting("WG_PERSISTENT_KEEPALIVE", "often", "seconds"),
    "a keepalive out of range": _setting("WG_PERSISTENT_KEEPALIVE", "65536", "65535"),
    "a listen port out of range": _setting("WG_LISTEN_PORT", "65536", "65535"),
    "an endpoint without a port": _setting("WG_PEER_ENDPOINT", "172.20.0.3", "host:port"),
    "an endpoint inside the tunnel": _setting("WG_PEER_ENDPOINT", "10.100.0.10:51820", "outside"),
    "an unknown WireGuard": _setting("WG_IMPLEMENTATION", "fast", "auto, kernel or userspace"),
    "an unknown iptables": _setting("WG_IPTABLES", "ebtables", "auto, nft or legacy"),
    "an outgoing interface that is not there": _setting("WG_FORWARD_INTERFACE", "eth7", "no such interface"),
    "forwards without IP forwarding": Wrong(
        name="WG_FORWARD_PORTS",
        value=FORWARD,
        fix="net.ipv4.ip_forward",
        settings={"WG_FORWARD_PORTS": FORWARD},
        container={"forwarding": False},
    ),
    "no NET_ADMIN": Wrong(
        name="the capability NET_ADMIN", value="missing", fix="cap_add", container={"capabilities": ["NET_RAW"]}
    ),
    "iptables-legacy without the capability that it needs": _setting("WG_IPTABLES", "legacy", "NET_RAW"),
    "no TUN device": Wrong(
        name="WG_IMPLEMENTATION",
        value="userspace",
        fix="/dev/net/tun",
        settings={"WG_IMPLEMENTATION": "userspace"},
        container={"tun": False},
    ),
}


@pytest.fixture(scope="module")
def workbench(stage: Stage) -> Workbench:
    """A place for single gateways, beside the deployment."""
    return Workbench(stage.deployment())


@pytest.fixture(scope="module")
def network(workbench: Workbench) -> Iterator[str]:
    """A network that backends could be on."""
    with workbench.network() as name:
        yield name


@pytest.fixture(scope="module")
def alone(workbench: Workbench) -> Iterator[Gateway]:
    """A container of the gateway's image on no network."""
    with workbench.namespace() as namespace:
        yield namespace


@pytest.fixture
def attached(workbench: Workbench, network: str) -> Iterator[Gateway]:
    """A container of the gateway's image on that network."""
    with workbench.namespace(network) as namespace:
        yield namespace


def forwards(workbench: Workbench) -> dict[str, str]:
    """Settings of a gateway that forwards to two backends of the workbench's network."""
    return SOUND | {"WG_FORWARD_PORTS": f"3306:tcp:{workbench.subnet[200]} 6379:tcp:{workbench.subnet[201]}"}


def given(wrong: Wrong) -> dict[str, str]:
    """The sound settings with one wrong thing among them."""
    return {name: value for name, value in (SOUND | wrong.settings).items() if value is not None}


def see_refusal(ended: Ending, name: str, value: str, fix: str) -> None:
    """It has ended at once, said one line with all three, and shown no secret."""
    assert ended.exit_code == EX_CONFIG, ended
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, lines
    for part in (name, value, fix):
        assert part in lines[0], f"{part!r} is not in {lines[0]!r}"
    for secret in SECRETS:
        assert secret[:20] not in ended.stdout + ended.stderr
    assert ended.seconds < SECONDS_TO_REFUSE, ended


@pytest.mark.parametrize("title", [title for title in WRONG if not WRONG[title].container])
def test_a_wrong_setting_is_refused_by_name(alone: Gateway, title: str) -> None:
    """It exits non-zero within seconds, with one line that names the setting, its value and the fix, never a key."""
    wrong = WRONG[title]
    see_refusal(refuse(alone, given(wrong), FILES | wrong.files), wrong.name, wrong.value, wrong.fix)


@pytest.mark.parametrize(
    "title", ["a forward without protocol and address", *(title for title in WRONG if WRONG[title].container)]
)
def test_a_container_that_cannot_be_right_ends(workbench: Workbench, title: str) -> None:
    """The container itself exits, non-zero and within seconds of its start, when it is set or built wrong."""
    wrong = WRONG[title]
    with workbench.gateway(given(wrong), FILES | wrong.files, **wrong.container) as gateway:
        see_refusal(ending(gateway), wrong.name, wrong.value, wrong.fix)


def test_a_tunnel_on_an_attached_network_is_refused(workbench: Workbench, attached: Gateway) -> None:
    """A tunnel subnet that overlaps a network of the container is refused, and both are named."""
    address = f"{workbench.subnet[11]}/24"
    ended = refuse(attached, SOUND | {"WG_ADDRESS": address}, FILES)
    see_refusal(ended, "WG_ADDRESS", address, f"overlaps {workbench.subnet}")


def test_an_outgoing_interface_that_leads_elsewhere_is_refused(workbench: Workbench, attached: Gateway) -> None:
    """A set WG_FORWARD_INTERFACE by which a destination is not reached is refused, and the right one named."""
    ended = refuse(attached, forwards(workbench) | {"WG_FORWARD_INTERFACE": "lo"}, FILES)
    see_refusal(ended, "WG_FORWARD_INTERFACE", "lo", "leaves by eth0")


def test_the_same_settings_put_right_start_and_stay(workbench: Workbench, network: str) -> None:
    """The twin of every refusal: with nothing wrong the gateway starts, says nothing on stderr, and stays up."""
    with workbench.gateway(forwards(workbench), FILES, network=network) as gateway:
        ready(gateway)
        held, state, _reads = holds_for(gateway.state, lambda seen: seen.status == "running", STAYS)
        assert held, state
        assert gateway.container.logs(stdout=False, stderr=True) == b""
        assert gateway.interface().public_key == OWN.public
        assert gateway.peer().public_key == PEER.public


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_a_gateway_makes_the_declared_rules_and_takes_them_along(
    workbench: Workbench, network: str, backend: str
) -> None:
    """iptables-nft and iptables-legacy make the same rules; SIGTERM removes them and wg0, at once and in good order."""
    other = {"nft": "legacy", "legacy": "nft"}[backend]
    with workbench.namespace(network, capabilities=LEGACY) as namespace:
        require_iptables(namespace, backend)
        before = rules(namespace, backend)
        settings = forwards(workbench) | {"WG_IPTABLES": backend}
        with workbench.gateway(settings, FILES, network=f"container:{namespace.name}", capabilities=LEGACY) as gateway:
            ready(gateway)
            assert rules(namespace, backend) == sorted([*before, *expected_rules(workbench)])
            assert not namespace.run(f"xtables-{other}-multi", "iptables-save").stdout.count("wg0")
            assert gateway.policies()["filter", "FORWARD"] == "DROP"
            asked = namespace.output("date", "+%s")
            gateway.container.stop(timeout=20)
            took = int(namespace.output("date", "+%s")) - int(asked)
            assert ending(gateway).exit_code == 0, ending(gateway)
            assert took < SECONDS_TO_STOP
        assert rules(namespace, backend) == before
        assert "wg0" not in namespace.output("ip", "link", "show")
        blackholes = [route.destination for route in namespace.routes() if route.kind == "blackhole"]
        assert blackholes == [str(TUNNEL_SERVICES.network)], "what it leaves on purpose: a tunnel that fails closed"


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
def test_a_restarted_gateway_has_each_rule_once(workbench: Workbench, network: str, signal: str) -> None:
    """However it ended, also killed with its rules left behind, the next start leaves every rule there once."""
    with workbench.namespace(network) as namespace:
        shared = f"container:{namespace.name}"
        with workbench.gateway(forwards(workbench) | {"WG_IPTABLES": "nft"}, FILES, network=shared) as gateway:
            ready(gateway)
            once = rules(namespace, "nft")
            assert once == expected_rules(workbench)
            for _ in range(2):
                gateway.container.kill(signal)
                ending(gateway)
                gateway.container.start()
                ready(gateway)
                assert rules(namespace, "nft") == once


def require_iptables(namespace: Gateway, backend: str) -> None:
    """Skip where the kernel has none of that kind."""
    answer = namespace.run(f"xtables-{backend}-multi", "iptables", "-t", "nat", "-S")
    if not answer.ok:
        pytest.skip(f"this kernel has no iptables-{backend}: {answer.stderr.strip()}")


def ready(gateway: Gateway) -> None:
    """Wait until the gateway reports itself well."""
    wait_until(
        f"{gateway.name} to be ready",
        lambda: gateway.run("gateway-health"),
        lambda answer: answer.ok,
        within=READY,
    )


def rules(gateway: Gateway, backend: str) -> list[str]:
    """Every rule of that backend but those of Docker's name server, without counters."""
    saved = parse_save(gateway.output(f"xtables-{backend}-multi", "iptables-save", "-c"))
    return sorted(
        f"{rule.table} {rule.chain} {rule.specification}"
        for rule in saved
        if "DOCKER" not in rule.chain + rule.specification
    )


def expected_rules(workbench: Workbench) -> list[str]:
    """What the two forwards are, in the words of `iptables-save`."""
    clamp = "-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
    expected = [
        "filter INPUT -i wg0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "filter INPUT -i wg0 -p icmp -m icmp --icmp-type 8 -j ACCEPT",
        "filter INPUT -i wg0 -p tcp -j REJECT --reject-with tcp-reset",
        "filter INPUT -i wg0 -j REJECT --reject-with icmp-port-unreachable",
        f"mangle FORWARD -i wg0 {clamp}",
        f"mangle FORWARD -o wg0 {clamp}",
        "filter FORWARD -o wg0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]
    for port, address in ((3306, workbench.subnet[200]), (6379, workbench.subnet[201])):
        match = f"-p tcp -m tcp --dport {port}"
        expected += [
            f"nat PREROUTING -i wg0 {match} -j DNAT --to-destination {address}:{port}",
            f"nat POSTROUTING -d {address}/32 -o eth0 {match} -j MASQUERADE",
            f"filter FORWARD -d {address}/32 -i wg0 -o eth0 {match} -m conntrack --ctstate DNAT -j ACCEPT",
        ]
    return sorted(expected)
