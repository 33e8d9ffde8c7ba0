"""What is somebody else's on the engine, and has to be there untouched after everything that we do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.volumes import Volume
from docker.types import IPAMConfig, IPAMPool

from harness import command
from harness.engine import Engine
from harness.images import PROBE

FOREIGN = {"com.example.owner": "somebody else"}
TIMEOUT = 30.0  # seconds, for a command that takes milliseconds
Bystanders = tuple[Container, Network, Volume]


@contextlib.contextmanager
def present(engine: Engine, number: int) -> Iterator[Bystanders]:
    """A container, a network and a volume that are not the harness's, while the block runs."""
    suffix = f"bystander-{number}"
    client = engine.client
    with contextlib.ExitStack() as undo:
        volume = client.volumes.create(suffix, labels=FOREIGN)
        undo.callback(volume.remove)
        network = foreign_network(engine, suffix, f"10.98.{number}.0/24")
        undo.callback(network.remove)
        container = client.containers.create(
            PROBE,
            entrypoint=["sleep", "infinity"],
            name=suffix,
            labels=FOREIGN,
            network=suffix,
            volumes={suffix: {"bind": "/kept", "mode": "rw"}},
            init=True,
        )
        undo.callback(container.remove, force=True)
        container.start()
        yield container, network, volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of somebody else's in the engine's machine; `text` is empty where none could be made."""

    text: tuple[str, ...]

    def present(self) -> bool:
        """Whether it is there, as often as it was made."""
        return not self.text or command.run(["iptables", "-C", *self.text], timeout=TIMEOUT, check=False).ok


@contextlib.contextmanager
def foreign_rule(number: int) -> Iterator[Rule]:
    """A rule of iptables, in the chain that engines leave to people, while the block runs; root alone can make it."""
    text = ("DOCKER-USER", "-s", f"10.98.{number}.0/24", "-d", f"10.97.{number}.0/24", "-j", "RETURN")
    if not command.run(["iptables", "-I", *text], timeout=TIMEOUT, check=False).ok:
        yield Rule(text=())
        return
    try:
        yield Rule(text=text)
    finally:
        command.run(["iptables", "-D", *text], timeout=TIMEOUT)


def foreign_network(engine: Engine, name: str, subnet: str) -> Network:
    """A Docker network that is not the harness's, and leads nowhere."""
    pools = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
    return engine.client.networks.create(name, driver="bridge", internal=True, labels=FOREIGN, ipam=pools)


def describe(bystanders: Bystanders) -> object:
    """What must not change of somebody else's things."""
    container, network, volume = bystanders
    for thing in bystanders:
        thing.reload()
    state = container.attrs["State"]
    return (
        container.id,
        state["Status"],
        state["StartedAt"],
        container.attrs["RestartCount"],
        network.id,
        sorted(network.attrs["Containers"]),
        volume.attrs["CreatedAt"],
    )
