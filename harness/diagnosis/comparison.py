"""What two snapshots of one deployment differ in: all that stays as it is while nobody changes anything, and no more.

Counters, handshakes, process ids and the like are left out, and interfaces go by the network that they lead to: one
that is attached anew comes back under another name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from harness.diagnosis.evidence import Snapshot, UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import AppFacts, GatewayFacts, NodeFacts
from harness.wireguard import INTERFACE

Portrait = dict[str, str]

_HANDLED = ("id", "started_at", "health", "restarts", "exit_code", "error", "network_mode", "oom_killed")
"""Fields of a container that change by themselves, or say the same as another."""


def portrait(snapshot: Snapshot, *, lasting: bool = True) -> Portrait:
    """Everything that stays, a line each. Without `lasting`, also when each container was started."""
    facts = Facts(snapshot)
    lines: Portrait = {f"network {each.name}": " ".join(each.subnets) for each in snapshot.networks if each.ours}
    for node in facts.nodes:
        for key, value in _lines(node, lasting=lasting):
            lines[f"{node.service}: {key}"] = value
    return lines


def differences(before: Portrait, after: Portrait) -> tuple[str, ...]:
    """A line for each thing that came (+) or went (-)."""
    old = [f"{key} {value}" for key, value in sorted(before.items())]
    new = [f"{key} {value}" for key, value in sorted(after.items())]
    compared = difflib.unified_diff(old, new, lineterm="", n=0)
    return tuple(line for line in compared if line[:1] in "+-" and not line.startswith(("+++", "---")))


def _lines(node: NodeFacts, *, lasting: bool) -> Iterator[tuple[str, str]]:
    container = node.container
    for name in container.__dataclass_fields__:
        if name not in _HANDLED or (name == "started_at" and not lasting):
            yield name, _ordered(getattr(container, name))
    try:
        for file in node.secret_files:
            yield f"secret {file.path}", f"{file.mode:04o} {file.owner} {file.seal} {file.fault or ''}"
        for upstream in node.upstreams:
            yield f"passes on by {upstream.directive}", f"{upstream.address}:{upstream.port} {upstream.said or ''}"
        if isinstance(node, GatewayFacts):
            yield from _gateway(node)
        if isinstance(node, AppFacts):
            for name, reach in node.reaches.items():
                yield f"{name} reached", " ".join(reach.reached)
                yield f"{name} grants", "; ".join(reach.grants)
                yield f"{name} takes writes", str(not reach.read_only)
    except UnseenError as error:
        yield "unseen", str(error)


def _ordered(value: object) -> str:
    """A field of a container, whatever order Docker lists its parts in."""
    match value:
        case Mapping():
            return " ".join(f"{name}={value[name]}" for name in sorted(value))
        case tuple():
            return " ".join(sorted(map(str, value)))
        case _:
            return str(value)


def _gateway(gateway: GatewayFacts) -> Iterator[tuple[str, str]]:
    named = _Names(gateway)
    # Docker's own chains, for its name server, have ports that are chosen anew whenever a container starts.
    rules = [rule for rule in gateway.rules if not rule.chain.startswith("DOCKER_")]
    for number, rule in enumerate(rules):
        yield f"rule {number:03}", f"{rule.table} {rule.chain} {named(rule.specification)}"
    for (table, chain), policy in gateway.firewall.policies.items():
        if policy not in ("ACCEPT", "-"):  # a table that holds nothing else is as good as one that was never used
            yield f"policy of {table} {chain}", policy
    for address in gateway.addresses:
        yield f"address {address.address}", f"{named(address.interface)} mtu {address.mtu} up {address.up}"
    for route in gateway.routes:
        yield f"route {route.kind} {route.destination} {route.metric}", f"{named(route.device or '')} {route.gateway}"
    for setting in gateway.evidence.text("sysctls").splitlines():
        name, _, value = setting.rpartition(":")
        if "/conf/" not in name or "/conf/all/" in name:  # those of an interface come and go with it
            yield f"sysctl {name}", value
    interface = gateway.interface
    yield INTERFACE, f"{interface.public_key} {interface.listen_port}" if interface else "absent"
    for peer in gateway.peers:
        allowed = ",".join(map(str, peer.allowed_ips))
        endpoint = peer.endpoint if gateway.initiates else "learnt"
        seal = gateway.preshared_seal(peer.public_key)
        yield f"peer {peer.public_key}", f"{seal} {endpoint} {allowed} {peer.persistent_keepalive}"


class _Names:
    """Calls interfaces by their networks."""

    def __init__(self, gateway: GatewayFacts) -> None:
        self._networks = {
            address.interface: attachment.network
            for address in gateway.addresses
            for attachment in gateway.container.attachments
            if attachment.interface == address.address
        }

    def __call__(self, text: str) -> str:
        return re.sub(r"\beth\d+\b", lambda found: self._networks.get(found[0], found[0]), text)
