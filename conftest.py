"""Options and fixtures of the scenarios: wiring only, the work is done in `harness`."""

from __future__ import annotations

import contextlib
import inspect
import os
import random
import shutil
import sys
from argparse import ArgumentTypeError
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import (
    applicability,
    capacity,
    capture,
    configured,
    foreign,
    interrupts,
    lifecycle,
    orphans,
    performance,
    reporting,
    residue,
    rolemap,
    summary,
    surroundings,
)
from harness import engines as berths
from harness.addresses import LAYOUTS, AddressPlan
from harness.applicability import Allowance, Claim
from harness.budgets import NO_RECOVERY, RECOVERY
from harness.engine import Engine
from harness.engines import Engines
from harness.errors import EXIT_PREREQUISITE, ConfigurationError, HarnessError, PrerequisiteError
from harness.experiment import Experiment
from harness.faults import Fault, catalogue
from harness.production import Production
from harness.progress import stamped
from harness.redaction import Eraser
from harness.score import page as scorepage
from harness.score import record as scoring
from harness.score.mutants import MUTANTS
from harness.sharding import Shard
from harness.stage import Stage
from harness.summary import BRING_UP, ENGINE, LOST, ROOT_CAUSE
from harness.trials import Trial

if TYPE_CHECKING:
    from harness.deployment import Deployment

os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # cleaning up is ours, and survives a killed run

REPORTS = Path(__file__).parent / "reports"
SCENARIOS = Path(__file__).parent / "scenarios"
UNIT_TESTS = Path(__file__).parent / "tests"
ENGINE_TESTS = UNIT_TESTS / "engine"
STAGES = pytest.StashKey[dict[str, Stage]]()
SESSION = pytest.StashKey[pytest.Session]()
"""The session, once it has used an engine."""
LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("deployment", "the deployment under test")
    group.addoption(
        "--layout",
        type=_layouts,
        default=("dev",),
        metavar="NAME[,NAME]",
        help=f"which layouts to test, {' or '.join(LAYOUTS)} or several (default: dev)",
    )
    group.addoption(
        "--plan",
        type=int,
        metavar="N",
        help="address plan of the first worker, of the next one N + 1, and so on; who finds his taken stops "
        "(default: each worker takes one that is free, the first one 0 if it can)",
    )
    group.addoption("--shard", type=_shard, metavar="N/M", help="only this one of M parts that machines share out")
    group.addoption(
        "--engines",
        type=_engines,
        default=(),
        metavar="URL[,URL]",
        help="spread the workers over these Docker engines, such as ssh://root@a,ssh://root@b, or docker contexts",
    )
    group.addoption(
        "--compose", type=Path, action="append", metavar="FILE", help="test a copy of your own deployment; repeatable"
    )
    group.addoption("--env-file", type=Path, metavar="FILE", help="the environment of --compose")
    group.addoption(
        "--map",
        action="append",
        default=[],
        metavar="ROLE=SERVICE|FILE",
        help="which service of --compose plays which part, or a TOML file that says so (docs/your-own.md)",
    )
    group.addoption(
        "--allow-faults", action="store_true", help="run also the scenarios that break the copy and mend it again"
    )
    group.addoption("--with-fault", metavar="NAME", help="run on a deployment with this fault of the catalogue in it")
    group.addoption("--examine", action="store_true", help="with --with-fault: have the doctor look at each failure")
    group.addoption(
        "--thorough", action="store_true", help="on the prod layout, run also what others stand for (see pytest.ini)"
    )
    group.addoption(
        "--full", action="store_true", help="of the harness's own tests, run also those that take minutes (every night)"
    )
    group.addoption("--keep", action="store_true", help="leave the deployment up at the end")
    group.addoption("--reuse", action="store_true", help="use the deployment that is up, if it is unchanged and well")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    interrupts.as_keyboard_interrupt(lambda line: _say(config, line))
    orphans.mark_children()
    _check_yours(config)
    config.stash[LEFT_OUT] = []
    engines = _engines_of(config)
    config.stash[STAGES] = {
        layout: Stage(
            plans=_plans(config, layout),
            keep=config.getoption("--keep"),
            reuse=config.getoption("--reuse"),
            fault=_fault(config),
            engines=engines,
            say=lambda line: _say(config, line),
        )
        for layout in config.getoption("--layout")
    }
    if not _runs(config, SCENARIOS):
        return
    results = REPORTS / "results"
    if not _worker(config):  # workers only add: one that cleaned would take the others' results away
        if config.option.allure_report_dir is None:  # nor does a run that writes elsewhere
            shutil.rmtree(results, ignore_errors=True)
        scoring.begin()
        config.option.xmlpath = config.option.xmlpath or str(REPORTS / "junit.xml")
    config.option.allure_report_dir = config.option.allure_report_dir or str(results)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """What `-n auto` means where each worker has a deployment: as many as cores and memory carry."""
    if not _runs(config, SCENARIOS, ENGINE_TESTS):
        return None
    cores, memory = capacity.here()
    return capacity.workers(config.getoption("--layout"), cores=cores, memory=memory)


