"""Taking turns on this host: what two runs must not do at once, whoever runs them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import PrerequisiteError, WaitTimeoutError
from harness.model import Budget
from harness.waiting import wait_until

Say = Callable[[str], None]

_LONGEST = Budget(seconds=3600, poll=0.2, reason="images are made within minutes, and what makes them ends after 40")
_FOR_ALL = 0o644  # reading is enough for a lock


@contextlib.contextmanager
def turn(name: str, say: Say) -> Iterator[None]:
    """Hold the turn called `name` while the block runs; wait, and say so, while another process holds it.

    The kernel gives it back when its holder dies (flock(2)). The file is never removed, or two processes could each
    hold a file of that name; it is for every user of the host, and stays empty. Raises `PrerequisiteError` where it
    cannot be opened, and where somebody holds it for longer than anything takes that is done in a turn.
    """
    file = Path(tempfile.gettempdir(), f"wireguard-harness-{name}.lock")
    descriptor = _opened(file)
    try:
        if not _taken(descriptor):
            say(f"{name}: another run on this host is at it; waiting for it to be done")
            _await(name, file, descriptor)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _await(name: str, file: Path, descriptor: int) -> None:
    try:
        wait_until(f"the turn {name}", lambda: _taken(descriptor), bool, within=_LONGEST)
    except WaitTimeoutError as error:
        message = (
            f"{name}: another process has held {file} for {_LONGEST.seconds / 60:g} minutes, which nothing takes: "
            f"`fuser -v {file}` as root shows it; once it has ended, run this again"
        )
        raise PrerequisiteError(message) from error


def _opened(file: Path) -> int:
    """A lock file that every user can open, whoever made it, and whatever his umask was."""
    try:
        # Without O_CREAT first, since with it /tmp refuses a file that another user made (fs.protected_regular).
        with contextlib.suppress(FileNotFoundError):
            return os.open(file, os.O_RDONLY)
        try:
            made = os.open(file, os.O_RDONLY | os.O_CREAT | os.O_EXCL, _FOR_ALL)
        except FileExistsError:  # somebody else was quicker
            return os.open(file, os.O_RDONLY)
        os.fchmod(made, _FOR_ALL)  # only of one that was made just now: any other may be a link to something else
    except OSError as error:
        message = (
            f"{file}, by which runs of all users of this host take turns, cannot be opened ({error.strerror}): have "
            "its owner, or root, run `chmod 644` on it"
        )
        raise PrerequisiteError(message) from error
    return made
