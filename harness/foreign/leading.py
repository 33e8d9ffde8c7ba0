"""Where the parts of a copy would lead: to each other, or out of it, to where the real deployment may be.

A gateway of the copy has the keys of the real one. Were it to shake hands with the real peer, that peer would send to
the copy from then on (WireGuard roams), and the copy's way to the backends would end at the real ones.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from harness import mounts, wgquick
from harness.addresses import subnets_of
from harness.diagnosis import containers
from harness.diagnosis.settings import PRIVATE_KEY_FILE, broker_url
from harness.errors import ConfigurationError, HarnessError
from harness.model import Forward
from harness.rolemap import APPLICATIONS, GATEWAYS, RoleMap
from harness.telling import Told

_ENDPOINT, _FORWARDS, _ADDRESS = "WG_PEER_ENDPOINT", "WG_FORWARD_PORTS", "WG_ADDRESS"

_Network = IPv4Network | IPv6Network


def refuse(configuration: Mapping[str, Any], mapped: RoleMap, told: Mapping[str, Told]) -> None:
    """Raise `ConfigurationError` for the first gateway or application that leads out, or of which nobody can tell.

    `told` is what the services of the configuration amount to.
    """
    copy = _Copy(configuration=configuration, told=told, mapped=mapped)
    for role in GATEWAYS:
        _refuse_gateway(copy, role)
    for role in APPLICATIONS:
        if mapped.service(role) in copy.told:
            _refuse_application(copy, mapped.service(role))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """What the files say of everybody in a copy."""

    configuration: Mapping[str, Any]
    told: Mapping[str, Told]
    mapped: RoleMap

    @property
    def services(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.configuration["services"]
        return found

    @property
    def networks(self) -> tuple[_Network, ...]:
        """The subnets that the files fix."""
        return tuple(
            ip_network(subnet, strict=False)
            for network in (self.configuration.get("networks") or {}).values()
            for subnet in subnets_of(network)
        )

    @property
    def tunnel(self) -> tuple[_Network, ...] | None:
        """What is at both ends of the tunnel; None where one of them is not known."""
        found: list[_Network] = []
        for role in GATEWAYS:
            try:
                address = IPv4Interface(self.told[self.mapped.service(role)].environment.get(_ADDRESS, ""))
            except ValueError:
                return None
            found.append(address.network)
        return tuple(found)

    def place(self, service: str, host: str) -> str:
        """What a service makes of a host's name: the address that it was told with it, or the name itself."""
        for told in self._of_namespace(service, "extra_hosts"):
            name, _, address = re.sub("[:=]", " ", str(told), count=1).partition(" ")
            if name.lower() == host.lower():
                return address.strip("[]")
        return host

    def is_called(self, service: str, name: str) -> bool:
        """Whether a service finds somebody of the copy by a name, on a network that both are on."""
        linked = (str(told).rpartition(":")[2] for told in self._of_namespace(service, "links"))
        networks = self._owner(service).get("networks") or {}
        return name.lower() in {each.lower() for each in (*linked, *self._names(networks)) if each}

    def _names(self, networks: Mapping[str, Any]) -> Iterator[str]:
        for service, definition in self.services.items():
            for network, how in (definition.get("networks") or {}).items():
                if network in networks:
                    yield from (service, str(definition.get("container_name") or ""))
                    yield from (str(definition.get("hostname") or ""), *map(str, (how or {}).get("aliases") or []))

    def _owner(self, service: str) -> Mapping[str, Any]:
        """The definition of the service whose network namespace a service has."""
        owner = containers.configured(service, self.configuration).joined
        found: Mapping[str, Any] = self.services.get(owner or service) or self.services[service]
        return found

    def _of_namespace(self, service: str, setting: str) -> Iterator[object]:
        for definition in (self.services[service], self._owner(service)):
            yield from definition.get(setting) or []


def _refuse_gateway(copy: _Copy, role: str) -> None:
    service = copy.mapped.service(role)
    other = copy.mapped.service(next(each for each in GATEWAYS if each != role))
    for endpoint in _endpoints(copy, role):
        host = (endpoint.rpartition(":")[0] or endpoint).strip("[]")
        place = copy.place(service, host)
        if not (copy.is_called(service, place) or _is_in(place, copy.networks)):
            message = (
                f"{service} dials {host}, which is no container of these files that it shares a network with: its "
                f"copy, which has the same keys, would reach the real deployment; lay a file over that gives it "
                f"{_where(copy, service)} that leads to {other}"
            )
            raise ConfigurationError(message)
    for forward in _forwards(copy.told[service]):
        if not _is_in(str(forward.destination), copy.networks):
            message = (
                f"{service} sends on port {forward.port} to {forward.destination}, which is on no network of these "
                f"files, so that the test would reach what is no copy: lay a file over by which it leads to a container"
            )
            raise ConfigurationError(message)


def _endpoints(copy: _Copy, role: str) -> tuple[str, ...]:
    """Where a gateway dials by itself; raises `ConfigurationError` where that cannot be told."""
    service, said = copy.mapped.service(role), copy.mapped.dialect(role).settings.get(_ENDPOINT)
    told = copy.told[service]
    reason = f"it has neither a wg0.conf nor {PRIVATE_KEY_FILE}"
    if told.configuration is not None:
        try:
            return wgquick.endpoints(mounts.read(service, copy.configuration, told.configuration))
        except HarnessError as error:
            reason = str(error)
    elif _ENDPOINT in told.environment or told.environment.get(PRIVATE_KEY_FILE):
        said = told.environment.get(_ENDPOINT, "")
    if said is None:
        message = (
            f"whom {service} dials is not known before it runs ({reason}), and its copy might reach the real "
            f"deployment: have its wg0.conf where it can be read, or say {_ENDPOINT} in [settings.{role}] of the map, "
            f"empty where it dials nobody"
        )
        raise ConfigurationError(message)
    return (said,) if said else ()


def _where(copy: _Copy, service: str) -> str:
    path = copy.told[service].configuration
    return f"an Endpoint in {path}" if path else f"a {_ENDPOINT}"


def _forwards(told: Told) -> tuple[Forward, ...]:
    with contextlib.suppress(ValueError):  # the gateway itself refuses it
        return Forward.parse_all(told.environment.get(_FORWARDS, ""))
    return ()


def _refuse_application(copy: _Copy, service: str) -> None:
    environment = copy.told[service].environment
    url = broker_url(environment)
    for what, host in (("MariaDB", environment.get("DATABASE_HOST")), ("Redis", url.hostname if url else None)):
        place = copy.place(service, host or "")
        if host and not copy.is_called(service, place) and not _is_near(copy, place):
            message = (
                f"{service} has its {what} at {host}, which is nobody in these files, so that the test would write "
                f"into what is no copy: lay a file over that gives it one of theirs"
            )
            raise ConfigurationError(message)


def _is_near(copy: _Copy, place: str) -> bool:
    """Whether an address is one of the copy's, of its tunnel, or of the very namespace."""
    if place.lower() == "localhost":
        return True
    try:
        address = ip_address(place)
    except ValueError:
        return False
    tunnel = copy.tunnel
    return address.is_loopback or tunnel is None or _is_in(place, (*copy.networks, *tunnel))


def _is_in(place: str, networks: tuple[_Network, ...]) -> bool:
    try:
        address = ip_address(place)
    except ValueError:
        return False
    return any(address in network for network in networks)
