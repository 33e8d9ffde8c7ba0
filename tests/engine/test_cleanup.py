"""The matrix of what can become of a run: after each of it nothing of ours is left, and others' things are as before.

`test_bad_days` has what happens to most people: Ctrl-C while it comes up and in a test, a session killed, a mistake.
Here is the rest. What takes minutes is marked `full`, and runs every night.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import command, leases, lifecycle, places, residue
from harness.addresses import AddressPlan
from harness.command import Background
from harness.engine import Engine
from harness.errors import EXIT_FAILED, EXIT_INTERRUPTED, HeldError
from harness.model import Budget, Outcome
from harness.ownership import Run
from harness.probes.mariadb import MariaDBQuery
from harness.stage import Stage
from harness.waiting import wait_until

from .bystanders import Bystanders, describe, foreign_rule
from .inner import inner_engine
from .runs import COMMAND_TIMEOUT, NOTHING, Moment, finish, harness, press, pytest_on, reach, started, things

TIMEOUT = 30.0  # seconds, for commands that take milliseconds
ENDED = Budget(seconds=90, poll=0.1, reason="a worker takes its deployment down before it ends; a busy machine is slow")
EIGHT = 8
SHORT_CYCLES, FULL_CYCLES = 2, 100
GROWTH = 12 * 1024  # KiB: what the allocator keeps for itself varies by some MiB; 100 leaks of 1 MiB would not pass

RUN = '''
"""One test, for a run to which something happens."""
from pathlib import Path

import pytest

from harness.model import Budget
from harness.waiting import holds_for

WHERE, FOLDER = {where!r}, Path({folder!r})
LONG = Budget(seconds=300, poll=0.2, reason="until something happens to the run")
A_WHILE = Budget(seconds=3, poll=0.2, reason="long enough to be seen at it")


def at(place):
    """Say that the run is there, and stay there if that is the place."""
    (FOLDER / place).touch()
    if place == WHERE:  # an undoing is not interrupted: what is pressed meanwhile acts afterwards
        holds_for(lambda: True, bool, A_WHILE if place == "restore" else LONG)


@pytest.fixture(scope="session", autouse=True)
def _removal(stage):
    yield
    (FOLDER / "removal").touch()


@pytest.mark.parametrize("number", range({tests}))
def test_goes_on(experiment, number):
    with experiment.disturbance("something that takes long to be undone") as undo:
        undo.callback(at, "restore")
        at("scenario")
'''


LOOKING = (
    RUN[: RUN.index("@pytest.mark.parametrize")]
    + """
def test_looks(deployment):
    at("scenario")
"""
)
"""The same without an experiment, which wants to reach what the deployment publishes."""

TELLING = LOOKING.replace(
    "def test_looks",
    """def test_tells(deployment):
    secrets = deployment.credentials.secrets()
    (FOLDER / "secrets").write_text(" ".join(secrets), encoding="ascii")
    assert " ".join(secrets) == "something else"


def test_looks""",
)
"""One that fails before, and shows every secret of its deployment."""


@pytest.fixture
def plan(stage: Stage) -> AddressPlan:
    """A plan that no worker's own deployment uses; the next seven are free as well."""
    return AddressPlan(index=stage.plan.index + 12)


@pytest.fixture(autouse=True)
def _nothing_left_and_nothing_touched(engine: Engine, somebody_elses: Bystanders, plan: AddressPlan) -> Iterator[None]:
    """Around every test: of ours there is nothing, also none of what no label tells; others' things are as before."""
    with foreign_rule(plan.index) as rule:
        before, known = describe(somebody_elses), set(residue.look(engine))
        yield
        try:
            assert things(engine, plan) == NOTHING
            assert [line for line in residue.look(engine) if line not in known] == []
            assert describe(somebody_elses) == before
            assert rule.present()
        finally:
            for held in filter(None, (leases.holder(engine, plan.index + number) for number in range(EIGHT))):
                if not leases.is_kept(engine, held):
                    lifecycle.remove(engine, held, say=lambda _line: None, graceful=False)
            for path in places.STATE.glob(f"*-*-*-{plan.index}-*"):  # of an engine that is gone
                shutil.rmtree(path)


