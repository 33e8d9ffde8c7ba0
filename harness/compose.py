"""A compose project: the files that would be deployed, run through testcontainers' compose support.

The harness adds one override file: labels on everything, probe sidecars, and the loopback ports by which real
clients reach MariaDB and Redis through the tunnel. It never describes the topology a second time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from testcontainers.compose import DockerCompose

from harness import command, witness
from harness.addresses import MARIADB_PORT, REDIS_PORT, TUNNEL_SERVICES, AddressPlan
from harness.budgets import CONNECT_TIMEOUT
from harness.images import COMPOSE, PROBE
from harness.places import ROOT

FILES = {"dev": COMPOSE / "docker-compose.yml", "prod": COMPOSE / "docker-compose.prod.yml"}
PROFILES = {"dev": [], "prod": ["web", "services"]}
_FOLDERS = {"dev": (), "prod": (COMPOSE / "nginx", ROOT / "ansible")}
"""What is handed to servers beside the compose file, and what hands it to them."""

# Where the probes relay: inside the namespace of the container that they join, so out of the applications' way.
RELAYED_MARIADB = 13306
RELAYED_REDIS = 16379

PROBED = {"web": "wireguard-web", "services": "services"}
"""In whose network namespace the probe of each side is."""

SECRETS = "SECRETS_DIR"
"""The variable that says where the secret files lie."""

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")

# When the engine first looks at a container's health. We have found out by ourselves before, and while containers start
# all together, each of the engine's looks takes time from what it looks at.
_START_INTERVAL = "3s"

# Seconds. `config` reads files, `create` makes networks, volumes and containers; neither pulls or waits for health.
_CONFIG_TIMEOUT = 30
_CREATE_TIMEOUT = 120


@dataclass
class ComposeProject(DockerCompose):
    """testcontainers' `DockerCompose` with a project name, an environment and time limits."""

    project: str = ""
    directory: str | None = None
    """Where the files lie on the engine's machine, when that is not this one: what relative paths are relative to."""
    environment: dict[str, str] = field(default_factory=dict)
    deployed: int = 1
    """How many of the files, from the first one on, are what is deployed; what follows is laid over it."""
    folders: tuple[Path, ...] = ()
    """Of what else the deployment is made: every file in them counts."""
    timeout: float = _CREATE_TIMEOUT

    @cached_property
    def compose_command_property(self) -> list[str]:
        """The command that all others begin with, and the project's name."""
        directory = ["--project-directory", self.directory] if self.directory else []
        return [*super().compose_command_property, "--project-name", self.project, *directory]

    def _run_command(self, cmd: str | list[str], context: str | None = None) -> CompletedProcess[bytes]:
        argv = cmd.split() if isinstance(cmd, str) else cmd
        result = command.run(argv, timeout=self.timeout, cwd=Path(context or self.context), env=self.environment)
        return CompletedProcess(argv, result.exit_status, stdout=result.stdout.encode(), stderr=result.stderr.encode())

    def configuration(self) -> dict[str, Any]:
        """The merged and interpolated configuration (`docker compose config`); somebody's may have secrets in it."""
        argv = [*self.compose_command_property, "config", "--format", "json"]
        with witness.listening(None):
            result = command.run(argv, timeout=_CONFIG_TIMEOUT, cwd=Path(self.context), env=self.environment)
        loaded: dict[str, Any] = json.loads(result.stdout)
        return loaded

    @cached_property
    def base(self) -> dict[str, Any]:
        """The configuration, read once: for what nothing changes while a deployment is up."""
        return self.configuration()

    @cached_property
    def joined(self) -> dict[str, str]:
        """Whose network namespace a service lives in, for those that have none of their own."""
        modes = {name: str(each.get("network_mode")) for name, each in self.base["services"].items()}
        return {name: mode.removeprefix("service:") for name, mode in modes.items() if mode.startswith("service:")}

    def repeatable(self, services: Iterable[str]) -> bool:
        """Whether those services are all that the engine tells of them: compose has put nothing into their containers.

        It does so with secrets and configurations that are no files, and with what is to run after the start. An
        address of the link layer that was asked for is told like one that the engine chose.
        """
        return all(
            "file" in definition for service in services for definition in _used(self.base, service).values()
        ) and not any(_is_untold(self.base["services"][service]) for service in services)

    def with_overlay(self, overlay: Path) -> ComposeProject:
        """The same project with one more compose file laid over it."""
        return replace(self, compose_file_name=[*self.files, str(overlay)])

    def without_overlays(self) -> ComposeProject:
        """The same project by what is deployed alone."""
        return replace(self, compose_file_name=self.files[: self.deployed])

    @property
    def files(self) -> list[str]:
        """The compose files, those that are laid over others after them."""
        assert isinstance(self.compose_file_name, list)  # noqa: S101 (DockerCompose makes it one)
        return self.compose_file_name

    def create(self) -> None:
        """Make networks, volumes and containers, and start none."""
        self._run_command([*self.compose_command_property, "create", "--pull", "never", "--no-build"])

    def recreate(self, *services: str, at_once: bool = False) -> None:
        """Make these services' containers anew from the files, start them, and leave all others alone.

        `at_once`: those that they replace are given no time to end by themselves.
        """
        argv = ["up", "--detach", "--no-deps", "--force-recreate", "--pull", "never", "--no-build"]
        grace = ["--timeout", "0"] if at_once else []
        self._run_command([*self.compose_command_property, *argv, *grace, *services])

    def bring_up(self, *arguments: str) -> None:
        """`docker compose up --detach` with these arguments: all services, and those anew that have to be."""
        argv = ["up", "--detach", "--pull", "never", "--no-build", *arguments]
        self._run_command([*self.compose_command_property, *argv])


