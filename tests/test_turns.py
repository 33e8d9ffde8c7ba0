from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness import command, turns
from harness.command import Background
from harness.errors import PrerequisiteError
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


def test_the_file_is_for_every_user_whatever_the_umask(tmp_path: Path) -> None:
    """Who makes it first may keep what is his to himself, and is not to shut all others out."""
    before = os.umask(0o077)
    try:
        with turn("tests", print):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "wireguard-harness-tests.lock").stat().st_mode & 0o777 == 0o644


def test_a_file_that_somebody_keeps_to_himself_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an older version left it: which file, and what to do; root, for whom all are open, is not asked here."""

    def refused(path: str | Path, *rest: int) -> int:
        if Path(path).suffix != ".lock":
            return opened(path, *rest)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    opened = os.open
    monkeypatch.setattr(os, "open", refused)
    with (
        pytest.raises(PrerequisiteError, match=r"tests\.lock, by which .* \(Permission denied\): have its owner"),
        turn("tests", print),
    ):
        pass
    assert not [*tmp_path.iterdir()]


def test_whoever_holds_it_for_ever_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody on the host can take it: the wait ends, and says how to find out who it is."""
    monkeypatch.setattr(turns, "_LONGEST", Budget(seconds=0.1, poll=0.02, reason="a test"))
    with holder(tmp_path / "log") as process:
        says(process, "held")
        with (
            pytest.raises(PrerequisiteError, match=r"has held .*tests\.lock for .* `fuser -v .*tests\.lock`"),
            turn("tests", lambda _line: None),
        ):
            pass
        process.send(signal.SIGTERM)
        assert process.wait(timeout=STARTED.seconds).ok
