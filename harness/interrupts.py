"""Ctrl-C and its kin: turned into one exception, once, and held back while we clean up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

Say = Callable[[str], None]
"""It is called by signal handlers, in the midst of anything, and must not raise."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HELD = (*_ENDING, signal.SIGALRM)
"""What is held back: SIGALRM too, by which pytest-timeout ends a test."""
_CLEANING = "still cleaning up; a few seconds more"


def as_keyboard_interrupt(say: Say) -> None:
    """Make SIGTERM and SIGHUP do what Ctrl-C does, so that one path cleans up after all three.

    Only the first of them interrupts. All that come later are only answered: were they to interrupt as well, they
    would hit whatever cleans up after the first, or the test runner's own way out. What was ignored when the process
    began stays ignored, as `nohup` wants it.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        _answer(say)
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in _heeded(_ENDING):
        signal.signal(number, interrupt)


def _answer(say: Say) -> None:
    for number in _heeded(_ENDING):
        signal.signal(number, lambda _number, _frame: say(_CLEANING))


def _heeded(numbers: Iterable[signal.Signals]) -> list[signal.Signals]:
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def held_back(say: Say) -> Iterator[None]:
    """Finish the block whatever is pressed; a signal that comes in the meantime is answered, and acts afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return
    pressed: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        pressed.append(number)
        say(_CLEANING)

    previous = {number: signal.signal(number, note) for number in _heeded(_HELD)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if pressed:
            signal.raise_signal(next((number for number in pressed if number in _ENDING), pressed[0]))