def is_same(service: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two configurations say the same of a service, and of the secrets and configurations that it uses."""
    return bool(one["services"][service] == other["services"][service]) and _used(one, service) == _used(other, service)


def _is_untold(service: Mapping[str, Any]) -> bool:
    networks = [each or {} for each in (service.get("networks") or {}).values()]
    return "post_start" in service or any("mac_address" in each for each in (service, *networks))


def _used(configuration: Mapping[str, Any], service: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {
        (kind, each["source"]): configuration[kind][each["source"]]
        for kind in ("secrets", "configs")
        for each in configuration["services"][service].get(kind) or ()
    }


def project(
    plan: AddressPlan,
    state: Path,
    *,
    overlays: tuple[Path, ...] = (),
    secrets: Path | None = None,
    engine: Mapping[str, str] | None = None,
) -> ComposeProject:
    """The project of a plan, its secrets under `state`, with more compose files laid over it.

    `secrets` is where those are as the engine sees them, when that is elsewhere; `engine` are the variables by which
    the docker command finds it.

    That of the prod layout is both servers' in one, which no engine runs: it says what is deployed.
    """
    files = [str(FILES[plan.layout]), *map(str, overlays)]
    place = secrets or secrets_directory(state)
    environment = plan.environment() | {SECRETS: str(place)} | dict(engine or {})
    return ComposeProject(
        context=COMPOSE,
        compose_file_name=files,
        project=plan.project,
        profiles=PROFILES[plan.layout],
        folders=_FOLDERS[plan.layout],
        environment=environment,
        wait=False,
    )


def secrets_directory(state: Path) -> Path:
    """Where a deployment's secret files are."""
    return state / "secrets"


def labelled(configuration: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """An override that puts labels on every container, network and volume of a configuration."""
    return {
        kind: {name: {"labels": dict(labels)} for name in configuration.get(kind, {})}
        for kind in ("services", "networks", "volumes")
    }


def override(configuration: Mapping[str, Any], plan: AddressPlan, labels: Mapping[str, str]) -> dict[str, Any]:
    """What the harness lays over the dev layout: labels everywhere, and a probe on each side of the tunnel."""
    added = labelled(configuration, labels)
    for name, service in configuration["services"].items():
        if "healthcheck" in service:
            added["services"][name]["healthcheck"] = {"start_interval": _START_INTERVAL}
    for side, owner in PROBED.items():
        added["services"][owner]["ports"] = [f"127.0.0.1::{listen}" for listen in (RELAYED_MARIADB, RELAYED_REDIS)]
        added["services"][f"probe-{side}"] = probe(side, plan, labels)
        added["services"][f"probe-{side}"]["healthcheck"]["start_interval"] = _START_INTERVAL
    return added


def merged(configuration: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Each service's definition with what `override` lays over it, which changes nothing of who waits for whom."""
    services: dict[str, Any] = added["services"]
    return services | {name: services[name] | own for name, own in configuration["services"].items()}


def probe(side: str, plan: AddressPlan, labels: Mapping[str, str]) -> dict[str, Any]:
    """The probe of one side, a sidecar in the network namespace of web's gateway or of services."""
    targets = {"web": (TUNNEL_SERVICES.ip, TUNNEL_SERVICES.ip), "services": (plan.mariadb, plan.redis)}[side]
    relays = (f"{targets[0]}:{MARIADB_PORT}", f"{targets[1]}:{REDIS_PORT}")
    return sidecar(f"{plan.container_prefix}probe-{side}", PROBED[side], relays, labels)


def sidecar(name: str, owner: str, relays: tuple[str, str], labels: Mapping[str, str]) -> dict[str, Any]:
    """A probe in the network namespace of a service, which relays to MariaDB and to Redis, each as HOST:PORT."""
    listening = zip((RELAYED_MARIADB, RELAYED_REDIS), relays, strict=True)
    return {
        "image": PROBE,
        "container_name": name,
        "network_mode": f"service:{owner}",
        "labels": dict(labels),
        "environment": {
            "RELAYS": " ".join(f"{port}:{target}" for port, target in listening),
            "RELAY_CONNECT_TIMEOUT": str(CONNECT_TIMEOUT),
        },
        "init": True,
        "restart": "unless-stopped",
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 (inside the container)
        "cap_drop": ["ALL"],
        "cap_add": ["NET_RAW"],  # tcpdump and ping
        "mem_limit": "256m",
        "healthcheck": {
            "test": ["CMD-SHELL", f"ss -Hltn 'sport = :{RELAYED_REDIS}' | grep -q ."],
            "interval": "30s",
            "start_period": "30s",
            "start_interval": "250ms",
        },
    }


def write_override(path: Path, content: Mapping[str, Any]) -> None:
    """Write an override file. JSON is YAML, so compose reads it."""
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _within(folder: Path) -> Iterator[Path]:
    """The files of a folder and those below, but what is made there: environments and caches."""
    for each in sorted(folder.iterdir()):
        if each.is_dir() and not each.name.startswith((".", "__")):
            yield from _within(each)
        elif each.is_file():
            yield each


def fingerprint(project: ComposeProject, image_ids: Mapping[str, str]) -> str:
    """A hash of what a deployment is made of: files, the variables that they name, and what is in its images.

    That is all of which `docker compose config` makes the configuration, and asking it takes longer than all else that
    is to be asked of a deployment that is up. Where the secret files lie is left out: they are made anew for every one.
    """
    files = [Path(project.context, name) for name in [*project.files, ".env"]]
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    environment = {**os.environ, **project.environment}
    named = {name for text in texts for name in _VARIABLE.findall(text)} | {
        name for name in environment if name.startswith("COMPOSE_")
    }
    values = {name: environment.get(name) for name in named - {SECRETS}}
    beside = [[str(file), file.read_bytes().hex()] for folder in project.folders for file in _within(folder)]
    made_of = json.dumps([project.project, texts, values, dict(image_ids), beside], sort_keys=True)
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]
