"""What of a snapshot is drawn, and what is marked as broken: sides, boxes, the tunnel and what is forwarded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from harness.diagnosis.evidence import Snapshot, UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.judgement import Diagnosis
from harness.diagnosis.nodefacts import GatewayFacts, NodeFacts
from harness.model import Finding, Forward, Hop, Peer

_IN_TUNNEL = frozenset({Hop.INTERFACE, Hop.KEY, Hop.HANDSHAKE, Hop.ALLOWED_IPS})
_IN_FORWARDING = frozenset({Hop.FORWARDING, Hop.DNAT, Hop.RETURN_PATH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One container. `state` is empty while it is well; `broken` are the root causes that lie in it."""

    name: str
    lines: tuple[str, ...]
    state: str
    broken: tuple[str, ...]
    seen: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What a gateway forwards: its port, to which box it leads (by number, among those of its side), what broke it."""

    label: str
    target: int | None
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One end of the tunnel: its server where it has one of its own, its networks, the gateway first of its boxes."""

    host: str
    networks: tuple[str, ...]
    boxes: tuple[Box, ...]
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """What joins both ends, in words, and what broke it."""

    lines: tuple[str, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A whole picture; `tunnel` is None where not both gateways are known."""

    front: Side
    back: Side
    tunnel: Tunnel | None


def scene(snapshot: Snapshot, diagnosis: Diagnosis) -> Scene:
    """What is to be drawn of a snapshot of which this is the diagnosis."""
    return _Scenery(Facts(snapshot), diagnosis).scene()


class _Scenery:
    def __init__(self, facts: Facts, diagnosis: Diagnosis) -> None:
        self._facts = facts
        self._roots = [finding for finding in diagnosis.findings if finding.root]

    def scene(self) -> Scene:
        facts = self._facts
        front = [node for node in facts.nodes if self._is_in_front(node)]
        back = [node for node in facts.nodes if node not in front]
        unseen = [self._unseen(service, str(error)) for service, error in facts.unreadable.items()]
        return Scene(
            front=self._side(facts.front, front),
            back=self._side(facts.back, back, unseen),
            tunnel=self._tunnel(),
        )

    def _is_in_front(self, node: NodeFacts) -> bool:
        """Whether a node stands on the side of the applications that use the tunnel."""
        facts, front, back = self._facts, self._facts.front, self._facts.back
        if node in (front, back) or front is None:
            return node is front
        if facts.several_hosts:
            return node.host == front.host
        if node.container.joined is not None:
            return node.container.joined == front.service
        beyond = {each.network for each in back.container.attachments} if back else set()
        here = {each.network for each in node.container.attachments}
        return node.service == "web" or (bool(here) and not here & beyond)

    def _side(self, gateway: GatewayFacts | None, nodes: Sequence[NodeFacts], more: Sequence[Box] = ()) -> Side:
        targets = [forward.destination for forward in sorted(gateway.declared)] if gateway else []
        known = {address for node in self._facts.nodes for address in node.container.addresses}
        boxes = [(self._box(node), node.container.addresses) for node in nodes if node is not gateway]
        boxes += [(self._outside(address), (address,)) for address in dict.fromkeys(targets) if address not in known]
        boxes.sort(key=lambda each: (_place(each[1], targets), each[0].name))
        if gateway is not None:
            boxes.insert(0, (self._box(gateway), gateway.container.addresses))
        names = {each.network for node in nodes for each in node.container.attachments}
        return Side(
            host=gateway.host if gateway and self._facts.several_hosts else "",
            networks=tuple(
                f"{network.name.rpartition('/')[2]} {', '.join(network.subnets)}"
                for network in self._facts.snapshot.networks
                if network.ours and network.name in names
            ),
            boxes=(*(box for box, _ in boxes), *more),
            ways=tuple(self._ways(gateway, [addresses for _, addresses in boxes])) if gateway else (),
        )

    def _box(self, node: NodeFacts) -> Box:
        container = node.container
        lines = [f"{each.address or each.wanted} {each.network.rpartition('/')[2]}" for each in container.attachments]
        lines += [f"netns of {container.joined}"] if container.joined else []
        lines += [
            f"{port.port} at {port.host}:{port.host_port}" for port in container.published if port.host_port.isdecimal()
        ]
        well = container.running and container.health in (None, "healthy", "starting")
        state = "" if well else container.describe() if not container.running else str(container.health)
        return Box(name=node.service, lines=tuple(lines), state=state, broken=self._of(self._roots, node.service))

    def _outside(self, address: IPv4Address) -> Box:
        """What is forwarded to and is none of the containers, such as a MariaDB on bare metal."""
        broken = self._of(finding for finding in self._roots if f"{address}:" in finding.node)
        return Box(name=str(address), lines=("not looked into",), state="", broken=broken, seen=False)

    def _unseen(self, service: str, reason: str) -> Box:
        return Box(name=service, lines=(reason,), state="not seen", broken=self._of(self._roots, service), seen=False)

    def _tunnel(self) -> Tunnel | None:
        if not self._facts.ends:
            return None
        here, there = self._facts.ends[0].gateway, self._facts.ends[0].other
        lines = [f"wg0 {_address(here)} ↔ {_address(there)}"]
        with contextlib.suppress(UnseenError):
            lines += [f"UDP {here.interface.listen_port} to {peer.endpoint}" for peer in here.peers if here.interface]
        with contextlib.suppress(UnseenError):
            lines += [_handshake(peer, here.clock) for peer in here.peers]
        return Tunnel(lines=tuple(lines), broken=self._of(f for f in self._roots if f.hop in _IN_TUNNEL))

    def _ways(self, gateway: GatewayFacts, boxes: Sequence[Sequence[IPv4Address]]) -> Iterator[Way]:
        for forward in sorted(gateway.declared):
            target = next((index for index, held in enumerate(boxes) if forward.destination in held), None)
            yield Way(
                label=f"{forward.port}/{forward.protocol}",
                target=target,
                broken=self._of(f for f in self._roots if f.hop in _IN_FORWARDING and self._concerns(f, forward)),
            )

    def _concerns(self, finding: Finding, forward: Forward) -> bool:
        """Whether a finding breaks a path to that port; one that names no path breaks all."""
        ports = {path.port for path in self._facts.paths if path.id in finding.paths}
        return not ports or forward.port in ports

    def _of(self, findings: Iterable[Finding], node: str | None = None) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.rule for each in findings if node in (None, each.node)))


def _place(addresses: Sequence[IPv4Address], targets: Sequence[IPv4Address]) -> int:
    """Where among its side's boxes one stands: what is forwarded to comes first, in the order of the ports."""
    found = [targets.index(address) for address in addresses if address in targets]
    return min(found, default=len(targets))


def _address(gateway: GatewayFacts) -> str:
    with contextlib.suppress(UnseenError):
        if found := gateway.tunnel_addresses:
            return ", ".join(str(each.ip) for each in found)
        return "no address"
    return f"{gateway.wanted_address.ip} (not seen)" if gateway.wanted_address else "unknown"


def _handshake(peer: Peer, clock: float) -> str:
    if peer.latest_handshake is None:
        return "no handshake yet"
    return f"last handshake {clock - peer.latest_handshake.timestamp():.0f} s before"
