"""A second deployment beside one that is up, for faults that are only seen in one that does not come up."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from harness import compose, layouts, lifecycle, preflight, shipping
from harness.addresses import AddressPlan
from harness.deployment import Deployment, on_one_engine
from harness.ownership import Run
from harness.progress import say

_PLANS = 100


def spare_plan(deployment: Deployment) -> AddressPlan:
    """The plan of the sibling: the mirror image of the deployment's own, so that no two have the same."""
    return AddressPlan.of(deployment.plan.layout, _PLANS - 1 - deployment.plan.index)


def taken(deployment: Deployment) -> str | None:
    """By whom the spare plan is held, or None when it is free."""
    return "; ".join(preflight.taken(deployment.engine, spare_plan(deployment))) or None


def prepare(deployment: Deployment, undo: ExitStack, edit: Callable[[str], str] = str) -> Deployment:
    """A deployment of the same layout on the spare plan, of which nothing is made yet but its secrets.

    `edit` changes the text of the compose file. `project.create()` makes the containers, and the undo removes
    whatever was made. It is a run of its own, so that it can be removed, or swept, by itself.
    Raises `HeldError` when somebody holds the plan.
    """
    engine, plan = deployment.engine, spare_plan(deployment)
    run = Run.start(plan.index, layout=plan.layout)
    undo.callback(lifecycle.remove, engine, run, say=say, graceful=False)
    values = layouts.prepare_run(engine, run)
    shipment = shipping.of_secrets(engine, run)
    secrets = shipment.place() if shipment else compose.secrets_directory(run.state)

    file, override = run.state / "docker-compose.yml", run.state / "override.json"
    file.write_text(edit(_layout_of(deployment).read_text(encoding="utf-8")), encoding="utf-8")
    base = replace(
        deployment.project("web"),
        compose_file_name=[str(file)],
        project=plan.project,
        environment=plan.environment() | {"SECRETS_DIR": str(secrets)} | engine.environment,
    )
    compose.write_override(override, compose.override(base.configuration(), plan, run.labels()))
    return on_one_engine(engine, plan, run, base.with_overlay(override), values)


def _layout_of(deployment: Deployment) -> Path:
    files = deployment.project("web").without_overlays().compose_file_name
    assert isinstance(files, list)  # noqa: S101 (DockerCompose makes it one)
    return Path(files[0])
