"""Every known fault shows, is named by the doctor as what it is, and can be undone without a trace.

The doctor is told nothing: it looks at the deployment as it would at anybody's. `python -m harness score` prints how
well it did.
"""

from __future__ import annotations

import itertools

import pytest

from harness.experiment import Experiment
from harness.faults import Fault, catalogue

FAULTS = [fault for fault in catalogue() if not fault.benign]
BENIGN = [fault for fault in catalogue() if fault.benign]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_named(experiment: Experiment, fault: Fault) -> None:
    """The fault's symptom shows, the doctor names its root and no other, and afterwards everything is as it was."""
    skip_unavailable(experiment, fault)
    with experiment.inject(fault):
        experiment.show_symptom()
        diagnosis = experiment.diagnose()
        assert diagnosis.roots == fault.roots, [finding for finding in diagnosis.findings if finding.root]
        assert diagnosis.status == "faulty" or not diagnosis.errors


@pytest.mark.parametrize("change", BENIGN, ids=lambda change: change.name)
def test_a_benign_change_is_no_fault(experiment: Experiment, change: Fault) -> None:
    """The doctor sees the change and finds no error in it."""
    skip_unavailable(experiment, change)
    with experiment.inject(change):
        diagnosis = experiment.diagnose()
        assert diagnosis.roots <= change.tolerated, diagnosis.findings
        assert diagnosis.status == "healthy"


def skip_unavailable(experiment: Experiment, *faults: Fault) -> None:
    """Skip what cannot be put into this deployment, with the reason."""
    for reason in filter(None, (fault.unavailable(experiment.deployment) for fault in faults)):
        pytest.skip(reason)


_ = itertools
