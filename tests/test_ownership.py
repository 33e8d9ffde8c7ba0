from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ownership
from harness.model import Budget
from harness.ownership import Liveness, Owner, Run
from harness.waiting import wait_until

ME = Owner.current()
ENDED = Budget(seconds=5, poll=0.01, reason="a child that exits at once")


@pytest.fixture
def ended_child() -> Iterator[Owner]:
    """The owner of a child that has ended and that nobody has reaped."""
    release, held = os.pipe()
    child = os.fork()
    if child == 0:  # waits until its parent knows it
        os.close(held)
        os.read(release, 1)
        os._exit(0)
    owner = dataclasses.replace(ME, pid=child, started=started(child))
    assert owner.liveness() is Liveness.ALIVE
    os.close(held)
    os.close(release)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    yield owner
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        return


def started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]


def test_this_process_is_alive() -> None:
    """The process that asks is itself alive, also when it reads itself back from a label."""
    assert ME.pid == os.getpid()
    assert ME.liveness() is Liveness.ALIVE
    assert Owner.parse(str(ME)) == ME


def test_a_child_that_was_reaped_is_dead(ended_child: Owner) -> None:
    """A number that no process has any more is dead."""
    os.waitpid(ended_child.pid, 0)
    assert ended_child.liveness() is Liveness.DEAD


def test_a_child_that_was_not_reaped_is_dead(ended_child: Owner) -> None:
    """One that has ended is dead, also while its parent has not asked for it: in a container that may be never."""
    assert Path(f"/proc/{ended_child.pid}").exists()
    assert ended_child.liveness() is Liveness.DEAD


def test_a_number_that_was_used_again_is_dead() -> None:
    """A process of the same number that was started at another time is another process."""
    later = dataclasses.replace(ME, started=str(int(ME.started) + 1))
    assert later.liveness() is Liveness.DEAD


