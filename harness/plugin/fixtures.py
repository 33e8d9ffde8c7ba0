"""What scenarios and the tests that need an engine are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import reporting, surroundings
from harness.budgets import NO_RECOVERY, RECOVERY
from harness.engine import Engine
from harness.errors import HarnessError, NotPutInError
from harness.experiment import Experiment
from harness.plugin.failures import examine, promise
from harness.plugin.invocation import SCENARIOS, SESSION, STAGES, runs, worker
from harness.plugin.selection import layout_of
from harness.production import Production
from harness.score import record as scoring
from harness.stage import Stage
from harness.trials import Trial

if TYPE_CHECKING:
    from harness.deployment import Deployment


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
    try:
        held = stage.deployment()
    except NotPutInError as error:  # and so what the others make of it says nothing
        pytest.exit(f"\n{stage.erased(str(error))}", returncode=pytest.ExitCode.INTERNAL_ERROR)
    except HarnessError as error:  # told in full by the first test, and by the others in a line
        stage.root_cause = stage.impossible
        if stage.impossible is not None:
            reporting.blame("no deployment could be brought up")
        raise pytest.fail.Exception(str(error), pytrace=False) from None
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
        on_failure=lambda: examine(stage, request.node),
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
    layout = layout_of(request.node)
    feature = (request.module.__doc__ or request.module.__name__).strip().splitlines()[0].rstrip(".")
    reporting.describe(
        epic=f"{layout} layout",
        feature=feature,
        promise=promise(request.node),
        layout=layout,
        title=request.node.name,
        case=request.node.callspec.id if hasattr(request.node, "callspec") else None,
    )


def _record(config: pytest.Config, trial: Trial) -> None:
    """Keep what became of a fault, for the score of this run's scenarios."""
    if runs(config, SCENARIOS):
        scoring.record(trial, worker(config) or "main")
