from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness import cli
from harness.errors import HarnessError
from harness.faults import Fault, catalogue
from harness.model import Budget
from harness.score import mutation
from harness.score.mutants import MUTANTS
from harness.score.mutation import Run
from harness.waiting import wait_until

from .conftest import ROOT

UP = Budget(seconds=30, poll=0.05, reason="pytest that starts on a busy machine")
LOUD = Run(fault="MariaDB is stopped", failed=("test_a::one", "test_a::two"), ran=("test_a::one", "test_a::two"))
SILENT = Run(fault="no keepalive behind NAT", failed=(), ran=("test_a::one", "test_b::three"))
MANY = Run(
    fault="wg0 down", failed=tuple(f"test_c::{n}" for n in range(5)), ran=tuple(f"test_c::{n}" for n in range(5))
)

OPTIONS = """
def pytest_addoption(parser):
    for name in ("--plan", "--with-fault"):
        parser.addoption(name)
"""
ENDLESS = """
import signal
from harness import interrupts

def test_endless():
    interrupts.as_keyboard_interrupt(print)
    print("in the middle", flush=True)
    signal.pause()
"""
SCENARIOS = """
import pytest

def test_one():
    assert False

@pytest.mark.skip(reason="not on this machine")
def test_two(): ...
"""

JUNIT = """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="5">
<testcase classname="scenarios.test_tunnel" name="test_up" time="0.1" />
<testcase classname="scenarios.test_tunnel" name="test_ping[web]"><failure message="no">text</failure></testcase>
<testcase classname="scenarios.test_redis_access" name="test_set"><error message="set-up">text</error></testcase>
<testcase classname="scenarios.test_tunnel" name="test_ping[web]"><error message="its end">text</error></testcase>
<testcase classname="scenarios.test_redis_access" name="test_kernel"><skipped message="no kernel" /></testcase>
</testsuite></testsuites>
"""


def test_a_fault_that_nobody_notices_survives() -> None:
    """The suite's defects: faults that no scenario fails on, and scenarios that no fault fails."""
    document = mutation.summed_up([LOUD, SILENT, MANY])
    assert document["survivors"] == ["no keepalive behind NAT"]
    assert document["scenarios"] == 8
    assert document["never_failed"] == ["test_b::three"]
    assert document["faults"]["MariaDB is stopped"] == ["test_a::one", "test_a::two"]


def test_a_scenario_that_any_fault_fails_is_no_defect() -> None:
    """That another fault leaves it alone does not count against it."""
    assert "test_a::one" not in mutation.summed_up([SILENT, LOUD])["never_failed"]


def test_a_deployment_that_does_not_come_up_tells_nothing_of_a_scenario() -> None:
    """Of the fault it does: all scenarios have noticed it."""
    nowhere = Run(fault="no TUN", failed=("test_a::one",), ran=("test_a::one",), in_set_up=("test_a::one",))
    document = mutation.summed_up([nowhere])
    assert (document["survivors"], document["never_failed"]) == ([], ["test_a::one"])


def test_people_see_which_scenarios_fail() -> None:
    """A line for each fault with the first three, the survivors marked, and a list of what never fails."""
    assert mutation.text([LOUD, SILENT, MANY]).splitlines() == [
        "fault -> scenarios that fail",
        "  MariaDB is stopped: test_a::one, test_a::two",
        "X no keepalive behind NAT: nothing notices it",
        "  wg0 down: test_c::0, test_c::1, test_c::2 and 2 more",
        "",
        "2 of 3 faults are noticed by a scenario",
        "1 of 8 scenarios are failed by no fault:",
        "  test_b::three",
    ]


def test_results_are_read(tmp_path: Path) -> None:
    """Failures and errors of the set-up are noticed alike; what was skipped was not run."""
    path = tmp_path / "junit.xml"
    path.write_text(JUNIT, encoding="utf-8")
    found = mutation._read("a fault", path)
    assert found.failed == ("test_tunnel::test_ping[web]", "test_redis_access::test_set")
    assert found.ran == ("test_tunnel::test_up", *found.failed)
    assert found.skipped == ("test_redis_access::test_kernel",)
    assert found.in_set_up == ("test_redis_access::test_set",)
    assert found.told == {"test_tunnel::test_ping[web]"}


def test_in_brief_a_scenario_that_was_failed_is_asked_last_and_until_one_notices() -> None:
    """What no fault has failed comes first, and all of it; nothing is asked twice, and without a list all is."""
    every = {name: f"scenarios/{name}" for name in ("test_a::one", "test_a::two", "test_b::three")}
    portions = mutation._portions(every, [LOUD, SILENT])
    assert [(list(each.scenarios), each.enough > 1) for each in portions] == [
        (["scenarios/test_b::three"], True),
        (["scenarios/test_a::one", "scenarios/test_a::two"], False),
    ]
    assert [each.enough > 1 for each in mutation._portions(every, [])] == [True]
    three = Run(fault="c", failed=("test_b::three",), ran=())
    assert [(len(each.scenarios), each.enough) for each in mutation._portions(every, [LOUD, three])] == [(3, 1)]
    assert [len(each.scenarios) for each in mutation._portions({}, [LOUD])] == [0]


