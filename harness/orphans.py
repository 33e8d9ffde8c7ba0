"""What outlives its run on this machine: processes, folders of state, and temporary ones.

What a run leaves on an engine bears labels. What it leaves here bears its name in another way: a process in its
environment, a folder of state in a file, a temporary folder in its own name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.model import Budget
from harness.ownership import Liveness, Owner, Run
from harness.waiting import wait_until_or_last

MARK = "WIREGUARD_HARNESS_OWNER"

_PROC = Path("/proc")
_NOTE = "run.json"
_ENGINE = "engine"
_SCRATCH = "wireguard-harness"
_SHOWN = 120  # characters of a command line
_ENDED = Budget(seconds=15, poll=0.05, reason="a worker that has lost its session takes its deployment down first")
_KILLED = Budget(seconds=5, poll=0.02, reason="the kernel ends a process at once, unless the disk keeps it waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that a run started, `owner` being the process that started it, or an ancestor of its."""

    pid: int
    owner: Owner
    command: str

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return _owner_of(self.pid) == self.owner

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended, also when its number is somebody else's by now."""
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.running:
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)


def mark_children() -> None:
    """Have every process that this one starts from now on, and those that they start, bear this one's name."""
    os.environ[MARK] = str(Owner.current())


def mark() -> dict[str, str]:
    """The variable by which `mark_children` marks, for a process that is given no other of this one's."""
    return {MARK: os.environ[MARK]} if MARK in os.environ else {}


def processes(*, own: bool = False) -> list[Process]:
    """Processes whose owner has ended; with `own` also those whose owner this process is. None where no /proc is."""
    me = Owner.current()
    known: dict[Owner, bool] = {me: own}
    found = []
    for entry in _PROC.glob("[0-9]*"):
        if (owner := _owner_of(int(entry.name))) is None or int(entry.name) == me.pid:
            continue
        if known.setdefault(owner, owner == me or owner.liveness() is Liveness.DEAD):
            found.append(Process(pid=int(entry.name), owner=owner, command=_command_of(entry)))
    return found


def end_processes() -> list[Process]:
    """End the processes whose owner has ended, and return them; what does not end when asked to is killed."""
    found = processes()
    for number, within in ((signal.SIGTERM, _ENDED), (signal.SIGKILL, _KILLED)):
        for process in found:
            process.send(number)
        if found:
            wait_until_or_last(lambda: any(each.running for each in found), lambda running: not running, within)
    return found


def note(run: Run, engine: str) -> None:
    """Write into a run's folder of state whose it is, and on which engine, by the engine's own id, the rest is."""
    text = json.dumps(run.labels() | {_ENGINE: engine}, indent=2)
    (run.state / _NOTE).write_text(text, encoding="utf-8")


def folders(root: Path, engine: str, present: Collection[str], *, own: bool = False) -> list[Path]:
    """Folders of state of runs that have ended and of which the engine has nothing (`present`: run ids that it has).

    With `own` those of this process are among them.
    """
    me = Owner.current()
    found = []
    for path in root.glob("*/" + _NOTE):
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            run = Run.from_labels(noted)
        except (OSError, ValueError, TypeError, AttributeError):
            continue
        if run is None or noted.get(_ENGINE) != engine or run.id in present:
            continue
        if (own and run.owner == me) or run.owner.liveness() is Liveness.DEAD:
            found.append(path.parent)
    return sorted(found)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder while the block runs; its name says whose it is."""
    me = Owner.current()
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}-{me.pid}-{me.started}-") as folder:
        yield Path(folder)


def scratch_folders(*, own: bool = False) -> list[Path]:
    """Temporary folders of processes that have ended; with `own` also of this one."""
    me = Owner.current()
    found = []
    for path in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}-*"):
        if named := re.fullmatch(rf"{_SCRATCH}-(\d+)-(\d+)-\w+", path.name):
            owner = replace(me, pid=int(named[1]), started=named[2])
            if own if owner == me else owner.liveness() is Liveness.DEAD:
                found.append(path)
    return sorted(found)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it, as far as that is allowed."""
    shutil.rmtree(path, ignore_errors=True)


def _owner_of(pid: int) -> Owner | None:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:  # it has ended, or is somebody else's
        return None
    for entry in environment.split(b"\0"):
        if entry.startswith(MARK.encode() + b"="):
            return Owner.parse(entry.partition(b"=")[2].decode(errors="replace"))
    return None


def _command_of(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:_SHOWN]
    except OSError:
        return ""
