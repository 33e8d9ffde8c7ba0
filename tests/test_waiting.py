from __future__ import annotations

import itertools
import time

import pytest

from harness.errors import WaitTimeoutError
from harness.model import Budget
from harness.waiting import Deadline, holds_for, wait_until

SOON = Budget(seconds=0.2, poll=0.01, reason="it takes this long by nature")


def test_the_accepted_state_is_returned() -> None:
    """Reading goes on until a state is accepted; that one is returned, and nothing is read after it."""
    numbers = itertools.count(1)
    assert wait_until("three", lambda: next(numbers), lambda number: number == 3, SOON) == 3
    assert next(numbers) == 4


def test_a_state_that_holds_already_is_not_waited_for() -> None:
    """The first read may be enough, whatever the poll interval."""
    started = time.monotonic()
    assert wait_until("now", lambda: "there", bool, Budget(seconds=60, poll=60, reason="never spent")) == "there"
    assert time.monotonic() - started < 1


def test_a_time_out_says_everything() -> None:
    """Subject, last state, number of reads, the budget with its reason, and the hint are all in the message."""
    numbers = itertools.count(1)
    with pytest.raises(WaitTimeoutError) as caught:
        wait_until("the moon", lambda: f"state {next(numbers)}", lambda _: False, SOON, hint="look up")
    reads = next(numbers) - 1
    said = str(caught.value)
    assert "for the moon;" in said
    assert f"last seen after {reads} reads: state {reads}" in said
    assert "(budget 0.2 s: it takes this long by nature) look up" in said
    assert reads > 2


def test_a_time_out_comes_in_time() -> None:
    """Waiting ends soon after the budget, and not before it."""
    started = time.monotonic()
    with pytest.raises(WaitTimeoutError):
        wait_until("never", lambda: 0, bool, SOON)
    assert 0.2 <= time.monotonic() - started < 1


def test_an_empty_budget_still_looks_once() -> None:
    """A budget of no time reads once: a state that is there is found."""
    nothing = Budget(seconds=0, reason="at once")
    assert wait_until("it", lambda: 1, bool, nothing) == 1
    with pytest.raises(WaitTimeoutError, match="after 1 reads: 0"):
        wait_until("it", lambda: 0, bool, nothing)


def test_a_read_that_fails_is_not_swallowed() -> None:
    """An error while reading is no state: it comes through at once."""

    def read() -> int:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        wait_until("it", read, bool, SOON)


def test_a_state_that_holds_is_watched_to_the_end() -> None:
    """With nothing amiss the whole time is spent, and the last state and the number of reads are told."""
    numbers = itertools.count(1)
    started = time.monotonic()
    held, last, reads = holds_for(lambda: next(numbers), lambda _: True, SOON)
    assert held
    assert last == reads > 2
    assert time.monotonic() - started >= 0.2


def test_a_state_that_is_lost_ends_the_watch() -> None:
    """The first state that is not accepted is returned at once with the number of its read."""
    numbers = itertools.count(1)
    assert holds_for(lambda: next(numbers), lambda number: number < 4, SOON) == (False, 4, 4)


def test_a_deadline_passes_once_its_time_is_up() -> None:
    """A deadline lies in the future until its seconds are over."""
    assert Deadline(0).passed
    later = Deadline(60)
    assert not later.passed
    assert 0 <= later.elapsed < 1