@pytest.mark.full
def test_after_success_nothing_is_left(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """A session that passes has taken everything down at its end."""
    passed = finish(pytest_on(written(tmp_path, where="nowhere"), plan))
    assert passed.exit_status == 0, passed
    assert "1 passed" in passed.stdout, passed
    assert things(engine, plan) == NOTHING


# --- interrupted ------------------------------------------------------------------------------------


def in_restore(_engine: Engine, _plan: AddressPlan, folder: Path) -> bool:
    """What a scenario has changed is being undone."""
    return (folder / "restore").exists()


def in_removal(_engine: Engine, _plan: AddressPlan, folder: Path) -> bool:
    """The deployment is being taken down."""
    return (folder / "removal").exists()


def in_creation(engine: Engine, plan: AddressPlan, _folder: Path) -> bool:
    """Networks have been made."""
    return bool(things(engine, plan).networks)


@pytest.mark.parametrize(
    ("where", "moment"),
    [
        pytest.param("nowhere", in_creation, id="while it is created", marks=pytest.mark.full),
        pytest.param("restore", in_restore, id="in the undoing of a scenario"),
        pytest.param("nowhere", in_removal, id="in the removal"),
    ],
)
def test_an_interrupted_session_leaves_nothing(
    engine: Engine, plan: AddressPlan, tmp_path: Path, where: str, moment: Moment
) -> None:
    """Ctrl-C in each phase that `test_bad_days` leaves out, pressed twice: the session ends with 2, and tidily."""
    with started(pytest_on(written(tmp_path, where=where), plan), tmp_path) as run:
        reach(run, moment, engine, plan, tmp_path)
        press(run, [signal.SIGINT] * 2)
        ended = run.wait(timeout=COMMAND_TIMEOUT)
    assert ended.exit_status == pytest.ExitCode.INTERRUPTED, ended
    assert "left behind: " not in ended.stdout, ended


def test_while_images_are_fetched(plan: AddressPlan, tmp_path: Path) -> None:
    """Ctrl-C while a registry keeps us waiting: 130, and the pull is given up."""
    with socket.socket() as registry:
        registry.bind(("127.0.0.1", 0))
        registry.listen()
        registry.settimeout(COMMAND_TIMEOUT)
        image = f"127.0.0.1:{registry.getsockname()[1]}/never:answers"
        with started(harness("up", plan), tmp_path, {"MARIADB_IMAGE": image}) as run:
            asked, _address = registry.accept()
            with asked:
                press(run, [signal.SIGINT])
                ended = run.wait(timeout=COMMAND_TIMEOUT)
                asked.settimeout(COMMAND_TIMEOUT)
                while asked.recv(4096):  # until the engine hangs up, which it does of a pull that nobody waits for
                    pass
    assert ended.exit_status == EXIT_INTERRUPTED, ended


# --- killed -----------------------------------------------------------------------------------------


def in_a_scenario(_engine: Engine, _plan: AddressPlan, folder: Path) -> bool:
    """A scenario is being run."""
    return (folder / "scenario").exists()


def test_a_killed_worker_is_cleared_away(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """`kill -9` of a worker: its test counts as failed, its deployment goes, and its secrets from what it wrote."""
    results = tmp_path / "results"
    file = written(tmp_path, where="scenario", text=TELLING)
    with started([*pytest_on(file, plan), "-n", "1", "--alluredir", str(results)], tmp_path) as run:
        reach(run, in_a_scenario, engine, plan, tmp_path)
        secrets = (tmp_path / "secrets").read_text(encoding="ascii").split()
        assert all(shown(secret, results) for secret in secrets)
        (worker,) = workers(run)
        os.kill(worker, signal.SIGKILL)
        ended = run.wait(timeout=COMMAND_TIMEOUT)
    assert [secret for secret in secrets if shown(secret, results)] == []
    assert ended.exit_status == pytest.ExitCode.TESTS_FAILED, ended
    assert "crashed" in ended.stdout, ended
    assert "left behind: " not in ended.stdout, ended


def test_the_worker_of_a_killed_session_ends_by_itself(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """`kill -9` of the session alone: its worker notices, takes its deployment down, and ends.

    It has 10 s for that (execnet ends it then); what it had no time for on a busy machine is swept.
    """
    argv = [*pytest_on(written(tmp_path, where="scenario"), plan), "-n", "1"]
    with started(argv, tmp_path) as run:
        reach(run, in_a_scenario, engine, plan, tmp_path)
        found = workers(run)
        assert len(found) == 1
        os.kill(run.pid, signal.SIGKILL)
        run.wait(timeout=COMMAND_TIMEOUT)
        wait_until("the worker to end", lambda: [each for each in found if exists(each)], _is_empty, within=ENDED)
    swept = finish(harness("sweep"))
    assert swept.exit_status == 0, swept
    assert things(engine, plan) == NOTHING, swept


@pytest.mark.full
def test_a_session_killed_with_all_its_workers_is_swept(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """`kill -9` of the whole process group, two deployments up: one sweep removes both."""
    argv = [*pytest_on(written(tmp_path, where="scenario", tests=2), plan), "-n", "2"]
    second = AddressPlan(index=plan.index + 1)
    with started(argv, tmp_path) as run:
        reach(run, in_a_scenario, engine, plan, tmp_path)
        wait_until("both to be up", lambda: len(things(engine, second).running), lambda n: n == 9, within=ENDED)
        run.send(signal.SIGKILL)
        run.wait(timeout=COMMAND_TIMEOUT)
    assert things(engine, plan) != NOTHING
    swept = finish(harness("sweep"))
    assert swept.exit_status == 0, swept
    assert (things(engine, plan), things(engine, second)) == (NOTHING, NOTHING)


# --- no room, and no engine -------------------------------------------------------------------------


def test_without_room_for_its_files_a_run_makes_nothing(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """The disk of the clone is full: exit 1, one sentence says so, and nothing has been made."""
    clone = tmp_path / "clone"
    for name in ("harness", "compose"):
        shutil.copytree(places.ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "secrets"))
    with small_disk(clone / ".harness"):
        failed = finish(harness("up", plan), {"PYTHONDONTWRITEBYTECODE": "1"}, folder=clone)
        left = [path for path in (clone / ".harness").iterdir() if path.name != "full"]
    assert failed.exit_status == EXIT_FAILED, failed
    assert "No space left on device" in failed.stdout.splitlines()[-1], failed
    assert "Traceback" not in failed.stdout, failed
    assert left == []
    assert things(engine, plan) == NOTHING


@pytest.mark.full
def test_a_full_disk_of_the_engine(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """The engine's disk has no room for a deployment: the run fails with the engine's own words, and tidies up."""
    run = Run.start(plan.index, tmp_path)
    with inner_engine(engine, run, tmp_path / "run", disk="1500m") as inner:
        inner.run("dd if=/dev/zero of=/var/lib/docker/full bs=64k; truncate --size=-512K /var/lib/docker/full")
        failed = finish(harness("up", plan), {"DOCKER_HOST": inner.host})
        inner.run("rm /var/lib/docker/full")
        assert failed.exit_status not in {0, EXIT_INTERRUPTED}, failed
        assert "Traceback" not in failed.stdout, failed
        assert things(inner.engine, plan) == NOTHING, failed


@pytest.mark.full
def test_an_engine_that_restarts_in_a_scenario(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """The engine goes with all that runs on it, and comes back: the session, then interrupted, leaves nothing on it."""
    run = Run.start(plan.index, tmp_path)
    with inner_engine(engine, run, tmp_path / "run") as inner:
        argv = pytest_on(written(tmp_path, where="scenario", text=LOOKING), plan)
        with started(argv, tmp_path, {"DOCKER_HOST": inner.host}) as session:
            reach(session, in_a_scenario, inner.engine, plan, tmp_path)
            assert things(inner.engine, plan).running
            inner.restart()
            press(session, [signal.SIGINT])
            ended = session.wait(timeout=COMMAND_TIMEOUT)
        assert ended.exit_status == pytest.ExitCode.INTERRUPTED, ended
        assert things(inner.engine, plan) == NOTHING, ended


# --- many -------------------------------------------------------------------------------------------


def test_of_many_that_want_a_plan_one_gets_it(engine: Engine, plan: AddressPlan, tmp_path: Path) -> None:
    """Eight at the same moment: one has the lease, and the seven others are told that it has."""
    ready, results = threading.Barrier(EIGHT), []

    def contend() -> None:
        run = Run.start(plan.index, tmp_path)
        ready.wait()
        try:
            leases.take(engine, run)
        except HeldError as error:
            results.append(str(error))
        else:
            results.append("")

    contenders = [threading.Thread(target=contend) for _ in range(EIGHT)]
    for each in contenders:
        each.start()
    for each in contenders:
        each.join()
    held = leases.holder(engine, plan.index)
    assert held is not None
    lifecycle.remove(engine, held, say=lambda _line: None, graceful=False)
    told = [text for text in results if text]
    assert len(told) == EIGHT - 1, results
    assert all(f"held by run {held.id}" in text for text in told), results


@pytest.mark.full
def test_eight_deployments_at_once(engine: Engine, plan: AddressPlan) -> None:
    """Eight come up on one engine at the same time, each on a plan of its own; each answers, and all go again."""
    plans = [AddressPlan(index=plan.index + number) for number in range(EIGHT)]
    stages = [
        Stage(plans=[*plans[number:], *plans[:number]], keep=False, reuse=False, say=lambda _line: None)
        for number in range(EIGHT)
    ]
    with ThreadPoolExecutor(max_workers=EIGHT) as pool:
        try:
            deployments = list(pool.map(lambda stage: stage.deployment(), stages))
            assert {each.plan.index for each in deployments} == {each.index for each in plans}
            answers = pool.map(lambda each: MariaDBQuery("web").observe(each).outcome, deployments)
            assert set(answers) == {Outcome.CONNECTED}
        finally:
            list(pool.map(lambda stage: stage.close(), stages))
    assert [things(engine, each) for each in plans] == [NOTHING] * EIGHT


@pytest.mark.timeout(1800)  # seconds: a hundred times take some ten minutes, for which pytest.ini's 300 are too few
def test_up_and_down_over_and_over(engine: Engine, plan: AddressPlan, pytestconfig: pytest.Config) -> None:
    """After the first time this process has no more files open than before, no more threads, and hardly more memory.

    Twice; a hundred times every night.
    """
    seen = []
    for _ in range(1 + (FULL_CYCLES if pytestconfig.getoption("--full") else SHORT_CYCLES)):
        deployment = lifecycle.bring_up(engine, plan, say=lambda _line: None)
        lifecycle.remove(engine, deployment.run, say=lambda _line: None, graceful=False)
        assert things(engine, plan) == NOTHING
        seen.append(Held.now())
    first, last = seen[0], seen[-1]
    assert last.files <= first.files, seen
    assert last.threads <= first.threads, seen
    assert last.memory - first.memory < GROWTH, seen


# --- how it is done ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What this process holds: files, threads, and KiB of memory."""

    files: int
    threads: int
    memory: int

    @classmethod
    def now(cls) -> Held:
        """At this moment."""
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
        return cls(
            files=len(list(Path("/proc/self/fd").iterdir())),
            threads=threading.active_count(),
            memory=int(status["VmRSS"].split()[0]),
        )


def written(folder: Path, *, where: str, tests: int = 1, text: str = RUN) -> Path:
    """The file of a run that stays at a place for long, or nowhere."""
    file = folder / "test_run.py"
    file.write_text(text.format(where=where, folder=str(folder), tests=tests), encoding="utf-8")
    return file


def shown(text: str, results: Path) -> bool:
    """Whether a file of the results has it."""
    return any(text.encode() in file.read_bytes() for file in results.iterdir())


def workers(run: Background) -> list[int]:
    """The numbers of a session's xdist workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = path.joinpath("stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            if int(parent) == run.pid and b"sys.stdin.readline" in path.joinpath("cmdline").read_bytes():
                found.append(int(path.name))
    return found


def exists(pid: int) -> bool:
    """Whether a process is there, and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _is_empty(found: list[int]) -> bool:
    return not found


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own under a folder while the block runs, and it is full."""
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "harness", str(folder)]
    if not command.run(mount, timeout=TIMEOUT, check=False).ok:
        pytest.skip("a disk of its own can be mounted only by root")
    try:
        with contextlib.suppress(OSError), (folder / "full").open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 1024)
        yield
    finally:
        command.run(["umount", str(folder)], timeout=TIMEOUT)
