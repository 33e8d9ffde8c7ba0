from __future__ import annotations

import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness import command
from harness.command import Background
from harness.model import Budget
from harness.turns import turn
from harness.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
STARTED = Budget(seconds=20, reason="an interpreter starts and imports one module, on a busy machine")
WAITS = "tests: another run on this host is at it; waiting for it to be done"

# Takes the turn, says so, and holds it until it is told to end.
HOLDER = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
from harness.turns import turn
with turn("tests", lambda line: print(line, flush=True)):
    print("held", flush=True)
    signal.sigwait({signal.SIGTERM})
"""


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def holder(log: Path) -> AbstractContextManager[Background]:
    return command.background([sys.executable, "-c", HOLDER], cwd=ROOT, log=log)


def says(process: Background, line: str) -> None:
    wait_until(f"{line!r}", lambda: process.output, lambda text: line in text.splitlines(), within=STARTED)


def test_the_second_waits_and_says_so_until_the_first_is_done(tmp_path: Path) -> None:
    """Two processes never hold a turn at once; who waits says what for."""
    with holder(tmp_path / "first") as first:
        says(first, "held")
        with holder(tmp_path / "second") as second:
            says(second, WAITS)
            assert "held" not in second.output.splitlines()
            first.send(signal.SIGTERM)
            says(second, "held")
            second.send(signal.SIGTERM)
            assert second.wait(timeout=STARTED.seconds).ok
        assert first.wait(timeout=STARTED.seconds).ok


def test_a_holder_that_is_killed_gives_its_turn_back(tmp_path: Path) -> None:
    """After kill -9 nobody waits for the dead."""
    with holder(tmp_path / "log") as process:
        says(process, "held")
        process.send(signal.SIGKILL)
        assert not process.wait(timeout=STARTED.seconds).ok
    said: list[str] = []
    with turn("tests", said.append):
        assert said == []
