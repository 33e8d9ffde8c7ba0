"""The compose profile `monitoring` over a running deployment: its exporters, and a Prometheus that scrapes them.

The files are the project's own. Only the pace differs: Prometheus scrapes and judges every two seconds.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from docker.errors import NotFound

from harness import compose, exposition, images
from harness.compose import ComposeProject
from harness.deployment import Deployment
from harness.errors import CommandError, DeploymentError
from harness.exposition import Exposition
from harness.model import Budget, CommandResult
from harness.nodes import Node
from harness.progress import say
from harness.shipping import Shipment
from harness.waiting import wait_until

FOLDER = images.COMPOSE.parent / "monitoring"
CONFIGURATION = FOLDER / "prometheus.yml"
ALERTS = FOLDER / "alerts.yml"
ALERT_TESTS = FOLDER.parent / "tests" / "monitoring" / "alerts_test.yml"

PROFILE = "monitoring"
SERVICES = ("exporter-web", "exporter-services", "prometheus")
PACE = "2s"

SCRAPED = Budget(
    seconds=20, poll=0.2, reason="Prometheus scrapes every two seconds, and a probe of a silent target takes 1 s"
)
_UP = Budget(seconds=60, poll=0.2, reason="three processes start, each in about a second on an idle machine")
_ANSWER_WITHIN = 15.0  # seconds; a scrape takes 5 at worst, a query milliseconds

_SCRAPE = """
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen("http://127.0.0.1:9586/metrics", timeout=10).read().decode())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule of the alerts file."""

    name: str
    expression: str


def alerts() -> dict[str, Alert]:
    """Every rule of the alerts file, by its name."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return {rule["alert"]: Alert(name=rule["alert"], expression=rule["expr"]) for rule in rules}


class Monitoring:
    """The exporters and the Prometheus beside one deployment."""

    def __init__(self, deployment: Deployment, project: ComposeProject) -> None:
        self.deployment = deployment
        self.project = project
        self._nodes = {
            service: Node(deployment.engine, service, f"{deployment.plan.container_prefix}{service}")
            for service in SERVICES
        }

    def exporter(self, gateway: str) -> Node:
        """The exporter of a gateway, by the gateway's service."""
        return self._nodes[gateway.replace("wireguard-", "exporter-")]

    @property
    def prometheus(self) -> Node:
        """The container of Prometheus."""
        return self._nodes["prometheus"]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All three."""
        return tuple(self._nodes.values())

    def in_place(self) -> bool:
        """Whether each exporter lives with its gateway, and not with one that was there before."""
        try:
            return all(
                self.exporter(gateway.service).inspect()["HostConfig"]["NetworkMode"]
                == f"container:{gateway.inspect()['Id']}"
                for gateway in self.deployment.gateways
            )
        except DeploymentError:
            return False

    def scrape(self, gateway: str) -> Exposition:
        """What the exporter of a gateway answers now; raises `CommandError` when it does not."""
        return scrape(self.exporter(gateway))

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus makes of an expression now: each element's labels under `metric`, and its `value`."""
        answer = self._ask(f"/api/v1/query?{urlencode({'query': expression})}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def bring_up(self, *arguments: str) -> None:
        """`docker compose up --detach` with these arguments, as people who operate the deployment run it."""
        self.project.bring_up(*arguments)

    def promtool(self, *arguments: str) -> CommandResult:
        """Run promtool where Prometheus runs, in whose folder the alert rules and their tests are."""
        return self.prometheus.run("promtool", *arguments)

    def _ask(self, path: str) -> dict[str, Any]:
        ports = self.prometheus.inspect()["NetworkSettings"]["Ports"].get("9090/tcp")
        if not ports:
            message = f"{self.prometheus} publishes no port"
            raise DeploymentError(message)
        port = self.deployment.engine.machine.port(int(ports[0]["HostPort"]))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_WITHIN)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        if answer.get("status") != "success":
            message = f"Prometheus refuses {path}: {answer.get('error')}"
            raise DeploymentError(message)
        return answer

    def await_health(self) -> None:
        """Wait until all three are well; raises `WaitTimeoutError`."""
        wait_until(
            "the exporters and Prometheus to be well",
            lambda: {node.service: ailment for node in self.nodes if (ailment := node.ailment())},
            lambda unwell: not unwell,
            within=_UP,
        )


