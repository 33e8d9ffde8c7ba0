"""A deployment that is not this project's own but follows the same idea: other names, addresses, images and settings.

Nothing of it is assumed. Who plays which part is said by a `RoleMap`; where everybody is, is read from what runs.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_network
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from harness import keys
from harness.addresses import SERVICES, SERVICES_PORT, WEB_PORT, WIREGUARD_PORT, AddressPlan
from harness.compose import RELAYED_MARIADB, RELAYED_REDIS, ComposeProject
from harness.credentials import Credentials
from harness.deployment import PROBES, Deployment, Host
from harness.diagnosis.settings import PRESHARED_KEY_FILE, PRIVATE_KEY_FILE, backend_ports, broker_url
from harness.engine import COMPOSE_PROJECT, COMPOSE_SERVICE, Engine
from harness.errors import ConfigurationError, DeploymentError
from harness.nodes import Gateway, Node
from harness.ownership import Run
from harness.rolemap import RoleMap

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


def plan(
    configuration: Mapping[str, Any], files: tuple[Path, ...], environment_file: Path | None, mapped: RoleMap
) -> ForeignPlan:
    """The plan of compose files whose merged configuration is given.

    Raises `ConfigurationError` where a part is played by nobody, or what is not the project's own would be used.
    """
    services = configuration.get("services") or {}
    mapped.require(services)
    _refuse_shared(configuration)
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
    )


def _refuse_shared(configuration: Mapping[str, Any]) -> None:
    """What has a name of its own, or is from elsewhere, would be the real deployment's."""
    project = str(configuration.get("name"))
    for kind in ("volumes", "networks"):
        for name, definition in (configuration.get(kind) or {}).items():
            given = (definition or {}).get("name") or f"{project}_{name}"
            if (definition or {}).get("external") or given != f"{project}_{name}":
                message = (
                    f"{kind[:-1]} {name} is `{given}` outside of the project, which the test would share with whatever "
                    f"else uses it: lay a file over that gives the test one of its own"
                )
                raise ConfigurationError(message)


def _subnets(configuration: Mapping[str, Any]) -> Iterator[tuple[str, IPv4Network]]:
    for name, network in (configuration.get("networks") or {}).items():
        for entry in ((network or {}).get("ipam") or {}).get("config") or []:
            subnet = ip_network(entry["subnet"]) if "subnet" in entry else None
            if isinstance(subnet, IPv4Network):
                yield name, subnet


class Foreign(Deployment):
    """Such a deployment, up. `service` of its nodes is their own name, `role` the documented one."""

    plan: ForeignPlan

    def __init__(  # noqa: PLR0913 (what a deployment is made of)
        self,
        *,
        engine: Engine,
        plan: ForeignPlan,
        run: Run,
        project: ComposeProject | None,
        compose_name: str,
        containers: Mapping[str, str],
        credentials: Credentials,
    ) -> None:
        self._mapped = plan.mapped
        self._containers = containers
        self._compose_name = compose_name
        host = Host(
            name=plan.name,
            engine=engine,
            services=frozenset({*containers, *SERVICES, *PROBES}),
            project=project,
            prefix="",
            secrets=run.state,
            mounted=run.state,
        )
        super().__init__(engine=engine, plan=plan, run=run, hosts=[host], credentials=credentials)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node of the deployment itself, those that play no part too."""
        parts = (*self.gateways, self.mariadb, self.redis, self.services, self.celery, self.web)
        known = {node.service for node in parts} | set(PROBES)
        others = [Node(self.engine, each, name) for each, name in self._containers.items() if each not in known]
        return (*(node for node in parts if node.service in self._containers), *others)

    @property
    def project_name(self) -> str:
        """The compose project's name."""
        return self._compose_name

    @property
    def redis_password(self) -> str | None:
        """The password that the applications have for Redis, or None when they have none."""
        return self.credentials.redis_password or None

    def inside(self, side: str) -> Path | None:  # noqa: ARG002 (that of every deployment)
        """None: its applications may dial a name, which a relay beside them resolves as they do."""
        return None

    def node(self, service: str) -> Node:
        """The node that plays a part, or has that name; raises `DeploymentError` where none does."""
        return next((each for each in self.everyone if each.role == service), None) or super().node(service)

    def _node(self, service: str) -> Node:
        return Node(self.engine, *self._named(service), role=service, dialect=self._mapped.dialect(service))

    def _gateway(self, service: str) -> Gateway:
        return Gateway(self.engine, *self._named(service), role=service, dialect=self._mapped.dialect(service))

    def _named(self, role: str) -> tuple[str, str]:
        service = self._mapped.service(role)
        return service, self._containers.get(service, service)


def see(engine: Engine, plan: ForeignPlan, run: Run, project: ComposeProject | None, compose_name: str) -> Foreign:
    """A deployment that runs, looked at: where its parts are, and with which keys and passwords.

    Raises `DeploymentError` with what of that cannot be seen, and where.
    """
    containers = {
        each.labels[COMPOSE_SERVICE]: str(each.name) for each in engine.containers(f"{COMPOSE_PROJECT}={compose_name}")
    }
    found = Foreign(
        engine=engine,
        plan=plan,
        run=run,
        project=project,
        compose_name=compose_name,
        containers=containers,
        credentials=NOTHING_KNOWN,
    )
    found.credentials = _credentials(found)
    found.plan = replace(plan, places=_places(found))
    return found


NOTHING_KNOWN = Credentials(
    keys=keys.KeySet(
        web=keys.KeyPair(private="", public=""), services=keys.KeyPair(private="", public=""), preshared=""
    ),
    db_password="",
    db_root_password="",
    django_secret_key="",
    redis_password="",
    flower_password="",
)
"""What is known of somebody else's secrets before one has looked."""