@pytest.mark.parametrize(
    ("change", "liveness"),
    [
        ({"host": "another-host"}, Liveness.UNKNOWN),
        ({"host": "another-host", "boot": "another-boot"}, Liveness.UNKNOWN),
        ({"boot": "another-boot"}, Liveness.DEAD),
        ({"boot": "another-boot", "namespace": "pid:[1]"}, Liveness.DEAD),
        ({"boot": "another-boot", "machine": "another-machine"}, Liveness.UNKNOWN),
        ({"namespace": "pid:[1]"}, Liveness.UNKNOWN),
    ],
    ids=[
        "other host",
        "other host rebooted",
        "before a reboot",
        "container before a reboot",
        "other host of this name",
        "other container",
    ],
)
def test_who_cannot_be_seen_from_here_is_unknown(
    change: dict[str, Any], liveness: Liveness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's or container's process is neither alive nor dead; one from before a reboot is dead."""
    here = dataclasses.replace(ME, machine="this-machine")
    monkeypatch.setattr(Owner, "current", lambda: here)
    assert dataclasses.replace(here, **change).liveness() is liveness


@pytest.mark.parametrize(
    ("here", "change", "liveness"),
    [
        ({"machine": ""}, {"boot": "another-boot"}, Liveness.UNKNOWN),
        ({"machine": "", "boot": ""}, {"pid": 1}, Liveness.UNKNOWN),
        ({"machine": "", "boot": ""}, {"pid": 2**22 + 1}, Liveness.UNKNOWN),
        ({"machine": "", "boot": ""}, {}, Liveness.ALIVE),
        ({"machine": "this-machine", "boot": ""}, {"pid": 2**22 + 1}, Liveness.DEAD),
    ],
    ids=["another boot", "no boot id", "no boot id and no such process", "this process", "told by its id"],
)
def test_of_two_machines_without_an_id_neither_is_taken_for_the_other(
    monkeypatch: pytest.MonkeyPatch, here: dict[str, Any], change: dict[str, Any], liveness: Liveness
) -> None:
    """One name may be this machine, now or before a reboot, or another one, whose processes are not those here."""
    me = dataclasses.replace(ME, **here)
    monkeypatch.setattr(Owner, "current", lambda: me)
    assert dataclasses.replace(me, **change).liveness() is liveness


@pytest.mark.parametrize("allowed", [True, False], ids=["one's own", "somebody else's"])
def test_a_process_that_is_hidden_is_unknown(monkeypatch: pytest.MonkeyPatch, *, allowed: bool) -> None:
    """One that is there, and whose start /proc does not show, cannot be told from another of its number."""
    hidden = dataclasses.replace(ME, pid=os.getppid(), started=started(os.getppid()))
    assert hidden.liveness() is Liveness.ALIVE

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(ownership, "_started", lambda _pid: None)
    if not allowed:
        monkeypatch.setattr(os, "kill", refuse)
    assert hidden.liveness() is Liveness.UNKNOWN


def test_a_process_name_with_parentheses_does_not_mislead(tmp_path: Path) -> None:
    """The start time is found behind the name, whatever the name holds."""
    noted = tmp_path / "pid"
    child = os.fork()
    if child == 0:
        Path("/proc/self/comm").write_text("a) Z 1 (b", encoding="ascii")
        noted.write_text("named", encoding="ascii")
        os.read(os.pipe()[0], 1)  # until killed
    try:
        wait_until("the child to be named", noted.exists, bool, ENDED)
        assert dataclasses.replace(ME, pid=child, started=started(child)).liveness() is Liveness.ALIVE
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_process_name_that_is_no_ascii_does_not_mislead() -> None:
    """A number that is used again may be of any process, and one of these would end every sweep."""
    noted, note = os.pipe()
    child = os.fork()
    if child == 0:
        Path("/proc/self/comm").write_bytes("Grüße \N{SNOWMAN}".encode())
        os.write(note, b"named")
        os.read(os.pipe()[0], 1)  # until killed
    try:
        assert os.read(noted, 5) == b"named"
        assert dataclasses.replace(ME, pid=child, started="1").liveness() is Liveness.DEAD
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        for end in (noted, note):
            os.close(end)


@pytest.mark.parametrize(
    "label",
    ["", "somebody", "null", "[]", "3", '"text"', "{}", '{"pid": 1}', '{"host": "h", "pid": 1, "more": 2}', "{"],
)
def test_a_foreign_owner_is_none_of_ours(label: str) -> None:
    """A label that we did not write names no owner."""
    assert Owner.parse(label) is None


@given(
    st.builds(
        Owner,
        host=st.sampled_from(["a", 'quo"te', "ü", "-"]),
        boot=st.uuids().map(str),
        namespace=st.integers(min_value=1).map("pid:[{}]".format),
        pid=st.integers(min_value=1, max_value=2**22),
        started=st.integers(min_value=0).map(str),
    ),
    st.integers(min_value=0, max_value=99),
    st.sampled_from(["/srv/state", "/srv/with space", "/ü"]),
)
def test_a_run_is_read_back_from_its_labels(owner: Owner, plan: int, state: str) -> None:
    """What stands on a container tells the whole run, whatever characters are in it."""
    run = Run(id="20260101-000000-1-0", owner=owner, since="2026-01-01T00:00:00+00:00", plan=plan, state=Path(state))
    assert Run.from_labels(run.labels()) == run
    assert all(isinstance(value, str) for value in run.labels().values())


def test_a_run_that_starts_is_this_process(tmp_path: Path) -> None:
    """A new run is owned by this process, began now, and has a directory of its own below the root."""
    run = Run.start(7, tmp_path)
    assert run.owner == ME
    assert run.plan == 7
    assert run.state.parent == tmp_path
    assert not run.state.exists()
    assert abs((datetime.now(tz=UTC) - datetime.fromisoformat(run.since)).total_seconds()) < 60
    assert f"-{os.getpid()}-7-" in run.id


def test_no_two_runs_have_one_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two jobs in containers of their own may have one number in one second: none is to remove the other's things."""
    monkeypatch.setattr("os.getpid", lambda: 7)
    assert len({Run.start(0).id for _ in range(20)}) == 20


FULL = Run.start(0, Path("/state")).labels()


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"com.docker.compose.project": "somebody"},
        {name: value for name, value in FULL.items() if name != ownership.LABEL},
        {name: value for name, value in FULL.items() if name != ownership.OWNER},
        {name: value for name, value in FULL.items() if name != ownership.PLAN},
        FULL | {ownership.OWNER: "somebody"},
        FULL | {ownership.PLAN: "zero"},
        FULL | {ownership.PLAN: "-1"},
    ],
    ids=["none", "compose's", "no run", "no owner", "no plan", "foreign owner", "plan is no number", "negative plan"],
)
def test_foreign_labels_are_no_run(labels: dict[str, str]) -> None:
    """Labels that are not whole and ours name no run, so that nothing of anybody else's is ever removed."""
    assert Run.from_labels(labels) is None


def test_the_owner_is_shown_to_people() -> None:
    """For people: process and host."""
    assert ME.describe() == f"process {os.getpid()} on {json.loads(str(ME))['host']}"
