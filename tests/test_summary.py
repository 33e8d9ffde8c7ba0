from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.summary import BRING_UP, ENGINE, LOST, NOT_ASKED, ROOT_CAUSE, BringUp, lines

WRITTEN = {"page": "somewhere", "JUnit": "reports/junit.xml"}


@dataclass(kw_only=True)
class Phase:
    """One phase of a test, as pytest and xdist report it."""

    nodeid: str = "scenarios/test_one.py::test_it"
    when: str | None = "call"
    duration: float = 0.1
    user_properties: Sequence[tuple[str, object]] = ()
    worker_id: str | None = None


def failed(cause: str | None, nodeid: str = "scenarios/test_one.py::test_it") -> Phase:
    return Phase(nodeid=nodeid, user_properties=[(ROOT_CAUSE, cause)] if cause else [])


def test_a_run_of_nothing_says_nothing() -> None:
    assert lines([], [], WRITTEN) == []


def test_bring_ups_are_told_with_worker_time_and_reason() -> None:
    """A deployment that was made anew cost that time twice: the reader is told why."""
    first, again = (
        BringUp(layout="dev", seconds=4.26),
        BringUp(layout="prod", seconds=31, reason="web did not come back"),
    )
    reports = [
        Phase(when="setup", worker_id="gw0", user_properties=[(BRING_UP, str(first))]),
        Phase(when="setup", user_properties=[("other", 1), (BRING_UP, str(again))]),
        Phase(),
    ]
    assert lines(reports, [], {}) == [
        "bring-up  gw0 dev 4.3 s",
        "          prod 31.0 s, made anew: web did not come back",
    ]


def test_each_engine_has_its_number_of_tests_and_a_lost_one_its_reason() -> None:
    """Where several were named; a loss is said once, however often it was reported."""
    gone = (LOST, "the Docker engine of b was lost during this test: SSH has ended")
    reports = [
        Phase(user_properties=[(ENGINE, "b"), gone]),
        Phase(when="teardown", user_properties=[gone]),
        Phase(user_properties=[(ENGINE, "a")]),
        Phase(user_properties=[(ENGINE, "a")]),
    ]
    assert lines(reports, [], {}) == ["engines   a: 2 tests", "          b: 1 tests", f"          {gone[1]}"]


def test_the_slowest_scenarios_come_first_and_quick_ones_not_at_all() -> None:
    """Five at most, longest first; setup and teardown are no scenario's own time."""
    seconds = [2, 30, 0.9, 7, 1.0, 3, 4]
    calls = [Phase(nodeid=f"test_{each}", duration=each) for each in seconds]
    said = lines([*calls, Phase(nodeid="test_setup", when="setup", duration=99)], [], {})
    assert said[0] == "slowest     30.0 s  test_30"
    assert [line.split()[-1] for line in said] == ["test_30", "test_7", "test_4", "test_3", "test_2"]
    assert lines([Phase(duration=0.99)], [], {}) == []


def test_every_failure_has_its_root_cause_once() -> None:
    """What failed in itself and once more after it is one failure; where nobody was asked, that is said."""
    said = lines([Phase()], [failed("backend-down at mariadb"), failed(None), failed(None, "test_two")], WRITTEN)
    assert said == [
        "causes    scenarios/test_one.py::test_it",
        "              backend-down at mariadb",
        "          test_two",
        f"              {NOT_ASKED}",
        "report    page: somewhere",
        "          JUnit: reports/junit.xml",
    ]


def test_a_cause_that_many_have_in_common_is_told_once() -> None:
    """Where no deployment comes up, hundreds of tests fail for one reason."""
    said = lines([Phase()], [failed("one"), failed("other", "test_two"), failed("one", "test_three")], {})
    assert said == [
        "causes    scenarios/test_one.py::test_it, and of 1 more",
        "              one",
        "          test_two",
        "              other",
    ]


def test_a_cause_that_is_known_later_is_not_lost() -> None:
    """The first of two failures of a test may be the one that the doctor was not asked about."""
    assert lines([Phase()], [failed(None), failed("path-mtu")], {})[-1].strip() == "path-mtu"
