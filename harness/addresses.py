"""Address plans: which subnets, addresses, names and ports one copy of the deployment uses.

Plan 0 is the documented deployment to the letter. Plan N moves the two Docker networks, every static address in them,
the container names and the published ports; the tunnel's own addresses live inside the gateways' namespaces, where
nothing else can collide with them, and never move.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

TUNNEL_WEB = IPv4Interface("10.100.0.10/24")
TUNNEL_SERVICES = IPv4Interface("10.100.0.11/24")
WIREGUARD_PORT = 51820

MARIADB_PORT = 3306
REDIS_PORT = 6379
WEB_PORT = 8000
SERVICES_PORT = 8001

_HIGHEST_PLAN = 99  # container names, subnets and ports of 100 plans stay apart; one engine never holds more
_PORT_STEP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPlan:
    """The addresses of one copy of the deployment; raises `ValueError` for an index outside 0 to 99."""

    index: int = 0

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

    @property
    def services_net(self) -> IPv4Network:
        """The network of MariaDB, Redis, services, Celery and the services gateway."""
        return IPv4Network(f"10.101.{self.index}.0/24")

    @property
    def tunnel_net(self) -> IPv4Network:
        """The underlay: what joins the two gateways."""
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
        """The web gateway on tunnel-net."""
        return self.tunnel_net[2]

    @property
    def underlay_services(self) -> IPv4Address:
        """The services gateway on tunnel-net."""
        return self.tunnel_net[3]

    @property
    def web_port(self) -> int:
        """Where web is published on 127.0.0.1."""
        return WEB_PORT + _PORT_STEP * self.index

    @property
    def services_port(self) -> int:
        """Where services is published on 127.0.0.1."""
        return SERVICES_PORT + _PORT_STEP * self.index

    @property
    def container_prefix(self) -> str:
        """What stands before each container's name; nothing in plan 0."""
        return f"plan{self.index}-" if self.index else ""

    @property
    def project(self) -> str:
        """The compose project's name."""
        return f"wireguard-dev-{self.index}" if self.index else "wireguard-dev"

    def environment(self) -> dict[str, str]:
        """The variables by which the compose file takes this plan."""
        return {
            "PLAN": str(self.index),
            "CONTAINER_PREFIX": self.container_prefix,
            "WEB_PORT": str(self.web_port),
            "SERVICES_PORT": str(self.services_port),
        }
