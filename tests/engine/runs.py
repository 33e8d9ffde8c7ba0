"""Runs of the harness in processes of their own, and what there is of an address plan before and after."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import command, places
from harness.addresses import AddressPlan
from harness.command import Background
from harness.engine import Engine
from harness.errors import CommandError
from harness.model import Budget, CommandResult
from harness.ownership import PLAN
from harness.waiting import wait_until

COMMAND_TIMEOUT = 120.0
"""Seconds: a whole bring-up on a machine that is busy with others."""
MOMENT = Budget(seconds=60, poll=0.02, reason="a bring-up gets there in seconds; a busy machine takes longer")

Moment = Callable[[Engine, AddressPlan, Path], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """What there is of an address plan on the engine, and on disk."""

    containers: frozenset[str]
    running: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]
    states: frozenset[str]


NOTHING = Things(
    containers=frozenset(), running=frozenset(), networks=frozenset(), volumes=frozenset(), states=frozenset()
)


def harness(name: str, plan: AddressPlan | None = None) -> list[str]:
    """`python -m harness NAME --plan N`."""
    return [sys.executable, "-m", "harness", name, *(["--plan", str(plan.index)] if plan else [])]


def pytest_on(file: Path, plan: AddressPlan) -> list[str]:
    """A run of tests that are not among the scenarios, with the scenarios' fixtures."""
    options = ["--rootdir", str(places.ROOT), "-c", str(places.ROOT / "pytest.ini"), "-p", "conftest"]
    return [sys.executable, "-m", "pytest", *options, str(file), "--plan", str(plan.index), "-p", "no:cacheprovider"]


def pytest_on_scenario(plan: AddressPlan, folder: Path) -> list[str]:
    """A run of one quick scenario, whose results go elsewhere than this run's."""
    scenario = "scenarios/test_regressions.py::test_a_derived_key_is_what_the_other_end_has"
    reports = ["--alluredir", str(folder / "results"), "--junitxml", str(folder / "junit.xml")]
    return [sys.executable, "-m", "pytest", scenario, "--plan", str(plan.index), "-p", "no:cacheprovider", *reports]


ENVIRONMENT = {"PYTEST_ADDOPTS": "", "PYTHONUNBUFFERED": "1"}
# What this session ignores, as behind `nohup` or the `&` of a script, its children would ignore as well (signal(7)).
HEEDING = ("env", "--default-signal=HUP,INT,TERM")


def started(
    argv: list[str], folder: Path, environment: dict[str, str] | None = None
) -> contextlib.AbstractContextManager[Background]:
    """A run that goes on while the block does."""
    own = ENVIRONMENT | (environment or {})
    return command.background([*HEEDING, *argv], log=folder / "output", cwd=places.ROOT, env=own)


def finish(argv: list[str], environment: dict[str, str] | None = None, *, folder: Path = places.ROOT) -> CommandResult:
    """A run to its end, of the clone in `folder`; all that it printed is in `stdout`."""
    return command.stream(
        argv,
        timeout=COMMAND_TIMEOUT,
        cwd=folder,
        env=ENVIRONMENT | (environment or {}),
        check=False,
        on_line=lambda _line: None,
    )


def reach(run: Background, moment: Moment, engine: Engine, plan: AddressPlan, folder: Path) -> None:
    """Wait for a moment of a run that goes on."""
    wait_until(
        f"the run to be at: {moment.__doc__}",
        lambda: (moment(engine, plan, folder), run.running),
        lambda seen: seen[0] or not seen[1],
        within=MOMENT,
    )
    assert run.running, f"the run has ended by itself: {run.output}"


def press(run: Background, signals: list[signal.Signals]) -> None:
    """Send signals, one a moment after the other, as long as the run goes on."""
    for number in signals:
        run.send(number)
        with contextlib.suppress(CommandError):
            run.wait(timeout=0.05)
            return


def things(engine: Engine, plan: AddressPlan) -> Things:
    """What there is of a plan now."""
    label = f"{PLAN}={plan.index}"
    containers = engine.containers(label)
    client = engine.client
    return Things(
        containers=frozenset(str(container.id) for container in containers),
        running=frozenset(str(container.id) for container in containers if container.status == "running"),
        networks=frozenset(str(network.id) for network in client.networks.list(filters={"label": label})),
        volumes=frozenset(str(volume.name) for volume in client.volumes.list(filters={"label": label})),
        states=frozenset(str(path) for path in places.STATE.glob(f"*-*-*-{plan.index}-*")),
    )


def all_running(engine: Engine, plan: AddressPlan) -> Things:
    """What there is of a plan now, with a whole deployment up."""
    found = things(engine, plan)
    assert len(found.running) == 9, found
    return found
