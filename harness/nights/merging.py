"""What many machines left, as the results of one run: each leg a part of the report by itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from harness.errors import ParseError
from harness.forms import wrong_with
from harness.nights.history import Outcome
from harness.nights.legs import WHOLE, Ends, Leg, Part, ends

_RESULT = "-result.json"


def outcomes(parts: Iterable[Part]) -> dict[str, Outcome]:
    """How each leg ended, of all that its machines left."""
    found = {}
    for leg, of_leg in groupby(parts, key=lambda part: part.leg):
        attempts = [_together(several) for _, several in groupby(of_leg, key=lambda part: part.attempt)]
        found[leg] = Outcome.of(attempts)
    return found


def _together(parts: Iterable[Part]) -> Ends:
    together = Ends()
    for part in parts:
        together = together.then(ends(part))
    return together


def missing(legs: Sequence[Leg], parts: Sequence[Part]) -> dict[str, str]:
    """Which legs are not whole, and why: what never ran is no pass."""
    said = {}
    for leg in legs:
        there = {part.shard for part in parts if part.leg == leg.name and ends(part).total}
        if lost := sorted(leg.shards - there):
            what = "it has" if lost == [WHOLE] else f"shard {lost[0]} has"
            if len(lost) > 1:
                what = f"shards {', '.join(lost)} have"
            said[leg.name] = f"{what} left no results"
    return said


def merge(parts: Iterable[Part], results: Path) -> int:
    """Put all results into one folder, which is emptied first; returns how many tests they are of.

    The same test on two legs is two tests. On one leg, tried twice, it is one with a retry, and the report shows both.
    """
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    count = 0
    for part in parts:
        for file in sorted(part.results.glob("*")):
            if file.name.endswith(_RESULT):
                document = _read(file)
                (results / file.name).write_text(json.dumps(placed(document, part)), encoding="utf-8")
                count += 1
            elif file.is_file() and not (results / file.name).exists():
                shutil.copyfile(file, results / file.name)
    return count


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return {"name": document["name"], **document}
    except (ValueError, TypeError, KeyError) as error:
        message = f"{file} is no test's result ({wrong_with(error)}): it was cut short, or is another tool's; remove it"
        raise ParseError(message) from error


def placed(document: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """A test's result as one of its leg: under the leg's name in the report, and with a history of its own."""
    whose = part.leg
    if document["name"] == document.get("fullName"):  # a page about the tests of one shard, and no test
        whose += f" {part.shard}"
    labels = [label for label in document.get("labels", ()) if label["name"] != "epic"]
    return {
        **document,
        "labels": [{"name": "epic", "value": part.leg}, {"name": "leg", "value": part.leg}, *labels],
        "parameters": [*document.get("parameters", ()), {"name": "leg", "value": whose}],
        **{key: f"{document[key]} {whose}" for key in ("historyId", "testCaseId") if key in document},
    }
