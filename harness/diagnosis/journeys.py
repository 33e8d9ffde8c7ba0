"""What the gateway in front of the backends does with the packets of a path, by its own rules; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from harness.diagnosis.evidence import UnseenError
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.netfilter_rules import STOPPING, pick, reading
from harness.diagnosis.nodefacts import GatewayFacts, NodeFacts
from harness.diagnosis.packetpath import DnatRule, Firewall, Journey, Packet, Verdict, dnat_rules
from harness.model import NetfilterRule
from harness.wireguard import INTERFACE

_ANY_CLIENT_PORT = 40000
_PASSING = frozenset({"ACCEPT", "RETURN"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A path's first packet at the gateway that forwards, and what the rules make of it and of its answer."""

    path: Path
    gateway: GatewayFacts
    opening: Packet
    journey: Journey
    answer: Journey | None
    later: tuple[Journey, ...]

    @property
    def suspects(self) -> tuple[NetfilterRule, ...]:
        """Rules that may drop packets of the path, and that met some while it was tried."""
        ways = (self.journey, *([self.answer] if self.answer else []), *self.later)
        return suspects(self.gateway, ways)

    @property
    def destination(self) -> IPv4Address | None:
        """Where the packet is sent; None where no rule translates it."""
        return self.journey.packet.destination if self.journey.translated_destination else None

    @property
    def candidates(self) -> tuple[DnatRule, ...]:
        """Every DNAT rule for the port, whether or not the packet comes to it."""
        return dnat_rules(self.gateway.rules, self.path.port)

    def right(self, address: IPv4Address) -> NetfilterRule | None:
        """The rule that would send the packet to an address, if it came to it."""
        for each in self.candidates:
            matches = reading(each.rule.specification).holds(self.opening, frozenset({self.opening.destination}))
            if each.address == address and matches is not False:
                return each.rule
        return None


def passages(facts: Facts) -> tuple[Path, ...]:
    """The paths through the tunnel whose packets a gateway has to forward; none of a mere configuration."""
    if facts.snapshot.static or facts.back is None or facts.front is None:
        return ()
    return tuple(path for path in facts.paths if path.tunnelled)


def doubtful(facts: Facts) -> tuple[Path, ...]:
    """Those of `passages` that were not seen to work: whatever one that works owes it to, no rule stops it."""
    return tuple(path for path in passages(facts) if not path.works)


def passage(facts: Facts, path: Path) -> Passage:
    """Send a path's packet through the gateway's rules; raises `UnseenError` where they were not seen."""
    back, front = facts.back, facts.front
    if back is None or front is None or back.wanted_address is None or front.wanted_address is None:
        raise UnseenError(path.app.service, "tunnel", "the gateways do not say what the tunnel's addresses are")
    if path.works and not back.evidence.text("rules").strip():
        raise UnseenError(back.service, "rules", f"none was shown, and {path.id} works")
    packet = Packet(
        interface_in=INTERFACE,
        protocol="tcp",
        source=front.wanted_address.ip,
        destination=back.wanted_address.ip,
        port=path.port,
        source_port=_ANY_CLIENT_PORT,
    )
    firewall: Firewall = back.firewall
    journey = firewall.forward(packet, back.leads_to)
    answer, later = None, []
    if journey.delivered_to and journey.outgoing:
        masks = [each.address.ip for each in back.addresses if each.interface == journey.outgoing]
        sender = masks[0] if journey.translated_source and masks else packet.source
        answer = firewall.forward(journey.answer(sender), back.leads_to)
        later.append(firewall.forward(journey.later(packet), back.leads_to))
        later.append(firewall.forward(replace(journey.answer(sender), flags=frozenset({"ACK"})), back.leads_to))
    return Passage(path=path, gateway=back, opening=packet, journey=journey, answer=answer, later=tuple(later))


def suspects(gateway: GatewayFacts, ways: Iterable[Journey], *, ever: bool = False) -> tuple[NetfilterRule, ...]:
    """Rules of which cannot be told what they match, that drop what they match, and that met packets just now.

    With `ever`, it is enough that they met any since they were made.
    """
    met_some = (lambda rule: rule.packets > 0) if ever else gateway.grew
    met = dict.fromkeys(rule for journey in ways for rule in journey.uncertain)
    return tuple(rule for rule in met if reading(rule.specification).target in STOPPING and met_some(rule))


