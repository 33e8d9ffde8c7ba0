"""Whatever becomes of a run, nothing of it stays behind, and nothing of anybody else's is touched.

The runs here are real ones, in processes of their own and on an address plan of their own.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import leases, lifecycle
from harness.addresses import AddressPlan
from harness.engine import COMPOSE_NUMBER, COMPOSE_PROJECT, Engine
from harness.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PREREQUISITE
from harness.images import PROBE
from harness.model import CommandResult
from harness.ownership import PLAN
from harness.stage import Stage

from .bystanders import FOREIGN, Bystanders, describe, foreign_network
from .runs import (
    COMMAND_TIMEOUT,
    NOTHING,
    all_running,
    finish,
    harness,
    press,
    pytest_on,
    pytest_on_scenario,
    reach,
    started,
    things,
)

MISTAKE = {"WG_MTU": "10"}
"""A variable of the compose file by which both gateways refuse to start."""


@pytest.fixture
def plan(stage: Stage) -> AddressPlan:
    """A plan that no worker's own deployment uses."""
    return AddressPlan(index=stage.plan.index + 5)


@pytest.fixture(scope="class")
def class_plan(stage: Stage) -> AddressPlan:
    """The same, for a deployment that several tests share."""
    return AddressPlan(index=stage.plan.index + 5)


@pytest.fixture(autouse=True)
def _untouched(engine: Engine, somebody_elses: Bystanders, plan: AddressPlan) -> Iterator[None]:
    """Around every test: what is somebody else's is after it what it was before; what is ours is cleared away."""
    before = describe(somebody_elses)
    yield
    try:
        assert describe(somebody_elses) == before
    finally:
        if (held := leases.holder(engine, plan.index)) and not leases.is_kept(engine, held):
            lifecycle.remove(engine, held, say=lambda _line: None, graceful=False)


@pytest.fixture
def waiting_test(tmp_path: Path) -> Path:
    """A test that uses a deployment, and then goes on for long."""
    file = tmp_path / "test_waiting.py"
    file.write_text(
        '"""One test, for a run that is to be interrupted."""\n'
        "from pathlib import Path\n"
        "from harness.model import Budget\n"
        "from harness.waiting import holds_for\n\n"
        "def test_goes_on(deployment):\n"
        f"    Path({str(tmp_path / 'testing')!r}).touch()\n"
        "    holds_for(lambda: True, bool, Budget(seconds=300, poll=0.5, reason='until it is interrupted'))\n",
        encoding="utf-8",
    )
    return file


# --- interrupted ------------------------------------------------------------------------------------


def claimed(engine: Engine, plan: AddressPlan, _folder: Path) -> bool:
    """The plan is taken, and nothing else has been done."""
    return bool(things(engine, plan).containers)


def starting(engine: Engine, plan: AddressPlan, _folder: Path) -> bool:
    """Some of the containers run."""
    return bool(things(engine, plan).running)


def in_a_test(_engine: Engine, _plan: AddressPlan, folder: Path) -> bool:
    """A test is being run on the deployment."""
    return (folder / "testing").exists()


INTERRUPTED = {
    "up, when the plan is taken, by Ctrl-C": ("up", claimed, [signal.SIGINT]),
    "up, when containers start, by SIGTERM": ("up", starting, [signal.SIGTERM]),
    "up, when containers start, by an impatient Ctrl-C": ("up", starting, [signal.SIGINT] * 10),
    "pytest, when containers start, by SIGTERM": ("pytest", starting, [signal.SIGTERM]),
    "pytest, in a test, by an impatient Ctrl-C": ("pytest", in_a_test, [signal.SIGINT] * 10),
}


@pytest.mark.parametrize("case", INTERRUPTED)
def test_an_interrupted_run_leaves_nothing(
    engine: Engine, plan: AddressPlan, tmp_path: Path, waiting_test: Path, case: str
) -> None:
    """Ctrl-C and SIGTERM, whenever they come, take every container, network, volume and secret of the run away."""
    what, moment, signals = INTERRUPTED[case]
    argv = harness("up", plan) if what == "up" else pytest_on(waiting_test, plan)
    with started(argv, tmp_path) as run:
        reach(run, moment, engine, plan, tmp_path)
        assert things(engine, plan).containers, "there was nothing to be left behind"
        press(run, signals)
        ended = run.wait(timeout=COMMAND_TIMEOUT)
    assert ended.exit_status == (EXIT_INTERRUPTED if what == "up" else pytest.ExitCode.INTERRUPTED), ended
    assert things(engine, plan) == NOTHING, ended


# --- killed -----------------------------------------------------------------------------------------


def test_what_a_killed_run_left_is_swept(engine: Engine, plan: AddressPlan, tmp_path: Path, waiting_test: Path) -> None:
    """After `kill -9` everything is still there and running; `python -m harness sweep` removes it all."""
    with started(pytest_on(waiting_test, plan), tmp_path) as run:
        reach(run, in_a_test, engine, plan, tmp_path)
        run.send(signal.SIGKILL)
        run.wait(timeout=COMMAND_TIMEOUT)
    left = all_running(engine, plan)
    assert left.networks, left
    assert left.volumes, left
    assert left.states, left

    swept = finish(harness("sweep"))
    assert swept.exit_status == 0, swept
    assert things(engine, plan) == NOTHING, swept


