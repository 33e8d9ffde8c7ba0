"""Parser of what an exporter answers: Prometheus' text format, as far as the project's exporter writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import ParseError

_LINE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(?P<name>\w+)="(?P<value>(?:[^"\\]|\\.)*)"(?:,|$)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of a metric, with its labels."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition:
    """One answer of an exporter."""

    text: str
    samples: tuple[Sample, ...]

    def all(self, name: str, **labels: str) -> tuple[Sample, ...]:
        """Every sample of a metric that bears these labels, whatever others it has."""
        return tuple(
            sample for sample in self.samples if sample.name == name and labels.items() <= dict(sample.labels).items()
        )

    def one(self, name: str, **labels: str) -> float:
        """The value of the one sample that bears these labels; raises `ParseError` when there are none or several."""
        found = self.all(name, **labels)
        if len(found) != 1:
            message = f"{len(found)} samples of {name} bear {labels}, where one was to be"
            raise ParseError(message)
        return found[0].value


def parse(text: str) -> Exposition:
    """Read an answer; raises `ParseError` with the line that is not in the format."""
    samples = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            message = f"no exporter writes lines such as {line!r}"
            raise ParseError(message)
        labels = {label["name"]: label["value"] for label in _LABEL.finditer(found["labels"] or "")}
        try:
            samples.append(Sample(name=found["name"], labels=labels, value=float(found["value"])))
        except ValueError as error:
            message = f"{found['value']!r} is no number, in {line!r}"
            raise ParseError(message) from error
    return Exposition(text=text, samples=tuple(samples))