def _credentials(deployment: Foreign) -> Credentials:
    web, services = deployment.gateways
    told = deployment.services.environment()
    url = broker_url(told)
    pairs = []
    for gateway in (web, services):
        private, _ = _keys(gateway)
        try:
            pairs.append(keys.KeyPair(private=private, public=keys.derive_public(private)))
        except ValueError as error:
            message = f"the private key of {gateway.service} {error}: {_where(gateway)}"
            raise DeploymentError(message) from None
    return replace(
        NOTHING_KNOWN,
        keys=keys.KeySet(web=pairs[0], services=pairs[1], preshared=_keys(services)[1]),
        db_password=_password(deployment.services, told, "DATABASE_PASSWORD"),
        redis_password=unquote((url and url.password) or "") or _password(deployment.services, told, "REDIS_PASSWORD"),
    )


def _keys(gateway: Gateway) -> tuple[str, str]:
    """The private key and the preshared one of a gateway, empty where it has none."""
    if (told := gateway.dialect.quick(gateway.file)) is not None:
        return told.private_key, told.preshared_key
    environment = gateway.environment()
    paths = (environment.get(PRIVATE_KEY_FILE), environment.get(PRESHARED_KEY_FILE))
    private, preshared = (gateway.file(path).strip() if path else "" for path in paths)
    return private, preshared


def _where(gateway: Gateway) -> str:
    configuration = gateway.dialect.configuration
    return f"it is looked for in {configuration}" if configuration else f"{PRIVATE_KEY_FILE} names its file"


def _password(node: Node, told: Mapping[str, str], name: str) -> str:
    path = told.get(f"{name}_FILE")
    return node.file(path).rstrip("\r\n") if path else told.get(name, "")


def _places(deployment: Foreign) -> Places:
    web, services = deployment.gateways
    ends = {gateway.role: gateway.environment() for gateway in (web, services)}
    ports = backend_ports(deployment.services.environment())
    at = {
        node.role: _addresses(node)
        for node in (web, services, deployment.mariadb, deployment.redis, deployment.services)
    }
    inner = _shared(at, "wireguard-services", "mariadb")
    underlay = _shared(at, "wireguard-web", "wireguard-services")
    listen = ends["wireguard-services"].get("WG_LISTEN_PORT", "")
    return Places(
        tunnel_web=_tunnel(web, ends["wireguard-web"]),
        tunnel_services=_tunnel(services, ends["wireguard-services"]),
        wireguard_port=int(listen) if listen.isdecimal() else WIREGUARD_PORT,
        underlay=at["wireguard-services"][underlay].network,
        underlay_web=at["wireguard-web"][underlay].ip,
        underlay_services=at["wireguard-services"][underlay].ip,
        inner=at["wireguard-services"][inner].network,
        inner_gateway=at["wireguard-services"][inner].ip,
        mariadb=at["mariadb"][inner].ip,
        mariadb_port=ports["database"],
        redis=at["redis"][_shared(at, "wireguard-services", "redis")].ip,
        redis_port=ports["broker"],
        services=at["services"][_shared(at, "wireguard-services", "services")].ip,
        services_port=_other_forward(services, ports) or _target(deployment, "services") or SERVICES_PORT,
        web_port=_target(deployment, "web") or WEB_PORT,
        published=dict(_published(deployment)),
    )


def _addresses(node: Node) -> dict[str, IPv4Interface]:
    """A node's address on each of its Docker networks."""
    found = node.inspect()["NetworkSettings"]["Networks"] or {}
    return {
        name: IPv4Interface(f"{each['IPAddress']}/{each['IPPrefixLen']}")
        for name, each in found.items()
        if each.get("IPAddress")
    }


def _shared(at: Mapping[str, Mapping[str, IPv4Interface]], one: str, other: str) -> str:
    """The network that two parts are both on; raises `DeploymentError` where there is none."""
    common = [name for name in at[one] if name in at[other]]
    if not common:
        message = f"no network joins {one} and {other}: do both run?"
        raise DeploymentError(message)
    return common[0]


def _tunnel(gateway: Gateway, told: Mapping[str, str]) -> IPv4Interface:
    try:
        return IPv4Interface(told["WG_ADDRESS"])
    except (KeyError, ValueError):
        message = f"{gateway.name} was told no address in the tunnel: its map has to say where its wg0.conf lies"
        raise DeploymentError(message) from None


def _other_forward(gateway: Gateway, ports: Mapping[str, int]) -> int | None:
    """What is forwarded besides the backends: the services application."""
    return next((each.port for each in gateway.forwards() if each.port not in ports.values()), None)


def _bindings(deployment: Foreign, side: str) -> Iterator[tuple[int, int]]:
    """The ports of a side's application that the host holds: inside, and of the host. Those of the probes left out."""
    node = {"web": deployment.wireguard_web, "services": deployment.services}[side]
    for target, holders in (node.inspect()["NetworkSettings"]["Ports"] or {}).items():
        port, _, protocol = target.partition("/")
        if protocol == "tcp" and holders and int(port) not in (RELAYED_MARIADB, RELAYED_REDIS):
            yield int(port), int(holders[0]["HostPort"])


def _target(deployment: Foreign, side: str) -> int | None:
    return next((target for target, _ in _bindings(deployment, side)), None)


def _published(deployment: Foreign) -> Iterator[tuple[str, int]]:
    for side in ("web", "services"):
        for _, port in _bindings(deployment, side):
            yield side, port
            break
