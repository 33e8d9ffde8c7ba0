from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from harness import interrupts


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Whatever a test does to the signals is undone."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_every_polite_end_is_like_ctrl_c(number: signal.Signals) -> None:
    """SIGTERM and a lost terminal take the same way out as Ctrl-C, so that one path cleans up."""
    interrupts.as_keyboard_interrupt()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


def test_cleaning_up_is_not_interrupted() -> None:
    """While we clean up, a signal only says that we are at it; afterwards it acts again."""
    interrupts.as_keyboard_interrupt()
    said: list[str] = []
    done = []
    with interrupts.held_back(said.append):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
            done.append(number)
    assert len(done) == 3
    assert said == ["still cleaning up; a few seconds more"] * 3
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


def test_holding_back_may_be_nested() -> None:
    """The inner block's end does not let signals through into the outer one."""
    said: list[str] = []
    with interrupts.held_back(said.append):
        with interrupts.held_back(said.append):
            pass
        os.kill(os.getpid(), signal.SIGINT)
    assert len(said) == 1


def test_a_failing_cleanup_gives_the_signals_back() -> None:
    """An error in the block comes through, and Ctrl-C acts again."""
    with pytest.raises(RuntimeError, match="broken"), interrupts.held_back(lambda _: None):
        raise RuntimeError("broken")
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
