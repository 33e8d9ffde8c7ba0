"""On what a deployment ran: engine, compose, kernel, WireGuard, netfilter, images, commit. For the report."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from docker.errors import DockerException

from harness import command, images
from harness.deployment import Deployment, Host
from harness.errors import HarnessError
from harness.nodes import Node

_TIMEOUT = 20.0  # seconds; each is answered at once
_ROOT = Path(__file__).resolve().parents[1]
_DIGEST = len("sha256:") + 12  # characters that tell one image from another, as `docker images` shows them


def facts(deployment: Deployment) -> dict[str, str]:
    """What the report says beside a layout's results. What cannot be seen is said to be unknown, with the reason."""
    return dict(_facts(deployment))


def write(results: Path, deployment: Deployment) -> None:
    """Write them down beside the results, once for each layout; with several workers the first does it."""
    path = results / f"surroundings-{deployment.plan.layout}.json"
    if path.exists():
        return
    results.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(f".{os.getpid()}")
    made.write_text(json.dumps(facts(deployment), indent=1), encoding="utf-8")
    made.replace(path)


def _facts(deployment: Deployment) -> Iterator[tuple[str, str]]:
    yield "commit", _commit()
    for host in deployment.hosts:
        yield f"Docker Engine{f', {host.name}' if len(deployment.hosts) > 1 else ''}", _engine(host)
    yield "Compose", _printed("docker", "compose", "version", "--short")
    for gateway in deployment.gateways:
        yield f"WireGuard of {gateway.service}", _told(gateway, "/run/gateway/implementation")
        yield f"iptables of {gateway.service}", _told(gateway, "/run/gateway/iptables")
    for variable, reference in sorted(images.chosen().items()):
        yield f"image {variable.removesuffix('_IMAGE').lower()}", f"{reference} {_digest(deployment, reference)}"
    yield "test process", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"


def _engine(host: Host) -> str:
    try:
        info = host.engine.client.info()
    except (DockerException, OSError) as error:
        return f"unknown: {error}"
    cores, memory = info["NCPU"], info["MemTotal"] / 2**30
    return f"{info['ServerVersion']} on {info['KernelVersion']}, {cores} cores, {memory:.0f} GiB"


def _digest(deployment: Deployment, reference: str) -> str:
    try:
        return str(deployment.engine.client.images.get(reference).id)[:_DIGEST]
    except (DockerException, OSError) as error:
        return f"(unknown: {error})"


def _commit() -> str:
    found = _printed("git", "-C", str(_ROOT), "describe", "--always", "--abbrev=12", "--dirty", "--exclude", "*")
    return found if not found.startswith("unknown") else "unknown: not a clone"


def _printed(*argv: str) -> str:
    with contextlib.suppress(HarnessError):
        return command.run(argv, timeout=_TIMEOUT).stdout.strip()
    return f"unknown: `{' '.join(argv)}` failed"


def _told(node: Node, file: str) -> str:
    try:
        return node.look("cat", file).strip()
    except HarnessError as error:
        return f"unknown: {error}"
