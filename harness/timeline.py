"""What a bring-up spent its time on: phases with their beginning and end, of which several may run side by side."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase; `began` and `ended` are seconds since the timeline began."""

    name: str
    began: float
    ended: float

    @property
    def took(self) -> float:
        """How long it was, in seconds."""
        return self.ended - self.began


class Timeline:
    """Phases in the order in which they ended."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._phases: list[Phase] = []

    @property
    def now(self) -> float:
        """Seconds since the timeline began."""
        return time.monotonic() - self._started

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All phases that have ended."""
        return tuple(self._phases)

    def add(self, name: str, began: float) -> Phase:
        """Add a phase that began at `began` and ends now."""
        phase = Phase(name=name, began=began, ended=self.now)
        self._phases.append(phase)
        return phase

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add what the block does as a phase, if it succeeds."""
        began = self.now
        yield
        self.add(name, began)

    def table(self) -> str:
        """The phases as a table for people, in seconds."""
        width = max((len(phase.name) for phase in self._phases), default=0)
        lines = [f"{'phase':<{width}}   from     to   took"]
        lines += [
            f"{phase.name:<{width}} {phase.began:6.2f} {phase.ended:6.2f} {phase.took:6.2f}" for phase in self._phases
        ]
        return "\n".join(lines)
