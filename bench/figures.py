"""What is measured: figures with their targets, as a table and as a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. `target` is the most that it is to be, or the least with `at_least`; None where it is only stated.

    `samples` are what it was made from, each by what it is of, in seconds unless its name says otherwise.
    """

    part: str
    name: str
    value: float
    unit: str = ""
    target: float | None = None
    at_least: bool = False
    note: str = ""
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target is met, or None where there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def document(self) -> dict[str, Any]:
        """The figure with its verdict, for JSON."""
        rounded = {name: [round(sample, 4) for sample in samples] for name, samples in self.samples.items()}
        return asdict(self) | {"value": round(self.value, 4), "met": self.met, "samples": rounded}


def ratio(part: str, name: str, ours: Sequence[float], theirs: Sequence[float], target: float, **more: Any) -> Figure:
    """The ratio of two medians, at most `target`; `more` goes into the figure."""
    note = f"{median(ours):.2f} s over {median(theirs):.2f} s"
    if extra := more.pop("note", ""):
        note = f"{note}; {extra}"
    samples = {"ours": list(ours), "theirs": list(theirs)}
    return Figure(
        part=part, name=name, value=median(ours) / median(theirs), target=target, note=note, samples=samples, **more
    )


def table(figures: Iterable[Figure]) -> str:
    """The figures for people, a line each."""
    rows = list(_rows(figures))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )


def markdown(figures: Iterable[Figure]) -> str:
    """The same table for a document."""
    head, *rows = _rows(figures)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _rows(figures: Iterable[Figure]) -> Iterator[tuple[str, ...]]:
    yield "part", "figure", "measured", "target", "", "of what"
    for figure in figures:
        verdict = {None: "", True: "met", False: "NOT MET"}[figure.met]
        yield figure.part, figure.name, _quantity(figure.value, figure.unit), _target(figure), verdict, figure.note


def _quantity(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}".rstrip()


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'>=' if figure.at_least else '<='} {_quantity(figure.target, figure.unit)}"
