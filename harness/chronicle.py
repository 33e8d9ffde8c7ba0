"""What was seen of an experiment, and when: its marks, and every observation of every probe."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.model import Observation


class Moment(enum.Enum):
    """What a mark on an experiment's way stands for."""

    INJECTION = "injection"
    SYMPTOM = "symptom"
    DIAGNOSIS = "diagnosis"
    FAILURE = "failure"
    RESTORE = "restore"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment on an experiment's way; `note` says more, such as what was put in."""

    moment: Moment
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Observations of one probe with one outcome, one after the other: the first, the last, and how many."""

    first: Observation
    last: Observation
    count: int


class Chronicle:
    """One experiment's marks and observations, as they come."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.observations: list[Observation] = []

    def mark(self, moment: Moment, note: str = "") -> None:
        """Note that a moment has come."""
        self.marks.append(Mark(moment=moment, at=datetime.now(tz=UTC), note=note))

    def saw(self, observation: Observation) -> Observation:
        """Note an observation, and hand it back."""
        self.observations.append(observation)
        return observation

    @property
    def title(self) -> str:
        """What was done, in the words of who did it."""
        done = [mark.note for mark in self.marks if mark.moment is Moment.INJECTION]
        return "; then ".join(dict.fromkeys(done)) or "nothing was put in"

    @property
    def waits_for_symptom(self) -> bool:
        """Whether something is in of which nothing was seen yet."""
        return bool(self.marks) and self.marks[-1].moment is Moment.INJECTION

    @property
    def began(self) -> datetime | None:
        """When the first thing was put in, or, where nothing was, the first thing seen; times count from here."""
        put_in = [mark.at for mark in self.marks if mark.moment is Moment.INJECTION]
        return min(put_in or self._times, default=None)

    @property
    def span(self) -> tuple[float, float]:
        """From when to when it went, in seconds from the injection."""
        times = [self.seconds(at) for at in self._times]
        return (min(times), max(times)) if times else (0.0, 0.0)

    def seconds(self, at: datetime) -> float:
        """A time in seconds from the injection; negative before it."""
        return (at - (self.began or at)).total_seconds()

    @property
    def lanes(self) -> dict[str, list[Observation]]:
        """The observations of each probe, by its name, source and destination, in the order in which they came."""
        lanes: dict[str, list[Observation]] = {}
        for seen in self.observations:
            lanes.setdefault(f"{seen.probe}, {seen.source} → {seen.destination}", []).append(seen)
        return lanes

    @property
    def _times(self) -> list[datetime]:
        return [*(mark.at for mark in self.marks), *(seen.observed_at for seen in self.observations)]

    def __str__(self) -> str:
        """A line for each mark and each run of equal observations, in the order of time."""
        lines = [(mark.at, f"--- {mark.moment.value}{f': {mark.note}' if mark.note else ''}") for mark in self.marks]
        for lane, observations in self.lanes.items():
            lines += [(run.first.observed_at, f"{lane}: {_described(run, self)}") for run in runs(observations)]
        ordered = sorted(lines, key=lambda line: line[0])
        return "".join(f"{self.seconds(at):+9.3f} s  {text}\n" for at, text in ordered)


def runs(observations: list[Observation]) -> Iterator[Run]:
    """One probe's observations, those after each other with one outcome taken together."""
    begun: list[Observation] = []
    for seen in observations:
        if begun and seen.outcome is not begun[0].outcome:
            yield Run(first=begun[0], last=begun[-1], count=len(begun))
            begun = []
        begun.append(seen)
    if begun:
        yield Run(first=begun[0], last=begun[-1], count=len(begun))


def _described(run: Run, chronicle: Chronicle) -> str:
    until = f", {run.count} times until {chronicle.seconds(run.last.observed_at):+.3f} s" if run.count > 1 else ""
    said = f" ({run.last.detail})" if run.last.detail else ""
    return f"{run.last.outcome.value}{until}{said}"
