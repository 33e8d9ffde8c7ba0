"""What became of each fault that was put in: the doctor's score."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One fault, or several at once: what the doctor was to name, what it named, and how many seconds each step took.

    `found` is None where the doctor was not asked; a time is None for a step that was not taken or did not succeed.
    """

    fault: str
    benign: bool
    expected: frozenset[str]
    tolerated: frozenset[str]
    found: frozenset[str] | None
    errors: frozenset[str]
    status: str
    symptom: float | None
    diagnosis: float | None
    recovery: float | None

    @property
    def right(self) -> bool:
        """Whether every root was named and nothing else; of a benign change, that no error was found."""
        if self.found is None or self.status == "unknown":
            return False
        if self.benign:
            return not self.errors and self.found <= self.tolerated
        return self.expected <= self.found <= self.expected | self.tolerated

    def to_json(self) -> str:
        """One line of the record."""
        record = asdict(self)
        return json.dumps({name: sorted(v) if isinstance(v, frozenset) else v for name, v in record.items()})

    @classmethod
    def from_json(cls, line: str) -> Trial:
        """Read a line of the record; raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        record: dict[str, Any] = json.loads(line)
        for name in ("expected", "tolerated", "found", "errors"):
            if record[name] is not None:
                record[name] = frozenset(map(str, record[name]))
        for name in ("symptom", "diagnosis", "recovery"):
            if not isinstance(record[name], int | float | None):
                raise ValueError(f"{name} is no number of seconds")  # noqa: TRY004 (of what was read, as all the rest)
        return cls(**record)
