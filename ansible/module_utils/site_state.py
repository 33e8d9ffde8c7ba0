"""Which of the site's containers are not what the installed files ask for, and whether they are well."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from ansible.module_utils.site_docker import Docker, last_line
from ansible.module_utils.site_files import SiteFiles

_POLL_SECONDS = 0.3


def digest_of_files(paths: list[str]) -> str:
    """One checksum of all that a container sees of the host's files."""
    total = hashlib.sha256()
    for path in paths:
        total.update((path + "\0" + (SiteFiles("/").checksum(path.lstrip("/")) or "missing") + "\n").encode())
    return total.hexdigest()


def reasons(docker: Docker, site: SiteFiles) -> dict[str, str]:
    """Each service that has to be started or made anew, with the reason.

    What each container was made with is in the record of the last success, by the container's own id. (Compose compares
    its configuration too, by a label, but never the content of mounted files. The label of a service that shares
    another's network is not what `config --hash` says of it.)
    """
    services, hashes, containers = docker.services(), docker.config_hashes(), docker.containers()
    recorded = site.applied().get("containers", {})
    found = {}
    for name, service in services.items():
        container, known = containers.get(name), recorded.get(name, {})
        if container is None:
            found[name] = "missing"
        elif known.get("id") != container["Id"]:
            found[name] = "not made by a deployment that succeeded"
        elif known["files"] != digest_of_files(service["used_files"]):
            found[name] = "files"
        elif known["config"] != hashes[name]:
            found[name] = "configuration"
        elif container["Image"] != docker.image_id(service["image"]):
            found[name] = "image"
        elif not container["State"]["Running"]:
            found[name] = "stopped"
    _add_followers(services, containers, found)
    return found


def _add_followers(
    services: dict[str, dict[str, Any]], containers: dict[str, dict[str, Any]], found: dict[str, str]
) -> None:
    """Who lives in another's network namespace is left behind in it when that one is made anew, or started again."""
    for name, service in services.items():
        mode = service.get("network_mode") or ""
        host = mode.partition(":")[2] if mode.startswith("service:") else ""
        if host in found and found.get(name) in (None, "stopped"):
            found[name] = "follows " + host
        elif host in containers and name not in found and _began(containers[name]) < _began(containers[host]):
            found[name] = "left behind by " + host


def _began(container: dict[str, Any]) -> tuple[str, str]:
    """When a container was started, to be compared: `docker inspect` leaves zeros at the end of a fraction out."""
    seconds, _, fraction = container["State"]["StartedAt"].rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def record(docker: Docker, applied_at: str, site: SiteFiles, paths: list[str]) -> dict[str, Any]:
    """What is worth remembering of a success. A service without a container is none of it."""
    hashes, containers = docker.config_hashes(), docker.containers()
    services = {name: service for name, service in docker.services().items() if name in containers}
    return {
        "applied_at": applied_at,
        "files": {path: site.checksum(path) for path in sorted(paths)},
        "profiles": docker.profiles,
        "containers": {
            name: {
                "id": containers[name]["Id"],
                "config": hashes[name],
                "files": digest_of_files(service["used_files"]),
            }
            for name, service in services.items()
        },
        "images": {service["image"]: docker.image_id(service["image"]) for service in services.values()},
    }


def renewed(site: SiteFiles, services: dict[str, dict[str, Any]], applied_at: str) -> dict[str, Any]:
    """The record of the last success after its files have changed in place: the same containers, and no other."""
    before = site.applied()
    return before | {
        "applied_at": applied_at,
        "files": {path: site.checksum(path) for path in before["files"]},
        "containers": {
            name: made | {"files": digest_of_files(services[name]["used_files"])}
            for name, made in before["containers"].items()
            if name in services
        },
    }


def not_ready(docker: Docker, unhealthy_is_fine: list[str]) -> dict[str, str]:
    """Each service that is not well, with its state; for some it is enough to run."""
    containers = docker.containers()
    found = {}
    for name in docker.services():
        state = containers[name]["State"] if name in containers else {"Status": "missing"}
        health = state.get("Health", {}).get("Status", "healthy")
        if state["Status"] != "running":
            found[name] = state["Status"]
        elif health != "healthy" and name not in unhealthy_is_fine:
            found[name] = health
    return found


def await_ready(docker: Docker, unhealthy_is_fine: list[str], budget: float) -> dict[str, str]:
    """What is not well after all this time, in seconds; empty as soon as everything is."""
    deadline = time.monotonic() + budget
    while True:
        found = not_ready(docker, unhealthy_is_fine)
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(_POLL_SECONDS)


def describe(docker: Docker, service: str, state: str) -> str:
    """What a service says of its own state: its health check's last words, else its log's."""
    container = docker.containers().get(service)
    if container is None:
        return service + " is missing"
    checks = container["State"].get("Health", {}).get("Log") or []
    if checks and state in ("unhealthy", "starting"):
        words = "its health check says: " + last_line(checks[-1]["Output"])
    else:
        _, output, errors = docker.run("logs", "--tail", "5", container["Id"])
        words = "its log ends with: " + last_line(errors or output)
    return service + " is " + state + "; " + words
