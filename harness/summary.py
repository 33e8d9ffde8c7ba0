"""What a run says at its end: how long bring-ups took, what took longest, why tests failed, where the report is.

What a worker knows travels to the terminal with pytest's own reports, as properties of theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

ROOT_CAUSE = "root cause"
"""The property of a failed test's report that says what the doctor found at that moment."""
BRING_UP = "bring-up"
"""The property of the report of the first test that a deployment was brought up for."""
ENGINE = "engine"
"""The property of each test's report that says on which of several Docker engines it was."""
LOST = "lost engine"
"""The property of the report of a test during which its engine was lost: which one, and why."""

NOT_ASKED = "the doctor was not asked"
_SLOWEST = 5
_SLOW = 1.0  # seconds; what is quicker is nothing to look into


class Report(Protocol):
    """What is used of pytest's report of one phase of a test."""

    @property
    def nodeid(self) -> str:
        """The test."""

    @property
    def when(self) -> str | None:
        """The phase: setup, call or teardown."""

    @property
    def duration(self) -> float:
        """Seconds."""

    @property
    def user_properties(self) -> Sequence[tuple[str, object]]:
        """Names and values that were added to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BringUp:
    """One deployment that came up. `seconds` are all that a test had to wait; `reason` is why it was made anew."""

    layout: str
    seconds: float
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.layout} {self.seconds:.1f} s{f', made anew: {self.reason}' if self.reason else ''}"


def lines(reports: Iterable[Report], failed: Iterable[Report], written: Mapping[str, str]) -> list[str]:
    """The summary, a line each; none where nothing was run.

    `reports` are those of every phase, `failed` those that failed or erred, `written` what is where.
    """
    seen = list(reports)
    if not seen:
        return []
    return [
        *_paragraph("bring-up", _bring_ups(seen)),
        *_paragraph("engines", _engines(seen)),
        *_paragraph("slowest", _slowest(seen)),
        *_paragraph("causes", _causes(failed)),
        *_paragraph("report", (f"{what}: {where}" for what, where in written.items())),
    ]


def _paragraph(title: str, said: Iterable[str]) -> Iterator[str]:
    for line in said:
        yield f"{title:<10}{line}"
        title = ""


def _bring_ups(reports: Iterable[Report]) -> Iterator[str]:
    for report in reports:
        for value in (value for name, value in report.user_properties if name == BRING_UP):
            worker = getattr(report, "worker_id", None)
            yield f"{worker} {value}" if worker else str(value)


def _engines(reports: Sequence[Report]) -> Iterator[str]:
    tests = Counter(value for report in reports for name, value in report.user_properties if name == ENGINE)
    for engine, number in sorted(tests.items(), key=str):
        yield f"{engine}: {number} tests"
    yield from dict.fromkeys(str(value) for report in reports for name, value in report.user_properties if name == LOST)


def _slowest(reports: Iterable[Report]) -> Iterator[str]:
    calls = sorted((each for each in reports if each.when == "call"), key=lambda each: -each.duration)
    for report in calls[:_SLOWEST]:
        if report.duration >= _SLOW:
            yield f"{report.duration:6.1f} s  {report.nodeid}"


def _causes(failed: Iterable[Report]) -> Iterator[str]:
    """A test can fail twice, in itself and in what comes after it: what the doctor found is said once.

    What many have in common is told of the first of them; pytest's own summary names them all.
    """
    causes: dict[str, str] = {}
    for report in failed:
        found = dict(report.user_properties).get(ROOT_CAUSE)
        if found is not None or report.nodeid not in causes:
            causes[report.nodeid] = str(found or NOT_ASKED)
    tests: dict[str, list[str]] = {}
    for nodeid, cause in causes.items():
        tests.setdefault(cause, []).append(nodeid)
    for cause, (first, *others) in tests.items():
        yield f"{first}, and of {len(others)} more" if others else first
        yield f"    {cause}"
