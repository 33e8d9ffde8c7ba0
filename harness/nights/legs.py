"""The legs of a night: one variant of the deployment each, and where each leaves its results.

`reports/legs/LEG/ATTEMPT/SHARD/` holds what one machine left: `junit.xml`, and `results/` for the report.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.addresses import LAYOUTS
from harness.errors import UsageError
from harness.forms import wrong_with
from harness.sharding import Shard
from harness.summary import ROOT_CAUSE

WHOLE = "1of1"
_JOB = "scenarios"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A variant that a night has to test: `shards` are the folders of which all have to be there."""

    name: str
    layout: str
    shards: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one machine left of one attempt at a leg's shard."""

    leg: str
    attempt: int
    shard: str
    folder: Path

    @property
    def results(self) -> Path:
        """What the report is made of."""
        return self.folder / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """How tests ended: failed ones with their root cause, which is empty where none is known."""

    passed: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()
    failed: dict[str, str] = field(default_factory=dict)

    def then(self, later: Ends) -> Ends:
        """These, and what was run after them: of a test that ran twice the later end counts; a skip is no run."""
        again = later.passed | later.failed.keys()
        return Ends(
            passed=(self.passed - again) | later.passed,
            skipped=(self.skipped - again) | (later.skipped - self.passed - self.failed.keys()),
            failed={test: cause for test, cause in self.failed.items() if test not in again} | later.failed,
        )

    @property
    def ran(self) -> int:
        """How many tests were run: one that was skipped has shown nothing."""
        return len(self.passed) + len(self.failed)

    @property
    def total(self) -> int:
        """How many tests these are."""
        return self.ran + len(self.skipped)


def of_workflow(file: Path) -> list[Leg]:
    """The legs that a workflow's matrix lists; raises `UsageError` where there is none."""
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"][_JOB]["strategy"]["matrix"]["include"]
        return _legs(entries)
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}"
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"{file} lists no legs at jobs.{_JOB}.strategy.matrix.include: {wrong_with(error)}"
    raise UsageError(message)


def _legs(entries: list[dict[str, Any]]) -> list[Leg]:
    layouts: dict[str, str] = {}
    shards: dict[str, set[str]] = {}
    for entry in entries:
        layout = layouts.setdefault(entry["leg"], entry["layout"])
        if layout != entry["layout"] or layout not in LAYOUTS:
            message = f"leg {entry['leg']} has layout {entry['layout']}"
            raise ValueError(message)
        shards.setdefault(entry["leg"], set()).add(folder_of(entry.get("shard")))
    for leg, there in shards.items():
        count = next(iter(there)).partition("of")[2]
        if there != {f"{number}of{count}" for number in range(1, int(count) + 1)}:
            message = f"leg {leg} has the shards {', '.join(sorted(there))}"
            raise ValueError(message)
    return [Leg(name=leg, layout=layouts[leg], shards=frozenset(there)) for leg, there in shards.items()]


def folder_of(shard: str | None) -> str:
    """The name of a shard's folder: a slash would be a folder more."""
    return str(Shard.parse(shard)).replace("/", "of") if shard else WHOLE


def parts(folder: Path) -> list[Part]:
    """What machines left in a folder, first attempts first."""
    found = [
        Part(leg=path.parts[-3], attempt=int(path.parts[-2]), shard=path.parts[-1], folder=path)
        for path in folder.glob("*/*/*")
        if path.is_dir() and path.parts[-2].isdecimal()
    ]
    return sorted(found, key=lambda part: (part.leg, part.attempt, part.shard))


def ends(part: Part) -> Ends:
    """How the tests of a part ended, by JUnit's record; none where it left no record or half a one."""
    file = part.folder / "junit.xml"
    try:
        cases = list(ET.parse(file).getroot().iter("testcase"))  # noqa: S314 (written by a run of this very suite)
    except (OSError, ET.ParseError):
        return Ends()
    found = Ends()
    for name, end, cause in map(_end, cases):
        one = {"passed": Ends(passed=frozenset({name})), "skipped": Ends(skipped=frozenset({name}))}
        if name not in found.failed:  # a test that failed, and once more after it, has two entries
            found = found.then(one.get(end) or Ends(failed={name: cause}))
    return found


def _end(case: ET.Element) -> tuple[str, str, str]:
    name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '')}"
    tags = {child.tag for child in case}
    if tags & {"failure", "error"}:
        return name, "failed", next(_properties(case, ROOT_CAUSE), "")
    return name, "skipped" if "skipped" in tags else "passed", ""


def _properties(case: ET.Element, wanted: str) -> Iterator[str]:
    for each in case.iter("property"):
        if each.get("name") == wanted:
            yield each.get("value", "")
