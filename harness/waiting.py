"""Waiting on state: the only place that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from harness.errors import WaitTimeoutError
from harness.model import Budget

T = TypeVar("T")


class Deadline:
    """A point in time on the monotonic clock, `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._started = time.monotonic()
        self._seconds = seconds

    @property
    def elapsed(self) -> float:
        """Seconds since the deadline was set."""
        return time.monotonic() - self._started

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.elapsed >= self._seconds


def pause(seconds: float) -> None:
    """Give way between two reads of a state."""
    time.sleep(seconds)


def wait_until(wanted: str, read: Callable[[], T], accept: Callable[[T], bool], within: Budget, *, hint: str = "") -> T:
    """Read a state until it is accepted, and return it.

    `read` must only look: it may be called any number of times. Raises `WaitTimeoutError` that says what was wanted,
    what was last seen, after how many reads, and the budget's reason.
    """
    deadline = Deadline(within.seconds)
    attempts = 0
    while True:
        state = read()
        attempts += 1
        if accept(state):
            return state
        if deadline.passed:
            message = (
                f"waited {deadline.elapsed:.1f} s for {wanted}; last seen after {attempts} reads: {state}\n"
                f"(budget {within.seconds:g} s: {within.reason}){f' {hint}' if hint else ''}"
            )
            raise WaitTimeoutError(message)
        pause(within.poll)


def wait_until_or_last(read: Callable[[], T], accept: Callable[[T], bool], within: Budget) -> T:
    """Read a state until it is accepted or the time is up, and return the last; for what may rightly never come."""
    deadline = Deadline(within.seconds)
    while not accept(state := read()) and not deadline.passed:
        pause(within.poll)
    return state


def holds_for(read: Callable[[], T], accept: Callable[[T], bool], during: Budget) -> tuple[bool, T, int]:
    """Read a state until the time is up or it is no longer accepted.

    Returns whether it held throughout, the last state, and how many times it was read.
    """
    deadline = Deadline(during.seconds)
    reads = 0
    while True:
        state = read()
        reads += 1
        if not accept(state):
            return False, state, reads
        if deadline.passed:
            return True, state, reads
        pause(during.poll)
