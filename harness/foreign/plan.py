"""What such a deployment takes of its engine's host, as its files say, and where everything in it is, once it runs."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_network
from pathlib import Path
from typing import Any, ClassVar

from harness import jobs
from harness.addresses import SERVICES, AddressPlan, check_subnets, subnets_of
from harness.errors import ConfigurationError, DeploymentError
from harness.foreign import leading, secrecy, sharing
from harness.rolemap import RoleMap
from harness.telling import told_by

LAYOUT = "yours"
"""What such a deployment is called where a layout is named."""

_FIRST_INDEX, _INDICES = 1000, 9000  # far above the plans of this project's own layouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the parts are, inside their networks. Ports are those at which a part is found, not those of the host."""

    tunnel_web: IPv4Interface
    tunnel_services: IPv4Interface
    wireguard_port: int
    underlay: IPv4Network
    underlay_web: IPv4Address
    underlay_services: IPv4Address
    inner: IPv4Network
    inner_gateway: IPv4Address
    mariadb: IPv4Address
    mariadb_port: int
    redis: IPv4Address
    redis_port: int
    services: IPv4Address
    services_port: int
    web_port: int
    published: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPlan(AddressPlan):
    """What a deployment takes of its engine's host, and, once it runs, where everything in it is."""

    layout: ClassVar[str] = LAYOUT

    name: str
    files: tuple[Path, ...]
    environment_file: Path | None
    mapped: RoleMap
    subnets: Mapping[str, IPv4Network]
    ports: tuple[int, ...]
    names: tuple[str, ...]
    secrets: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    """What is secret in its files, known before anything of it is started."""
    places: Places | None = None

    def __post_init__(self) -> None:
        """Its index is no plan's of this project's own layouts."""

    @property
    def _seen(self) -> Places:
        if self.places is None:
            message = f"{self.name} does not run yet, so nobody knows where its parts are"
            raise DeploymentError(message)
        return self.places

    @property
    def tunnel_web(self) -> IPv4Interface:
        """Web's end of the tunnel."""
        return self._seen.tunnel_web

    @property
    def tunnel_services(self) -> IPv4Interface:
        """Services' end of the tunnel."""
        return self._seen.tunnel_services

    @property
    def wireguard_port(self) -> int:
        """Where services' end listens."""
        return self._seen.wireguard_port

    @property
    def mariadb_port(self) -> int:
        """Where MariaDB listens, and what is forwarded to it."""
        return self._seen.mariadb_port

    @property
    def redis_port(self) -> int:
        """Where Redis listens, and what is forwarded to it."""
        return self._seen.redis_port

    @property
    def services_listen(self) -> int:
        """Where the services application listens."""
        return self._seen.services_port

    @property
    def web_listen(self) -> int:
        """Where web listens in its gateway's namespace."""
        return self._seen.web_port

    @property
    def services_net(self) -> IPv4Network:
        """The network of the backends and of the services gateway."""
        return self._seen.inner

    @property
    def tunnel_net(self) -> IPv4Network:
        """The network that joins the two gateways."""
        return self._seen.underlay

    @property
    def networks(self) -> dict[str, IPv4Network]:
        """The subnets that its files fix, by the networks' names in them."""
        return dict(self.subnets)

    @property
    def mariadb(self) -> IPv4Address:
        """MariaDB beside the services gateway."""
        return self._seen.mariadb

    @property
    def wireguard_services(self) -> IPv4Address:
        """The services gateway beside the backends."""
        return self._seen.inner_gateway

    @property
    def redis(self) -> IPv4Address:
        """Redis beside the services gateway."""
        return self._seen.redis

    @property
    def services(self) -> IPv4Address:
        """The services application beside the services gateway."""
        return self._seen.services

    @property
    def underlay_web(self) -> IPv4Address:
        """Web's gateway on the network that joins the two."""
        return self._seen.underlay_web

    @property
    def underlay_services(self) -> IPv4Address:
        """Services' gateway on the network that joins the two."""
        return self._seen.underlay_services

    @property
    def web_port(self) -> int:
        """Where web is published on the host; raises `DeploymentError` where it is not."""
        return self._published("web")

    @property
    def services_port(self) -> int:
        """Where services is published on the host; raises `DeploymentError` where it is not."""
        return self._published("services")

    def _published(self, side: str) -> int:
        try:
            return self._seen.published[side]
        except KeyError:
            message = f"{self.name} publishes no port of {self.mapped.service(side)} on the host"
            raise DeploymentError(message) from None

    @property
    def host_ports(self) -> tuple[int, ...]:
        """The ports of the host that its files name."""
        return self.ports

    @property
    def host_names(self) -> tuple[str, ...]:
        """The names of containers that its files name."""
        return self.names

    @property
    def container_prefix(self) -> str:
        """What stands before the names of the probes that are laid over it."""
        return f"{self.project}-"

    @property
    def project(self) -> str:
        """The compose project under which it is tested: one of its own, so that nothing of the real one is touched."""
        return f"{self.name}-under-test"

    def environment(self) -> dict[str, str]:
        """Nothing: the files are taken as they are."""
        return {}


def planned(
    configuration: Mapping[str, Any], files: tuple[Path, ...], environment_file: Path | None, mapped: RoleMap
) -> ForeignPlan:
    """The plan of compose files whose merged configuration is given.

    Raises `ConfigurationError` where a part is played by nobody, a subnet is none, what is not the project's own would
    be used, or somebody else would be reached.
    """
    services = configuration.get("services") or {}
    mapped.require(services)
    check_subnets(configuration)
    sharing.refuse(configuration)
    told = told_by(configuration, mapped)
    leading.refuse(configuration, mapped, told)
    _refuse_part_time(services, mapped)
    name = str(configuration.get("name") or files[0].resolve().parent.name)
    return ForeignPlan(
        index=_FIRST_INDEX + zlib.crc32(name.encode()) % _INDICES,
        name=name,
        files=tuple(file.resolve() for file in files),
        environment_file=environment_file.resolve() if environment_file else None,
        mapped=mapped,
        subnets=dict(_subnets(configuration)),
        ports=tuple(
            int(port["published"])
            for each in services.values()
            for port in each.get("ports") or []
            if str(port.get("published") or "").isdecimal()
        ),
        names=tuple(str(each["container_name"]) for each in services.values() if each.get("container_name")),
        secrets=secrecy.learnt(configuration, environment_file or files[0].parent / ".env", told),
    )


def _refuse_part_time(services: Mapping[str, Any], mapped: RoleMap) -> None:
    """What comes to its end cannot play a part."""
    for job, waiting in jobs.declared(services).items():
        if (role := mapped.role(job)) in SERVICES:
            message = (
                f"{job} is a job that comes to its end, for which {waiting[0]} waits, and is to play the part of "
                f"{role}: map {role} to a service that stays up"
            )
            raise ConfigurationError(message)


def _subnets(configuration: Mapping[str, Any]) -> Iterator[tuple[str, IPv4Network]]:
    for name, network in (configuration.get("networks") or {}).items():
        for text in subnets_of(network):
            if isinstance(subnet := ip_network(text, strict=False), IPv4Network):
                yield name, subnet
