"""`python -m harness score`: how well the doctor names what was broken, from the record of the last run."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from harness.forms import wrong_with
from harness.score import mutation
from harness.trials import Trial

REPORTS = Path(__file__).resolve().parents[2] / "reports"
RECORD = REPORTS / "score"
"""Where runs of `scenarios/test_diagnosis.py` leave a line for each trial, a folder for each run."""

_RUN = "HARNESS_SCORE_RUN"
_JOBS = 2
_KEPT = 10  # runs whose records are kept

EXIT_UNSEEN = 2
_UNKNOWN = "(unknown)"
HEALTHY = "(healthy)"
"""What a benign change, or nothing at all, is to be named."""

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


def add_to(add: Add) -> None:
    """Add the command to the command line."""
    score = add(
        "score", _score, "How well the doctor named the faults of the last `pytest scenarios/test_diagnosis.py`."
    )
    score.add_argument("--json", action="store_true", help="print everything as JSON")
    score.add_argument(
        "--mutation", action="store_true", help="run the suite on every fault instead: which scenarios notice it?"
    )
    score.add_argument(
        "--brief",
        action="store_true",
        help="with --mutation: each fault until a scenario notices it, each scenario until a fault fails it; goes on "
        "with what reports/mutation.json has",
    )
    score.add_argument("--fault", action="append", default=[], metavar="NAME", help="only this fault, for --mutation")
    score.add_argument("--jobs", type=_jobs, metavar="N", help="deployments at once, for --mutation (default: 2)")


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        message = f"{text!r} is no number of deployments: give 1 or more"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def begin() -> None:
    """Begin a run's record: what this process and the workers that it starts record belongs together."""
    os.environ[_RUN] = f"{time.time_ns():020}"
    for old in _runs()[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def record(trial: Trial, worker: str) -> None:
    """Add a trial to the run's record; each worker has a file of its own."""
    folder = RECORD / os.environ[_RUN]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{worker}.jsonl").open("a", encoding="utf-8") as file:
        file.write(f"{trial.to_json()}\n")


def recorded() -> list[Trial]:
    """All trials of the last run that had any; raises `ValueError` with the file that holds something else."""
    runs = _runs()
    return _trials(runs[-1]) if runs else []


def recorded_now() -> list[Trial]:
    """The trials of this very run, whoever else has begun one since; raises `ValueError` as `recorded` does."""
    return _trials(RECORD / os.environ[_RUN]) if _RUN in os.environ else []


def _runs() -> list[Path]:
    """The folders of all runs that had a trial, the oldest first."""
    return sorted(RECORD.iterdir()) if RECORD.is_dir() else []


def _trials(run: Path) -> list[Trial]:
    found = []
    for path in sorted(run.glob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            try:
                found.append(Trial.from_json(line.decode()))
            except (ValueError, KeyError, TypeError) as error:
                message = f"{path} line {number} is no trial: {wrong_with(error)}"
                raise ValueError(message) from error
    return found


def _score(options: argparse.Namespace) -> int:
    if options.mutation:
        return _mutate(options)
    given = {"--fault chooses faults": options.fault, "--brief is": options.brief, "--jobs is": options.jobs}
    if in_vain := [words for words, is_given in given.items() if is_given]:
        sys.stderr.write(f"{in_vain[0]} for --mutation, which is not given\n")
        return EXIT_UNSEEN
    try:
        trials = recorded()
    except ValueError as error:
        sys.stderr.write(f"{error}; run `pytest scenarios/test_diagnosis.py` anew\n")
        return EXIT_UNSEEN
    if not trials:
        sys.stderr.write("there is no record of the doctor's trials: run `pytest scenarios/test_diagnosis.py` first\n")
        return EXIT_UNSEEN
    sys.stdout.write(f"{json.dumps(summed_up(trials), indent=2)}\n" if options.json else text(trials))
    return 0 if all(trial.right for trial in trials) else 1


def _mutate(options: argparse.Namespace) -> int:
    runs = mutation.run(options.fault, options.jobs or _JOBS, mutation.write, brief=options.brief)
    document = mutation.summed_up(runs)
    sys.stdout.write(f"{json.dumps(document, indent=2)}\n" if options.json else mutation.text(runs))
    return 1 if document["survivors"] or (not options.fault and document["never_failed"]) else 0


def write(trials: Sequence[Trial]) -> None:
    """Keep the score as a document beside the report."""
    (REPORTS / "score.json").write_text(f"{json.dumps(summed_up(trials), indent=1)}\n", encoding="utf-8")


def summed_up(trials: Sequence[Trial]) -> dict[str, Any]:
    """The score as a document."""
    return {
        "faults": sum(not trial.benign for trial in trials),
        "right": sum(trial.right for trial in trials if not trial.benign),
        "benign": sum(trial.benign for trial in trials),
        "false_alarms": sum(not trial.right for trial in trials if trial.benign),
        "trials": [json.loads(trial.to_json()) | {"right": trial.right} for trial in trials],
        "confusion": {row: dict(columns) for row, columns in confusion(trials).items()},
    }


def confusion(trials: Iterable[Trial]) -> dict[str, Counter[str]]:
    """For each set of roots that was put in, how often each set was named."""
    matrix: dict[str, Counter[str]] = {}
    for trial in trials:
        row = _named(trial.expected, trial.tolerated & (trial.found or frozenset()))
        matrix.setdefault(row, Counter())[_found(trial)] += 1
    return matrix


def _named(*roots: frozenset[str]) -> str:
    return " + ".join(sorted(frozenset().union(*roots))) or HEALTHY


def _found(trial: Trial) -> str:
    """What was named: nothing is health only where the doctor looked and saw."""
    if trial.found is None:
        return "(the doctor was not asked)"
    return _UNKNOWN if trial.status == "unknown" and not trial.found else _named(trial.found)


def text(trials: Sequence[Trial]) -> str:
    """The score for people."""
    document = summed_up(trials)
    named = f"{document['right']} of {document['faults']} faults named exactly"
    lines = [
        f"{named}, {document['false_alarms']} false alarms in {document['benign']} benign changes and healthy looks",
        "",
        f"{'':<2}{'fault':<58}{'symptom':>9}{'doctor':>9}{'recovery':>10}  named",
    ]
    lines += [_line(trial) for trial in trials]
    lines += ["", _medians(trials), "", "put in -> named (times)"]
    for row, columns in sorted(confusion(trials).items()):
        lines += [f"  {row} -> {column} ({count})" for column, count in columns.most_common()]
    return "\n".join(lines) + "\n"


def _line(trial: Trial) -> str:
    mark = "  " if trial.right else "X "
    times = "".join(f"{_seconds(each):>{width}}" for each, width in _columns(trial))
    return f"{mark}{trial.fault[:57]:<58}{times}  {_found(trial)}"


def _columns(trial: Trial) -> tuple[tuple[float | None, int], ...]:
    return (trial.symptom, 9), (trial.diagnosis, 9), (trial.recovery, 10)


def _seconds(value: float | None) -> str:
    return f"{value:.2f} s" if value is not None else "-"


def _medians(trials: Iterable[Trial]) -> str:
    columns: dict[str, list[float]] = {"symptom": [], "diagnosis": [], "recovery": []}
    for trial in trials:
        for name, values in columns.items():
            if (value := getattr(trial, name)) is not None:
                values.append(value)
    shown = (f"{name} {median(values):.2f} s" for name, values in columns.items() if values)
    return f"medians: {', '.join(shown)}"
