"""The doctor's score as the body of one page of HTML that loads nothing, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import median

from harness.drawings.sheet import table
from harness.score.record import HEALTHY, confusion, summed_up
from harness.trials import Trial

_STEPS = {"symptom": "to its symptom", "diagnosis": "to the diagnosis", "recovery": "to recovery"}


def page(trials: Sequence[Trial]) -> str:
    """The page's body: how many were right, which was taken for which, and how long each step took."""
    document = summed_up(trials)
    single = [trial for trial in trials if len(trial.expected) <= 1]
    return (
        f"<p><b>{document['right']} of {document['faults']}</b> faults and pairs of faults named exactly, "
        f"<b>{document['false_alarms']}</b> false alarms in {document['benign']} benign changes and looks at the "
        f"healthy deployment.</p>"
        f"<h2>What was put in (rows), what was named (columns)</h2><div class='wide'>{_matrix(single)}</div>"
        "<p class='note'>A plain number is right; one with ✗ is a fault that was taken for another.</p>"
        f"<h2>How long it took, in seconds</h2>{_times(trials)}"
        f"<h2>Every trial</h2>{_table(trials)}"
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
    return f"<td class='right'>{count}</td>" if right else f"<td class='wrong' title='wrong'>{count}✗</td>"


def _times(trials: Sequence[Trial]) -> str:
    rows = []
    for step, words in _STEPS.items():
        values = sorted(value for trial in trials if (value := getattr(trial, step)) is not None)
        if values:
            numbers = "".join(f"<td class='number'>{n:.2f}</td>" for n in (values[0], median(values), values[-1]))
            rows.append(f"<th scope='row'>{words}</th><td class='number'>{len(values)}</td>{numbers}")
    return table(["from the fault", "trials", "least", "median", "most"], rows)


def _table(trials: Sequence[Trial]) -> str:
    head = ["", "put in", "named", "to symptom", "to diagnosis", "to recovery"]
    return table(head, [_row(trial) for trial in trials])


def _row(trial: Trial) -> str:
    named = ", ".join(sorted(trial.found)) if trial.found is not None else "the doctor was not asked"
    mark = "<td class='right'>✓ right</td>" if trial.right else "<td class='wrong'>✗ WRONG</td>"
    times = "".join(
        f"<td class='number'>{f'{seconds:.2f}' if seconds is not None else '–'}</td>"  # noqa: RUF001 (a dash is meant)
        for seconds in (trial.symptom, trial.diagnosis, trial.recovery)
    )
    return f"{mark}<td>{escape(trial.fault)}</td><td>{escape(named) or 'nothing'}</td>{times}"