def scrape(exporter: Node) -> Exposition:
    """What an exporter answers now; raises `CommandError` when it does not."""
    result = exporter.python(_SCRAPE)
    if not result.ok:
        message = f"{exporter} cannot be scraped: {result}"
        raise CommandError(message)
    return exposition.parse(result.stdout)


def make_images(deployment: Deployment, *names: str) -> dict[str, str]:
    """See that images of the profile are there, all or those of some variables; returns them by their variables."""
    wanted = {variable: name for variable, name in images.MONITORING.items() if not names or variable in names}
    images.ensure_these(deployment.engine, wanted, (), say)
    return images.chosen(wanted)


@contextlib.contextmanager
def monitored(deployment: Deployment) -> Iterator[Monitoring]:
    """The deployment with its profile `monitoring` switched on while the block runs."""
    make_images(deployment)
    folder = deployment.run.state / "monitoring"
    monitoring = Monitoring(deployment, _project(deployment, folder))
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        for node in monitoring.nodes:
            undo.callback(_remove, node)
        monitoring.project.recreate(*SERVICES)
        monitoring.await_health()
        yield monitoring


class Watch:
    """Keeps the monitoring of one deployment from test to test, and begins anew with another deployment."""

    def __init__(self) -> None:
        self._exit = ExitStack()
        self._monitoring: Monitoring | None = None

    def of(self, deployment: Deployment) -> Monitoring:
        """The monitoring of this very deployment, all of it well."""
        held = self._monitoring
        if held is None or held.deployment is not deployment or not held.in_place():
            self.end()
            self._monitoring = self._exit.enter_context(monitored(deployment))
        held = self._monitoring
        assert held is not None  # noqa: S101 (made above)
        held.await_health()
        return held

    def end(self) -> None:
        """Take it away."""
        self._monitoring = None
        self._exit.close()


def _project(deployment: Deployment, folder: Path) -> ComposeProject:
    """The deployment's own project, with the profile, the run's labels, and a Prometheus in a hurry."""
    folder.mkdir(mode=0o755, exist_ok=True)
    shipment = None if deployment.engine.machine.here else Shipment(deployment.engine, deployment.run, "monitoring")
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    configuration["global"] |= {"scrape_interval": PACE, "evaluation_interval": PACE}
    for job in configuration["scrape_configs"]:
        job["scrape_timeout"] = PACE
    hurried = folder / "prometheus.yml"
    compose.write_override(hurried, configuration)
    added: dict[str, Any] = {"services": {service: {"labels": deployment.run.labels()} for service in SERVICES}}
    mounted = [hurried, ALERT_TESTS]
    if shipment:
        mounted.append(ALERTS)  # the compose file has it already, from this machine
        shipment.put(dict.fromkeys(mounted))
    added["services"]["prometheus"]["volumes"] = [
        {
            "type": "bind",
            "source": str(shipment.place() / source.name if shipment else source),
            "target": f"/etc/prometheus/{source.name}",
            "read_only": True,
        }
        for source in mounted
    ]
    overlay = folder / "overlay.json"
    compose.write_override(overlay, added)
    project = deployment.project("web").with_overlay(overlay)
    # Port 0: the engine picks one that is free, so that no Prometheus of the user's is in the way.
    return replace(project, environment=project.environment | {"COMPOSE_PROFILES": PROFILE, "PROMETHEUS_PORT": "0"})


def _remove(node: Node) -> None:
    with contextlib.suppress(NotFound, DeploymentError):
        node.container.remove(force=True, v=True)
