"""Every metric that there is: its name, kind, labels and meaning. Nothing else is exported of the gateway."""

from __future__ import annotations

from dataclasses import dataclass

PEER = ("public_key", "allowed_ips")
RULE = ("port", "protocol", "destination", "rule")
TARGET = ("address", "port", "protocol")
READINGS = ("gateway", "interface", "wireguard", "rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric; `kind` is gauge or counter."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


CATALOGUE = (
    Metric(
        name="wireguard_gateway_info",
        kind="gauge",
        labels=("implementation", "iptables", "public_key"),
        help="Always 1: which WireGuard and which iptables the gateway uses, and its own public key.",
    ),
    Metric(
        name="wireguard_interface_up",
        kind="gauge",
        labels=("interface",),
        help="1 while the tunnel's interface is there and up, else 0.",
    ),
    Metric(
        name="wireguard_peer_handshake_seen",
        kind="gauge",
        labels=PEER,
        help="0 until the first handshake with the peer since it was added, then 1.",
    ),
    Metric(
        name="wireguard_peer_latest_handshake_timestamp_seconds",
        kind="gauge",
        labels=PEER,
        help="When the latest handshake was, in seconds since 1970; absent before the first.",
    ),
    Metric(
        name="wireguard_peer_latest_handshake_age_seconds",
        kind="gauge",
        labels=PEER,
        help="How long ago the latest handshake was, by the gateway's clock; absent before the first.",
    ),
    Metric(
        name="wireguard_peer_received_bytes_total",
        kind="counter",
        labels=PEER,
        help="Bytes received from the peer since it was added, WireGuard's own messages included.",
    ),
    Metric(
        name="wireguard_peer_sent_bytes_total",
        kind="counter",
        labels=PEER,
        help="Bytes sent to the peer since it was added, WireGuard's own messages included.",
    ),
    Metric(
        name="wireguard_forward_rule_present",
        kind="gauge",
        labels=RULE,
        help="1 while the rule of a declared forward is there, else 0.",
    ),
    Metric(
        name="wireguard_forward_packets_total",
        kind="counter",
        labels=RULE,
        help="Packets that met the forward's rule: `dnat` counts the first of each connection, "
        "`accept` all towards the service.",
    ),
    Metric(
        name="wireguard_forward_bytes_total",
        kind="counter",
        labels=RULE,
        help="Bytes of the packets that met the forward's rule, IP headers included.",
    ),
    Metric(
        name="wireguard_probe_success",
        kind="gauge",
        labels=TARGET,
        help="1 if a connection to the target came about during this scrape, else 0.",
    ),
    Metric(
        name="wireguard_probe_duration_seconds",
        kind="gauge",
        labels=TARGET,
        help="How long that connection took to be made; absent when there was none.",
    ),
    Metric(
        name="wireguard_reading_up",
        kind="gauge",
        labels=("reading",),
        help="1 if this could be read during this scrape, else 0; what could not be read is absent.",
    ),
    Metric(
        name="wireguard_reading_errors_total",
        kind="counter",
        labels=("reading",),
        help="How many scrapes could not read this since the exporter started.",
    ),
)