def test_the_next_run_sweeps_by_itself(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """A run killed while it brings up is no obstacle to the next one, which removes its remains and says so."""
    with started(harness("up", plan), tmp_path) as run:
        reach(run, starting, engine, plan, tmp_path)
        run.send(signal.SIGKILL)
        run.wait(timeout=COMMAND_TIMEOUT)
    left = things(engine, plan)
    assert left.running, left

    following = finish(harness("up", plan))
    try:
        assert following.exit_status == 0, following
        assert "left behind" in following.stdout, following
        assert not all_running(engine, plan).containers & left.containers
    finally:
        finish(harness("down", plan))
    assert things(engine, plan) == NOTHING


# --- in the way -------------------------------------------------------------------------------------


def refused(engine: Engine, plan: AddressPlan, *named: str) -> None:
    """`up` exits with 10, one line names what is in the way and what to do about it, and nothing was made."""
    began = engine.now()
    answer = finish(harness("up", plan))
    assert answer.exit_status == EXIT_PREREQUISITE, answer
    lines = [line for line in answer.stdout.splitlines() if all(name in line for name in named)]
    assert len(lines) == 1, answer
    assert made_since(engine, plan, began) == [], answer
    assert things(engine, plan) == NOTHING


def made_since(engine: Engine, plan: AddressPlan, began: float) -> list[str]:
    """The containers of a plan that were made since then, also those that are gone: each run's first is its lease."""
    filters = {"type": "container", "event": "create", "label": f"{PLAN}={plan.index}"}
    since, until = int(began), int(engine.now()) + 1
    events = engine.client.events(since=since, until=until, decode=True, filters=filters)
    return [str(event["Actor"]["Attributes"]["name"]) for event in events]


@pytest.mark.parametrize("which", ["services-net", "tunnel-net"])
def test_a_foreign_network_on_a_subnet_is_named(engine: Engine, plan: AddressPlan, which: str) -> None:
    """A Docker network of somebody else's on a subnet of the plan: which one, on which subnet, how to be rid of it."""
    name = f"somebody-elses-{plan.index}"
    network = foreign_network(engine, name, str(plan.networks[which]))
    try:
        refused(engine, plan, name, str(plan.networks[which]), which, f"docker network rm {name}")
    finally:
        network.remove()


def test_a_foreign_container_on_a_port_is_named(engine: Engine, plan: AddressPlan) -> None:
    """A container of somebody else's that publishes web's port: which one, on which port, how to stop it."""
    name = f"somebody-elses-{plan.index}"
    container = engine.client.containers.create(
        PROBE,
        entrypoint=["sleep", "infinity"],
        name=name,
        labels=FOREIGN,
        init=True,
        ports={"8000/tcp": ("127.0.0.1", plan.web_port)},
    )
    try:
        container.start()
        refused(engine, plan, name, f"port {plan.web_port}", f"docker stop {name}")
    finally:
        container.remove(force=True)


def test_a_process_on_a_port_is_told(engine: Engine, plan: AddressPlan) -> None:
    """A process of the host that listens on services' port: on which port, and how to find it."""
    # Connections of the tests before may still be in TIME-WAIT there: `create_server` listens beside them.
    with socket.create_server(("127.0.0.1", plan.services_port)):
        refused(engine, plan, f"port {plan.services_port}", "process", "ss -ltnp")


def test_a_foreign_container_of_the_same_name_is_told(engine: Engine, plan: AddressPlan) -> None:
    """A container of somebody else's compose project that has one of our names: which name, and what to do."""
    name = f"{plan.container_prefix}mariadb"
    labels = FOREIGN | {COMPOSE_PROJECT: "shop", COMPOSE_NUMBER: "1"}
    container = engine.client.containers.create(PROBE, name=name, labels=labels, network_mode="none")
    try:
        refused(engine, plan, name, "docker compose -p shop down")
    finally:
        container.remove(force=True)


# --- a mistake --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["up", "pytest"])
def test_a_failed_bring_up_is_taken_down_and_explained(
    engine: Engine, plan: AddressPlan, tmp_path: Path, waiting_test: Path, what: str
) -> None:
    """A gateway that refuses its MTU: exit 1, its own line is shown under its name, and nothing is left."""
    argv = harness("up", plan) if what == "up" else pytest_on(waiting_test, plan)
    failed = finish(argv, MISTAKE)
    assert failed.exit_status == EXIT_FAILED, failed
    assert "wireguard-services does not stay up" in failed.stdout, failed
    assert "WG_MTU='10'" in failed.stdout, failed
    assert not in_a_test(engine, plan, tmp_path)
    assert things(engine, plan) == NOTHING


# --- kept on purpose --------------------------------------------------------------------------------


@pytest.fixture(scope="class")
def raced(
    engine: Engine, class_plan: AddressPlan, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[CommandResult, CommandResult]]:
    """Two `up` at the same moment on the same plan: the one that came through, and the other."""
    folders = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    try:
        with contextlib.ExitStack() as runs:
            both = [runs.enter_context(started(harness("up", class_plan), folder)) for folder in folders]
            ended = sorted((run.wait(timeout=COMMAND_TIMEOUT) for run in both), key=lambda run: run.exit_status)
        yield ended[0], ended[1]
    finally:
        finish(harness("down", class_plan))
        assert things(engine, class_plan) == NOTHING


class TestKept:
    """A deployment that `up` leaves up."""

    def test_of_two_runs_at_once_one_is_told_who_holds_the_plan(
        self, engine: Engine, plan: AddressPlan, raced: tuple[CommandResult, CommandResult]
    ) -> None:
        """Exactly one comes up; the other exits with 10, names the holder, and has disturbed nothing."""
        first, second = raced
        assert first.exit_status == 0, first
        assert second.exit_status == EXIT_PREREQUISITE, second
        held = leases.holder(engine, plan.index)
        assert held is not None
        line = second.stdout.splitlines()[-1]
        assert f"address plan {plan.index}" in line
        assert f"run {held.id}, process {held.owner.pid} on {held.owner.host}, alive" in line
        assert len(all_running(engine, plan).states) == 1

    @pytest.mark.usefixtures("raced")
    def test_it_is_not_swept(self, engine: Engine, plan: AddressPlan) -> None:
        """The run that made it is over, and still `sweep` leaves it alone."""
        before = all_running(engine, plan)
        swept = finish(harness("sweep"))
        assert swept.exit_status == 0, swept
        assert things(engine, plan) == before

    @pytest.mark.usefixtures("raced")
    def test_up_again_uses_it(self, engine: Engine, plan: AddressPlan) -> None:
        """A second `up` says that it is up, and makes nothing new."""
        before = all_running(engine, plan)
        again = finish(harness("up", plan))
        assert again.exit_status == 0, again
        assert "is up since" in again.stdout, again
        assert things(engine, plan) == before

    @pytest.mark.usefixtures("raced")
    def test_up_after_a_change_creates_only_that_anew(self, engine: Engine, plan: AddressPlan) -> None:
        """Another keepalive is web's gateway's: it is named, it and what shares its network are new, all else stays."""
        before = all_running(engine, plan)
        for setting in ({"WG_PERSISTENT_KEEPALIVE": "20"}, {}):
            again = finish(harness("up", plan), setting)
            assert again.exit_status == 0, again
            assert "created anew: wireguard-web (environment)" in again.stdout, again
            after = all_running(engine, plan)
            assert len(before.containers - after.containers) == len(("wireguard-web", "web", "probe-web"))
            assert (after.networks, after.volumes, after.states) == (before.networks, before.volumes, before.states)
            before = after

    @pytest.mark.usefixtures("raced")
    def test_a_run_of_tests_is_told_that_it_is_kept(self, engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
        """Without `--reuse` a run of tests exits with 10, says that it is kept and what can be done."""
        before = all_running(engine, plan)
        told = finish(pytest_on_scenario(plan, tmp_path))
        assert told.exit_status == EXIT_PREREQUISITE, told
        for part in ("kept on purpose", "make down", "--reuse"):
            assert part in told.stdout, told
        assert things(engine, plan) == before

    @pytest.mark.usefixtures("raced")
    def test_reuse_attaches_to_it(self, engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
        """With `--reuse` a run of tests passes on these very containers, and leaves them up."""
        before = all_running(engine, plan)
        passed = finish([*pytest_on_scenario(plan, tmp_path), "--reuse"])
        assert passed.exit_status == 0, passed
        assert "1 passed" in passed.stdout, passed
        assert things(engine, plan) == before

    @pytest.mark.usefixtures("raced")
    @pytest.mark.parametrize("command", ["down", "up", "status"])
    def test_a_command_for_the_other_layout_leaves_it_alone(
        self, engine: Engine, plan: AddressPlan, command: str
    ) -> None:
        """Both layouts have plan 0: what is about prod's neither removes nor shows dev's, and says what is up."""
        before = all_running(engine, plan)
        told = finish([*harness(command, plan), "--layout", "prod"])
        assert told.exit_status == (EXIT_FAILED if command == "status" else EXIT_PREREQUISITE), told
        assert "held by a deployment of dev kept on purpose" in told.stdout + told.stderr, told
        assert things(engine, plan) == before

    @pytest.mark.usefixtures("raced")
    def test_down_removes_it(self, engine: Engine, plan: AddressPlan) -> None:
        """`down` takes all of it away, its secrets too; a second one has nothing to do and says so."""
        all_running(engine, plan)
        removed = finish(harness("down", plan))
        assert removed.exit_status == 0, removed
        assert things(engine, plan) == NOTHING
        again = finish(harness("down", plan))
        assert again.exit_status == 0, again
        assert "nothing is up" in again.stdout, again
