"""Parser of a `wg0.conf` as wg-quick(8) reads it, into the settings by which this project's own gateways are told.

A gateway that is set up by wg-quick is told the same things in other words: what is a variable there is a line here,
and what is declared there is what a PostUp line here gives to iptables.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, ip_interface

from harness import keys, postup
from harness.errors import ParseError
from harness.wireguard import INTERFACE

CONFIGURATION = f"/etc/wireguard/{INTERFACE}.conf"
"""Where wg-quick looks for it."""

PACKED_FOLDER, PACKED = "/config", f"/config/wg_confs/{INTERFACE}.conf"
"""The one folder of the image linuxserver/wireguard, and where in it the configuration is."""

PRESHARED_KEY = "#PresharedKey"
"""What stands behind the configuration's path where one of its two secrets is meant: the one that both ends share."""

LINES = {
    "WG_ADDRESS": "Address",
    "WG_PRIVATE_KEY_FILE": "PrivateKey",
    "WG_LISTEN_PORT": "ListenPort",
    "WG_MTU": "MTU",
    "WG_PEER_PUBLIC_KEY": "PublicKey",
    "WG_PEER_PUBLIC_KEY_FILE": "PublicKey",
    "WG_PRESHARED_KEY_FILE": "PresharedKey",
    "WG_PEER_ENDPOINT": "Endpoint",
    "WG_PEER_ALLOWED_IPS": "AllowedIPs",
    "WG_PERSISTENT_KEEPALIVE": "PersistentKeepalive",
    "WG_FORWARD_PORTS": "what PostUp sends on by DNAT",
}
"""What a setting of this project's own gateways is in a configuration."""

