"""Parser of `wg show all dump`.

The format is tab-separated and stable (wg(8), "show"): a line of five fields for an interface, of nine for each of
its peers. The interface's line holds the private key and a peer's the preshared one; both are dropped here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Network, ip_network

from harness.errors import ParseError
from harness.model import Peer, WireGuardInterface

INTERFACE = "wg0"
DUMP = ("wg", "show", "all", "dump")

REJECT_AFTER = 180.0  # seconds; a session is dead this long after its handshake (WireGuard paper, section 6.1)
REKEY_TIMEOUT = 5.0  # seconds between two attempts at a handshake (ibid.)

_INTERFACE_FIELDS = 5
_PEER_FIELDS = 9


def parse_dump(text: str) -> tuple[WireGuardInterface, ...]:
    """Read what `wg show all dump` printed; raises `ParseError` with the number of the line at fault."""
    interfaces: dict[str, WireGuardInterface] = {}
    peers: dict[str, list[Peer]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split("\t")
        try:
            if len(fields) == _INTERFACE_FIELDS:
                name, _private, public, port, _fwmark = fields
                peers[name] = []
                interfaces[name] = WireGuardInterface(name=name, public_key=public, listen_port=int(port), peers=())
            elif len(fields) == _PEER_FIELDS:
                peers[fields[0]].append(_peer(fields))
            else:
                message = f"{len(fields)} fields"
                raise ValueError(message)  # noqa: TRY301 (one place names the line)
        except (KeyError, ValueError, OverflowError) as error:
            # The line itself may hold a key: only its number is shown.
            message = f"line {number} of `wg show all dump` is not in wg(8)'s format: {type(error).__name__}"
            raise ParseError(message) from None
    return tuple(
        WireGuardInterface(
            name=name, public_key=found.public_key, listen_port=found.listen_port, peers=tuple(peers[name])
        )
        for name, found in interfaces.items()
    )


def _peer(fields: list[str]) -> Peer:
    _interface, public, preshared, endpoint, allowed, handshake, received, sent, keepalive = fields
    networks = [] if allowed == "(none)" else [ip_network(entry) for entry in allowed.split(",")]
    return Peer(
        public_key=public,
        preshared_key_set=preshared != "(none)",
        endpoint=None if endpoint == "(none)" else endpoint,
        allowed_ips=tuple(network for network in networks if isinstance(network, IPv4Network)),
        latest_handshake=datetime.fromtimestamp(int(handshake), tz=UTC) if int(handshake) else None,
        transfer_rx=int(received),
        transfer_tx=int(sent),
        persistent_keepalive=0 if keepalive == "off" else int(keepalive),
    )
