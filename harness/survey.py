"""What engines say of a deployment beside its containers: their networks, and the machines that they run on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from harness.diagnosis import containers
from harness.diagnosis.evidence import HostEvidence, NetworkEvidence
from harness.engine import COMPOSE_PROJECT, COMPOSE_SERVICE, Engine


def networks(
    engines: Iterable[Engine], project: str, attached: Collection[str], planned: Mapping[str, str]
) -> Iterator[NetworkEvidence]:
    """Every Docker network, and those of the `planned`, by name with their subnet, that are not there.

    Ours are the project's, and those that its containers are `attached` to.
    """
    present = set()
    for engine in engines:
        for network in engine.networks():
            name = containers.placed(network.name.removeprefix(f"{project}_"), engine.name)
            ours = network.project == project or name in attached
            if ours:
                present.add(name)
            yield NetworkEvidence(
                name=name if ours else containers.placed(network.name, engine.name),
                subnets=tuple(map(str, network.subnets)),
                project=network.project,
                ours=ours,
                host=engine.name,
            )
    for name, subnet in planned.items():
        if name not in present:
            yield NetworkEvidence(name=name, subnets=(subnet,), project=project, ours=True)


def machine(engine: Engine, project: str) -> HostEvidence:
    """An engine's machine, with the project's services that run there."""
    running = engine.client.containers.list(filters={"label": f"{COMPOSE_PROJECT}={project}"}, ignore_removed=True)
    services = {str(each.labels[COMPOSE_SERVICE]) for each in running}
    return HostEvidence(name=engine.name, addresses=engine.machine_addresses(), services=tuple(sorted(services)))
