"""A server's Docker engine, asked through its command-line client."""

from __future__ import annotations

import json
import re
from typing import Any

COMPOSE_FILE = "docker-compose.prod.yml"
PROJECT = "wireguard-prod"
OLDEST_ENGINE = (25, 0)  # `start_interval`
OLDEST_COMPOSE = (2, 20)  # `depends_on.restart` and `start_interval`, which the compose file uses

_LOOKS = 5  # a container may go between being listed and being looked at

# A container that is to replace another has the other's id before its name until that one is gone. Compose, cut off in
# between, leaves it, and trips over it the next time.
_HALF_MADE = re.compile(r"/[0-9a-f]{12}_")

INSTALL_DOCKER = (
    "install Docker Engine 25 or later with Compose 2.20 or later (Debian 13, as root: "
    "apt-get install --no-install-recommends docker.io docker-cli docker-compose), or run deploy.yml with "
    "-e install_docker=true"
)
INSTALL_COMPOSE = (
    "install it from where the engine came, docker-compose-plugin beside Docker's own docker-ce, docker-compose beside "
    "Debian's docker.io; install_docker leaves a server with an engine alone, since Debian's would take its place"
)


class SiteError(Exception):
    """What is wrong on this server and what to do, in one sentence."""


class Docker:
    """The engine and Compose as seen by this site."""

    def __init__(self, module: Any, directory: str, profiles: list[str]) -> None:
        self._module = module
        self._directory = directory
        self.profiles = profiles
        self.half_made: list[str] = []  # ids, known after `containers`
        # To ask Compose costs a tenth of a second of a core, and what is installed stays while a module runs.
        self._services: dict[str, dict[str, Any]] | None = None
        self._hashes: dict[str, str] | None = None

    def is_installed(self) -> bool:
        """Whether there is a docker command, and with it an engine or Compose, of whatever release."""
        find = self._module.get_bin_path
        if find("docker") is None:
            return False
        asked = (("version", "--format", "{{.Server.Version}}"), ("compose", "version", "--short"))
        return find("dockerd") is not None or any(self.run(*words)[0] == 0 for words in asked)

    def run(self, *arguments: str, data: str | None = None) -> tuple[int, str, str]:
        """Exit status, output and errors of `docker ARGUMENTS`; SiteError where there is no such command."""
        docker = self._module.get_bin_path("docker")
        if docker is None:
            raise SiteError("there is no docker command here: " + INSTALL_DOCKER)
        status, output, errors = self._module.run_command(
            [docker, *arguments], data=data, environ_update={"COMPOSE_ANSI": "never", "COMPOSE_PROGRESS": "plain"}
        )
        return status, output, errors

    def output(self, *arguments: str) -> str:
        """Output of `docker ARGUMENTS`; SiteError with its complaint where it fails."""
        status, output, errors = self.run(*arguments)
        if status:
            raise SiteError("docker " + " ".join(arguments[:2]) + ": " + last_line(errors or output))
        return output

    def check(self) -> None:
        """SiteError unless an engine answers, and it and Compose are new enough."""
        status, version, errors = self.run("version", "--format", "{{.Server.Version}}")
        if status:
            raise SiteError(
                "the Docker engine does not answer (" + last_line(errors) + "): start it, systemctl start docker"
            )
        if _release(version) < OLDEST_ENGINE:
            raise SiteError("the Docker engine is " + version.strip() + ": " + INSTALL_DOCKER)
        status, version, _ = self.run("compose", "version", "--short")
        found = _release(version)
        if status or not found:
            raise SiteError("the Docker engine here has no Compose: " + INSTALL_COMPOSE)
        if found < OLDEST_COMPOSE:
            raise SiteError("Compose is " + version.strip() + ": " + INSTALL_DOCKER)

    def compose(self, *arguments: str) -> tuple[int, str, str]:
        """`docker compose` on the installed file, with this server's profiles."""
        profiles = [word for profile in self.profiles for word in ("--profile", profile)]
        return self.run(
            "compose", "--project-directory", self._directory, "--file", self._directory + "/" + COMPOSE_FILE,
            *profiles, *arguments,
        )  # fmt: skip

    def services(self) -> dict[str, dict[str, Any]]:
        """The services that this server is to run, as Compose understands the installed files, by name."""
        if self._services is None:
            config = json.loads(self._config("--format", "json"))
            for service in config["services"].values():
                service["used_files"] = _used_files(service, config.get("secrets", {}))
            self._services = dict(config["services"])
        return self._services

    def config_hashes(self) -> dict[str, str]:
        """What Compose marks each service's container with, so that it knows whether the service has changed since."""
        if self._hashes is None:
            self._hashes = dict(line.split(None, 1) for line in self._config("--hash", "*").strip().splitlines())
        return self._hashes

    def _config(self, *arguments: str) -> str:
        status, output, errors = self.compose("config", *arguments)
        if status:
            raise SiteError("Compose refuses the installed files: " + last_line(errors))
        return output

    def containers(self) -> dict[str, dict[str, Any]]:
        """The site's containers as `docker inspect` shows them, by service, but for those that are half made.

        Those of `docker compose run` are no service's.
        """
        self.half_made = []
        mine = "label=com.docker.compose.project=" + PROJECT
        errors = ""
        for _ in range(_LOOKS):
            ids = self.output("ps", "--all", "--quiet", "--no-trunc", "--filter", mine).split()
            if not ids:
                return {}
            status, output, errors = self.run("inspect", *ids)
            if not status:
                found = json.loads(output)
                self.half_made = [one["Id"] for one in found if _HALF_MADE.match(one["Name"])]
                whole = [one for one in found if one["Id"] not in self.half_made]
                labelled = [(one["Config"]["Labels"], one) for one in whole]
                return {
                    labels["com.docker.compose.service"]: one
                    for labels, one in labelled
                    if labels.get("com.docker.compose.oneoff") != "True"
                }
        raise SiteError("the site's containers come and go, so that they cannot be looked at: " + last_line(errors))

    def image_id(self, image: str) -> str | None:
        """The id of a local image; None if it is not there."""
        status, output, _ = self.run("image", "inspect", "--format", "{{.Id}}", image)
        return None if status else output.strip()


def _release(version: str) -> tuple[int, ...]:
    """The first two numbers of a version; nothing where it has none."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _used_files(service: dict[str, Any], secrets: dict[str, Any]) -> list[str]:
    """The files of the host that a service's container sees, by absolute path."""
    mounted = [secrets[entry["source"]]["file"] for entry in service.get("secrets", [])]
    binds = [entry["source"] for entry in service.get("volumes", []) if entry["type"] == "bind"]
    return sorted(mounted + binds)


def last_line(text: str) -> str:
    """The last line that says something, shortened: with Docker's tools the reason comes last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
