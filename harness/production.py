"""The prod layout: two servers and a database's host, deployed by the playbooks as production is."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from pathlib import Path

from harness import compose, images, servers
from harness.addresses import SERVICES_PORT, WEB_PORT, ProdPlan
from harness.compose import RELAYED_MARIADB, RELAYED_REDIS, ComposeProject
from harness.credentials import Credentials
from harness.deployment import Deployment, Endpoint, Host, Relays
from harness.engine import Engine
from harness.errors import DeploymentError
from harness.model import CommandResult
from harness.nodes import Node
from harness.ownership import Run
from harness.servers import SITE, Server, Specification

PROFILES = {
    "web": frozenset({"wireguard-web", "web", "nginx", "probe-web"}),
    "services": frozenset({"wireguard-services", "services", "redis", "celery", "flower", "probe-services"}),
}
"""What runs on each of the two servers: its profile of the compose file, and the probe."""

HTTPS_PORT = 443
FLOWER_PORT = 5555
_ENTRANCE = 10_000
"""By how much the number of an entrance is above that of the port to which it leads, where that is on loopback."""

PROJECT = "wireguard-prod"
"""The compose project on each server."""


class Production(Deployment):
    """A deployment of the prod layout."""

    plan: ProdPlan

    def __init__(self, *, engine: Engine, plan: ProdPlan, run: Run, credentials: Credentials) -> None:
        self.web_server = _server(engine, plan, run, "web")
        self.services_server = _server(engine, plan, run, "services")
        super().__init__(
            engine=engine, plan=plan, run=run, hosts=self._hosts(engine, plan, run), credentials=credentials
        )
        self.nginx = self._node("nginx")
        self.flower = self._node("flower")

    def _hosts(self, engine: Engine, plan: ProdPlan, run: Run) -> list[Host]:
        secrets = compose.secrets_directory(run.state)
        return [
            *(_host(server, run) for server in self.servers),
            Host(
                name="database",
                engine=engine,
                services=frozenset({"mariadb"}),
                project=None,
                prefix=f"{plan.project}-",
                secrets=secrets,
                mounted=secrets,
            ),
        ]

    @property
    def servers(self) -> tuple[Server, Server]:
        """Both servers, web's first."""
        return self.web_server, self.services_server

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node of the deployment itself, the probes left out."""
        return (*super().nodes, self.nginx, self.flower)

    @property
    def observed(self) -> tuple[Node, ...]:
        """Every node but the database: nobody looks into what no engine runs, and production's is such."""
        return tuple(node for node in self.nodes if node is not self.mariadb)

    @property
    def planned_networks(self) -> dict[str, IPv4Network]:
        """None: a server has one network, and it is that or no containers."""
        return {}

    @property
    def redis_password(self) -> str:
        """The password that Redis asks for."""
        return self.credentials.redis_password

    def server(self, side: str) -> Server:
        """The server of a side, `web` or `services`."""
        return {"web": self.web_server, "services": self.services_server}[side]

    def machine(self, service: str) -> str:
        """The simulated server on which a service is."""
        return self.server(self.host(service).name).name

    def typed(self, line: str) -> CommandResult:
        """As in the dev layout, on the server where the containers or the port of the line are."""
        words = set(re.split(r"[\s:/]+", line))
        elsewhere = words & (PROFILES["services"] | {str(SERVICES_PORT), str(FLOWER_PORT)})
        server = self.services_server if elsewhere and "wireguard-web" not in words else self.web_server
        return server.run("sh", "-c", line)

    def relays(self, side: str) -> Relays:
        """As in the dev layout; the server of that side lets us in."""
        mariadb, redis = (self.server(side).port(port) for port in (RELAYED_MARIADB, RELAYED_REDIS))
        return Relays(mariadb=Endpoint(host="127.0.0.1", port=mariadb), redis=Endpoint(host="127.0.0.1", port=redis))

    def url(self, side: str, path: str) -> str:
        """A page of web or services as on their servers' loopback, of `flower`, or of the `public` site."""
        if side == "public":
            return f"https://127.0.0.1:{self.web_server.port(HTTPS_PORT)}{path}"
        server, port = {
            "web": (self.web_server, WEB_PORT),
            "services": (self.services_server, SERVICES_PORT),
            "flower": (self.services_server, FLOWER_PORT),
        }[side]
        return f"http://127.0.0.1:{server.port(_ENTRANCE + port)}{path}"


def specifications(plan: ProdPlan) -> list[Specification]:
    """What the two servers are like."""
    chosen = images.chosen()
    gateway, services = plan.outward_web, plan.services
    return [
        Specification(
            role="web",
            addresses={"underlay": str(plan.underlay_web)},
            entrances={
                RELAYED_MARIADB: f"{gateway}:{RELAYED_MARIADB}",
                RELAYED_REDIS: f"{gateway}:{RELAYED_REDIS}",
                _ENTRANCE + WEB_PORT: f"127.0.0.1:{WEB_PORT}",
            },
            published=(HTTPS_PORT,),
            environment={},
            images=_distinct(chosen["WEB_IMAGE"], chosen["WIREGUARD_IMAGE"], chosen["NGINX_IMAGE"], images.PROBE),
        ),
        Specification(
            role="services",
            addresses={"underlay": str(plan.underlay_services), "database": str(plan.database_net[11])},
            entrances={
                RELAYED_MARIADB: f"{services}:{RELAYED_MARIADB}",
                RELAYED_REDIS: f"{services}:{RELAYED_REDIS}",
                _ENTRANCE + SERVICES_PORT: f"127.0.0.1:{SERVICES_PORT}",
                _ENTRANCE + FLOWER_PORT: f"127.0.0.1:{FLOWER_PORT}",
            },
            published=(),
            environment={"DATABASE": f"{plan.mariadb}={plan.database_host}"},
            images=_distinct(chosen["SERVICES_IMAGE"], chosen["WIREGUARD_IMAGE"], chosen["REDIS_IMAGE"], images.PROBE),
        ),
    ]


def server_images(plan: ProdPlan) -> tuple[str, ...]:
    """What the two servers need, each image once."""
    return _distinct(*(image for each in specifications(plan) for image in each.images))


def has_servers(deployment: Deployment) -> bool:
    """Whether both simulated servers of a deployment are there, running or not."""
    if not isinstance(deployment, Production):
        return False
    try:
        return all(server.inspect() for server in deployment.servers)
    except DeploymentError:
        return False


def _server(engine: Engine, plan: ProdPlan, run: Run, role: str) -> Server:
    return Server(engine, servers.name_of(plan, role), role, servers.files_of(run, role))


def _host(server: Server, run: Run) -> Host:
    return Host(
        name=server.service,
        engine=server.inner,
        services=PROFILES[server.service],
        project=_project(server, run),
        prefix="",
        secrets=server.site / "secrets",
        mounted=SITE / "secrets",
    )


def _project(server: Server, run: Run) -> ComposeProject:
    """The server's project as its own `docker compose` runs it, from the very same file."""
    files = [str(compose.FILES["prod"]), str(override_of(run, server.service))]
    return ComposeProject(
        context=images.COMPOSE,
        compose_file_name=files,
        project=PROJECT,
        directory=str(SITE),
        profiles=[server.service],
        env_file=[str(server.site / ".env")],
        environment=server.compose_environment(),
        wait=False,
    )


def override_of(run: Run, role: str) -> Path:
    """The file by which a probe is laid over what a server runs."""
    return run.state / f"override-{role}.json"


def _distinct(*references: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(references))
