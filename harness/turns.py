"""Taking turns on this host: what two runs must not do at once, whoever runs them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

Say = Callable[[str], None]


@contextlib.contextmanager
def turn(name: str, say: Say) -> Iterator[None]:
    """Hold the turn called `name` while the block runs; wait, and say so, while another process holds it.

    The kernel gives it back when its holder dies (flock(2)). The file is never removed, or two processes could each
    hold a file of that name; it is for every user of the host, and stays empty.
    """
    descriptor = _opened(Path(tempfile.gettempdir(), f"wireguard-harness-{name}.lock"))
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: another run on this host is at it; waiting for it to be done")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _opened(file: Path) -> int:
    """A lock file that every user can open, whoever made it."""
    # Reading is enough for a lock, and 0644 is what an ordinary umask leaves. Without O_CREAT first, since with it
    # /tmp refuses a file that another user made (fs.protected_regular).
    with contextlib.suppress(FileNotFoundError):
        return os.open(file, os.O_RDONLY)
    return os.open(file, os.O_RDONLY | os.O_CREAT, 0o666)
