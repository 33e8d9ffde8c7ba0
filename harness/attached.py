"""Containers that run, found by name or by compose project, whoever brought them up. Nothing of them is changed."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from docker.models.containers import Container

from harness import jobs, wgquick
from harness.addresses import SERVICES, AddressPlan
from harness.engine import COMPOSE_PROJECT, COMPOSE_SERVICE, Engine
from harness.errors import ConfigurationError, DeploymentError, EngineUnavailableError, HarnessError
from harness.nodes import Node
from harness.ownership import LABEL
from harness.production import PROFILES
from harness.rolemap import DOCUMENTED, RoleMap
from harness.wgquick import CONFIGURATION, PACKED, PACKED_FOLDER

_OURS_BESIDE = "probe-"
"""Services that the harness lays over a deployment; they are no part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """The nodes of one deployment. `project` is its compose project, empty where it has none or several."""

    nodes: tuple[Node, ...]
    project: str


def planned(engine: Engine, plan: AddressPlan, project: str | None = None) -> Attached:
    """The documented deployment of a plan, or of another project; a service without a container is a node too."""
    name = project or plan.project
    found = _of_project(engine, name)
    present = {each.service for each in found}
    missing = [Node(engine, service, f"{name}-{service}-1") for service in SERVICES if service not in present]
    nodes = [*told_apart(found), *missing]
    return Attached(nodes=tuple(nodes) if found else (), project=name)


def spread(engines: Sequence[Engine], project: str) -> Attached:
    """A deployment on several engines, each of which runs a profile of the production file, or part of one.

    A service of a profile that an engine runs is a node too when it has no container, and so is all that should run
    on an engine that does not answer, where it can only be that. Raises `DeploymentError` when nothing is there.
    """
    reasons = {engine.name: engine.silence() for engine in engines}
    if all(reasons.values()):
        said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        message = f"no Docker engine answers ({said}): is it up, and may this user use it?"
        raise EngineUnavailableError(message)
    silent = [engine for engine in engines if reasons[engine.name]]
    found = {engine.name: _of_project(engine, project) for engine in engines if engine not in silent}
    nodes = [node for own in found.values() for node in own]
    if not nodes:
        message = (
            f"no container of the compose project {project} is on {', '.join(found)}: --project NAME names another"
        )
        raise DeploymentError(message)
    missing = dict(PROFILES)
    for engine in engines:
        present = {node.service for node in found.get(engine.name, ())}
        side = next((name for name, services in missing.items() if f"wireguard-{name}" in present), None)
        if side is not None:
            lacking = sorted(missing.pop(side) - present)
            nodes += [Node(engine, each, each) for each in lacking if not each.startswith(_OURS_BESIDE)]
    _acquaint(nodes)
    for engine, (_, services) in zip(silent, missing.items(), strict=False):
        nodes += [Node(engine, each, each) for each in sorted(services) if not each.startswith(_OURS_BESIDE)]
    return Attached(nodes=tuple(nodes), project=project)


def named(engine: Engine, names: Sequence[str], mapped: RoleMap = DOCUMENTED) -> Attached:
    """Containers by their names, and all containers of compose projects by theirs.

    `mapped` says which parts they play and how they are told their settings, as far as that cannot be seen.

    Raises `DeploymentError` for a name that is neither, and `ConfigurationError` for none at all.
    """
    if not all(name.strip() for name in names):
        message = "--attach names nothing: give the name of a container or of a compose project"
        raise ConfigurationError(message)
    nodes: dict[str, Node] = {}
    projects: set[str] = set()
    for name in names:
        found = _of_project(engine, name, mapped, foreign=True)
        if not found:
            container = _container(engine, name)
            projects.add(container.labels.get(COMPOSE_PROJECT, ""))
            found = [_node(engine, container, mapped, foreign=True)]
        else:
            projects.add(name)
        nodes |= {node.name: node for node in found}
    _acquaint(nodes.values())
    return Attached(nodes=told_apart(nodes.values()), project=projects.pop() if len(projects) == 1 else "")


def _of_project(engine: Engine, project: str, mapped: RoleMap = DOCUMENTED, *, foreign: bool = False) -> list[Node]:
    found = sorted(engine.services(project), key=lambda each: str(each.name))
    awaited = jobs.awaited(found)
    return [
        _node(engine, container, mapped, foreign=foreign)
        for container in found
        if not (container.labels[COMPOSE_SERVICE].startswith(_OURS_BESIDE) and LABEL in container.labels)
        if not (container.labels[COMPOSE_SERVICE] in awaited and _has_succeeded(container))
    ]


def _has_succeeded(container: Container) -> bool:
    state = container.attrs["State"]
    return (state["Status"], state["ExitCode"]) == ("exited", 0)


def told_apart(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes, those of a service that occurs twice by their containers' names: none is to hide another."""
    found = list(nodes)
    count = Counter(node.service for node in found)
    return tuple(node if count[node.service] == 1 else node.called(node.name) for node in found)


def _node(engine: Engine, container: Container, mapped: RoleMap, *, foreign: bool) -> Node:
    service = container.labels.get(COMPOSE_SERVICE) or str(container.name)
    role = mapped.role(service)
    dialect = mapped.dialect(role)
    if dialect.configuration is None:
        dialect = replace(dialect, configuration=_configuration(engine, container))
    return Node(engine, service, str(container.name), role=role, dialect=dialect, foreign=foreign)


def _configuration(engine: Engine, container: Container) -> str | None:
    """Where a gateway that wg-quick sets up has its `wg0.conf`, which comes in by a mount; None for any other."""
    mounted = {str(mount["Destination"]) for mount in container.attrs.get("Mounts") or []}
    if mounted & {CONFIGURATION, str(PurePosixPath(CONFIGURATION).parent)}:
        return CONFIGURATION
    if PACKED_FOLDER not in mounted:
        return None
    try:  # many a container of another kind has such a folder
        engine.file(str(container.name), PACKED)
    except DeploymentError:
        return None
    return PACKED


def _acquaint(nodes: Iterable[Node]) -> None:
    """Tell each gateway that wg-quick sets up of the others, so that of several peers the other end is known."""
    ends: dict[Node, wgquick.End] = {}
    for node in nodes:
        if node.dialect.configuration is not None:
            with contextlib.suppress(HarnessError):
                ends[node] = wgquick.end(node.file(node.dialect.configuration))
    for node in ends:
        others = tuple(end for other, end in ends.items() if other is not node)
        node.dialect = replace(node.dialect, others=others)


def _container(engine: Engine, name: str) -> Container:
    try:
        return engine.container(name)
    except DeploymentError:
        running = ", ".join(sorted(str(each.name) for each in engine.client.containers.list())) or "none"
        message = f"{name} is neither a container nor a compose project of this engine; running are: {running}"
        raise DeploymentError(message) from None