def test_what_none_has_failed_meets_the_faults_that_it_has_not_met() -> None:
    """A fault that is noticed by many ends before it has met all; mutants with modules of their own are left out."""
    every = {name: f"scenarios/{name}" for name in ("test_a::one", "test_b::three", "test_c::0")}
    own = Run(fault=MUTANTS[0].name, failed=("test_c::0",), ran=("test_c::0",))
    found = [LOUD, SILENT, own]
    assert mutation._own_modules(MUTANTS[0])
    assert mutation._unmet(every, found) == {"MariaDB is stopped": ["scenarios/test_b::three"]}
    (portion,) = mutation._portions_of(_fault("MariaDB is stopped"), every, found)
    assert (portion.scenarios, portion.enough) == (["scenarios/test_b::three"], 0)
    assert mutation._portions_of(_fault("no keepalive behind NAT"), every, found) == []
    again = Run(fault="MariaDB is stopped", failed=("test_b::three",), ran=("test_b::three",))
    joined = mutation._joined(found, again)
    assert [each.fault for each in joined] == [each.fault for each in found]
    assert joined[0].told == {"test_a::one", "test_a::two", "test_b::three"}
    assert mutation._unmet(every, joined) == {}


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A suite of a few quick scenarios, which need no deployment."""
    monkeypatch.setattr(mutation, "ROOT", tmp_path)
    monkeypatch.setattr(mutation, "RESULT", tmp_path / "reports" / "mutation.json")
    for folder, name, text in (("scenarios", "test_a.py", SCENARIOS), (".", "conftest.py", OPTIONS)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text, encoding="utf-8")
    (tmp_path / "reports").mkdir()
    return tmp_path


@pytest.mark.usefixtures("suite")
def test_in_brief_a_scenario_that_is_always_skipped_is_asked_once(capsys: pytest.CaptureFixture[str]) -> None:
    """It has met the fault: nobody asks it again, and a suite of nothing else has been run like any other."""
    asked = {"failed": ("test_a::test_one",), "ran": ("test_a::test_one",), "skipped": ("test_a::test_two",)}
    for faults in (["MariaDB is stopped"], ["MariaDB is stopped", "Redis is full"]):
        assert mutation.run(faults, 1, mutation.write, brief=True) == [Run(fault=fault, **asked) for fault in faults]
    said = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "MariaDB is stopped: 1 of 1 scenarios notice it",
        "Redis is full: 0 of 0 scenarios notice it",  # what none has failed yet comes first: it is skipped
        "Redis is full: 1 of 1 scenarios notice it",
    ]


def test_a_suite_is_interrupted_also_where_ctrl_c_is_ignored(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind the `&` of a script, whose children inherit it: the suite takes its deployment down all the same."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(mutation, "_PYTEST", (*mutation._PYTEST, "-s"))
    monkeypatch.setattr(mutation, "_CLEARING", 5.0)
    (suite / "scenarios" / "test_a.py").write_text(ENDLESS, encoding="utf-8")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with mutation._Suite(_fault("MariaDB is stopped"), 60, mutation._Portion()) as running:
            process = running._process
            wait_until("the scenario", lambda: process.output, lambda said: "in the middle" in said, within=UP)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.wait(timeout=0).exit_status == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in process.output


def _fault(name: str) -> Fault:
    return next(each for each in catalogue() if each.name == name)


def test_in_brief_a_run_goes_on_with_the_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was found is read as it was written; a record that is damaged, or of an older kind, is none."""
    monkeypatch.setattr(mutation, "RESULT", tmp_path / "mutation.json")
    assert mutation._recorded() == []
    runs = [replace(LOUD, in_set_up=("test_a::two",)), replace(SILENT, skipped=("test_a::two",))]
    mutation.write(runs)
    again = mutation._recorded()
    assert again == runs
    for damaged in ("{", "[]", "{}", '{"ran": [], "faults": {}}', '{"ran": [], "faults": {"a": []}, "in_set_up": {}}'):
        mutation.RESULT.write_text(damaged, encoding="utf-8")
        assert mutation._recorded() == []


def test_a_suite_without_results_ran_nothing(tmp_path: Path) -> None:
    """No file: then no scenario failed either, and the caller has to see that nothing was run."""
    found = mutation._read("a fault", tmp_path / "none.xml")
    assert (found.failed, found.ran) == ((), ())


@pytest.mark.parametrize("name", ["no such fault", "an extra idle peer"])
def test_a_fault_that_is_none_is_named(name: str) -> None:
    """Before anything is started; benign changes are none, for nobody may notice them."""
    with pytest.raises(HarnessError, match=f"there is no fault '{name}'; there are: .*MariaDB is stopped"):
        mutation.run([name], 1, lambda _runs: None)


@pytest.mark.parametrize(
    ("runs", "options", "status"),
    [
        ([LOUD], [], 0),
        ([LOUD, SILENT], [], 1),
        ([LOUD, Run(fault="b", failed=("test_a::one",), ran=("test_a::one", "test_d::four"))], [], 1),
        ([Run(fault="b", failed=("test_a::one",), ran=("test_a::one", "test_d::four"))], ["--fault", "b"], 0),
        ([SILENT], ["--fault", "x"], 1),
    ],
)
def test_the_exit_status_says_whether_anything_survives(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runs: list[Run],
    options: list[str],
    status: int,
) -> None:
    """1 for a survivor, or a scenario that no fault of the whole catalogue fails; of single faults nobody can tell."""

    def run(names: Sequence[str], jobs: int, _done: Callable[[Sequence[Run]], None], *, brief: bool) -> list[Run]:
        assert (list(names), jobs, brief) == (options[1:], 3, False)
        return runs

    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)
    monkeypatch.setattr(mutation, "run", run)
    assert cli.main(["score", "--mutation", "--jobs", "3", "--json", *options]) == status
    assert json.loads(capsys.readouterr().out) == mutation.summed_up(runs)
    assert cli.main(["score", "--mutation", "--jobs", "3", *options]) == status
    assert capsys.readouterr().out == mutation.text(runs)
