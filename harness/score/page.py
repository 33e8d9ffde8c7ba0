"""The doctor's score as one page of HTML that loads nothing, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from harness.score.record import HEALTHY, confusion, summed_up
from harness.trials import Trial

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --right: #2a78d61a; --wrong: #d6602a33; }
body { font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { border: 1px solid var(--line); padding: .15rem .5rem; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
.matrix th.column { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; font-weight: normal; }
.matrix td { text-align: center; min-width: 1.3rem; } .right { background: var(--right); font-weight: 600; }
.wrong { background: var(--wrong); font-weight: 600; } .none { color: #8888; }
"""


def page(trials: Sequence[Trial]) -> str:
    """The whole page."""
    document = summed_up(trials)
    single = [trial for trial in trials if len(trial.expected) <= 1]
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>The doctor's score</title>"
        f"<style>{_STYLE}</style></head><body><h1>The doctor's score</h1>"
        f"<p><b>{document['right']} of {document['faults']}</b> faults and pairs of faults named exactly, "
        f"<b>{document['false_alarms']}</b> false alarms in {document['benign']} benign changes and looks at the "
        f"healthy deployment.</p>"
        f"<h2>What was put in (rows), what was named (columns)</h2><div class='wide'>{_matrix(single)}</div>"
        f"<h2>Every trial</h2><div class='wide'>{_table(trials)}</div></body></html>"
    )


def _matrix(trials: Sequence[Trial]) -> str:
    matrix = confusion(trials)
    names = sorted({*matrix, *(column for columns in matrix.values() for column in columns)} - {HEALTHY})
    names = [HEALTHY, *names]
    head = "".join(f"<th class='column' scope='col'>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><th scope='row'>{escape(row)}</th>"
        + "".join(_cell(matrix[row].get(name, 0), right=name == row) for name in names)
        + "</tr>"
        for row in names
        if row in matrix
    )
    return f"<table class='matrix'><tr><td></td>{head}</tr>{rows}</table>"


def _cell(count: int, *, right: bool) -> str:
    """Right and wrong are told apart by a mark too, not by colour alone."""
    if not count:
        return "<td class='none'>·</td>"
    return f"<td class='right'>{count}</td>" if right else f"<td class='wrong' title='wrong'>{count}!</td>"


def _table(trials: Sequence[Trial]) -> str:
    head = "".join(
        f"<th scope='col'>{title}</th>"
        for title in ("", "put in", "named", "seconds to symptom", "to diagnosis", "to recovery")
    )
    return f"<table><tr>{head}</tr>{''.join(map(_row, trials))}</table>"


def _row(trial: Trial) -> str:
    named = ", ".join(sorted(trial.found)) if trial.found is not None else "the doctor was not asked"
    mark = "<td class='right'>right</td>" if trial.right else "<td class='wrong'>WRONG</td>"
    times = "".join(
        f"<td class='number'>{f'{seconds:.2f}' if seconds is not None else '–'}</td>"  # noqa: RUF001 (a dash is meant)
        for seconds in (trial.symptom, trial.diagnosis, trial.recovery)
    )
    return f"<tr>{mark}<td>{escape(trial.fault)}</td><td>{escape(named) or 'nothing'}</td>{times}</tr>"
