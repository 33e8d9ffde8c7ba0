"""The bench's figures as a page of the report, with their history; what is measured is said in `bench/`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from harness.drawings.sheet import sparkline, table

BENCH = Path(__file__).resolve().parents[1] / "reports" / "bench"
"""Where `make bench` leaves a document for each run."""

_VERDICTS = {
    True: "<td class='right'>✓ met</td>",
    False: "<td class='wrong'>✗ NOT MET</td>",
    None: "<td>stated only</td>",
}


def documents(folder: Path = BENCH) -> list[Mapping[str, Any]]:
    """Every run of the bench, the oldest first; raises `ValueError` with the file that holds none."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            loaded = json.loads(path.read_text(encoding="utf-8"))
            _ = loaded["date"], [(each["part"], each["name"], float(each["value"])) for each in loaded["figures"]]
        except (ValueError, KeyError, TypeError) as error:
            message = f"{path} is no document of the bench ({type(error).__name__} {error}): remove it"
            raise ValueError(message) from error
        found.append(loaded)
    return sorted(found, key=lambda each: str(each["date"]))


def page(runs: Sequence[Mapping[str, Any]]) -> str:
    """The body of the page: the newest of each figure, its target, and how it went from run to run."""
    newest: dict[tuple[str, str], tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    history: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        for figure in run["figures"]:
            key = str(figure["part"]), str(figure["name"])
            newest[key] = figure, run
            history.setdefault(key, []).append(float(figure["value"]))
    judged = [figure["met"] for figure, _ in newest.values() if figure.get("met") is not None]
    rows = [_row(figure, run, history[key]) for key, (figure, run) in newest.items()]
    head = ["", "part", "figure", "measured", "target", "history", "of what", "when, and which commit"]
    return (
        f"<p><b>{sum(judged)} of {len(judged)}</b> targets met; {len(runs)} runs of the bench.</p>"
        f"{table(head, rows)}{_machine(runs[-1])}"
    )


def _row(figure: Mapping[str, Any], run: Mapping[str, Any], history: list[float]) -> str:
    target = figure.get("target")
    sign = "≥" if figure.get("at_least") else "≤"
    wanted = "" if target is None else f"{sign} {_quantity(target, figure)}"
    commit = str(run.get("machine", {}).get("commit", "unknown"))
    return (
        f"{_VERDICTS.get(figure.get('met'), _VERDICTS[None])}"
        f"<td>{escape(str(figure['part']))}</td><td>{escape(str(figure['name']))}</td>"
        f"<td class='number'>{_quantity(figure['value'], figure)}</td><td class='number'>{wanted}</td>"
        f"<td>{sparkline(history[-30:])}</td><td class='note'>{escape(str(figure.get('note', '')))}</td>"
        f"<td class='note'>{escape(str(run['date'])[:16])} {escape(commit)}</td>"
    )


def _quantity(value: float, figure: Mapping[str, Any]) -> str:
    return escape(f"{value:.2f} {figure.get('unit', '')}".strip())


def _machine(run: Mapping[str, Any]) -> str:
    said = "; ".join(f"{escape(str(name))} {escape(str(value))}" for name, value in run.get("machine", {}).items())
    return f"<p class='note'>The newest run's machine: {said}.</p>"
