"""The doctor at real deployments that are not the harness's own, and faults whose run was interrupted."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import command, compose, images, layouts, leases, places
from harness.addresses import AddressPlan
from harness.compose import ComposeProject
from harness.engine import COMPOSE_DEPENDS_ON, COMPOSE_PROJECT, COMPOSE_SERVICE, Engine
from harness.model import Budget, CommandResult, Outcome
from harness.ownership import Run
from harness.probes.mariadb import MariaDBQuery
from harness.stage import Stage
from harness.waiting import wait_until

from .runs import HEEDING

TIMEOUT = 180.0
"""Seconds: a whole bring-up, by compose alone, on a machine that is busy with others."""
MOMENT = Budget(seconds=90, poll=0.05, reason="a bring-up and a fault take seconds; a busy machine takes longer")


@pytest.fixture(scope="module")
def plan(stage: Stage) -> AddressPlan:
    """A plan that no worker's own deployment uses."""
    return AddressPlan(index=stage.plan.index + 6)


@pytest.fixture(scope="module")
def team(plan: AddressPlan, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """A deployment that compose alone brought up, under another name, as a team's own is.

    It bears a run's labels, and nothing else of the harness's, so that it is swept should this run be killed.
    """
    layouts.prepare(engine, "dev", say=lambda _line: None)
    folder = tmp_path_factory.mktemp("team")
    run = Run.start(plan.index, folder)
    files = compose.project(plan, images.COMPOSE)
    labels = {"labels": run.labels()}
    configuration = files.configuration()
    compose.write_override(
        folder / "labels.json",
        {part: dict.fromkeys(configuration[part], labels) for part in ("services", "networks", "volumes")},
    )
    project = files.with_overlay(folder / "labels.json")
    project.project = f"a-team-{plan.index}"
    argv = project.compose_command_property
    try:
        command.run([*argv, "up", "--detach", "--wait"], timeout=TIMEOUT, cwd=images.COMPOSE, env=project.environment)
        yield project
    finally:
        down = [*argv, "down", "--volumes", "--timeout", "1"]
        command.run(down, timeout=TIMEOUT, cwd=images.COMPOSE, env=project.environment)


def test_a_deployment_of_somebody_elses_is_judged_and_left_alone(engine: Engine, team: ComposeProject) -> None:
    """Attached by its compose project it is healthy, every path with it, and not a thing of it has changed."""
    before = state(engine, team.project)
    looked = doctor("--attach", team.project, "--json")
    assert looked.exit_status == 0, looked
    diagnosis = json.loads(looked.stdout)
    assert diagnosis["status"] == "healthy"
    assert {hop["path"] for hop in diagnosis["hops"]} >= {"web→database", "web→broker", "services→database"}
    assert {hop["status"] for hop in diagnosis["hops"]} == {"pass"}
    assert state(engine, team.project) == before


def test_a_fault_of_somebody_elses_is_named(engine: Engine, team: ComposeProject, plan: AddressPlan) -> None:
    """With Redis stopped, the root is that, and the remedy names the container as it is called there."""
    name = f"{plan.container_prefix}redis"
    redis = engine.container(name)
    redis.stop(timeout=5)
    try:
        looked = doctor("--attach", team.project, "--json")
    finally:
        redis.start()
    assert looked.exit_status == 1, looked
    roots = [finding for finding in json.loads(looked.stdout)["findings"] if finding["root"]]
    assert [finding["rule"] for finding in roots] == ["backend-down"]
    assert f"docker start {name}" in roots[0]["remedy"]


def test_what_was_run_once_is_not_the_service(engine: Engine, team: ComposeProject, plan: AddressPlan) -> None:
    """What `docker compose run` has left bears the service's name, comes after it in every list, and is passed over."""
    web = engine.container(f"{plan.container_prefix}web")
    labels = {**web.labels, "com.docker.compose.oneoff": "True"}
    once = engine.client.containers.create(
        str(web.attrs["Image"]), ["true"], name=f"{plan.container_prefix}web-run-1", labels=labels, network_mode="none"
    )
    try:
        looked = doctor("--attach", team.project, "--json")
    finally:
        once.remove(force=True)
    assert (looked.exit_status, json.loads(looked.stdout)["status"]) == (0, "healthy"), looked


def test_a_job_that_is_done_is_not_down(engine: Engine, team: ComposeProject, plan: AddressPlan) -> None:
    """A migration for whose end another service waited is over; the twin: one for which nobody waited is down."""
    web = engine.container(f"{plan.container_prefix}web")
    labels = {name: value for name, value in web.labels.items() if name != COMPOSE_DEPENDS_ON}
    migrate = labels | {COMPOSE_SERVICE: "migrate"}
    reports = labels | {COMPOSE_SERVICE: "reports", COMPOSE_DEPENDS_ON: "migrate:service_completed_successfully:false"}
    environment = {"DATABASE_HOST": "10.101.0.2"}
    client, image = engine.client, str(web.attrs["Image"])
    with contextlib.ExitStack() as undo:
        job = client.containers.create(image, entrypoint=["true"], labels=migrate, environment=environment)
        undo.callback(job.remove, force=True)
        job.start()
        assert job.wait()["StatusCode"] == 0
        alone = doctor("--attach", team.project, "--json")
        waiting = client.containers.create(images.PROBE, entrypoint=["sleep", "infinity"], labels=reports, init=True)
        undo.callback(waiting.remove, force=True)
        waiting.start()
        awaited = doctor("--attach", team.project, "--json")
    findings = [(each["rule"], each["node"]) for each in json.loads(alone.stdout)["findings"]]
    assert ("container-down", "migrate") in findings, alone
    assert (awaited.exit_status, json.loads(awaited.stdout)["status"]) == (0, "healthy"), awaited


def test_some_containers_are_judged_by_their_names(team: ComposeProject, plan: AddressPlan) -> None:
    """Given by name, both gateways and web are enough to judge web's ways."""
    assert team.project
    names = [f"{plan.container_prefix}{service}" for service in ("wireguard-web", "wireguard-services", "web")]
    looked = doctor("--attach", *names, "--json")
    assert {hop["path"] for hop in json.loads(looked.stdout)["hops"]} >= {"web→database", "web→broker"}


def test_saved_evidence_is_judged_alike_and_holds_no_secret(team: ComposeProject, tmp_path: Path) -> None:
    """A snapshot gives the findings that the deployment gives, without an engine, and nothing secret is in it."""
    bundle = tmp_path / "bundle.json"
    saved = harness("snapshot", "--attach", team.project, "-o", str(bundle))
    assert saved.exit_status == 0, saved
    judged = doctor("--snapshot", str(bundle), environment={"DOCKER_HOST": "unix:///nonexistent.sock"})
    assert judged.exit_status == 0, judged
    text = bundle.read_text(encoding="utf-8")
    secrets = (images.COMPOSE / "secrets").iterdir()
    for file in secrets:
        if "public" not in file.name:
            assert file.read_text(encoding="utf-8").strip() not in text, f"{file.name} is in the bundle"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_fault_leaves_a_kept_deployment_healthy(
    engine: Engine, stage: Stage, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C or SIGTERM while a fault is in: it is taken out before the run ends, and what was kept works."""
    plan = AddressPlan(index=stage.plan.index + 7)
    scenario = tmp_path / "test_interrupted.py"
    scenario.write_text(INTERRUPTED.format(mark=str(tmp_path / "in")), encoding="utf-8")
    argv = [sys.executable, "-m", "pytest", str(scenario), "--plan", str(plan.index), "--keep"]
    argv += ["-p", "no:cacheprovider", "-c", str(places.ROOT / "pytest.ini"), "--rootdir", str(places.ROOT)]
    argv += ["-p", "conftest"]
    environment = {"PYTEST_ADDOPTS": "", "PYTHONPATH": str(places.ROOT)}
    try:
        with command.background([*HEEDING, *argv], log=tmp_path / "log", cwd=places.ROOT, env=environment) as run:
            wait_until("the fault to be in", lambda: (tmp_path / "in").exists() or not run.running, bool, within=MOMENT)
            assert run.running, run.output
            run.send(number)
            ended = run.wait(timeout=TIMEOUT)
        assert ended.exit_status == pytest.ExitCode.INTERRUPTED, ended
        held = leases.holder(engine, plan.index)
        assert held is not None, "the deployment was to be kept"
        deployment = layouts.view(engine, plan, held)
        assert MariaDBQuery("web").observe(deployment).outcome is Outcome.CONNECTED, ended
        looked = doctor("--plan", str(plan.index))
        assert looked.exit_status == 0, looked
    finally:
        harness("down", "--plan", str(plan.index))


INTERRUPTED = '''
"""One scenario that goes on while a fault is in."""
from pathlib import Path
from harness.faults import catalogue
from harness.model import Budget
from harness.waiting import holds_for

def test_goes_on(experiment):
    (fault,) = (fault for fault in catalogue() if fault.name == "MariaDB's DNAT rule is deleted")
    with experiment.inject(fault):
        Path({mark!r}).touch()
        holds_for(lambda: True, bool, Budget(seconds=300, poll=0.1, reason="until it is interrupted"))
'''


def doctor(*arguments: str, environment: Mapping[str, str] | None = None) -> CommandResult:
    """The doctor, in a process of its own."""
    return harness("doctor", *arguments, environment=environment)


def harness(*arguments: str, environment: Mapping[str, str] | None = None) -> CommandResult:
    """A command of the harness."""
    argv = [sys.executable, "-m", "harness", *arguments]
    return command.run(argv, timeout=TIMEOUT, cwd=places.ROOT, env=environment, check=False)


def state(engine: Engine, project: str) -> list[Any]:
    """What would differ if anything had been done to a project's containers."""
    found = []
    for container in sorted(engine.containers(f"{COMPOSE_PROJECT}={project}"), key=lambda each: str(each.name)):
        container.reload()
        attributes = container.attrs
        networks = {name: each["IPAddress"] for name, each in attributes["NetworkSettings"]["Networks"].items()}
        found.append((attributes["Id"], attributes["State"]["StartedAt"], attributes["RestartCount"], networks))
    return found
