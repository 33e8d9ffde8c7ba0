"""What a deployment is made of, layout by layout: its files, its images and secrets, and how all that is started."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness import (
    compose,
    credentials,
    foreign_bringup,
    images,
    keys,
    leases,
    makeup,
    orphans,
    places,
    shipping,
    stock,
    throwaway,
)
from harness.addresses import AddressPlan, ProdPlan
from harness.bringup import Starter
from harness.deployment import Deployment, on_one_engine
from harness.engine import Engine
from harness.errors import CommandError, DeploymentError, HarnessError
from harness.foreign.plan import ForeignPlan
from harness.ownership import LABEL, Run
from harness.places import ROOT
from harness.timeline import Timeline

Say = Callable[[str], None]

PREPARED = images.COMPOSE  # `prepare` puts secrets where a bare `docker compose` finds them
_OWN_COPY = "own-secrets"  # what was handed over only its readers can read
_HAND_OVER = 'set -e; while [ $# -gt 1 ]; do chown "$2:$2" "/secrets/$1"; shift 2; done'


def files(plan: AddressPlan, run: Run) -> compose.ComposeProject:
    """The compose files of a deployment, before anything is laid over them."""
    return foreign_bringup.project(plan) if isinstance(plan, ForeignPlan) else compose.project(plan, run.state)


def provide(  # noqa: PLR0913, PLR0917 (what a deployment is made of)
    engine: Engine,
    plan: AddressPlan,
    run: Run,
    project: compose.ComposeProject,
    configuration: dict[str, Any],
    say: Say,
    timeline: Timeline,
) -> Deployment:
    """Make a deployment's state, secrets and lease, and start it; cleaning up is the caller's.

    Raises `HeldError` when somebody else has the plan, `BringUpError` when it does not start, and others.
    """
    if isinstance(plan, ForeignPlan):  # its secrets are its own
        with timeline.phase("lease"):
            begin(engine, run)
            leases.take(engine, run)
        return foreign_bringup.bring_up(engine, plan, run, configuration, say, timeline)
    with timeline.phase("secrets and lease"):
        secrets = prepare_run(engine, run)
        makeup.note(engine, run, project, configuration)
    if isinstance(plan, ProdPlan):
        return _on_servers(engine, plan, run, secrets, say, timeline)
    return _on_one_engine(engine, plan, run, secrets, configuration, say, timeline)


def prepare_run(engine: Engine, run: Run) -> credentials.Credentials:
    """Make a run's folder, its secrets and its lease; raises `HeldError` when somebody else has the plan."""
    begin(engine, run)
    secrets = credentials.Credentials.generate()
    write_secrets(engine, run, secrets)
    leases.take(engine, run)
    return secrets


def _on_servers(  # noqa: PLR0913, PLR0917 (what a deployment is made of)
    engine: Engine, plan: ProdPlan, run: Run, secrets: credentials.Credentials, say: Say, timeline: Timeline
) -> Deployment:
    from harness import provision  # noqa: PLC0415 (only this layout pays for the import)

    with timeline.phase("servers and playbooks"):
        return provision.provide(engine, plan, run, secrets, say)


def _on_one_engine(  # noqa: PLR0913, PLR0917 (what a deployment is made of)
    engine: Engine,
    plan: AddressPlan,
    run: Run,
    secrets: credentials.Credentials,
    configuration: dict[str, Any],
    say: Say,
    timeline: Timeline,
) -> Deployment:
    added = overlay(plan, run, configuration)
    project = _project(engine, plan, run)
    definitions = compose.merged(configuration, added)
    pages = {"web": plan.web_port, "services": plan.services_port} if engine.is_local else {}
    starter = Starter(engine, definitions, f"{LABEL}={run.id}", pages, timeline)
    starter.run(project.create, lambda line: say(f"{plan.project}: {line}"))
    return on_one_engine(engine, plan, run, project, secrets)


def every_secret() -> set[str]:
    """The secrets of every run that has a folder of state here, those of killed ones too: who made them cannot tell."""
    found: set[str] = set()
    for folder in places.STATE.glob("*"):
        with contextlib.suppress(HarnessError):  # a run that has none, or is just being removed
            found.update(credentials.read(folder / _OWN_COPY).secrets())
    return found


def known_secrets(plan: AddressPlan) -> frozenset[str]:
    """What is secret of a deployment before it is brought up: nothing where that is made for each run."""
    return plan.secrets if isinstance(plan, ForeignPlan) else frozenset()


