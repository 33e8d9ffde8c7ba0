"""Containers that are gone afterwards: an application's image tried by itself, and what only an engine's root may do.

They bear the labels of a run, so that they go with it should they ever be left over.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from docker.errors import DockerException, NotFound
from docker.models.containers import Container
from requests.exceptions import RequestException

from harness.deployment import Deployment
from harness.engine import Engine
from harness.errors import CommandError
from harness.model import CommandResult
from harness.nodes import Node

_ENDS_WITHIN = 30  # seconds; a start that is refused ends in about one, on a loaded machine in a few


def run(deployment: Deployment, like: Node, *, environment: Mapping[str, str]) -> CommandResult:
    """Start a container of a node's image with the node's command and this environment only, and see it end.

    Raises `CommandError` when it cannot be run or does not end.
    """
    command = like.inspect()["Config"]["Cmd"]
    created = _cut_off(deployment, like, command=command, environment=dict(environment))
    return _seen_to_end(created, like.service, command)


def once(
    engine: Engine, image: str, argv: Sequence[str], *, labels: Mapping[str, str], **options: Any
) -> CommandResult:
    """Run a command in a container of an image that the engine holds, and see it end; `options` are the SDK's.

    An image that it does not hold is never pulled: what is run so has many rights, and a registry may have anything of
    that name. Raises `CommandError` when it cannot be run or does not end; whatever its exit status is no error.
    """
    words = {"entrypoint": [argv[0]], "command": list(argv[1:])}
    return _seen_to_end(_created(engine, image, labels=dict(labels), **words, **options), image, argv)


def _seen_to_end(created: AbstractContextManager[Container], what: str, argv: Sequence[str]) -> CommandResult:
    started = time.monotonic()
    try:
        with created as container:
            container.start()
            status = container.wait(timeout=_ENDS_WITHIN)["StatusCode"]
            return CommandResult(
                argv=("docker", "run", what, *argv),
                exit_status=status,
                stdout=container.logs(stdout=True, stderr=False).decode(errors="replace"),
                stderr=container.logs(stdout=False, stderr=True).decode(errors="replace"),
                duration=time.monotonic() - started,
            )
    except (DockerException, RequestException) as error:
        message = f"a container of {what}'s image did not run to its end within {_ENDS_WITHIN} s: {error}"
        raise CommandError(message) from error


@contextlib.contextmanager
def idle(deployment: Deployment, like: Node) -> Iterator[Node]:
    """A container of a node's image in which nothing runs, with none of the node's settings, while the block runs.

    Trying a command in it is quicker than a container each.
    """
    with _cut_off(deployment, like, entrypoint=["sleep", "infinity"]) as container:
        container.start()
        yield Node(deployment.engine, like.service, str(container.name))


def _cut_off(deployment: Deployment, like: Node, **options: Any) -> AbstractContextManager[Container]:
    return _created(
        deployment.engine,
        like.inspect()["Image"],
        labels=deployment.run.labels(),
        network_mode="none",
        init=True,
        read_only=True,
        tmpfs={"/tmp": ""},  # noqa: S108 (inside the container)
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        mem_limit="256m",
        **options,
    )


@contextlib.contextmanager
def _created(engine: Engine, image: str, **options: Any) -> Iterator[Container]:
    container = engine.client.containers.create(image, **options)
    try:
        yield container
    finally:
        with contextlib.suppress(NotFound):
            container.remove(force=True, v=True)
