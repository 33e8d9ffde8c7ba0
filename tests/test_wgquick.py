from __future__ import annotations

import contextlib
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import keys, wgquick
from harness.errors import ParseError

OWN = keys.KeyPair.generate()
PEER = keys.KeyPair.generate()
PRESHARED = keys.generate_preshared()

DNAT = "iptables -t nat -A PREROUTING -i %i -p tcp --dport 3306 -j DNAT --to-destination 10.44.5.10"

CONFIGURATION = f"""
[Interface]
Address = 10.66.0.2/29, fd00::2/64
ListenPort = 41194
MTU = 1400
PrivateKey = {OWN.private}
PostUp = {DNAT}; iptables -P FORWARD DROP
PostUp = iptables -t nat -I PREROUTING 1 --protocol udp --destination-port 53 --jump DNAT --to 10.44.5.9:53
PostDown = iptables -t nat -D PREROUTING -i %i -p tcp --dport 8000 -j DNAT --to-destination 10.44.5.10

[peer]  # names are compared in lower case
publickey = {PEER.public}
PresharedKey={PRESHARED}
Endpoint = 192.168.77.20:41194
AllowedIPs = 10.66.0.1/32, 10.9.0.0/16
AllowedIPs = 10.10.0.0/16
PersistentKeepalive = 20
"""


def test_a_configuration_becomes_the_settings_that_it_amounts_to() -> None:
    """Each line arrives as the documented setting that says the same; a DNAT of a PostUp line as a forward."""
    told = wgquick.parse(CONFIGURATION, "/somewhere/wg0.conf")
    assert told.settings == {
        "WG_ADDRESS": "10.66.0.2/29",
        "WG_PRIVATE_KEY_FILE": "/somewhere/wg0.conf",
        "WG_LISTEN_PORT": "41194",
        "WG_MTU": "1400",
        "WG_PEER_PUBLIC_KEY": PEER.public,
        "WG_PEER_ENDPOINT": "192.168.77.20:41194",
        "WG_PRESHARED_KEY_FILE": "/somewhere/wg0.conf#PresharedKey",
        "WG_PEER_ALLOWED_IPS": "10.66.0.1/32,10.9.0.0/16,10.10.0.0/16",
        "WG_PERSISTENT_KEEPALIVE": "20",
        "WG_FORWARD_PORTS": "3306:tcp:10.44.5.10 53:udp:10.44.5.9",
    }
    assert (told.private_key, told.preshared_key) == (OWN.private, PRESHARED)


NOTEBOOK = keys.KeyPair.generate()
SEVERAL = f"""
{CONFIGURATION}
[Peer]
PublicKey = {NOTEBOOK.public}
AllowedIPs = 10.66.0.5/32
"""
THE_OTHER = wgquick.parse(CONFIGURATION).settings


@pytest.mark.parametrize(
    "other",
    [
        wgquick.End(public_key=PEER.public, address=None),
        wgquick.End(public_key=PEER.public, address=IPv4Address("10.66.0.5")),
        wgquick.End(public_key=OWN.public, address=IPv4Address("10.66.0.1")),
        wgquick.End(public_key=None, address=IPv4Address("10.66.0.1")),
    ],
    ids=["by key", "by key first", "by address where the key is a wrong one", "by address"],
)
def test_of_several_peers_the_other_gateway_is_meant(other: wgquick.End) -> None:
    """A notebook, or the next server, may be a peer too."""
    assert wgquick.parse(SEVERAL, others=[other]).settings == THE_OTHER


@pytest.mark.parametrize(
    "others",
    [
        [],
        [wgquick.End(public_key=OWN.public, address=IPv4Address("10.66.0.9"))],
        [wgquick.End(public_key=each.public, address=None) for each in (PEER, NOTEBOOK)],
    ],
    ids=["nobody", "a stranger", "both"],
)
def test_who_is_meant_is_never_guessed(others: list[wgquick.End]) -> None:
    """Neither of several peers is the other gateway, or each may be."""
    with pytest.raises(ParseError, match="which of them is the other gateway cannot be said"):
        wgquick.parse(SEVERAL, others=others)


def test_an_end_is_known_by_its_key_and_its_address() -> None:
    """What a file says of its own end; a key that is none is not known."""
    assert wgquick.end(SEVERAL) == wgquick.End(public_key=OWN.public, address=IPv4Address("10.66.0.2"))
    assert wgquick.end("[Interface]\nPrivateKey = none") == wgquick.End(public_key=None, address=None)


def test_what_is_not_said_is_no_setting() -> None:
    """An interface alone has no peer, no forwards and no port; `off` is no keepalive."""
    told = wgquick.parse(f"[Interface]\nPrivateKey = {OWN.private}\n[Peer]\nPersistentKeepalive = off\n")
    assert told.settings == {"WG_PRIVATE_KEY_FILE": wgquick.CONFIGURATION}
    assert told.preshared_key == ""


def test_an_allowed_address_alone_is_a_whole_one() -> None:
    """WireGuard takes it without a prefix length, a gateway's setting is not; and nobody judges IPv6."""
    told = wgquick.parse("[Interface]\n[Peer]\nAllowedIPs = 10.66.0.1, fd00::1/128\nAllowedIPs = 10.9.0.0/16\n")
    assert told.settings == {"WG_PEER_ALLOWED_IPS": "10.66.0.1/32,10.9.0.0/16"}
    assert wgquick.parse("[Interface]\n[Peer]\nAllowedIPs = fd00::/64\n").settings == {}


def test_no_secret_is_shown() -> None:
    """Neither the settings nor the representation hold a key that has to stay secret."""
    told = wgquick.parse(CONFIGURATION)
    for secret in (OWN.private, PRESHARED):
        assert secret not in str(told.settings)
        assert secret not in repr(told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"PrivateKey = {OWN.private}", "line 1 is no `NAME = VALUE` in a section"),
        (f"[Interface]\nPrivateKey {OWN.private}", "line 2 is no `NAME = VALUE` in a section"),
        ("[Interface]\n[Wireguard]", "line 2 begins a section that wg-quick does not know: [wireguard]"),
        ("[Interface]\n[Peer]\n[Peer]", "wg0.conf has 2 peers, and which of them is the other gateway cannot be said"),
    ],
    ids=["no section", "no equals sign", "unknown section", "two peers"],
)
def test_what_is_no_configuration_is_named_without_its_keys(text: str, said: str) -> None:
    """The line is named by its number, since it may hold a key."""
    with pytest.raises(ParseError) as refused:
        wgquick.parse(text)
    assert said in str(refused.value)
    assert OWN.private not in str(refused.value)


@pytest.mark.parametrize("lines", ["PostUp = /etc/wireguard/up.sh", "PreUp = nft -f /etc/rules.nft"])
def test_a_line_that_may_send_on_anything_is_obscure(lines: str) -> None:
    """It is named without what is in it, which may be a key; by its number where there are several."""
    name = lines.partition(" ")[0]
    assert wgquick.parse(f"[Interface]\n{lines}\n").obscure == (name,)
    assert wgquick.parse(f"[Interface]\n{name} = {DNAT}\n{lines}\n").obscure == (f"{name} number 2",)
    assert wgquick.parse(f"[Interface]\n{name} = {DNAT}\n").obscure == ()


@given(st.text(alphabet=st.sampled_from("[]InterfacePeer=#\n %:;&|'\"-jDNAT 10./")))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever a file holds, the answer is a configuration or a `ParseError`."""
    with contextlib.suppress(ParseError):
        wgquick.parse(text)
