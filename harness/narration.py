"""What a test asked of the deployment, made short enough to be read: repeats are counted, long answers cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_LOOK_BACK = 4  # polls of a state alternate between as many questions
_LONGEST = 4000  # characters of one answer
_MOST = 60  # questions that one test may fill the report with
_TITLE = 110  # characters


@dataclass(slots=True, kw_only=True)
class _Said:
    """A question, its last answer, and how often it was asked in a row."""

    asked: str
    answered: str
    times: int = 1


class Narrator:
    """Collects questions and answers; `flush` hands them on, each to `write`, in the order in which they were asked."""

    def __init__(self, write: Callable[[str, str], None]) -> None:
        self._write = write
        self._said: list[_Said] = []
        self._left = _MOST
        self._dropped = 0

    def begin(self) -> None:
        """A new test: nothing of what was said before it is its own."""
        self._said, self._left, self._dropped = [], _MOST, 0

    def hear(self, asked: str, answered: str) -> None:
        """Take one question with its answer. One that was just asked is counted, and its last answer kept."""
        for earlier in self._said[-_LOOK_BACK:]:
            if earlier.asked == asked:
                earlier.times += 1
                earlier.answered = answered
                return
        self._said.append(_Said(asked=asked, answered=answered))

    def flush(self) -> None:
        """Hand on what was said since the last time."""
        said, self._said = self._said, []
        for each in said:
            if self._left == 0:
                self._dropped += 1
                continue
            self._left -= 1
            often = f" ({each.times} times)" if each.times > 1 else ""
            self._write(f"{_title(each.asked)}{often}", _cut(each.answered))
        if self._dropped:
            self._write(f"and {self._dropped} more questions, which are left out", "a test shows its first ones alone")
            self._dropped = 0


def _title(asked: str) -> str:
    """The question's first line, shortened."""
    line = " ".join(asked.split("\n", maxsplit=1)[0].split())
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 1]}…"


def _cut(answered: str) -> str:
    """An answer that is not too long for the report: its beginning and its end."""
    if len(answered) <= _LONGEST:
        return answered
    half = _LONGEST // 2
    return f"{answered[:half]}\n[{len(answered) - 2 * half} characters left out]\n{answered[-half:]}"