def insist(gateway: GatewayFacts, verdict: Verdict) -> None:
    """Raise `UnseenError` where what drops a packet comes after a rule that may have let it pass."""
    for rule in verdict.uncertain:
        if reading(rule.specification).target in _PASSING:
            raise UnseenError(gateway.service, "rules", f"whether it lets packets pass cannot be told of {rule}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A path's packets in the namespace that the application shares with its gateway."""

    gateway: GatewayFacts
    ways: tuple[tuple[str, Journey], ...]

    @property
    def dropped(self) -> tuple[str, str] | None:
        """Which packets are dropped, and by what; None where none are. Raises `UnseenError` as `insist` does."""
        for meaning, journey in self.ways:
            if journey.dropped_by:
                insist(self.gateway, journey.dropped_by)
                return meaning, str(journey.dropped_by)
        found = suspects(self.gateway, [journey for _, journey in self.ways])
        return ("some packets", str(found[0])) if found else None


def outgoing(facts: Facts, path: Path) -> Outgoing | None:
    """Send a path's packets from the application's own namespace, and let the answers come in.

    None where a path does not lead through the tunnel. Raises `UnseenError` where the rules were not seen.
    """
    back, front = facts.back, facts.gateway_of(path.app)
    if not path.tunnelled or back is None or front is None or front is back:
        return None
    if back.wanted_address is None or front.wanted_address is None:
        return None
    packet = Packet(
        protocol="tcp",
        source=front.wanted_address.ip,
        destination=back.wanted_address.ip,
        port=path.port,
        source_port=_ANY_CLIENT_PORT,
    )
    sent = front.firewall.send(packet, front.leads_to)
    ways = [("packets", sent)]
    if sent.delivered_to and sent.outgoing:
        answer = sent.answer(packet.source)
        data = front.firewall.send(sent.later(packet), front.leads_to)
        later = replace(answer, flags=frozenset({"ACK"}))
        ways += [("answers", front.firewall.forward(each, front.leads_to)) for each in (answer, later)]
        ways.append(("packets", data))
    return Outgoing(gateway=front, ways=tuple(ways))


def shared_addresses(gateway: GatewayFacts, backend: NodeFacts) -> tuple[IPv4Address, ...]:
    """A backend's addresses on the networks that a gateway is on too."""
    networks = {each.network for each in gateway.container.attachments}
    return tuple(
        found.ip for each in backend.container.attachments if each.network in networks and (found := each.interface)
    )


def foreign_source(gateway: GatewayFacts, rule: NetfilterRule) -> IPv4Address | None:
    """The address that an SNAT rule gives to packets, where that is none of the gateway's own."""
    read = reading(rule.specification)
    wanted, _, _ = pick(read.options.get("--to-source", ""), None, None)
    own = {each.address.ip for each in gateway.addresses}
    return wanted if read.target == "SNAT" and wanted is not None and wanted not in own else None


def is_floating(facts: Facts, backend: NodeFacts) -> bool:
    """Whether a backend was given no address for good, so that it has whichever was free."""
    networks = {each.network for each in facts.back.container.attachments} if facts.back else set()
    attached = [each for each in backend.container.attachments if each.network in networks]
    return bool(attached) and all(each.wanted is None for each in attached)


def has_moved(facts: Facts, path: Path, expected: IPv4Address) -> bool:
    """Whether a backend has left an address where others look for it too, or was never given one for good.

    `expected` is where the forward leads. Otherwise it is the forward that is wrong.
    """
    if path.backend is None:
        return False
    others = {each.host for each in facts.paths if each.kind == path.kind and not each.tunnelled}
    return is_floating(facts, path.backend) or str(expected) in others


def is_misdirected(facts: Facts, path: Path) -> bool:
    """Whether an application dials a port that is not declared, while its backend's is declared as another.

    Raises `UnreadError` where it may be declared in what could not be read.
    """
    back, backend = facts.back, path.backend
    if back is None or backend is None or not path.tunnelled:
        return False
    if any(forward.port == path.port for forward in back.declared):
        return False
    if not any(forward.destination in shared_addresses(back, backend) for forward in back.declared):
        return False
    back.insist_on_declared()
    return True


def is_udp_only(candidates: tuple[DnatRule, ...]) -> bool:
    """Whether a port's only DNAT rules are for udp."""
    return bool(candidates) and all(each.protocol == "udp" for each in candidates)


def destination_of(facts: Facts, path: Path) -> tuple[IPv4Address, int, str] | None:
    """Where a path's packets are sent, by the rules or, of a configuration, by the setting; and the line that says so.

    None where nothing sends them anywhere. Raises `UnseenError` where the rules were not seen.
    """
    back = facts.back
    if back is None:
        return None
    if facts.snapshot.static:
        for forward in back.declared:
            if forward.port == path.port and forward.protocol == "tcp":
                return forward.destination, forward.target, f"{back.service}: WG_FORWARD_PORTS has {forward}"
        return None
    passed = passage(facts, path)
    if passed.destination is None:
        return None
    line = f"{back.service}: {passed.journey.translated_destination}"
    return passed.destination, passed.journey.packet.port or path.port, line


def would_arrive(facts: Facts, path: Path) -> bool:
    """Whether the application was seen to reach the backend itself: then no rule can be wrong."""
    if facts.snapshot.static:
        return False
    reach = path.reach
    return path.kind != "forward" and reach.failed is None


def decided_in_nat(facts: Facts, path: Path) -> NetfilterRule | None:
    """The rule of nat PREROUTING that decides about a path's packets; None where none does."""
    back = facts.back
    if back is None:
        return None
    passed = passage(facts, path)
    verdict = back.firewall.decide("nat", "PREROUTING", passed.opening)
    return verdict.rule
