from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from harness import interrupts, progress
from harness.plugin.invocation import say


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Whatever a test does to the signals is undone; none is ignored to begin with, as behind `nohup` some are."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_every_polite_end_is_like_ctrl_c(number: signal.Signals) -> None:
    """SIGTERM and a lost terminal take the same way out as Ctrl-C, so that one path cleans up."""
    interrupts.as_keyboard_interrupt(lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


def test_only_the_first_interrupts() -> None:
    """Whoever presses again does not hit the way out that the first one has opened."""
    said: list[str] = []
    interrupts.as_keyboard_interrupt(said.append)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    assert said == ["still cleaning up; a few seconds more"] * 3


def test_what_was_ignored_stays_ignored() -> None:
    """As `nohup` has it for a lost terminal: it neither interrupts, nor is it answered, nor does it act afterwards."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    said: list[str] = []
    interrupts.as_keyboard_interrupt(said.append)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    os.kill(os.getpid(), signal.SIGHUP)
    with interrupts.held_back(said.append):
        os.kill(os.getpid(), signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGHUP)
    assert said == []
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_cleaning_up_is_not_interrupted() -> None:
    """While we clean up, a signal only says that we are at it; it is not forgotten, and acts afterwards."""
    interrupts.as_keyboard_interrupt(lambda _: None)
    said: list[str] = []
    done = []

    def clean_up() -> None:
        with interrupts.held_back(said.append):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(os.getpid(), number)
                done.append(number)

    with pytest.raises(KeyboardInterrupt):
        clean_up()
    assert len(done) == 3
    assert said == ["still cleaning up; a few seconds more"] * 3


def test_holding_back_may_be_nested() -> None:
    """The inner block's end does not let signals through into the outer one, not even those that came in it."""
    done = []

    def clean_up() -> None:
        with interrupts.held_back(lambda _: None):
            with interrupts.held_back(lambda _: None):
                os.kill(os.getpid(), signal.SIGINT)
            done.append("inner")
            os.kill(os.getpid(), signal.SIGINT)
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        clean_up()
    assert done == ["inner", "outer"]


def test_a_failing_cleanup_gives_the_signals_back() -> None:
    """An error in the block comes through, and Ctrl-C acts again."""
    with pytest.raises(RuntimeError, match="broken"), interrupts.held_back(lambda _: None):
        raise RuntimeError("broken")
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


@contextlib.contextmanager
def lost_terminal() -> Iterator[None]:
    """Standard error is a terminal that was closed: whatever is written to it fails with EIO."""
    ours, theirs = os.openpty()
    os.close(ours)
    raw = io.FileIO(theirs, "w")
    with pytest.raises(OSError, match="Input/output error"):
        raw.write(b"tried")
    with io.TextIOWrapper(raw, write_through=True) as lost, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", lost)
        yield


def test_a_lost_terminal_does_not_end_the_cleaning_up() -> None:
    """A terminal that closes sends SIGHUP, often twice, and nobody hears any more what is said of it."""
    interrupts.as_keyboard_interrupt(progress.say)
    cleaned = False
    with lost_terminal():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGHUP)
        with interrupts.held_back(progress.say):
            os.kill(os.getpid(), signal.SIGHUP)
            progress.say("removing what was brought up")
            cleaned = True
    assert cleaned


def test_a_session_goes_on_without_its_terminal() -> None:
    """The same, where pytest stands between."""
    plugins = SimpleNamespace(getplugin=lambda _name: None)  # as with --capture=no
    with lost_terminal():
        say(cast("pytest.Config", SimpleNamespace(pluginmanager=plugins)), "taking down")


def test_who_speaks_from_within_a_handler_is_not_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while its own thread is writing: Python refuses to write in between."""

    class Writing(io.StringIO):
        def write(self, _text: str) -> int:
            message = "reentrant call inside <_io.BufferedWriter name='<stderr>'>"
            raise RuntimeError(message)

    monkeypatch.setattr("sys.stderr", Writing())
    progress.say("anything")
