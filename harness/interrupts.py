"""Ctrl-C and its kin: turned into one exception, and held back while we clean up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def as_keyboard_interrupt() -> None:
    """Make SIGTERM and SIGHUP do what Ctrl-C does, so that one path cleans up after all three."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


@contextlib.contextmanager
def held_back(say: Callable[[str], None]) -> Iterator[None]:
    """Finish the block whatever is pressed; a signal that comes in the meantime only says that we are at it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return

    def note(_number: int, _frame: FrameType | None) -> None:
        say("still cleaning up; a few seconds more")

    previous = {number: signal.signal(number, note) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