def pytest_report_header(config: pytest.Config) -> str:
    shard = f", shard {given}" if (given := config.getoption("--shard")) else ""
    engines = f", engines {', '.join(given)}" if (given := config.getoption("--engines")) else ""
    return f"layout: {', '.join(config.getoption('--layout'))}{shard}{engines}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """A session that hands its tests to workers does not see whether they use an engine: all but unit tests may."""
    config = session.config
    if _worker(config) or config.option.collectonly or not config.getoption("numprocesses"):
        return
    if not _runs(config, SCENARIOS, ENGINE_TESTS, UNIT_TESTS):  # of the first two it is known later, of these never
        config.stash[SESSION] = session


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Stop with exit status 10 before anything is started when a prerequisite is missing."""
    config = session.config
    if _worker(config) or config.option.collectonly or not _runs(config, SCENARIOS, ENGINE_TESTS):
        return
    try:
        for stage in config.stash[STAGES].values():
            stage.prepare()
    except PrerequisiteError as error:
        pytest.exit(f"\n{error}", returncode=EXIT_PREREQUISITE)
    except HarnessError as error:
        pytest.exit(f"\n{error}", returncode=pytest.ExitCode.INTERNAL_ERROR)
    config.stash[SESSION] = session


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Sum up how the doctor did, once all workers are done."""
    config = session.config
    if _worker(config) or config.option.collectonly or not _runs(config, SCENARIOS):
        return
    results, layouts = Path(config.option.allure_report_dir), " and ".join(config.getoption("--layout"))
    reporting.tidy(results)
    if trials := scoring.recorded_now():
        scoring.write(trials)
        reporting.add_page(
            results,
            title="The doctor's score",
            body=scorepage.page(trials),
            passed=all(trial.right for trial in trials),
            layout=layouts,
        )
    try:
        benches = performance.documents()
    except ValueError as error:
        _say(config, f"the report has no page of performance: {error}")
        return
    if benches:
        # Passed whatever it says: whether a target is met is the bench's own verdict, of another time.
        body = performance.page(benches)
        reporting.add_page(results, title="Performance", body=body, passed=True, layout=layouts)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where several layouts are tested, each scenario is run on every one that has what it promises."""
    layouts = metafunc.config.getoption("--layout")
    if len(layouts) > 1 and "layout" in metafunc.fixturenames:
        metafunc.parametrize("layout", _of(metafunc.definition, layouts), scope="session", indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what other layouts promise, and begin with what takes minutes of waiting.

    Other workers do the rest meanwhile. Then comes what wants containers that the playbooks have made: an experiment
    makes others, and the deployment would have to be deployed once more before it.

    With a fault in the deployment the order differs from fault to fault, and is the same each time: who stops after
    so many failures has then seen others fail with each. Experiments come last, since what they mend is mended.
    """
    if config.getoption("--compose"):
        config.stash[LEFT_OUT] += [reason for item in items if (reason := _inapplicable(config, item))]
    shard = Shard.parse(config.getoption("--shard") or "1/1")
    elsewhere = [
        item
        for item in items
        if not _of(item, [_layout_of(item)]) or _is_left_out(config, item) or not shard.holds(item.nodeid)
    ]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]
    if (name := config.getoption("--with-fault")) is not None:
        random.Random(name).shuffle(items)  # noqa: S311 (an order, no secret)
        items.sort(key=lambda item: "experiment" in getattr(item, "fixturenames", ()))
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("slow", "playbooks")])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Whatever way the session ended, nothing that it started and did not keep stays, and no report shows a secret."""
    stages = config.stash.get(STAGES, {}).values()
    for stage in stages:
        if stage.current is not None:
            lifecycle.remove_own(stage.current.engine, say=lambda line: _say(config, line))
    secrets = {secret for stage in stages for secret in stage.secrets}
    if secrets and config.option.allure_report_dir:  # all layouts' results are in one folder: it is read once
        reporting.remove_secrets(Path(config.option.allure_report_dir), secrets)
    for engines in {stage.engines for stage in stages}:  # which all stages share
        engines.close()
    if not _worker(config) and (session := config.stash.get(SESSION, None)):
        _see_that_nothing_is_left(session)


@pytest.fixture(scope="session")
def layout(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> str:
    """The layout that is tested."""
    chosen: str = getattr(request, "param", pytestconfig.getoption("--layout")[0])
    return chosen


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest, pytestconfig: pytest.Config, layout: str) -> Iterator[Stage]:
    """The one deployment of a layout in this session, or of this xdist worker."""
    pytestconfig.stash[SESSION] = request.session
    held = pytestconfig.stash[STAGES][layout]
    yield held
    held.close()


@pytest.fixture
def deployment(stage: Stage, pytestconfig: pytest.Config) -> Deployment:
    """The deployment, up and healthy. Tests that only read share it; those that break it use `experiment`."""
    held = stage.deployment()
    if pytestconfig.option.allure_report_dir:
        surroundings.write(Path(pytestconfig.option.allure_report_dir), held)
    if stage.timeline is not None:
        reporting.attach("phases of the bring-up, in seconds", stage.timeline.table())
        stage.timeline = None
    return held


@pytest.fixture
def production(deployment: Deployment) -> Production:
    """The deployment, where it is the prod layout's: what only that one has. `experiment` works on the very same."""
    assert isinstance(deployment, Production)  # noqa: S101 (the marker `layouts` sees to it)
    return deployment


@pytest.fixture
def experiment(
    deployment: Deployment, stage: Stage, pytestconfig: pytest.Config, request: pytest.FixtureRequest
) -> Experiment:
    """The deployment, to be broken and mended."""
    if stage.ill is not None:
        pytest.fail(stage.ill)
    return Experiment(
        deployment,
        reporting.step,
        stage.mark_broken,
        attach=reporting.attach,
        on_trial=lambda trial: _record(pytestconfig, trial),
        on_failure=lambda: _examine(stage, request.node),
        patience=RECOVERY if stage.fault is None else NO_RECOVERY,
    )


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    """The Docker engine."""
    request.config.stash[SESSION] = request.session
    return Engine.connect()


@pytest.fixture(autouse=True)
def _place_in_report(request: pytest.FixtureRequest) -> None:
    """Epic, feature and story of each scenario, from its module's and its own docstring."""
    if not request.path.is_relative_to(SCENARIOS):
        return
    layout = _layout_of(request.node)
    feature = (request.module.__doc__ or request.module.__name__).strip().splitlines()[0].rstrip(".")
    reporting.describe(
        epic=f"{layout} layout",
        feature=feature,
        promise=_promise(request.node),
        layout=layout,
        title=request.node.name,
        case=request.node.callspec.id if hasattr(request.node, "callspec") else None,
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Have the report tell what a scenario asks of the deployment, and what is answered."""
    capture.forget()
    with reporting.narrated() if item.config.option.allure_report_dir else contextlib.nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the evidence while the failure is still there to be seen."""
    stage = item.config.stash[STAGES][_layout_of(item)]
    at_work = stage.engines.at_work
    report = yield
    report.user_properties += [(BRING_UP, str(each)) for each in stage.news()]
    if at_work and call.when == "call":
        report.user_properties.append((ENGINE, at_work))
    if report.failed and (lost := stage.lose_engine()):
        stage.root_cause = lost
        report.user_properties.append((LOST, lost))
        report.longrepr = f"{lost}\n\n{report.longrepr}"
    if report.failed:
        if call.when != "teardown" and stage.current is not None and stage.root_cause is None:
            _examine(stage, item)  # an experiment has done so itself, before it undid what it had done
        if stage.root_cause is not None:
            report.user_properties.append((ROOT_CAUSE, stage.root_cause))
            item.user_properties.append((ROOT_CAUSE, stage.root_cause))  # from where JUnit's record has it
            stage.root_cause = None
        elif item.path.is_relative_to(SCENARIOS):
            reporting.blame("the doctor was not asked")
    experiment = getattr(item, "funcargs", {}).get("experiment")
    if call.when == "call" and experiment is not None:
        reporting.attach_experiment(experiment, stage.baseline)
    if not report.failed:
        return report
    shown = str(report.longrepr)
    erase = Eraser(stage.secrets)
    if (clean := erase(shown)) != shown:  # a failed assertion shows its operands
        report.longrepr = clean
    report.sections = [(title, erase(text)) for title, text in report.sections]
    return report


def _see_that_nothing_is_left(session: pytest.Session) -> None:
    """Once nothing of the session runs any more: what is still there is told, and fails it."""
    elsewhere = bool(session.config.getoption("--engines"))
    found = residue.settle(elsewhere=elsewhere, say=lambda line: _say(session.config, line))
    for line in found:
        _say(session.config, f"left behind: {line}")
    if found and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """With an engine all is lost that tests have set up on it, of whatever scope: the next one begins anew."""
    if item.config.stash[STAGES][_layout_of(item)].lost is not None:
        with contextlib.suppress(Exception):  # what it complains of is that the engine is not there
            item.session._setupstate.teardown_exact(None)  # noqa: SLF001 (pytest knows no other way)


def _record(config: pytest.Config, trial: Trial) -> None:
    """Keep what became of a fault, for the score of this run's scenarios."""
    if _runs(config, SCENARIOS):
        scoring.record(trial, _worker(config) or "main")


def _examine(stage: Stage, item: pytest.Item) -> None:
    """Have the doctor look at the deployment in which a test has just failed."""
    if stage.current is None:
        return
    if stage.fault is not None and not item.config.getoption("--examine"):  # what is broken on purpose is known
        return
    try:
        found = reporting.attach_evidence(stage.current, _promise(item), stage.baseline)
        stage.root_cause = Eraser(stage.secrets)(found)
    except Exception as error:  # noqa: BLE001 (the test's own failure must not be hidden by this one)
        stage.root_cause = f"no evidence could be collected: {error}"
        reporting.attach("no evidence could be collected", str(error))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what a reader wants to know first: what was left out, times, root causes, and where the report is."""
    if left_out := config.stash[LEFT_OUT]:
        terminalreporter.section("not for your own deployment")
        for line in applicability.summary(left_out):
            terminalreporter.line(line)
    if config.option.collectonly or not _runs(config, SCENARIOS, ENGINE_TESTS):
        return
    stats = terminalreporter.stats
    reports = [each for found in stats.values() for each in found if isinstance(each, pytest.TestReport)]
    failed = [*stats.get("failed", []), *stats.get("error", [])]
    written = reporting.written(config.option.allure_report_dir, config.option.xmlpath)
    if said := summary.lines(reports, failed, written):
        terminalreporter.section("deployment")
        for line in said:
            terminalreporter.line(line)


def _promise(item: pytest.Item) -> str:
    """What a scenario promises: its docstring."""
    return inspect.getdoc(getattr(item, "function", None)) or item.name


def _runs(config: pytest.Config, *folders: Path) -> bool:
    """Whether the command line names one of these folders or something in it."""
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return any(path.is_relative_to(folder) for path in named for folder in folders)


def _worker(config: pytest.Config) -> str | None:
    """The name of this xdist worker, such as `gw1`, or None in the controller and without xdist."""
    given: dict[str, str] | None = getattr(config, "workerinput", None)
    return given["workerid"] if given else None


def _layouts(text: str) -> tuple[str, ...]:
    """The layouts that a command line names."""
    named = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in named if name not in LAYOUTS]:
        message = f"there is no layout {unknown[0]!r}: layouts are {', '.join(LAYOUTS)}"
        raise ArgumentTypeError(message)
    return named


def _shard(text: str) -> str:
    """A shard's words, which can be handed to workers as they are."""
    try:
        return str(Shard.parse(text))
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _of(node: pytest.Item | pytest.Function, layouts: Sequence[str]) -> list[str]:
    """Those of some layouts that have what a scenario promises: all, where it names none by its marker."""
    marker = node.get_closest_marker("layouts")
    return [layout for layout in layouts if marker is None or layout in marker.args]


def _inapplicable(config: pytest.Config, item: pytest.Item) -> str | None:
    """Why a test is not for somebody's own deployment, or None where it is or that is not what is tested."""
    if not config.getoption("--compose") or not item.path.is_relative_to(SCENARIOS):
        return None
    layouts, ours = item.get_closest_marker("layouts"), item.get_closest_marker("ours")
    claim = Claim(
        fixtures=getattr(item, "fixturenames", ()),
        layouts=layouts.args if layouts else None,
        ours=str(ours.args[0]) if ours else None,
    )
    return applicability.left_out(claim, Allowance(faults=config.getoption("--allow-faults"), writes=True))


def _check_yours(config: pytest.Config) -> None:
    """What can be said of somebody's own deployment only where there is one, and what cannot be had with it."""
    if not config.getoption("--compose"):
        for option in ("--env-file", "--map", "--allow-faults"):
            if config.getoption(option):
                message = f"{option} is about your own deployment, which --compose FILE names"
                raise pytest.UsageError(message)
        return
    for option, given in (
        ("--layout", ("dev",)),
        ("--plan", None),
        ("--keep", False),
        ("--reuse", False),
        ("--with-fault", None),
        ("--engines", ()),
    ):
        if config.getoption(option) != given:
            message = f"{option} is about this project's own layouts, and --compose tests your own deployment"
            raise pytest.UsageError(message)
    if getattr(config.option, "numprocesses", None) not in (None, 0, 1):
        message = (
            "your own deployment has one set of names and addresses, so there can be only one worker: leave -n out"
        )
        raise pytest.UsageError(message)
    config.option.layout = (foreign.LAYOUT,)


def _is_left_out(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether a test takes long and others stand for it, on prod or but for a night, or is about another deployment."""
    if _inapplicable(config, item):
        return True
    if item.get_closest_marker("full") is not None and not config.getoption("--full"):
        return True
    thorough = item.get_closest_marker("thorough") is not None
    return thorough and _layout_of(item) == "prod" and not config.getoption("--thorough")


def _layout_of(item: pytest.Item) -> str:
    """The layout on which a test is run."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    layouts: tuple[str, ...] = item.config.getoption("--layout")
    chosen = parameters.get("layout")
    # The harness's own tests may have a parameter of that name too, which says nothing about a deployment.
    return chosen if chosen in layouts else layouts[0]


def _plans(config: pytest.Config, layout: str) -> tuple[AddressPlan, ...]:
    """The address plans of which this worker may take the first that is free.

    It is one only where it was named, and where a deployment is to be found again afterwards.
    """
    if layout == foreign.LAYOUT:
        return (_plan_of_yours(config),)
    number = int((_worker(config) or "gw0").removeprefix("gw"))
    first = config.getoption("--plan")
    if first is None and not config.getoption("--keep") and not config.getoption("--reuse"):
        return AddressPlan.choices(layout, number, getattr(config, "workerinput", {"workercount": 1})["workercount"])
    try:
        return (AddressPlan.of(layout, (first or 0) + number),)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


def _engines(words: str) -> tuple[str, ...]:
    """The engines that a command line names."""
    try:
        return berths.addresses(words)
    except ConfigurationError as error:
        raise ArgumentTypeError(str(error)) from error


def _engines_of(config: pytest.Config) -> Engines:
    """The engines of this worker: the same for all, each with another one first, in turn."""
    addresses = config.getoption("--engines")
    for option in ("--keep", "--reuse"):
        if addresses and config.getoption(option):
            raise pytest.UsageError(
                f"{option} does not go with --engines: what is left up is looked after on this machine's engine"
            )
    if addresses and "prod" in config.getoption("--layout"):
        raise pytest.UsageError(
            "--engines does not go with the prod layout, whose servers live on this machine's files"
        )
    number = int((_worker(config) or "gw0").removeprefix("gw"))
    return Engines(addresses, number, say=lambda line: _say(config, line))


def _plan_of_yours(config: pytest.Config) -> AddressPlan:
    """What the compose files of somebody's own deployment say that it takes."""
    files, environment = tuple(config.getoption("--compose")), config.getoption("--env-file")
    try:
        mapped = rolemap.read(config.getoption("--map"))
        return foreign.plan(configured.read(files, environment), files, environment, mapped)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error


def _fault(config: pytest.Config) -> Fault | None:
    """The fault that every scenario of this run has to live with, if one was asked for."""
    name = config.getoption("--with-fault")
    if name is None:
        return None
    found = {fault.name: fault for fault in (*catalogue(), *MUTANTS)}
    if name not in found:
        message = f"there is no fault {name!r}; there are: {'; '.join(sorted(found))}"
        raise pytest.UsageError(message)
    return found[name]


def _say(config: pytest.Config, line: str) -> None:
    """Show progress at once, past pytest's capture, also from an xdist worker."""
    capture = config.pluginmanager.getplugin("capturemanager")
    worker = _worker(config)
    text = f"\n{stamped(f'{worker} {line}' if worker else line)}"
    if capture is None:
        sys.stderr.write(text)
        return
    with capture.global_and_fixture_disabled():
        sys.stderr.write(text)
        sys.stderr.flush()