_SECTION = re.compile(r"\[(?P<name>\w+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One `wg0.conf`. `settings` never holds a secret; `private_key` and `preshared_key` are empty where none is.

    `obscure` are the lines of which nobody can say here what they send on, without what is in them.
    """

    settings: dict[str, str]
    private_key: str
    preshared_key: str
    obscure: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Configuration(settings={self.settings!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A gateway as its peers know it, each part None where its configuration does not tell."""

    public_key: str | None
    address: IPv4Address | None


def end(text: str) -> End:
    """Whose configuration it is; raises `ParseError` as `parse` does."""
    interface, _ = _sections(text)
    address = _first_ipv4(_addresses(interface))
    try:
        public_key = keys.derive_public(_last(interface, "privatekey"))
    except ValueError:
        public_key = None
    return End(public_key=public_key, address=address.ip if address else None)


def parse(text: str, path: str = CONFIGURATION, others: Collection[End] = ()) -> Configuration:
    """Read a configuration; `path` is where it lies, for whoever looks at the key in it.

    Of several peers the one that is among the `others` is meant. Raises `ParseError` with what is wrong, also where
    that cannot be said, never showing a key.
    """
    interface, peers = _sections(text)
    peer = _meant(peers, others)
    if peer is None:
        message = f"{path} has {len(peers)} peers, and which of them is the other gateway cannot be said"
        raise ParseError(message)
    return Configuration(
        settings=dict(_settings(interface, peer, path)),
        private_key=_last(interface, "privatekey"),
        preshared_key=_last(peer, "presharedkey"),
        obscure=tuple(_obscure(interface)),
    )


def endpoints(text: str) -> tuple[str, ...]:
    """Where those of its peers are whom it dials by itself, each as HOST:PORT; raises `ParseError` as `parse` does."""
    _, peers = _sections(text)
    return tuple(endpoint for peer in peers if (endpoint := _last(peer, "endpoint")))


_Section = dict[str, list[str]]


def _sections(text: str) -> tuple[_Section, list[_Section]]:
    """The interface's lines and each peer's, by their names in lower case, which is how wg-quick compares them."""
    interface: _Section = {}
    peers: list[_Section] = []
    current: _Section | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.partition("#")[0].strip()
        if not stripped:
            continue
        if section := _SECTION.fullmatch(stripped):
            match section["name"].lower():
                case "interface":
                    current = interface
                case "peer":
                    current = {}
                    peers.append(current)
                case other:
                    message = f"line {number} begins a section that wg-quick does not know: [{other}]"
                    raise ParseError(message)
            continue
        name, equals, value = stripped.partition("=")
        if current is None or not equals or not name.strip().isalnum():
            # The line itself may hold a key: only its number is shown.
            message = f"line {number} is no `NAME = VALUE` in a section"
            raise ParseError(message)
        current.setdefault(name.strip().lower(), []).append(value.strip())
    return interface, peers


def _meant(peers: list[_Section], others: Collection[End]) -> _Section | None:
    """The peer that is another gateway: by its key, or, where that is a wrong one, by the address that it may use."""
    if len(peers) <= 1:
        return peers[0] if peers else {}
    known_keys = {other.public_key for other in others if other.public_key}
    addresses = {f"{other.address}/32" for other in others if other.address}
    by_key = [peer for peer in peers if _last(peer, "publickey") in known_keys]
    by_address = [peer for peer in peers if addresses.intersection(_ipv4_subnets(peer.get("allowedips", [])))]
    return next((found[0] for found in (by_key, by_address) if len(found) == 1), None)


def _settings(interface: _Section, peer: _Section, path: str) -> Iterator[tuple[str, str]]:
    if address := _address(interface):
        yield "WG_ADDRESS", str(address)
    if _last(interface, "privatekey"):
        yield "WG_PRIVATE_KEY_FILE", path
    yield from _known(interface, "WG_LISTEN_PORT", "WG_MTU")
    yield from _known(peer, "WG_PEER_PUBLIC_KEY", "WG_PEER_ENDPOINT")
    if _last(peer, "presharedkey"):
        yield "WG_PRESHARED_KEY_FILE", f"{path}{PRESHARED_KEY}"
    if allowed := ",".join(_ipv4_subnets(peer.get("allowedips", []))):
        yield "WG_PEER_ALLOWED_IPS", allowed
    keepalive = _last(peer, "persistentkeepalive")
    if keepalive and keepalive != "off":
        yield "WG_PERSISTENT_KEEPALIVE", keepalive
    if declared := postup.read(interface.get("postup", []) + interface.get("preup", [])).forwards:
        yield "WG_FORWARD_PORTS", " ".join(map(str, declared))


def _obscure(interface: _Section) -> Iterator[str]:
    for line in ("PreUp", "PostUp"):
        commands = interface.get(line.lower(), [])
        for number in postup.read(commands).obscure:
            yield f"{line} number {number + 1}" if len(commands) > 1 else line


def _known(section: _Section, *settings: str) -> Iterator[tuple[str, str]]:
    return ((setting, value) for setting in settings if (value := _last(section, LINES[setting].lower())))


def _last(section: _Section, name: str) -> str:
    return (section.get(name) or [""])[-1]


def _ipv4_subnets(entries: list[str]) -> Iterator[str]:
    """Those of IPv4, each with its prefix length, which WireGuard lets one leave out of a single address."""
    for word in ",".join(entries).split(","):
        subnet = word.strip()
        if subnet and ":" not in subnet:
            yield subnet if "/" in subnet else f"{subnet}/32"


def _address(interface: _Section) -> IPv4Interface | str:
    """An end's first address of IPv4; before it, as it is written, what is none at all; after it one of IPv6."""
    words = _addresses(interface)
    malformed = next((word for word in words if not _is_interface(word)), None)
    return malformed or _first_ipv4(words) or next(iter(words), "")


def _addresses(interface: _Section) -> list[str]:
    return [word.strip() for word in ",".join(interface.get("address", [])).split(",") if word.strip()]


def _is_interface(word: str) -> bool:
    try:
        ip_interface(word)
    except ValueError:
        return False
    return True


def _first_ipv4(words: list[str]) -> IPv4Interface | None:
    found = (ip_interface(word) for word in words if _is_interface(word))
    return next((each for each in found if isinstance(each, IPv4Interface)), None)
