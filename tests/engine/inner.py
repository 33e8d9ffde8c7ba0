"""An engine of our own inside a container, to which may be done what nobody may do to the engine of all."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import images, places
from harness.engine import Engine, client_at
from harness.model import Budget
from harness.ownership import Run
from harness.waiting import wait_until

BOOTED = Budget(seconds=90, poll=0.2, reason="an engine on an empty disk is there after 2 s, on a busy machine 20 s")


class InnerEngine:
    """The engine, and the container in which it is. What it publishes is not reached from here."""

    def __init__(self, outer: Engine, name: str, folder: Path) -> None:
        self._outer = outer
        self._name = name
        self._socket = folder / "docker.sock"
        self.host = f"unix://{self._socket}"
        self.engine = Engine(client_at(self.host))

    def answers(self) -> bool:
        """Whether it answers."""
        try:
            with socket.socket(socket.AF_UNIX) as tried:  # the SDK would leave a socket open that nobody answers
                tried.connect(str(self._socket))
            return bool(self.engine.client.ping())
        except (DockerException, RequestException, OSError):
            return False

    def restart(self) -> None:
        """Stop it with all that runs on it, as when its machine is booted anew, and wait until it is back."""
        self._outer.container(self._name).restart(timeout=30)
        wait_until("the inner engine to be back", self.answers, bool, within=BOOTED)

    def run(self, script: str) -> str:
        """Run a line of shell on its machine, whatever comes of it."""
        return self._outer.execute(self._name, ["sh", "-c", script]).stdout


@contextlib.contextmanager
def inner_engine(outer: Engine, run: Run, folder: Path, *, disk: str = "") -> Iterator[InnerEngine]:
    """An engine with the dev layout's images, while the block runs; `disk` is its size where it is to be small."""
    folder.mkdir(exist_ok=True)
    name = f"wireguard-harness-inner-{run.plan}"
    container = outer.client.containers.create(
        images.local("server"),
        name=name,
        privileged=True,
        labels=run.labels(),
        network_mode="none",
        # The clone is where it is here, so that what is bound into a container is found.
        volumes={
            str(places.ROOT): {"bind": str(places.ROOT), "mode": "rw"},
            str(folder): {"bind": "/run", "mode": "rw"},
        },
        tmpfs={"/var/lib/docker": f"size={disk}"} if disk else {},
    )
    try:
        container.start()
        inner = InnerEngine(outer, name, folder)
        wait_until("the inner engine", inner.answers, bool, within=BOOTED)
        wanted = sorted({*images.chosen().values(), images.PROBE} - {images.local("nginx")})
        with outer.saved_images(wanted) as archive:
            inner.engine.load_images(archive)
        with contextlib.closing(inner.engine.client):
            yield inner
    finally:
        container.remove(force=True, v=True)
