"""A session of pytest from its first look at the machine to the last line that it prints."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pytest
from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import (
    applicability,
    capacity,
    interrupts,
    layouts,
    lifecycle,
    orphans,
    performance,
    reporting,
    residue,
    summary,
)
from harness.engine import Engine
from harness.errors import EXIT_PREREQUISITE, HarnessError, PrerequisiteError
from harness.plugin.invocation import (
    ENGINE_TESTS,
    LEFT_OUT,
    REPORTS,
    SCENARIOS,
    SESSION,
    STAGES,
    UNIT_TESTS,
    runs,
    say,
    shows_only,
    worker,
)
from harness.plugin.options import check_expressions, check_layouts, check_yours, engines_of, fault_of, plans_of
from harness.score import page as scorepage
from harness.score import record as scoring
from harness.stage import Stage

_RESULTS = REPORTS / "results"
_TO_BEGIN = pytest.StashKey[Path]()
"""In the controller of a session that may run scenarios, until it does: the folder of its results, where it is ours."""


class _Worker(Protocol):
    """A worker as xdist's controller has it; xdist itself may be absent."""

    config: pytest.Config


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Refuse what does not go together, before anything is started, and say where results are to be."""
    interrupts.as_keyboard_interrupt(lambda line: say(config, line))
    orphans.mark_children()
    check_expressions(config)
    check_layouts(config)
    check_yours(config)
    config.stash[LEFT_OUT] = []
    engines = engines_of(config)
    config.stash[STAGES] = {
        layout: Stage(
            plans=plans_of(config, layout),
            keep=config.getoption("--keep"),
            reuse=config.getoption("--reuse"),
            fault=fault_of(config),
            engines=engines,
            say=lambda line: say(config, line),
        )
        for layout in config.getoption("--layout")
    }
    if shows_only(config) or not runs(config, SCENARIOS):
        return
    if not worker(config):
        scoring.begin()  # of which workers know by what they inherit
        config.option.xmlpath = config.option.xmlpath or str(REPORTS / "junit.xml")
        if not config.option.allure_report_dir:
            config.stash[_TO_BEGIN] = _RESULTS
    config.option.allure_report_dir = config.option.allure_report_dir or str(_RESULTS)


def _begin_results(config: pytest.Config) -> None:
    """Let the results of this session take the place of the last one's, once it is certain that it has tests to run.

    Workers only add: one that cleaned would take the others' results away. Nor does a session clean that writes
    elsewhere.
    """
    if (ours := config.stash.get(_TO_BEGIN, None)) is None:
        return
    del config.stash[_TO_BEGIN]
    shutil.rmtree(ours, ignore_errors=True)
    ours.mkdir(parents=True)  # where Allure, which has made it before, is about to write


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: _Worker, ids: Sequence[str]) -> None:
    """A worker has collected: the first test is handed out when all of them have."""
    if ids:
        _begin_results(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """What `-n auto` means where each worker has a deployment: as many as cores and memory carry."""
    if not runs(config, SCENARIOS, ENGINE_TESTS):
        return None
    cores, memory = capacity.here()
    return capacity.workers(config.getoption("--layout"), cores=cores, memory=memory)


def pytest_report_header(config: pytest.Config) -> str:
    """Name what is tested."""
    shard = f", shard {given}" if (given := config.getoption("--shard")) else ""
    engines = f", engines {', '.join(given)}" if (given := config.getoption("--engines")) else ""
    return f"layout: {', '.join(config.getoption('--layout'))}{shard}{engines}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """A session that hands its tests to workers does not see whether they use an engine: all but unit tests may."""
    config = session.config
    if worker(config) or shows_only(config) or not config.getoption("numprocesses", None):
        return
    if not runs(config, SCENARIOS, ENGINE_TESTS, UNIT_TESTS):  # of the first two it is known later, of these never
        config.stash[SESSION] = session


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Stop with exit status 10 before anything is started when a prerequisite is missing."""
    config = session.config
    if worker(config) or shows_only(config) or not runs(config, SCENARIOS, ENGINE_TESTS):
        return
    for stage in config.stash[STAGES].values():
        _prepare(stage)
    config.stash[SESSION] = session
    if session.items and (not session.testsfailed or config.option.continue_on_collection_errors):
        _begin_results(config)


