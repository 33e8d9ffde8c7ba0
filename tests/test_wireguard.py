from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import keys, wireguard
from harness.errors import ParseError

OWN = keys.KeyPair.generate()
PEER = keys.KeyPair.generate()
OTHER = keys.KeyPair.generate()
PRESHARED = keys.generate_preshared()


def line(*fields: object) -> str:
    return "\t".join(map(str, fields)) + "\n"


INTERFACE = line("wg0", OWN.private, OWN.public, 51820, "off")


def test_a_tunnel_in_use_is_read() -> None:
    """Each field of a peer that has shaken hands arrives as what it is."""
    text = INTERFACE + line(
        "wg0", PEER.public, PRESHARED, "172.20.0.3:51820", "10.100.0.11/32", 1763000000, 8196, 4100, 25
    )
    (interface,) = wireguard.parse_dump(text)
    (peer,) = interface.peers
    assert (interface.name, interface.public_key, interface.listen_port) == ("wg0", OWN.public, 51820)
    assert peer.public_key == PEER.public
    assert peer.preshared_key_set is True
    assert peer.endpoint == "172.20.0.3:51820"
    assert peer.allowed_ips == (IPv4Network("10.100.0.11/32"),)
    assert peer.latest_handshake == datetime(2025, 11, 13, 2, 13, 20, tzinfo=UTC)
    assert (peer.transfer_rx, peer.transfer_tx, peer.persistent_keepalive) == (8196, 4100, 25)


def test_a_tunnel_that_never_shook_hands_is_read() -> None:
    """Zero, `(none)` and `off` become None, False, an empty tuple and 0."""
    text = INTERFACE + line("wg0", PEER.public, "(none)", "(none)", "(none)", 0, 0, 148, "off")
    (peer,) = wireguard.parse_dump(text)[0].peers
    assert peer.latest_handshake is None
    assert peer.preshared_key_set is False
    assert peer.endpoint is None
    assert peer.allowed_ips == ()
    assert peer.persistent_keepalive == 0
    assert peer.transfer_tx == 148


def test_several_interfaces_keep_their_own_peers() -> None:
    """Peers belong to the interface that their line names, in the order of the dump."""
    text = (
        INTERFACE
        + line("wg0", PEER.public, "(none)", "(none)", "10.100.0.10/32", 0, 0, 0, "off")
        + line("wg0", OTHER.public, "(none)", "(none)", "10.100.0.12/32,192.168.7.0/24", 0, 0, 0, "off")
        + line("wg1", OTHER.private, OTHER.public, 51821, "0xca6c")
        + line("wg1", PEER.public, "(none)", "[2001:db8::1]:51820", "0.0.0.0/0,::/0", 0, 0, 0, "off")
    )
    first, second = wireguard.parse_dump(text)
    assert [peer.public_key for peer in first.peers] == [PEER.public, OTHER.public]
    assert first.peers[1].allowed_ips == (IPv4Network("10.100.0.12/32"), IPv4Network("192.168.7.0/24"))
    assert (second.name, second.listen_port, len(second.peers)) == ("wg1", 51821, 1)
    assert second.peers[0].endpoint == "[2001:db8::1]:51820"
    assert second.peers[0].allowed_ips == (IPv4Network("0.0.0.0/0"),)  # IPv6 is not routed here


def test_an_interface_without_peers_is_read() -> None:
    """A gateway whose peer was removed shows its interface, with no peers."""
    (interface,) = wireguard.parse_dump(INTERFACE)
    assert interface.peers == ()


def test_no_output_is_no_interface() -> None:
    """`wg` prints nothing where there is no interface, and that is no error."""
    assert wireguard.parse_dump("") == ()


def test_no_secret_outlives_the_parser() -> None:
    """Neither the private nor the preshared key is anywhere in the result."""
    text = INTERFACE + line("wg0", PEER.public, PRESHARED, "(none)", "10.100.0.11/32", 0, 0, 0, 25)
    shown = repr(wireguard.parse_dump(text))
    assert PEER.public in shown
    assert OWN.private not in shown
    assert PRESHARED not in shown


GOOD_PEER = ("wg0", PEER.public, PRESHARED, "(none)", "10.100.0.11/32", 0, 0, 0, 25)


@pytest.mark.parametrize(
    "bad",
    [
        line("Unable to access interface wg0: No such device"),
        line(*GOOD_PEER[:8]),
        line(*GOOD_PEER, "more"),
        line("wg9", *GOOD_PEER[1:]),
        line(*GOOD_PEER[:4], "10.100.0.11/33", *GOOD_PEER[5:]),
        line(*GOOD_PEER[:5], "yesterday", *GOOD_PEER[6:]),
        line(*GOOD_PEER[:5], 10**30, *GOOD_PEER[6:]),
        line(*GOOD_PEER[:5], 10**15, *GOOD_PEER[6:]),
        line(*GOOD_PEER[:6], "1.5 KiB", *GOOD_PEER[7:]),
        line(*GOOD_PEER[:8], "sometimes"),
        line("wg1", OWN.private, OWN.public, "port", "off"),
        "\n",
    ],
    ids=[
        "an error message",
        "too few fields",
        "too many fields",
        "peer of no interface",
        "no subnet",
        "handshake is no number",
        "handshake overflows",
        "handshake beyond the calendar",
        "bytes are no number",
        "keepalive is no number",
        "port is no number",
        "an empty line",
    ],
)
def test_what_is_no_dump_is_refused_by_line(bad: str) -> None:
    """A line that is not in the documented form is refused by its number, and no key on it is shown."""
    with pytest.raises(ParseError, match=r"^line 3 of `wg show all dump`") as caught:
        wireguard.parse_dump(INTERFACE + line(*GOOD_PEER) + bad)
    assert not [key for key in (OWN.private, PRESHARED) if key in str(caught.value)]
    assert caught.value.__suppress_context__


@given(st.lists(st.lists(st.text(alphabet="wg0(none)off123/.\t:", max_size=8), max_size=10), max_size=6))
def test_no_text_breaks_the_parser(rows: list[list[str]]) -> None:
    """Any text is either read or refused by a `ParseError`, never anything else."""
    text = "".join(line(*row) for row in rows)
    found: tuple[object, ...] = ()
    with contextlib.suppress(ParseError):
        found = wireguard.parse_dump(text)
    assert len(found) <= len(rows)
