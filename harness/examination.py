"""Looks that can be relied upon: what a look shows once may be gone at the next.

A machine that stands still for a second lets a connection time out with which nothing is wrong. To look changes
nothing, so what may be no more than that is looked at again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from harness.diagnosis.comparison import differences, portrait
from harness.diagnosis.evidence import Snapshot, UnseenError
from harness.diagnosis.facts import Facts
from harness.diagnosis.judgement import UNDIAGNOSED, Diagnosis, judge
from harness.model import Budget, Finding
from harness.waiting import Deadline

Look = Callable[[], Snapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was seen, and what it shows.

    `passed` is what failed at a first look for no known reason, and then no more, a line each; `first` is that look,
    None where one was enough.
    """

    snapshot: Snapshot
    diagnosis: Diagnosis
    passed: tuple[str, ...] = ()
    first: Snapshot | None = None


def examined(look: Look) -> Examination:
    """Look and judge; where something fails for no reason that a rule knows, look once more, which then counts.

    What fails for no known reason in the second look too is `undiagnosed`.
    """
    first = look()
    diagnosis = judge(first)
    if UNDIAGNOSED not in diagnosis.roots:
        return Examination(snapshot=first, diagnosis=diagnosis)
    open_questions = [finding for finding in diagnosis.findings if finding.rule == UNDIAGNOSED]
    seen = look()
    diagnosis = judge(seen)
    passed = tuple(each.evidence[0] for each in open_questions if not _is_among(each, diagnosis.findings))
    return Examination(snapshot=seen, diagnosis=diagnosis, passed=passed, first=first)


def _is_among(finding: Finding, others: Iterable[Finding]) -> bool:
    """Whether something is wrong with the same node or on the same path, whatever it is called."""
    return any(finding.node == other.node or finding.paths & other.paths for other in others)


def steady(
    look: Look, within: Budget, on_again: Callable[[tuple[str, ...], Snapshot], None] = lambda _late, _seen: None
) -> Snapshot:
    """A look in which no application's try has timed out, or that shows the same as the one before it.

    For what is to be compared with another look. `on_again` is told what has timed out, a line for each try, and in
    which look, when another one is taken. When the time is up the last one is as good as any.
    """
    deadline = Deadline(within.seconds)
    seen = look()
    while (late := tuple(_timed_out(seen))) and not deadline.passed:
        on_again(late, seen)
        before, seen = seen, look()
        if not differences(portrait(before), portrait(seen)):
            break
    return seen


def _timed_out(snapshot: Snapshot) -> Iterator[str]:
    for app in Facts(snapshot).apps:
        with contextlib.suppress(UnseenError):
            yield from (f"{app.service}→{name}: {reach}" for name, reach in app.reaches.items() if reach.timed_out)
