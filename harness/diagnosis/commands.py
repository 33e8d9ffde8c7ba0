"""How what people are told to type begins and goes on: in which container, or on which machine; pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from harness.diagnosis.containers import ABSENT
from harness.diagnosis.facts import End, Facts, Path
from harness.diagnosis.nodefacts import NodeFacts

_PROJECT = "com.docker.compose.project"
_FILES, _DIRECTORY, _ENVIRONMENT = (
    f"{_PROJECT}.{name}" for name in ("config_files", "working_dir", "environment_file")
)


def compose(labels: Mapping[str, str]) -> str:
    """How `docker compose` has to begin for a container with these labels; empty where no file made it.

    Compose notes on each container which files it was made from. A directory that it would take by itself, the first
    file's, is left out.
    """
    files = [file for file in labels.get(_FILES, "").split(",") if file.startswith("/")]
    if not files or not labels.get(_PROJECT):
        return ""
    words = ["docker", "compose", "-p", labels[_PROJECT]]
    directory = labels.get(_DIRECTORY, "")
    if directory and directory != str(PurePosixPath(files[0]).parent):
        words += ["--project-directory", directory]
    environments = [file for file in labels.get(_ENVIRONMENT, "").split(",") if file]
    words += [word for file in files for word in ("-f", file)]
    return shlex.join([*words, *(word for file in environments for word in ("--env-file", file))])


def inside(path: Path) -> str:
    """How a command for a path's backend begins: in its container, or on the machine of one that nobody looked into."""
    return f"docker exec {path.backend.evidence.name}" if path.backend else "on its own machine:"


def starting(node: NodeFacts) -> str:
    """What starts a container that does not run; one that is not there has no name yet by which it could be started."""
    if node.container.status == ABSENT:
        return f"docker compose up -d {node.service}"
    return f"docker start {node.evidence.name} (docker unpause where it is paused)"


def log_of(node: NodeFacts) -> str:
    """What shows a container's log, also of one that is not there yet."""
    absent = node.container.status == ABSENT
    return f"docker compose logs {node.service}" if absent else f"docker logs {node.evidence.name}"


def together(facts: Facts, node: NodeFacts) -> str:
    """The words by which compose is told of a node and of whoever lives in its namespace: they move together."""
    return " ".join(each.service for each in facts.household(node))


def both_anew(facts: Facts, end: End, *, forced: bool = False) -> str:
    """What creates both gateways anew, each with whoever lives in its namespace; on the server of `end` first.

    Each server knows its own services alone: whoever names there another one's would start that there too.
    """
    up = f"docker compose up -d{' --force-recreate' if forced else ''}"
    own, others = (together(facts, gateway) for gateway in (end.gateway, end.other))
    if not facts.are_apart(end.gateway, end.other):
        return f"{up} {own} {others}"
    server = f"the server {end.other.host}" if end.other.host else "the other server"
    return f"{up} {own}; and on {server} likewise: {up} {others}"
