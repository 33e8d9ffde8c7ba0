"""`python -m harness merge`, `gate` and `flaky`: many machines' results as one, whether they pass, what flickers."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from harness import command, reporting
from harness.errors import ConfigurationError, ParseError
from harness.forms import wrong_with
from harness.nights import history, legs, merging
from harness.nights.history import Night, Outcome
from harness.nights.page import page

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]

ROOT = Path(__file__).resolve().parents[2]
LEGS = ROOT / "reports" / "legs"
RESULTS = ROOT / "reports" / "results"
NIGHT = ROOT / "reports" / "night.json"
HISTORY = ROOT / "reports" / "history" / "nights.jsonl"
WORKFLOW = ROOT / ".github" / "workflows" / "nightly.yml"

MINIMUM_TESTS = {"dev": 350, "prod": 250}
"""Fewer on a leg mean that some never ran; the same numbers as in reports/allurerc.mjs."""

_GIT_TIMEOUT = 10  # seconds; it reads one file


def add_to(add: Add) -> None:
    """Add the commands to the command line."""
    merge = add("merge", _merge, "Merge what the legs of a night left in reports/legs/ into the results of one run.")
    merge.add_argument(
        "--workflow", type=Path, default=WORKFLOW, metavar="FILE", help="whose matrix says which legs there have to be"
    )
    gate = add("gate", _gate, "Say whether the merged night passes: exit 0, or 1 with a sentence for each reason.")
    gate.add_argument(
        "--layouts", action="store_true", help="only print each leg's layout, from which the report's own gate counts"
    )
    add("flaky", _flaky, "Show the tests that ended now one way, now another, by the history of merged nights.")


def _merge(options: argparse.Namespace) -> int:
    wanted = legs.of_workflow(options.workflow)
    parts = legs.parts(LEGS)
    if not parts:
        message = f"no results in {LEGS}: run `make scenarios LEG=NAME`, or put there what other machines left"
        raise ConfigurationError(message)
    count = merging.merge(parts, RESULTS)
    night = Night(run=_run(), date=f"{datetime.now(UTC):%Y-%m-%d}", commit=_commit(), legs=merging.outcomes(parts))
    missing = merging.missing(wanted, parts)
    layouts = {leg.name: leg.layout for leg in wanted}
    NIGHT.write_text(
        json.dumps({"night": json.loads(night.to_json()), "missing": missing, "layouts": layouts}), encoding="utf-8"
    )
    nights = history.add(HISTORY, night)
    tests = history.flaky(nights)
    reporting.add_page(RESULTS, title="Flaky tests", body=page(tests, nights), passed=not tests, layout="dev")
    sys.stdout.write(f"{count} results of {len(night.legs)} legs in {RESULTS.relative_to(ROOT)}\n")
    sys.stdout.writelines(f"leg {leg}: {why}\n" for leg, why in missing.items())
    return 0


def _gate(options: argparse.Namespace) -> int:
    if not NIGHT.is_file():
        message = f"there is no merged night at {NIGHT}: `make merge` first"
        raise ConfigurationError(message)
    night, missing, layouts = _read(NIGHT)
    if options.layouts:
        sys.stdout.write(f"{','.join(layouts.values())}\n")
        return 0
    minimum = {leg: MINIMUM_TESTS[layout] for leg, layout in layouts.items()}
    complaints = history.complaints(night, missing, minimum)
    sys.stdout.writelines(f"{each}\n" for each in complaints)
    sys.stdout.writelines(f"leg {leg}: {_ended(outcome)}\n" for leg, outcome in night.legs.items())
    return 1 if complaints else 0


def _read(file: Path) -> tuple[Night, dict[str, str], dict[str, str]]:
    """A merged night, why legs are missing, and each leg's layout."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return Night.from_json(json.dumps(document["night"])), dict(document["missing"]), dict(document["layouts"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{file} is no merged night ({wrong_with(error)}): `make merge` makes it anew"
        raise ParseError(message) from error


def _ended(outcome: Outcome) -> str:
    retried = f", {len(outcome.retried)} passed on retry: {', '.join(outcome.retried)}" if outcome.retried else ""
    skipped = f", {outcome.skipped} skipped" if outcome.skipped else ""
    return f"{outcome.tests} tests, {len(outcome.failed)} failed{skipped}{retried}"


def _flaky(_options: argparse.Namespace) -> int:
    nights = history.read(HISTORY)
    sys.stdout.write(history.text(history.flaky(nights), len(nights)))
    return 0


def _run(environment: str = "GITHUB_RUN_ID") -> str:
    """What names this run: the same for all attempts at it."""
    return os.environ.get(environment) or f"{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _commit() -> str:
    given = os.environ.get("GITHUB_SHA")
    if given:
        return given
    result = command.run(["git", "rev-parse", "HEAD"], timeout=_GIT_TIMEOUT, cwd=ROOT, check=False)
    return result.stdout.strip() if result.ok else "unknown"
