"""Every known fault shows, is named by the doctor as what it is, and can be undone without a trace.

The doctor is told nothing: it looks at the deployment as it would at anybody's. `python -m harness score` prints how
well it did.
"""

from __future__ import annotations

import pytest
from _pytest.mark.structures import ParameterSet

from harness import disruptions
from harness.addresses import LAYOUTS
from harness.diagnosis.judgement import judge
from harness.experiment import Experiment
from harness.faults import Fault, catalogue
from harness.foreign.plan import LAYOUT
from harness.snapshot import collect

CATALOGUE = {fault.name: fault for fault in catalogue()}

PAIRS = (
    ("MariaDB's DNAT rule is deleted", "Redis is paused"),
    ("NAT rules flushed at run time", "private key readable by all"),
    ("FORWARD drops MariaDB's packets", "Redis in protected mode"),
    ("no MASQUERADE", "Redis wants a password that the apps do not have"),
    ("MASQUERADE on the wrong interface", "a second path from web to services-net"),
    ("another rule shadows the DNAT", "missing grant"),
    ("forward to a wrong destination", "Redis listens on loopback only"),
    ("udp for tcp", "no keepalive behind NAT"),
    ("ip_forward is 0", "MariaDB is stopped"),
    ("web holds a wrong services key", "database password changed on the server"),
    ("services holds a wrong web key", "private key readable by all"),
    ("allowed IPs lack the peer, on web", "Redis is paused"),
    ("wrong endpoint address", "missing grant"),
    ("UDP port blocked", "MariaDB is stopped"),
    ("web is stopped", "underlay cut"),
    ("path MTU black hole", "a second path from web to services-net"),
    ("40 % loss on the underlay", "Redis in protected mode"),
    ("services' tunnel address is missing", "database password changed on the server"),
    ("mariadb instead of 10.100.0.11 at web", "Redis listens on loopback only"),
    ("preshared keys differ", "MariaDB is stopped"),
)
"""Two unlike things at once, of which neither explains the other."""


REPRESENTATIVES = frozenset(
    {
        *("web holds a wrong services key", "UDP port blocked"),
        *("MariaDB's DNAT rule is deleted", "DB_HOST instead of DATABASE_HOST", "MariaDB is stopped"),
        *("web's gateway restarted alone", "private key readable by all", "nginx is stopped", "another keepalive"),
        "nginx passes requests on to another port",
        "the services server's UDP port is unpublished",
    }
)
"""One of each kind, for the prod layout, where all of them take a quarter of an hour (`--thorough`)."""

LOOKS = {"dev": 20, "prod": 5, LAYOUT: 5}
"""How often a healthy deployment is looked at. On prod a look asks two engines and takes longer."""


def _case(*names: str) -> ParameterSet:
    """A case of faults, marked with the layouts that have all of them, and `thorough` where others stand for it."""
    layouts = [layout for layout in LAYOUTS if all(layout in CATALOGUE[name].layouts for name in names)]
    layouts += [LAYOUT] if all(CATALOGUE[name].anywhere for name in names) else []
    marks = [pytest.mark.layouts(*layouts)]
    if not set(names) <= REPRESENTATIVES:
        marks.append(pytest.mark.thorough)
    return pytest.param(*names, marks=marks, id=" and ".join(names))


FAULTS = [_case(name) for name, fault in CATALOGUE.items() if not fault.benign]
BENIGN = [_case(name) for name, fault in CATALOGUE.items() if fault.benign]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(experiment: Experiment, name: str) -> None:
    """The fault's symptom shows, the doctor names its root and no other, and afterwards everything is as it was."""
    fault = available(experiment, name)
    with experiment.inject(fault):
        experiment.show_symptom()
        diagnosis = experiment.diagnose()
        assert diagnosis.roots == fault.roots, diagnosis.findings


@pytest.mark.parametrize("name", BENIGN)
def test_a_benign_change_is_no_fault(experiment: Experiment, name: str) -> None:
    """The doctor looks at a deployment with the change in it, and finds no error."""
    change = available(experiment, name)
    with experiment.inject(change):
        diagnosis = experiment.diagnose()
        assert not diagnosis.errors, diagnosis.findings
        assert diagnosis.roots <= change.tolerated, diagnosis.findings
        assert diagnosis.status != "unknown", diagnosis.unknown


@pytest.mark.parametrize(("first", "second"), [_case(*pair) for pair in PAIRS])
def test_two_faults_at_once_are_both_named(experiment: Experiment, first: str, second: str) -> None:
    """With two unlike faults in, the doctor names both roots, and nothing that follows from either."""
    faults = available(experiment, first), available(experiment, second)
    with experiment.inject(*faults):
        experiment.show_symptom()
        diagnosis = experiment.diagnose()
        assert diagnosis.roots == faults[0].roots | faults[1].roots, diagnosis.findings


def test_the_healthy_deployment_gives_no_alarm(experiment: Experiment) -> None:
    """20 times in a row, on prod 5, the doctor finds nothing wrong where nothing is."""
    for look in range(LOOKS[experiment.deployment.plan.layout]):
        diagnosis = experiment.check_up()
        assert diagnosis.status == "healthy", f"look {look}: {diagnosis}"
        assert not diagnosis.findings, f"look {look}: {diagnosis.findings}"


@pytest.mark.layouts("prod")
def test_a_server_whose_engine_is_silent_is_never_called_healthy(experiment: Experiment) -> None:
    """While the services server stands still the doctor says that it could not see it, and is well when it is back."""
    server = experiment.deployment.engine.container(experiment.deployment.machine("redis"))
    with experiment.disturbance("the services server stands still") as undo:
        undo.callback(disruptions.shake_hands_anew, experiment.deployment)
        undo.callback(server.unpause)
        server.pause()
        diagnosis = judge(collect(experiment.deployment))
        assert diagnosis.status == "unknown", diagnosis.findings
        assert any("engine of services does not answer" in line for line in diagnosis.unknown), diagnosis.unknown


def available(experiment: Experiment, name: str) -> Fault:
    """The fault of that name; where it cannot be put into this deployment the scenario is skipped, with the reason."""
    fault = CATALOGUE[name]
    if reason := fault.unavailable(experiment.deployment):
        pytest.skip(reason)
    return fault
