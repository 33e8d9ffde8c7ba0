"""An application's image tried by itself, cut off from everything: containers that are gone afterwards.

They bear the labels of the deployment's run, so that they go with it should they ever be left over.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from docker.errors import DockerException, NotFound
from docker.models.containers import Container
from requests.exceptions import RequestException

from harness.deployment import Deployment
from harness.errors import CommandError
from harness.model import CommandResult
from harness.nodes import Node

_ENDS_WITHIN = 30  # seconds; a start that is refused ends in about one, on a loaded machine in a few


def run(deployment: Deployment, like: Node, *, environment: Mapping[str, str]) -> CommandResult:
    """Start a container of a node's image with the node's command and this environment only, and see it end.

    Raises `CommandError` when it cannot be run or does not end.
    """
    command = like.inspect()["Config"]["Cmd"]
    started = time.monotonic()
    try:
        with _created(deployment, like, command=command, environment=dict(environment)) as container:
            container.start()
            status = container.wait(timeout=_ENDS_WITHIN)["StatusCode"]
            return CommandResult(
                argv=("docker", "run", like.service, *command),
                exit_status=status,
                stdout=container.logs(stdout=True, stderr=False).decode(errors="replace"),
                stderr=container.logs(stdout=False, stderr=True).decode(errors="replace"),
                duration=time.monotonic() - started,
            )
    except (DockerException, RequestException) as error:
        message = f"a container of {like.service}'s image did not run to its end within {_ENDS_WITHIN} s: {error}"
        raise CommandError(message) from error


@contextlib.contextmanager
def idle(deployment: Deployment, like: Node) -> Iterator[Node]:
    """A container of a node's image in which nothing runs, with none of the node's settings, while the block runs.

    Trying a command in it is quicker than a container each.
    """
    with _created(deployment, like, entrypoint=["sleep", "infinity"]) as container:
        container.start()
        yield Node(deployment.engine, like.service, str(container.name))


@contextlib.contextmanager
def _created(deployment: Deployment, like: Node, **options: Any) -> Iterator[Container]:
    container = deployment.engine.client.containers.create(
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
    try:
        yield container
    finally:
        with contextlib.suppress(NotFound):
            container.remove(force=True, v=True)
