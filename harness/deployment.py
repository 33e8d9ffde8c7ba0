"""A running deployment, by the roles of its nodes: `deployment.wireguard_web.peer().latest_handshake`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from harness import shipping
from harness.addresses import SERVICES, AddressPlan
from harness.compose import RELAYED_MARIADB, RELAYED_REDIS, ComposeProject, secrets_directory
from harness.credentials import Credentials
from harness.engine import Engine
from harness.errors import CommandError, DeploymentError
from harness.model import CommandResult
from harness.nodes import ContainerState, Gateway, Node
from harness.ownership import Run
from harness.shipping import Shipment

_TYPED = 20.0  # seconds; what people type to look at something answers at once, or not at all

PROBES = ("probe-web", "probe-services")

REDIS_CLI = "$(command -v redis-cli || command -v valkey-cli || echo redis-cli) "
"""How a shell in Redis' own container begins the command by which people talk to it; Valkey's takes the same words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the test process connects: a port of the host's loopback."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Relays:
    """The ports from which a side's probe relays to the backends, for clients that cannot dial from beside it."""

    mariadb: Endpoint
    redis: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A Docker engine, and what of the deployment runs on it.

    `project` is None where no compose file made the containers. `prefix` stands before each container's name.
    `secrets` is where the secret files lie as seen from here, and `mounted` as the engine sees them. `shipment` is what
    takes them there, where the engine does not see those that are here.
    """

    name: str
    engine: Engine
    services: frozenset[str]
    project: ComposeProject | None
    prefix: str
    secrets: Path
    mounted: Path
    shipment: Shipment | None = None

    def publish(self, name: str, owner: int | None = None) -> None:
        """Have the engine see a secret file as it is here now; raises `DeploymentError` when that cannot be done."""
        if self.shipment:
            self.shipment.put({self.secrets / name: owner})


class Deployment:
    """One deployment that was brought up, or attached to: the dev layout, all of it on one engine."""

    def __init__(
        self, *, engine: Engine, plan: AddressPlan, run: Run, hosts: Sequence[Host], credentials: Credentials
    ) -> None:
        self.engine = engine
        self.plan = plan
        self.run = run
        self.hosts = tuple(hosts)
        self.credentials = credentials
        self.wireguard_web = self._gateway("wireguard-web")
        self.wireguard_services = self._gateway("wireguard-services")
        self.mariadb = self._node("mariadb")
        self.redis = self._node("redis")
        self.services = self._node("services")
        self.celery = self._node("celery")
        self.web = self._node("web")
        self.probe_web = self._node("probe-web")
        self.probe_services = self._node("probe-services")

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node of the deployment itself, the probes left out."""
        return (*self.gateways, self.mariadb, self.redis, self.services, self.celery, self.web)

    @property
    def observed(self) -> tuple[Node, ...]:
        """Every node that can be looked into."""
        return self.nodes

    @property
    def planned_networks(self) -> dict[str, IPv4Network]:
        """The subnets of the networks that compose makes, also of those that it could not make."""
        return self.plan.networks

    @property
    def project_name(self) -> str:
        """The compose project's name, which stands before its networks'."""
        return self.project("web").project

    @property
    def everyone(self) -> tuple[Node, ...]:
        """Every node, the probes included."""
        return (*self.nodes, self.probe_web, self.probe_services)

    @property
    def gateways(self) -> tuple[Gateway, Gateway]:
        """Both ends of the tunnel, the initiator first."""
        return self.wireguard_web, self.wireguard_services

    def node(self, service: str) -> Node:
        """The node of a service; raises `DeploymentError` for a name that is none."""
        for node in self.everyone:
            if node.service == service:
                return node
        message = f"the deployment has no service {service}"
        raise DeploymentError(message)

    def probe(self, side: str) -> Node:
        """The sidecar in the namespace of `web` (through the tunnel) or `services` (directly)."""
        return {"web": self.probe_web, "services": self.probe_services}[side]

    def host(self, service: str) -> Host:
        """The host of a service, of a probe too; raises `DeploymentError` for a name that is none."""
        for host in self.hosts:
            if service in host.services:
                return host
        message = f"the deployment has no service {service}"
        raise DeploymentError(message)

    def machine(self, service: str) -> str:
        """The container that stands in for the machine of a service; raises `DeploymentError` where none does."""
        message = f"{service} is on this machine itself in this layout"
        raise DeploymentError(message)

    def project(self, service: str) -> ComposeProject:
        """The compose project that a service belongs to; raises `DeploymentError` where there is none."""
        found = self.host(service).project
        if found is None:
            message = f"{service} is not deployed by compose in this layout"
            raise DeploymentError(message)
        return found

    def inside(self, side: str) -> Path | None:
        """The process beside which clients in the test process dial as `web` (through the tunnel) or `services` does.

        None where its namespaces cannot be entered from here.
        """
        return self.probe(side).process()

    def relays(self, side: str) -> Relays:
        """Where clients reach the backends as a side does from which they cannot dial."""
        owner = {"web": self.wireguard_web, "services": self.services}[side]
        return Relays(mariadb=published(owner, RELAYED_MARIADB), redis=published(owner, RELAYED_REDIS))

    def url(self, side: str, path: str) -> str:
        """The address of a page of web or services, as it is reached from here."""
        port = {"web": self.plan.web_port, "services": self.plan.services_port}[side]
        return f"http://127.0.0.1:{self.engine.machine.port(port)}{path}"

    @property
    def redis_password(self) -> str | None:
        """The password that Redis asks for, or None when it asks for none."""
        return None

    def redis_cli(self, *words: str) -> str:
        """What `redis-cli`, or Valkey's, prints in Redis' own container; raises `CommandError` when it fails."""
        environment = {"REDISCLI_AUTH": self.redis_password} if self.redis_password else {}
        line = ("sh", "-c", REDIS_CLI + '"$@"', "sh", "-p", str(self.plan.redis_port), *words)
        result = self.redis.run(*line, environment=environment)
        if not result.ok:
            message = f"in {self.redis.name}: {result}"
            raise CommandError(message)
        return result.stdout

    def typed(self, line: str) -> CommandResult:
        """Run a line as it is typed into a shell of the machine on which the containers that it names are."""
        return self.engine.machine.shell(line, timeout=_TYPED)

    def configuration(self) -> dict[str, Any]:
        """What the deployed files say (`docker compose config`), without what the harness lays over them."""
        merged: dict[str, Any] = {}
        for host in self.hosts:
            said = host.project.without_overlays().configuration() if host.project else {}
            for key, value in said.items():
                merged[key] = merged.get(key, {}) | value if isinstance(value, dict) else value
        return merged

    def states(self) -> dict[str, ContainerState]:
        """The state of every node, probes included."""
        return {node.service: node.state() for node in self.everyone}

    def unwell(self) -> dict[str, str]:
        """What is wrong with each node that is not well, probes included; empty when all are."""
        everyone = self.everyone
        with ThreadPoolExecutor(max_workers=len(everyone), thread_name_prefix="unwell") as pool:
            ailments = list(pool.map(lambda node: node.ailment(), everyone))
        return {node.service: ailment for node, ailment in zip(everyone, ailments, strict=True) if ailment}

    def _node(self, service: str) -> Node:
        host = self.host(service)
        return Node(host.engine, service, f"{host.prefix}{service}")

    def _gateway(self, service: str) -> Gateway:
        host = self.host(service)
        return Gateway(host.engine, service, f"{host.prefix}{service}")


def on_one_engine(
    engine: Engine, plan: AddressPlan, run: Run, project: ComposeProject, credentials: Credentials
) -> Deployment:
    """A deployment of the dev layout."""
    secrets, shipment = secrets_directory(run.state), shipping.of_secrets(engine, run)
    host = Host(
        name=plan.project,
        engine=engine,
        services=frozenset({*SERVICES, *PROBES}),
        project=project,
        prefix=plan.container_prefix,
        secrets=secrets,
        mounted=shipment.place() if shipment else secrets,
        shipment=shipment,
    )
    return Deployment(engine=engine, plan=plan, run=run, hosts=[host], credentials=credentials)


def published(node: Node, port: int) -> Endpoint:
    """Where a published port of a container is reached from here; raises `DeploymentError` when it is not published."""
    bindings: Sequence[Mapping[str, str]] = node.inspect()["NetworkSettings"]["Ports"].get(f"{port}/tcp") or []
    for binding in bindings:
        return Endpoint(host=binding["HostIp"], port=node.engine.machine.port(int(binding["HostPort"])))
    message = f"{node.name} publishes no port for {port}: was it brought up by the harness?"
    raise DeploymentError(message)
