"""Address plans: which subnets, addresses, names and ports one copy of the deployment uses.

Plan 0 is the documented deployment to the letter. Plan N moves the two Docker networks, every static address in them,
the container names and the published ports; the tunnel's own addresses live inside the gateways' namespaces, where
nothing else can collide with them, and never move.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, ip_network
from typing import Any, ClassVar

from harness.errors import ConfigurationError

TUNNEL_WEB = IPv4Interface("10.100.0.10/24")
TUNNEL_SERVICES = IPv4Interface("10.100.0.11/24")
WIREGUARD_PORT = 51820

LAYOUTS = ("dev", "prod")
SERVICES = ("wireguard-services", "wireguard-web", "mariadb", "redis", "services", "celery", "web")
"""What both layouts have, by the names in their compose files."""

MARIADB_PORT = 3306
REDIS_PORT = 6379
WEB_PORT = 8000
SERVICES_PORT = 8001

_HIGHEST_PLAN = 99  # container names, subnets and ports of 100 plans stay apart; one engine never holds more
_LEASED = 50  # of plans nobody named, the lower half: each has its mirror image above for a second deployment beside it
_PORT_STEP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPlan:
    """The addresses of one copy of the dev layout; raises `ValueError` for an index outside 0 to 99."""

    index: int = 0

    layout: ClassVar[str] = "dev"

    def __post_init__(self) -> None:
        if not 0 <= self.index <= _HIGHEST_PLAN:
            message = f"there is no address plan {self.index}: plans are 0 to {_HIGHEST_PLAN}"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> AddressPlan:
        """The plan of a command line's word; raises `ArgumentTypeError` for anything but 0 to 99."""
        if not (text.isascii() and text.isdecimal()):
            message = f"{text!r} is not a number: plans are 0 to {_HIGHEST_PLAN}"
            raise ArgumentTypeError(message)
        try:
            return cls(index=int(text))
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error

    @classmethod
    def of(cls, layout: str, index: int) -> AddressPlan:
        """Plan `index` of a layout."""
        return {plan.layout: plan for plan in (AddressPlan, ProdPlan)}[layout](index=index)

    @classmethod
    def choices(cls, layout: str, worker: int, workers: int) -> tuple[AddressPlan, ...]:
        """The plans among which one of so many workers takes the first that is free.

        No two workers have a plan in common, and the first worker begins with the documented one.
        """
        return tuple(cls.of(layout, index) for index in range(worker % _LEASED, _LEASED, workers))

    @property
    def tunnel_web(self) -> IPv4Interface:
        """Web's end of the tunnel."""
        return TUNNEL_WEB

    @property
    def tunnel_services(self) -> IPv4Interface:
        """Services' end of the tunnel, which is what web dials."""
        return TUNNEL_SERVICES

    @property
    def tunnel(self) -> IPv4Network:
        """The tunnel's subnet; the smallest with both ends in it, where web's stands for itself alone."""
        subnet = self.tunnel_web.network
        while self.tunnel_services.ip not in subnet:
            subnet = subnet.supernet()
        return subnet

    @property
    def wireguard_port(self) -> int:
        """Where services' end listens."""
        return WIREGUARD_PORT

    @property
    def mariadb_port(self) -> int:
        """Where MariaDB listens, and what is forwarded to it."""
        return MARIADB_PORT

    @property
    def redis_port(self) -> int:
        """Where Redis listens, and what is forwarded to it."""
        return REDIS_PORT

    @property
    def services_listen(self) -> int:
        """Where the services application listens, and what is forwarded to it."""
        return SERVICES_PORT

    @property
    def web_listen(self) -> int:
        """Where web listens in its gateway's namespace."""
        return WEB_PORT

    @property
    def services_net(self) -> IPv4Network:
        """The network of MariaDB, Redis, services, Celery and the services gateway."""
        return IPv4Network(f"10.101.{self.index}.0/24")

    @property
    def tunnel_net(self) -> IPv4Network:
        """The underlay: what joins the two ends."""
        return IPv4Network(f"172.20.{self.index}.0/24")

    @property
    def networks(self) -> dict[str, IPv4Network]:
        """Each Docker network's subnet, by its name in the compose file."""
        return {"services-net": self.services_net, "tunnel-net": self.tunnel_net}

    @property
    def mariadb(self) -> IPv4Address:
        """MariaDB on services-net."""
        return self.services_net[2]

    @property
    def wireguard_services(self) -> IPv4Address:
        """The services gateway on services-net: what the backends see as the client of forwarded traffic."""
        return self.services_net[3]

    @property
    def redis(self) -> IPv4Address:
        """Redis on services-net."""
        return self.services_net[4]

    @property
    def services(self) -> IPv4Address:
        """The services application on services-net."""
        return self.services_net[5]

    @property
    def underlay_web(self) -> IPv4Address:
        """The web end on the underlay, as the services gateway sees it."""
        return self.tunnel_net[2]

    @property
    def underlay_services(self) -> IPv4Address:
        """The services end on the underlay, as the web gateway dials it."""
        return self.tunnel_net[3]

    @property
    def outward_web(self) -> IPv4Address:
        """The web gateway's own address on the interface by which it reaches the underlay."""
        return self.underlay_web

    @property
    def next_hop_web(self) -> IPv4Address:
        """A neighbour of the web gateway on its way to the other end."""
        return self.underlay_services

    def seen_by_mariadb(self, side: str) -> IPv4Address:
        """Whom MariaDB has to see when a client of `web` or `services` connects."""
        return self.seen_by_redis(side)

    def seen_by_redis(self, side: str) -> IPv4Address:
        """Whom Redis has to see when a client of `web` or `services` connects."""
        return {"web": self.wireguard_services, "services": self.services}[side]

    @property
    def web_port(self) -> int:
        """Where web is published on 127.0.0.1."""
        return WEB_PORT + _PORT_STEP * self.index

    @property
    def services_port(self) -> int:
        """Where services is published on 127.0.0.1."""
        return SERVICES_PORT + _PORT_STEP * self.index

    @property
    def host_ports(self) -> tuple[int, ...]:
        """The ports of this host's loopback that the deployment needs for itself."""
        return self.web_port, self.services_port

    @property
    def host_names(self) -> tuple[str, ...]:
        """The names of its containers on this host's engine."""
        return tuple(f"{self.container_prefix}{service}" for service in SERVICES)

    @property
    def container_prefix(self) -> str:
        """What stands before each container's name; nothing in plan 0."""
        return f"plan{self.index}-" if self.index else ""

    @property
    def project(self) -> str:
        """The compose project's name."""
        return f"wireguard-{self.layout}-{self.index}" if self.index else f"wireguard-{self.layout}"

    def environment(self) -> dict[str, str]:
        """The variables by which the compose file takes this plan."""
        return {
            "PLAN": str(self.index),
            "CONTAINER_PREFIX": self.container_prefix,
            "WEB_PORT": str(self.web_port),
            "SERVICES_PORT": str(self.services_port),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ProdPlan(AddressPlan):
    """The addresses of one copy of the prod layout.

    Inside the two servers every copy has the documented addresses, names and ports: nobody else is there. What moves
    is the networks that join the servers.
    """

    layout: ClassVar[str] = "prod"

    @property
    def services_net(self) -> IPv4Network:
        """The network of the containers, the same on each of the two servers."""
        return IPv4Network("10.101.0.0/24")

    @property
    def tunnel_net(self) -> IPv4Network:
        """The underlay: what joins the two servers."""
        return IPv4Network(f"172.21.{self.index}.0/24")

    @property
    def database_net(self) -> IPv4Network:
        """What joins the services server and the database's host."""
        return IPv4Network(f"172.22.{self.index}.0/24")

    @property
    def management_net(self) -> IPv4Network:
        """By which the servers are reached from outside, and do not reach each other."""
        return IPv4Network(f"172.23.{self.index}.0/24")

    @property
    def networks(self) -> dict[str, IPv4Network]:
        """Each network's subnet, by the end of its name."""
        return {"underlay": self.tunnel_net, "database": self.database_net, "management": self.management_net}

    @property
    def database_host(self) -> IPv4Address:
        """The database's host in its own network; the services server's containers know it as `mariadb`."""
        return self.database_net[20]

    @property
    def underlay_web(self) -> IPv4Address:
        """The web server on the underlay."""
        return self.tunnel_net[10]

    @property
    def underlay_services(self) -> IPv4Address:
        """The services server on the underlay."""
        return self.tunnel_net[11]

    @property
    def outward_web(self) -> IPv4Address:
        """The web gateway on the web server's container network, from which it goes out by NAT."""
        return self.services_net[10]

    @property
    def next_hop_web(self) -> IPv4Address:
        """The web server, as its own containers see it."""
        return self.services_net[1]

    def seen_by_mariadb(self, side: str) -> IPv4Address:  # noqa: ARG002 (either side)
        """The services server, behind whose address all of its containers are when they leave it."""
        return self.database_net[11]

    @property
    def web_port(self) -> int:
        """Where web is published on its server's own loopback."""
        return WEB_PORT

    @property
    def services_port(self) -> int:
        """Where services is published on its server's own loopback."""
        return SERVICES_PORT

    @property
    def host_ports(self) -> tuple[int, ...]:
        """None that have to be free: what is published of the servers takes those of a range that are."""
        return ()

    @property
    def host_names(self) -> tuple[str, ...]:
        """The servers, and the database's host."""
        return tuple(f"{self.project}-{name}" for name in ("mariadb", "web-server", "services-server"))

    @property
    def container_prefix(self) -> str:
        """Nothing: each server has an engine of its own."""
        return ""

    def environment(self) -> dict[str, str]:
        """Nothing: what varies is in the server's `.env` file."""
        return {}


def is_address(host: str | None) -> bool:
    """Whether it is an IPv4 address, and neither a name nor nothing."""
    try:
        IPv4Address(host or "")
    except ValueError:
        return False
    return True


def is_ipv6(host: str | None) -> bool:
    """Whether it is an address of IPv6, with its zone if it has one, and in brackets or not."""
    try:
        IPv6Address((host or "").removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def subnets_of(network: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The subnets that a network of a compose configuration is given, as they are written there."""
    entries = ((network or {}).get("ipam") or {}).get("config") or []
    return tuple(str(entry["subnet"]) for entry in entries if "subnet" in entry)


def check_subnets(configuration: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` for a subnet that is none, of which Compose takes no notice."""
    for name, network in (configuration.get("networks") or {}).items():
        for subnet in subnets_of(network):
            try:
                ip_network(subnet, strict=False)
            except ValueError as error:
                message = f"the network {name} has a subnet that is none: {error}"
                raise ConfigurationError(message) from error
            if "/" not in subnet:
                message = f"the subnet of the network {name}, {subnet}, has no prefix length"
                raise ConfigurationError(message)
