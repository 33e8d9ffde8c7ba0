"""The tests that cannot be relied on, as the body of one page of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from harness.drawings.sheet import table
from harness.nights.history import Flaky, Night

_NIGHTS_SHOWN = 10


def page(tests: Sequence[Flaky], nights: Sequence[Night]) -> str:
    """The page's body: flaky tests first, then how each leg of the last nights ended."""
    return (
        f"<p>Of the last {len(nights)} nights. A test is here when it passed only on retry, "
        f"or ended differently on one commit, or failed between nights in which it passed.</p>"
        f"{_flaky(tests)}<h2>The last nights</h2>{_nights(nights[-_NIGHTS_SHOWN:])}"
    )


def _flaky(tests: Sequence[Flaky]) -> str:
    if not tests:
        return "<p><b>None.</b></p>"
    rows = (
        (
            each.test,
            each.leg,
            f"{each.failed} of {each.nights}",
            str(each.retried),
            each.last,
            each.cause or "not named",
        )
        for each in tests
    )
    return table(["test", "leg", "failed", "passed on retry", "last", "root cause"], list(map(_row, rows)))


def _nights(nights: Sequence[Night]) -> str:
    legs = sorted({leg for night in nights for leg in night.legs})
    rows = ((f"{night.date} {night.commit[:10]}", *(_end(night, leg) for leg in legs)) for night in reversed(nights))
    return table(["night", *legs], list(map(_row, rows)))


def _end(night: Night, leg: str) -> str:
    outcome = night.legs.get(leg)
    if outcome is None:
        return "not run"
    retried = f", {len(outcome.retried)} on retry" if outcome.retried else ""
    failed = f"{len(outcome.failed)} FAILED of {outcome.tests}" if outcome.failed else f"{outcome.tests} ended well"
    return failed + retried


def _row(cells: Iterable[str]) -> str:
    return "".join(f"<td>{escape(cell)}</td>" for cell in cells)
