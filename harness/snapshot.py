"""Collecting evidence: every node looked at, at the same time, changing nothing; see `harness.diagnosis.evidence`.

First all containers are inspected and the gateways' counters read, then the gateways send some datagrams to each other,
then the applications try their backends, then everything is looked at. What is only to be compared with another look
needs neither the datagrams nor the logs. Secrets are sealed or removed before anything leaves this module.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import fronts, sealing, survey, throughput, trying
from harness.deployment import Deployment
from harness.diagnosis import commands, containers
from harness.diagnosis.containers import Container
from harness.diagnosis.evidence import HostEvidence, NodeEvidence, Piece, Snapshot
from harness.diagnosis.roles import Role, role_of
from harness.engine import Engine
from harness.errors import DeploymentError, EngineUnavailableError, HarnessError
from harness.model import CommandResult
from harness.nodes import Node, health_command
from harness.ownership import LABEL
from harness.redaction import Sealer

Traffic = dict[str, dict[str, tuple[int, int]]]
"""Bytes sent and arrived, by direction and size of packet."""

_LOG_LINES = 60
_REMEMBERED = 600  # seconds for which what happened to a container may explain how it is
_LOOKS = Path(__file__).parent / "looks"
_SEEN_INSIDE = (
    *("netns", "sockets", "interfaces", "kernel-routes", "backends", "clock", "udp", "addresses", "links"),
    *("routes", "routing-policy", "neighbours", "sysctls", "implementation", "rules", "dump"),
    *("rules-before", "dump-before"),
)
"""What nobody sees in a container that does not run."""
_SECTION, _STATUS = "\x1e", "\x1f"


def collect(deployment: Deployment, *, seal: Sealer | None = None, brief: bool = False) -> Snapshot:
    """Look at every node of a deployment. What cannot be seen is said, with the reason.

    Snapshots that are given one `seal` can be compared: equal secrets look equal in all of them. A `brief` one is for
    nothing else (`harness.diagnosis.comparison`), and cannot be judged.
    """
    return Collector(
        deployment.observed,
        layout=deployment.plan.layout,
        project=deployment.project_name,
        secrets=deployment.credentials.secrets(),
        planned={name: str(subnet) for name, subnet in deployment.planned_networks.items()},
        seal=seal,
    ).collect(brief=brief)


class Collector:
    """One look at a set of nodes."""

    def __init__(  # noqa: PLR0913 (what a snapshot is of)
        self,
        nodes: Sequence[Node],
        *,
        layout: str,
        project: str,
        secrets: Iterable[str] = (),
        planned: Mapping[str, str] | None = None,
        seal: Sealer | None = None,
    ) -> None:
        self._nodes = {node.service: node for node in nodes}
        self._layout = layout
        self._project = project
        self._vault = sealing.Vault(secrets, seal or Sealer())
        self._planned = planned or {}
        self._attributes: dict[str, Mapping[str, Any]] = {}
        self._containers: dict[str, Container] = {}
        self._texts: dict[str, dict[str, Piece]] = {service: {} for service in self._nodes}
        self._problems: list[str] = []
        self._engines = {node.engine.name: node.engine for node in nodes}
        self._silent: dict[str, str] = {}

    def collect(self, *, brief: bool = False) -> Snapshot:
        """Look; raises `HarnessError` only when no engine answers."""
        with ThreadPoolExecutor(max_workers=max(1, 2 * len(self._nodes)), thread_name_prefix="snapshot") as pool:
            self._find_silent(pool)
            self._inspect_all(pool)
            traffic = self._look_briefly(pool) if brief else self._look_thoroughly(pool)
            list(pool.map(self._look_into_stopped, self._nodes))
        return self._sealed(traffic)

    def _inspect_all(self, pool: ThreadPoolExecutor) -> None:
        self._attributes = {
            service: found
            for service, found in zip(self._nodes, pool.map(self._inspect, self._nodes.values()), strict=True)
            if found is not None
        }
        ids = {str(found["Id"]): service for service, found in self._attributes.items()}
        ids |= self._others(ids)
        self._containers = {
            service: self._described(service, ids) if service in self._attributes else containers.absent()
            for service in self._nodes
        }

    def _others(self, ids: Mapping[str, str]) -> dict[str, str]:
        """Whose namespace a node shares that is no node itself: as long as the engine has it, it is not gone."""
        found: dict[str, str] = {}
        for service, attributes in self._attributes.items():
            kind, _, owner = str(attributes["HostConfig"]["NetworkMode"]).partition(":")
            if kind != "container" or owner in ids:
                continue
            with contextlib.suppress(DeploymentError):
                there = self._nodes[service].engine.container(owner)
                found[owner] = ids.get(str(there.id), containers.UNSEEN)
        return found

    def _look_thoroughly(self, pool: ThreadPoolExecutor) -> Traffic:
        gateways = self._of(Role.GATEWAY)
        list(pool.map(lambda service: self._look(service, "counters", suffix="-before"), gateways))
        logs = [pool.submit(self._look_from_outside, service) for service in self._nodes]
        measured = pool.submit(self._measure, gateways)
        looked = self._look_into_others(pool)
        traffic = measured.result()  # what the applications send meanwhile would hide what is lost of it
        for each in (*self._try_all_backends(pool), *looked, *logs):
            each.result()
        for each in self._look_into_gateways(pool):
            each.result()
        return traffic

    def _look_briefly(self, pool: ThreadPoolExecutor) -> Traffic:
        looks = (self._try_all_backends, self._look_into_others, self._look_into_gateways)
        for each in [future for look in looks for future in look(pool)]:
            each.result()
        return {}

    def _look_into_others(self, pool: ThreadPoolExecutor) -> list[Future[None]]:
        gateways = self._of(Role.GATEWAY)
        others = [service for service in self._containers if service not in gateways]
        looks = [pool.submit(self._look, service, "common", "container") for service in others]
        return looks + [pool.submit(self._look_at_upstreams, service) for service in others]

    def _look_at_upstreams(self, service: str) -> None:
        container = self._containers[service]
        if container.running:
            found = fronts.upstreams(self._nodes[service], self._attributes[service], container)
            self._texts[service] |= {"upstreams": found} if found else {}

    def _look_into_gateways(self, pool: ThreadPoolExecutor) -> list[Future[None]]:
        return [pool.submit(self._look, service, "common", "gateway", "counters") for service in self._of(Role.GATEWAY)]

    def _try_all_backends(self, pool: ThreadPoolExecutor) -> list[Future[None]]:
        return [pool.submit(self._try_backends, service) for service in self._of(Role.APP)]

    def _find_silent(self, pool: ThreadPoolExecutor) -> None:
        """Find the engines that do not answer; of one that is alone nothing could be said at all."""
        found = dict(zip(self._engines, pool.map(Engine.silence, self._engines.values()), strict=True))
        self._silent = {name: reason for name, reason in found.items() if reason}
        if len(self._silent) == len(self._engines) > 0:
            said = "; ".join(f"{name}: {reason}" if name else reason for name, reason in self._silent.items())
            message = f"no Docker engine of the deployment answers ({said})"
            raise EngineUnavailableError(message)

    def _described(self, service: str, ids: Mapping[str, str]) -> Container:
        node, attributes = self._nodes[service], self._attributes[service]
        found = containers.inspected(attributes, self._project, ids, node.engine.name)
        return replace(found, environment=node.environment(attributes))

    def _of(self, role: Role) -> list[str]:
        return [
            service
            for service, each in self._containers.items()
            if role_of(self._nodes[service].role, each.environment) is role
        ]

    def _inspect(self, node: Node) -> Mapping[str, Any] | None:
        if node.engine.name in self._silent:
            return None
        try:
            return node.inspect()
        except DeploymentError:
            return None

    def _look(self, service: str, *scripts: str, suffix: str = "") -> None:
        """Ask a running node all the questions of some scripts at once."""
        pieces = self._texts[service]
        container = self._containers[service]
        if not container.running:
            return
        script = "\n".join((_LOOKS / f"{name}.sh").read_text(encoding="utf-8") for name in ("section", *scripts))
        try:
            result = self._peek(service, "sh", "-c", f"{script}\nexit 0")
        except HarnessError as error:
            pieces.setdefault("look", Piece(missing=str(error)))
            return
        if not result.ok:
            pieces["look"] = Piece(missing=f"exit status {result.exit_status}: {result.stderr.strip()[-300:]}")
        for name, text, status in _sections(result.stdout):
            fault = None if status == "0" else f"exit status {status}: {text.strip()[-300:] or 'it said nothing'}"
            pieces[f"{name}{suffix}"] = Piece(text=text, missing=fault)

    def _peek(self, service: str, *argv: str) -> CommandResult:
        return self._nodes[service].peek(*argv, attributes=self._attributes[service])

    def _look_from_outside(self, service: str) -> None:
        """The log, and the health check's verdict: Docker's last may be old, so one that is bad is asked for anew."""
        pieces = self._texts[service]
        if service not in self._attributes:
            return
        try:
            pieces["log"] = Piece(text=self._nodes[service].logs(tail=_LOG_LINES))
        except (HarnessError, DockerException, RequestException) as error:
            pieces["log"] = Piece(missing=str(error))
        container = self._containers[service]
        if container.restarts or not container.running:
            pieces["events"] = self._events(service, container.id)
        if container.health in (None, "healthy") or not container.running:
            return
        try:
            result = self._nodes[service].run(*health_command(self._attributes[service]))
        except HarnessError as error:
            pieces["health"] = Piece(missing=str(error))
            return
        pieces["health"] = Piece(text="" if result.ok else f"{(result.stdout + result.stderr).strip()}\nfailing")

    def _events(self, service: str, container: str) -> Piece:
        """What the engine remembers of a container's ends, such as that the kernel wanted its memory."""
        try:
            events = self._nodes[service].engine.events(container, ("oom", "die"), since=_REMEMBERED)
            return Piece(text="".join(f"{each['time']} {each['Action']}\n" for each in events))
        except (DockerException, RequestException, ValueError) as error:
            return Piece(missing=str(error))

    def _try_backends(self, service: str) -> None:
        if self._containers[service].running:
            gateways = {name: self._containers[name] for name in self._of(Role.GATEWAY)}
            node, container = self._nodes[service], self._containers[service]
            self._texts[service]["backends"] = trying.backends(node, self._attributes[service], container, gateways)

    def _measure(self, gateways: Sequence[str]) -> Traffic:
        try:
            first, second = (self._end(service) for service in gateways)
            return throughput.measure(first, second)
        except (HarnessError, ValueError) as error:
            self._problems.append(f"the tunnel's traffic was not measured: {error}")
            return {}

    def _end(self, service: str) -> throughput.End:
        container = self._containers[service]
        if not container.running:
            message = f"{service} is {container.describe()}"
            raise DeploymentError(message)
        address = IPv4Interface(container.environment.get("WG_ADDRESS", ""))
        return throughput.End(node=self._nodes[service], attributes=self._attributes[service], address=address)

    def _look_into_stopped(self, service: str) -> None:
        """The secret files of a container in which nothing can be run."""
        if service not in self._attributes or "secret-files" in self._texts[service]:
            return
        try:
            listing, contents = sealing.read_archived(self._nodes[service].engine, self._containers[service].id)
        except HarnessError as error:
            self._texts[service]["secret-files"] = Piece(missing=str(error))
            return
        self._texts[service] |= {"secret-files": Piece(text=listing), "secret-contents": Piece(text=contents)}

    def _take_keys(self, service: str) -> None:
        """The keys of a gateway that has them in one `wg0.conf`, as if each were a secret file of its own."""
        pieces = self._texts[service]
        if service in self._attributes:
            for name, text in sealing.of_configuration(self._nodes[service]).items():
                found = pieces.get(name, Piece())
                if found.missing is None:
                    pieces[name] = Piece(text=f"{found.text}\n{text}".strip())

    def _sealed(self, traffic: Traffic) -> Snapshot:
        for service in self._of(Role.GATEWAY):
            self._take_keys(service)
        for service, pieces in self._texts.items():
            self._vault.learn(pieces, self._containers[service])
        nodes = tuple(self._node(service) for service in self._nodes)
        answering = [engine for engine in self._engines.values() if engine.name not in self._silent]
        attached = {each.network for container in self._containers.values() for each in container.attachments}
        return Snapshot(
            layout=self._layout,
            project=self._project,
            taken_at=datetime.now(tz=UTC),
            nodes=nodes,
            networks=tuple(survey.networks(answering, self._project, attached, self._planned)),
            traffic=traffic,
            problems=tuple(map(self._vault.redact, self._problems)),
            hosts=tuple(map(self._host, self._engines.values())) if len(self._engines) > 1 else (),
        )

    def _host(self, engine: Engine) -> HostEvidence:
        if reason := self._silent.get(engine.name):
            return HostEvidence(name=engine.name, silent=reason)
        return survey.machine(engine, self._project)

    def _node(self, service: str) -> NodeEvidence:
        node, container = self._nodes[service], self._containers[service]
        if reason := self._silent.get(node.engine.name):
            missing = Piece(missing=f"the Docker engine of {node.engine.name} does not answer ({reason})")
            pieces = {"container": missing}
            return NodeEvidence(
                service=service, name=node.name, host=node.engine.name, role=_unlike(node), pieces=pieces
            )
        pieces = self._vault.seal(self._texts[service], container.environment)
        pieces["container"] = self._vault.describe(container)
        attributes = self._attributes.get(service)
        if words := node.dialect.words(node.variables(attributes) if attributes else {}):
            pieces["words"] = Piece(text=json.dumps(words))
        if compose := self._compose(service):
            pieces["compose"] = Piece(text=self._vault.redact(compose))
        if not container.running:
            reason = f"the container is {container.describe()}"
            pieces = {name: Piece(missing=reason) for name in _SEEN_INSIDE} | pieces
        return NodeEvidence(service=service, name=node.name, host=node.engine.name, role=_unlike(node), pieces=pieces)

    def _compose(self, service: str) -> str:
        """How `docker compose` begins there. A run's own files say nothing without what the harness tells Compose."""
        labels = self._attributes[service]["Config"]["Labels"] or {} if service in self._attributes else {}
        return "" if LABEL in labels else commands.compose(labels)


def _unlike(node: Node) -> str:
    """The part that a node plays, where it has another name; nothing for those with the documented ones."""
    return node.role if node.role != node.service else ""


def _sections(text: str) -> Iterable[tuple[str, str, str]]:
    for part in text.split(_SECTION)[1:]:
        name, _, rest = part.partition("\n")
        body, _, status = rest.rpartition(_STATUS)
        yield name, body, status.strip() or "unknown"
