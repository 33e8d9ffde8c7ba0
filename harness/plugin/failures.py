"""What a test has done is told in the report, and what made it fail is looked for while it is still there."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Generator

import pytest

from harness import capture, reporting
from harness.plugin.invocation import SCENARIOS, STAGES
from harness.plugin.selection import layout_of
from harness.stage import Stage
from harness.summary import BRING_UP, ENGINE, LOST, ROOT_CAUSE


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
    stage = item.config.stash[STAGES][layout_of(item)]
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
            examine(stage, item)  # an experiment has done so itself, before it undid what it had done
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
    if (clean := stage.erased(shown)) != shown:  # a failed assertion shows its operands
        report.longrepr = clean
    report.sections = [(title, stage.erased(text)) for title, text in report.sections]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """With an engine all is lost that tests have set up on it, of whatever scope: the next one begins anew."""
    if item.config.stash[STAGES][layout_of(item)].lost is not None:
        with contextlib.suppress(Exception):  # what it complains of is that the engine is not there
            item.session._setupstate.teardown_exact(None)  # noqa: SLF001 (pytest knows no other way)


def examine(stage: Stage, item: pytest.Item) -> None:
    """Have the doctor look at the deployment in which a test has just failed."""
    if stage.current is None:
        return
    if stage.fault is not None and not item.config.getoption("--examine"):  # what is broken on purpose is known
        return
    try:
        found = reporting.attach_evidence(stage.current, promise(item), stage.baseline)
        stage.root_cause = stage.erased(found)
    except Exception as error:  # noqa: BLE001 (the test's own failure must not be hidden by this one)
        stage.root_cause = stage.erased(f"no evidence could be collected: {error}")
        reporting.attach("no evidence could be collected", str(error))


def promise(item: pytest.Item) -> str:
    """What a scenario promises: its docstring."""
    return inspect.getdoc(getattr(item, "function", None)) or item.name
