"""The deployment as the evidence shows it: gateways, applications, backends, and the paths between them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property
from ipaddress import AddressValueError, IPv4Address, IPv4Network, collapse_addresses

from harness.diagnosis import settings
from harness.diagnosis.backing import backend_at, is_at, is_over, serves
from harness.diagnosis.containers import UNSEEN
from harness.diagnosis.evidence import HostEvidence, Snapshot, UnseenError
from harness.diagnosis.nodefacts import AppFacts, GatewayFacts, NodeFacts
from harness.diagnosis.roles import Role, is_documented
from harness.diagnosis.ways import End, Path

__all__ = ["End", "Facts", "Path"]

_BESIDE_THE_BACKENDS = ("services", "celery")
_UP_TO_DATE = 180.0  # seconds; REJECT_AFTER_TIME of WireGuard's paper, section 6.1


class Facts:
    """Everything that rules look at."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.gateways: list[GatewayFacts] = []
        self.apps: list[AppFacts] = []
        self.backends: list[NodeFacts] = []
        self.beside: list[NodeFacts] = []
        self.jobs: list[NodeFacts] = []
        self.unreadable: dict[str, UnseenError] = {}
        for evidence in snapshot.nodes:
            try:
                role = NodeFacts(evidence).role
            except UnseenError as error:
                self.unreadable[evidence.service] = error
                continue
            match role:
                case Role.GATEWAY:
                    self.gateways.append(GatewayFacts(evidence))
                case Role.APP:
                    self.apps.append(AppFacts(evidence))
                case Role.BACKEND:
                    self.backends.append(NodeFacts(evidence))
                case Role.BESIDE:
                    self.beside.append(NodeFacts(evidence))
        places = {host for app in self.apps for host in _hosts(app) if host}
        places |= {str(forward.destination) for gateway in self.gateways for forward in gateway.declared}
        self._sort_out_jobs(places)
        self._sort_out_backends(places)

    def _sort_out_jobs(self, places: Collection[str]) -> None:
        """Put apart what has run once, as it was to. An application that is alone where it is was to stay."""
        self.jobs = [node for node in (*self.beside, *self.backends) if is_over(node, places)]
        self.jobs += [app for app in self.apps if is_over(app, places) and self._has_company(app)]
        self.apps = [app for app in self.apps if app not in self.jobs]
        self.backends = [node for node in self.backends if node not in self.jobs]
        self.beside = [node for node in self.beside if node not in self.jobs]

    def _has_company(self, app: AppFacts) -> bool:
        others = [each for each in self.apps if each.container.running and each.host == app.host]
        if app.container.joined is not None:
            return any(each.container.joined == app.container.joined for each in others)
        return any(not _networks_of(each).isdisjoint(_networks_of(app)) for each in others)

    def _sort_out_backends(self, places: Collection[str]) -> None:
        """Put beside whatever was taken for a backend for want of anything that says what it is."""
        others = [node for node in self.backends if not serves(node, places)]
        self.backends = [node for node in self.backends if node not in others]
        self.beside += [NodeFacts(node.evidence, beside=True) for node in others]

    @property
    def nodes(self) -> tuple[NodeFacts, ...]:
        """Every node whose description can be read."""
        return (*self.gateways, *self.apps, *self.backends, *self.beside, *self.jobs)

    @property
    def several_hosts(self) -> bool:
        """Whether the deployment is on several machines."""
        return len(self.snapshot.hosts) > 1

    @property
    def silent_hosts(self) -> tuple[str, ...]:
        """The machines whose engines do not answer."""
        return tuple(each.name for each in self.snapshot.hosts if each.silent)

    def machine(self, host: str) -> HostEvidence | None:
        """What was seen of a machine."""
        return next((each for each in self.snapshot.hosts if each.name == host), None)

    @cached_property
    def back(self) -> GatewayFacts | None:
        """The gateway in front of the backends: the one that forwards."""
        forwarding = [each for each in self.gateways if "WG_FORWARD_PORTS" in each.environment]
        named = [each for each in self.gateways if each.documented == "wireguard-services"]
        return next(iter([*named, *forwarding]), None)

    @cached_property
    def front(self) -> GatewayFacts | None:
        """The gateway of the applications that use the tunnel: the documented one, where there are more than two."""
        others = [each for each in self.gateways if each is not self.back]
        named = [each for each in others if each.documented == "wireguard-web"]
        return next(iter([*named, *others]), None)

    @property
    def ends(self) -> tuple[End, ...]:
        """Both ends of the tunnel, where both are known."""
        if self.front is None or self.back is None:
            return ()
        return End(gateway=self.front, other=self.back), End(gateway=self.back, other=self.front)

    @cached_property
    def tunnel(self) -> tuple[IPv4Network, ...]:
        """The tunnel's subnets, as the gateways were told: one, or each end's own address where it has no subnet."""
        told = (gateway.wanted_address for gateway in self.gateways)
        return tuple(collapse_addresses(address.network for address in told if address))

    def node(self, service: str | None) -> NodeFacts | None:
        """The node of a service."""
        return next((node for node in self.nodes if node.service == service), None)

    def owner_of(self, node: NodeFacts) -> NodeFacts:
        """Whose network namespace a node lives in: another's, or its own where that one is not known."""
        return self.node(node.container.joined) or node

    def household(self, node: NodeFacts) -> tuple[NodeFacts, ...]:
        """A node, first, and those that live in its network namespace."""
        return (node, *(each for each in self.nodes if each.container.joined == node.service))

    def gateway_of(self, app: AppFacts) -> GatewayFacts | None:
        """The gateway that an application uses the tunnel by: the one whose namespace it shares, or should."""
        joined = self.node(app.container.joined)
        if isinstance(joined, GatewayFacts):
            return joined
        if app.container.joined == UNSEEN:
            return None
        return self.front if self.uses_tunnel(app) else None

    def is_in_place(self, app: AppFacts) -> bool:
        """Whether an application runs, in the namespace in which it is to be."""
        if not app.container.running or app.is_starting:
            return False
        gateway = self.gateway_of(app)
        return gateway is None or (gateway.container.running and app.netns == gateway.netns)

    def uses_tunnel(self, app: AppFacts) -> bool:
        """Whether an application was told of a backend at the other end of the tunnel, or is the one that should be.

        Whoever lives in a namespace that was not looked at does so for the tunnel; who is beside the backends has none.
        """
        if self._is_beside_backends(app):
            return False  # whatever it was told
        behind = app.container.joined == UNSEEN or (self.front and app.container.joined == self.front.service)
        # Where a network has the tunnel's addresses, which is a fault of its own, the network is meant.
        beside = tuple(self.subnets_of(app))
        return (
            bool(behind)
            or app.documented == "web"
            or any(
                self.in_tunnel(host) and not any(IPv4Address(host or "") in subnet for subnet in beside)
                for host in _hosts(app)
            )
        )

    def _is_beside_backends(self, app: AppFacts) -> bool:
        """Whether an application is on a network of the services side, and another one is web.

        Where none is, it may well be web itself, which has gone astray.
        """
        if app.documented == "web" or app.container.joined is not None or self.front is None:
            return False
        if not any(each.documented == "web" or each.container.joined == self.front.service for each in self.apps):
            return False
        theirs = [node for node in (self.back, *self.backends) if node is not None]
        inside = {name for node in theirs for name in _networks_of(node)} - _networks_of(self.front)
        return not inside.isdisjoint(_networks_of(app))

    def is_of_web(self, app: AppFacts) -> bool:
        """Whether an application is of web's side: it uses the tunnel, and is none of the other side's by its name."""
        return self.uses_tunnel(app) and app.documented not in _BESIDE_THE_BACKENDS

    def subnets_of(self, node: NodeFacts) -> Iterator[IPv4Network]:
        """The subnets of the networks that a node is on, whether it runs or not."""
        names = _networks_of(node)
        for network in self.snapshot.networks:
            if network.ours and network.name in names:
                yield from network.ipv4

    def are_apart(self, one: NodeFacts, other: NodeFacts) -> bool:
        """Whether two nodes are on engines of their own, so that no Docker network joins them.

        A container that runs is seen on one; of a mere configuration the networks tell.
        """
        if one.host or other.host:
            return one.host != other.host
        ours, theirs = self._engines_of(one), self._engines_of(other)
        return bool(ours) and bool(theirs) and not ours & theirs

    def _engines_of(self, node: NodeFacts) -> set[str]:
        names = _networks_of(node)
        return {network.host for network in self.snapshot.networks if network.ours and network.name in names}

    def in_tunnel(self, host: str | None) -> bool:
        """Whether a host is an address of the tunnel."""
        try:
            address = IPv4Address(host or "")
        except AddressValueError:
            return False
        return any(address in subnet for subnet in self.tunnel)

    def is_within_tunnel(self, gateway: GatewayFacts, address: IPv4Address) -> bool:
        """Whether an address is one of the tunnel that a gateway was told of.

        Where one of its networks has it too, that is a fault of its own, and the network is meant.
        """
        own = gateway.wanted_address
        beside = any(address in subnet for subnet in self.subnets_of(gateway))
        return own is not None and address in own.network and not beside

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """Every way from an application to a backend, and to what else is forwarded."""
        return tuple(path for app in self.apps for path in self._paths_of(app))

    def _paths_of(self, app: AppFacts) -> Iterator[Path]:
        tunnelled = self.uses_tunnel(app)
        environment = app.environment
        host = environment.get("DATABASE_HOST") or None
        ports = settings.backend_ports(environment)
        yield self._path(app, "database", host, ports["database"], tunnelled=tunnelled and not self._own_at(host))
        url = app.broker_url
        host = url.hostname if url else None
        yield self._path(app, "broker", host, ports["broker"], tunnelled=tunnelled and not self._own_at(host))
        if not tunnelled or self.back is None or self.back.wanted_address is None:
            return
        for forward in self.back.declared:
            if forward.port not in ports.values() and forward.protocol == "tcp":
                yield self._path(app, "forward", str(self.back.wanted_address.ip), forward.port, tunnelled=True)

    def _path(self, app: AppFacts, kind: str, host: str | None, port: int, *, tunnelled: bool) -> Path:
        path = Path(
            app=app,
            kind=kind,
            host=host,
            port=port,
            tunnelled=tunnelled,
            backend=None,
            key=kind if kind != "forward" else f"{host}:{port}",
        )
        return replace(path, backend=self._backend_of(path))

    def _backend_of(self, path: Path) -> NodeFacts | None:
        """Who should answer at a path's end: the backend of its kind, or whoever was made for the port or has it."""
        forwarded = self.forwarded_to(path.port)
        if path.kind != "forward":
            if not path.tunnelled and self.uses_tunnel(path.app):
                return self._own_at(path.host)
            place = str(forwarded or "") if path.tunnelled else path.host
            return backend_at(self.backends, path.kind, place, works=path.works)
        port = self.target_of(path.port)
        published = [app for app in self.apps if any(each.port == port for each in app.container.published)]
        if published:
            return published[0]
        return next((node for node in self.nodes if forwarded in node.container.addresses), None)

    def _own_at(self, host: str | None) -> NodeFacts | None:
        """The backend of the web side's own that is at a place: beside its gateway, and no forward leads to it."""
        networks = _networks_of(self.front) if self.front else set()
        forwarded = {forward.destination for forward in self.back.declared} if self.back else set()
        beside = (node for node in self.backends if not networks.isdisjoint(_networks_of(node)))
        others = (node for node in beside if forwarded.isdisjoint(node.container.addresses))
        return next((node for node in others if not is_documented(node.documented) and is_at(node, host)), None)

    def forwarded_to(self, port: int) -> IPv4Address | None:
        """Where the gateway was told to send what comes for a port from the tunnel."""
        declared = self.back.declared if self.back else ()
        return next((forward.destination for forward in declared if forward.port == port), None)

    def target_of(self, port: int) -> int:
        """The port to which what comes for a port from the tunnel was told to go."""
        declared = self.back.declared if self.back else ()
        return next((each.target for each in declared if (each.port, each.protocol) == (port, "tcp")), port)

    def paths_through(self, node: NodeFacts) -> frozenset[str]:
        """The ids of all paths that need a node."""
        return frozenset(
            path.id
            for path in self.paths
            if node.service in (path.app.service, path.backend.service if path.backend else None)
            or (path.tunnelled and node in self.gateways)
        )

    @property
    def tunnelled(self) -> frozenset[str]:
        """The ids of all paths through the tunnel."""
        return frozenset(path.id for path in self.paths if path.tunnelled)

    def traffic(self, end: End, size: str = "small") -> tuple[int, int]:
        """Bytes that an end sent into the tunnel and that arrived at the other; raises `UnseenError`."""
        way = f"{end.gateway.service}>{end.other.service}"
        found = self.snapshot.traffic.get(way, {}).get(size)
        if found is None:
            reason = "; ".join(self.snapshot.problems) or "it was not measured"
            raise UnseenError(end.gateway.service, "traffic", reason)
        return found

    def carries(self, end: End) -> bool:
        """Whether what an end sends was seen to arrive, by the counters: a session may outlive the way that it had."""
        try:
            return self.traffic(end)[1] > 0
        except UnseenError:
            return False

    def is_dead(self, end: End) -> bool:
        """Whether nothing that an end sends arrives: by the counters, or for want of a handshake that is recent."""
        if self.carries(end):
            return False
        try:
            sent, _ = self.traffic(end)
        except UnseenError:
            sent = 0
        return sent > 0 or not self.has_session(end) or self.is_mute(end)

    def is_mute(self, end: End) -> bool:
        """Whether an end that knows where to send got nothing out of its own machine when it was made to."""
        try:
            sent, _ = self.traffic(end)
        except UnseenError:
            return False
        return sent == 0 and self.has_session(end) and any(peer.endpoint for peer in end.candidates)

    def has_session(self, end: End) -> bool:
        """Whether an end has shaken hands with the other one not longer ago than a session lasts."""
        return any(
            peer.latest_handshake is not None and end.gateway.clock - peer.latest_handshake.timestamp() < _UP_TO_DATE
            for peer in end.candidates
        )


def _networks_of(node: NodeFacts) -> set[str]:
    return {each.network for each in node.container.attachments}


def _hosts(app: AppFacts) -> tuple[str | None, ...]:
    url = app.broker_url
    return app.environment.get("DATABASE_HOST"), url.hostname if url else None