def _prepare(stage: Stage) -> None:
    try:
        stage.prepare()
    except PrerequisiteError as error:
        pytest.exit(f"\n{stage.erased(str(error))}", returncode=EXIT_PREREQUISITE)
    except HarnessError as error:
        pytest.exit(f"\n{stage.erased(str(error))}", returncode=pytest.ExitCode.INTERNAL_ERROR)
    except (DockerException, RequestException) as error:
        reason = f"the Docker engine stopped answering or refused: {error}; see whether it runs (docker info)"
        pytest.exit(f"\n{stage.erased(reason)}", returncode=EXIT_PREREQUISITE)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Add pages on the doctor's score and on the bench, once all workers are done."""
    config = session.config
    if worker(config) or shows_only(config) or not runs(config, SCENARIOS):
        return
    results, layouts = Path(config.option.allure_report_dir), " and ".join(config.getoption("--layout"))
    reporting.tidy(results)
    _add_score(config, results, layouts)
    _add_performance(config, results, layouts)


def _add_score(config: pytest.Config, results: Path, layouts: str) -> None:
    try:
        trials = scoring.recorded_now()
    except ValueError as error:  # a worker that was killed leaves half a line
        say(config, f"the report has no page of the doctor's score: {error}")
        return
    if trials:
        scoring.write(trials)
        passed = all(trial.right for trial in trials)
        reporting.add_page(
            results, title="The doctor's score", body=scorepage.page(trials), passed=passed, layout=layouts
        )


def _add_performance(config: pytest.Config, results: Path, layouts: str) -> None:
    try:
        benches = performance.documents()
    except ValueError as error:
        say(config, f"the report has no page of performance: {error}")
        return
    if benches:
        # Passed whatever it says: whether a target is met is the bench's own verdict, of another time.
        body = performance.page(benches)
        reporting.add_page(results, title="Performance", body=body, passed=True, layout=layouts)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Whatever way the session ended, nothing that it started and did not keep stays, and no report shows a secret."""
    stages = config.stash.get(STAGES, {}).values()
    secrets = {secret for stage in stages for secret in stage.secrets}
    if not worker(config):  # a worker that was killed has taken out none
        secrets |= layouts.every_secret()
    if secrets and config.option.allure_report_dir:  # all layouts' results are in one folder: it is read once
        reporting.remove_secrets(Path(config.option.allure_report_dir), secrets)
    for stage in stages:
        if stage.current is not None:
            _take_down(config, stage.current.engine)
    for engines in {stage.engines for stage in stages}:  # which all stages share
        engines.close()
    if not worker(config) and (session := config.stash.get(SESSION, None)):
        _see_that_nothing_is_left(session)


def _take_down(config: pytest.Config, engine: Engine) -> None:
    try:
        lifecycle.remove_own(engine, say=lambda line: say(config, line))
    except (HarnessError, DockerException, RequestException, OSError) as error:
        say(config, f"could not be taken down: {error}; the next run, or `make sweep`, removes it")
        if (session := config.stash.get(SESSION, None)) is not None:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def _see_that_nothing_is_left(session: pytest.Session) -> None:
    """Once nothing of the session runs any more: what is still there is told, and fails it."""
    elsewhere = bool(session.config.getoption("--engines"))
    found = residue.settle(elsewhere=elsewhere, say=lambda line: say(session.config, line))
    for line in found:
        say(session.config, f"left behind: {line}")
    if found and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what a reader wants to know first: what was left out, times, root causes, and where the report is."""
    if left_out := config.stash[LEFT_OUT]:
        terminalreporter.section("not for your own deployment")
        for line in applicability.summary(left_out):
            terminalreporter.line(line)
    if shows_only(config) or not runs(config, SCENARIOS, ENGINE_TESTS):
        return
    stats = terminalreporter.stats
    reports = [each for found in stats.values() for each in found if isinstance(each, pytest.TestReport)]
    failed = [*stats.get("failed", []), *stats.get("error", [])]
    written = reporting.written(config.option.allure_report_dir, config.option.xmlpath)
    if said := summary.lines(reports, failed, written):
        terminalreporter.section("deployment")
        for line in said:
            terminalreporter.line(line)
