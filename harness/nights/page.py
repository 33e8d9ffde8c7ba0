"""The tests that cannot be relied on, as one page of HTML that loads nothing, for the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from harness.nights.history import Flaky, Night

_STYLE = """
:root { color-scheme: light dark; --line: #8886; }
body { font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; } h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; }
table { border-collapse: collapse; } th, td { border: 1px solid var(--line); padding: .15rem .5rem; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
"""
_NIGHTS_SHOWN = 10


def page(tests: Sequence[Flaky], nights: Sequence[Night]) -> str:
    """The whole page: flaky tests first, then how each leg of the last nights ended."""
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>Flaky tests</title><style>{_STYLE}</style></head>"
        f"<body><h1>Flaky tests</h1><p>Of the last {len(nights)} nights. A test is here when it passed only on retry, "
        f"or ended differently on one commit, or failed between nights in which it passed.</p>"
        f"{_flaky(tests)}<h2>The last nights</h2>{_nights(nights[-_NIGHTS_SHOWN:])}</body></html>"
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
    return _table(("test", "leg", "failed", "passed on retry", "last", "root cause"), rows)


def _nights(nights: Sequence[Night]) -> str:
    legs = sorted({leg for night in nights for leg in night.legs})
    rows = ((f"{night.date} {night.commit[:10]}", *(_end(night, leg) for leg in legs)) for night in reversed(nights))
    return _table(("night", *legs), rows)


def _end(night: Night, leg: str) -> str:
    outcome = night.legs.get(leg)
    if outcome is None:
        return "not run"
    retried = f", {len(outcome.retried)} on retry" if outcome.retried else ""
    failed = f"{len(outcome.failed)} FAILED of {outcome.tests}" if outcome.failed else f"{outcome.tests} ended well"
    return failed + retried


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope='col'>{escape(title)}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"
