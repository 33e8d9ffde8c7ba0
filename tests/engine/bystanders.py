"""What is somebody else's on the engine, and has to be there untouched after everything that we do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.volumes import Volume
from docker.types import IPAMConfig, IPAMPool

from harness.engine import Engine
from harness.images import PROBE

FOREIGN = {"com.example.owner": "somebody else"}
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