def begin(engine: Engine, run: Run) -> None:
    """Make the run's folder of state. Its first file says whose it is, should nothing else be left to say so."""
    run.state.mkdir(mode=0o700, parents=True)
    orphans.note(run, engine.identity)


def _project(engine: Engine, plan: AddressPlan, run: Run) -> compose.ComposeProject:
    shipment = shipping.of_secrets(engine, run)
    return compose.project(
        plan,
        run.state,
        overlays=(_overlay(run),),
        secrets=shipment.place() if shipment else None,
        engine=engine.environment,
    )


def view(engine: Engine, plan: AddressPlan, run: Run) -> Deployment:
    """The deployment of a run, whatever its state."""
    if isinstance(plan, ForeignPlan):
        return foreign_bringup.view(engine, plan, run)
    secrets = credentials.read(run.state / _OWN_COPY)
    if isinstance(plan, ProdPlan):
        from harness.production import Production  # noqa: PLC0415 (only this layout pays for the import)

        return Production(engine=engine, plan=plan, run=run, credentials=secrets)
    return on_one_engine(engine, plan, run, _project(engine, plan, run), secrets)


def ensure_images(engine: Engine, plan: AddressPlan, *, say: Say) -> None:
    """See that a deployment's images are there, and where servers take them from. Raises `ImageError` and others."""
    if isinstance(plan, ForeignPlan):
        foreign_bringup.prepare(engine, plan, say)
        return
    images.ensure(engine, plan.layout, say)
    if isinstance(plan, ProdPlan):
        from harness.production import server_images  # noqa: PLC0415 (only this layout pays for the import)

        stock.ensure(engine, server_images(plan), Run.start(plan.index), say)


def prepare(engine: Engine, layout: str, *, say: Say) -> None:
    """Make a layout's images, and the keys and secrets by which a bare `docker compose up` works."""
    images.ensure(engine, layout, say)
    directory = compose.secrets_directory(PREPARED)
    where, missing = directory.relative_to(ROOT), credentials.missing(directory)
    give = hand_over(engine, Run.start(0).labels())
    if not missing:
        say(f"secrets: present in {where}")
    elif credentials.LATER_FILES.issuperset(missing):
        credentials.add(directory, missing, give)
        say(f"secrets: {', '.join(missing)} made in {where}, which is older; the others are as they were")
    elif len(missing) == len(keys.FILES) + len(credentials.PASSWORD_FILES):
        credentials.write(directory, credentials.Credentials.generate(), give)
        say(f"secrets: made anew in {where}")
    else:
        message = (
            f"{directory} lacks {', '.join(missing)} but holds others, which are not replaced unasked: "
            "remove the directory and prepare again"
        )
        raise HarnessError(message)


def write_secrets(engine: Engine, run: Run, secrets: credentials.Credentials) -> None:
    """Write a run's secret files, here and where its engine finds them, and a copy that stays ours."""
    directory = compose.secrets_directory(run.state)
    shipment = shipping.of_secrets(engine, run)
    credentials.write(run.state / _OWN_COPY, secrets, _keep)
    credentials.write(directory, secrets, _keep if shipment else hand_over(engine, run.labels()))
    if shipment:
        shipment.put({directory / name: owner for name, owner in credentials.owners().items()})


def _keep(_directory: Path, _owners: Mapping[str, int]) -> None:
    """Nobody reads these but we."""


def hand_over(engine: Engine, labels: Mapping[str, str]) -> Callable[[Path, dict[str, int]], None]:
    """A way to give files to other users without being root: a container of the engine, which is.

    `labels` are those of the run, by which the container is swept should we be killed meanwhile.
    """

    def give(directory: Path, owners: dict[str, int]) -> None:
        arguments = [word for name, owner in owners.items() for word in (name, str(owner))]
        said = f"the files in {directory} cannot be given to who reads them"
        try:
            result = throwaway.once(
                engine,
                images.PROBE,
                ["sh", "-c", _HAND_OVER, "sh", *arguments],
                labels=labels,
                user="0",
                network_mode="none",
                volumes={str(directory): {"bind": "/secrets", "mode": "rw"}},
            )
        except CommandError as error:
            message = f"{said}: {error}"
            raise DeploymentError(message) from error
        if not result.ok:
            message = f"{said}: {result.stderr.strip() or f'exit status {result.exit_status}'}"
            raise DeploymentError(message)

    return give


def overlay(plan: AddressPlan, run: Run, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Write what the harness lays over the dev layout into the run's folder of state, and return it."""
    added = compose.override(configuration, plan, run.labels())
    compose.write_override(_overlay(run), added)
    return added


def _overlay(run: Run) -> Path:
    return run.state / "override.json"
