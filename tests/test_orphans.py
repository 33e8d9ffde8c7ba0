from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness import command, orphans
from harness.command import Background
from harness.model import Budget
from harness.ownership import Owner, Run
from harness.waiting import wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are told by Linux's /proc")

ME = Owner.current()
DEAD = replace(ME, started="1")
UP = Budget(seconds=20, poll=0.01, reason="a Python that starts on a busy machine")
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
DOCILE = "import signal; print('up', flush=True); signal.pause()"
ENGINE = "an-engine's-id"


@pytest.fixture(autouse=True)
def _mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark that no run on this machine looks for: theirs would end what is made here to be ended."""
    monkeypatch.setattr(orphans, "MARK", f"WIREGUARD_HARNESS_TEST_{ME.pid}")


@pytest.fixture
def orphan(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Background]:
    """A process whose owner has ended, and what it does when it is asked to end."""
    environment = {orphans.MARK: str(DEAD)}
    argv = [sys.executable, "-c", getattr(request, "param", DOCILE)]
    with command.background(argv, log=tmp_path / "log", env=environment) as process:
        wait_until("the process to be up", lambda: process.output, lambda said: "up" in said, within=UP)
        yield process


@pytest.mark.parametrize("orphan", [DOCILE, STUBBORN], indirect=True, ids=["docile", "stubborn"])
def test_a_process_of_a_run_that_is_over_is_ended(orphan: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked to end, and killed when it does not; who did so is told which one it was."""
    monkeypatch.setattr(orphans, "_ENDED", Budget(seconds=0.3, poll=0.01, reason="long enough for one that obeys"))
    assert orphan.pid in {process.pid for process in orphans.processes()}
    assert orphan.pid in {process.pid for process in orphans.end_processes()}
    orphan.wait(timeout=UP.seconds)  # its memory goes a moment before it does
    assert orphan.pid not in {process.pid for process in orphans.processes()}


def test_a_number_that_is_somebody_elses_by_now_is_left_alone(orphan: Background) -> None:
    """Between look and signal a process may end, and another one get its number: its owner is asked for again."""
    (found,) = (process for process in orphans.processes() if process.pid == orphan.pid)
    other = replace(found, owner=replace(DEAD, started="2"))
    other.send(signal.SIGKILL)
    assert not other.running
    assert orphan.running
    assert found.running


def test_children_bear_the_name_of_who_started_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once marked, all that this process starts is known for its own: among the living no orphan, to itself its own."""
    monkeypatch.setenv(orphans.MARK, "")
    orphans.mark_children()
    with command.background([sys.executable, "-c", DOCILE], log=tmp_path / "log") as process:
        wait_until("the process to be up", lambda: process.output, lambda said: "up" in said, within=UP)
        assert process.pid not in {each.pid for each in orphans.processes()}
        (found,) = (each for each in orphans.processes(own=True) if each.pid == process.pid)
        assert found.owner == ME
        assert "signal.pause" in found.command


@pytest.mark.parametrize(
    ("owner", "engine", "present", "own", "found"),
    [
        (DEAD, ENGINE, False, False, True),
        (DEAD, ENGINE, True, False, False),
        (DEAD, "another engine's", False, False, False),
        (replace(DEAD, host="another-host"), ENGINE, False, False, False),
        (ME, ENGINE, False, False, False),
        (ME, ENGINE, False, True, True),
    ],
    ids=["over", "still on the engine", "on another engine", "of another machine", "alive", "one's own"],
)
def test_folders_of_runs_that_are_over(  # noqa: PLR0913
    tmp_path: Path, owner: Owner, engine: str, *, present: bool, own: bool, found: bool
) -> None:
    """A folder is left when its run is over and its own engine has nothing of it, and on no other ground."""
    run = replace(Run.start(0, tmp_path), owner=owner)
    run.state.mkdir()
    orphans.note(run, engine)
    known = {run.id} if present else set()
    assert orphans.folders(tmp_path, ENGINE, known, own=own) == ([run.state] if found else [])


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", json.dumps({"engine": ENGINE})])
def test_folders_that_do_not_say_whose_they_are_stay(tmp_path: Path, text: str) -> None:
    """What is not ours, or cannot be read, is never removed."""
    (tmp_path / "something").mkdir()
    (tmp_path / "something" / "run.json").write_text(text, encoding="utf-8")
    assert orphans.folders(tmp_path, ENGINE, set()) == []


def test_a_temporary_folder_goes_with_its_block() -> None:
    """While the block runs the folder is one's own, and none that is left; then it is gone."""
    with orphans.scratch() as folder:
        assert folder in orphans.scratch_folders(own=True)
        assert folder not in orphans.scratch_folders()
    assert not folder.exists()
