"""Running a command: the only place that starts processes."""

from __future__ import annotations

import contextlib
import io
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from harness import witness
from harness.errors import CommandError
from harness.model import CommandResult

_TAIL_LINES = 15
_PIECE = 1 << 16  # bytes: what a pipe holds (pipe(7))
_LAST_WORDS = 1.0  # seconds in which what was killed, or is left of what has ended, lets go of its pipes
_LOOK_EVERY = 0.1  # seconds between two looks whether the process has ended, where it says nothing


def run(  # noqa: PLR0913 (a process has this many sides)
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
    check: bool = True,
) -> CommandResult:
    """Run `argv` and return what it did. `timeout` is in seconds; `env` is added to this process's own, if `inherit`.

    Raises `CommandError` when the program is not there, when time runs out (its whole process group is ended),
    and, unless `check` is False, when it exits with anything but 0.
    """
    return stream(argv, timeout=timeout, cwd=cwd, env=env, inherit=inherit, check=check, on_line=None)


def stream(  # noqa: PLR0913 (a process has this many sides)
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
    check: bool = True,
    on_line: Callable[[str], None] | None,
) -> CommandResult:
    """Run `argv` as `run` does, handing each line that it prints to `on_line` while it runs.

    With `on_line` both outputs are one: all of it is in the result's `stdout`.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**(os.environ if inherit else {}), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if on_line is None else subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        message = f"cannot run {argv[0]}: {error.strerror}"
        raise CommandError(message) from error
    listeners = [_Listener(pipe, on_line) for pipe in (process.stdout, process.stderr) if pipe is not None]
    try:
        timed_out = not _hear_out(process, listeners, started + timeout)
    except BaseException:  # Ctrl-C included: nothing that we started outlives us
        _end_group(process)
        process.wait()
        raise
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    stdout, stderr = (*(listener.text for listener in listeners), "")[:2]
    result = CommandResult(
        argv=tuple(argv),
        exit_status=process.returncode,
        stdout=stdout,
        stderr=stderr,
        duration=time.monotonic() - started,
    )
    witness.tell(_short(argv), result)
    if timed_out:
        message = f"{_short(argv)} did not finish within {timeout:g} s{_tail(result)}"
        raise CommandError(message)
    if check and not result.ok:
        message = f"{_short(argv)} failed with exit status {result.exit_status}{_tail(result)}"
        raise CommandError(message)
    return result


class Background:
    """A process that runs beside this one, in a process group of its own; both its outputs go to a file."""

    def __init__(self, argv: Sequence[str], process: subprocess.Popen[bytes], log: Path) -> None:
        self._argv = tuple(argv)
        self._process = process
        self._log = log
        self._started = time.monotonic()

    @property
    def pid(self) -> int:
        """Its number, and that of its process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its group, as a terminal does with Ctrl-C."""
        os.killpg(self._process.pid, number)

    def wait(self, *, timeout: float) -> CommandResult:
        """Wait until it has ended; `timeout` is in seconds. Raises `CommandError` when it does not end."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            message = f"{_short(self._argv)} has not ended within {timeout:g} s; it printed:\n{self.output}"
            raise CommandError(message) from None
        duration = time.monotonic() - self._started
        return CommandResult(argv=self._argv, exit_status=status, stdout=self.output, stderr="", duration=duration)


@contextlib.contextmanager
def background(
    argv: Sequence[str], *, log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Background]:
    """Run `argv` beside this process while the block runs; what is left of its group then is ended.

    `log` is the file that takes its output; `env` is added to this process's own. Raises `CommandError` when the
    program is not there.
    """
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            message = f"cannot run {argv[0]}: {error.strerror}"
            raise CommandError(message) from error
    try:
        yield Background(argv, process, log)
    finally:
        _end_group(process)
        process.wait()


class _Listener:
    """What comes out of a pipe; each line that is whole is handed to `on_line`, if there is one."""

    def __init__(self, pipe: IO[bytes], on_line: Callable[[str], None] | None) -> None:
        self.pipe = pipe
        self._on_line = on_line
        self._heard = bytearray()
        self._told = 0

    def hear(self) -> bool:
        """Take what is there; False once nothing more will come."""
        piece = os.read(self.pipe.fileno(), _PIECE)
        self._heard += piece
        if self._on_line is not None:
            self._tell(self._on_line, len(self._heard) if not piece else self._heard.rfind(b"\n") + 1)
        return bool(piece)

    def _tell(self, on_line: Callable[[str], None], end: int) -> None:
        lines, self._told = self._heard[self._told : end], max(end, self._told)
        for line in io.StringIO(_as_text(lines)):
            on_line(line.removesuffix("\n"))

    @property
    def text(self) -> str:
        return _as_text(self._heard)


def _as_text(output: bytearray) -> str:
    """As Python's own text files have it: each end of a line is one character."""
    return io.TextIOWrapper(io.BytesIO(output), encoding="utf-8", errors="replace").read()


def _hear_out(process: subprocess.Popen[bytes], listeners: Sequence[_Listener], end: float) -> bool:
    """Listen until the process has ended; False where it has not by `end`, and was ended with its group.

    What it leaves behind may hold the pipes on, and is waited for no longer than a moment; what of that is still in
    its group is ended then. What has left the group is let go.
    """
    in_time, last = True, False
    with selectors.DefaultSelector() as speaking:
        for listener in listeners:
            speaking.register(listener.pipe, selectors.EVENT_READ, listener)
        while speaking.get_map():
            over = process.poll() is not None
            if over:
                end = min(end, time.monotonic() + _LAST_WORDS)
            left = end - time.monotonic()
            if left <= 0 and last:
                break
            if left <= 0:
                in_time, last = over, True
                _end_group(process)
                end = time.monotonic() + _LAST_WORDS
                continue
            for key, _events in speaking.select(min(left, _LOOK_EVERY)):
                if not key.data.hear():
                    speaking.unregister(key.fileobj)
    try:
        process.wait(max(0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        _end_group(process)
        process.wait()
        return False
    return in_time


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process's group, also where the process itself has ended."""
    if process.poll() is not None and is_there(process.pid):
        return  # its number is given to another only once nothing of the group is left
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def is_there(pid: int) -> bool:
    """Whether there is a process of that number, also somebody else's, or one that has only ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def _short(argv: Sequence[str]) -> str:
    return " ".join(argv)


def _tail(result: CommandResult) -> str:
    lines = (result.stderr.strip() or result.stdout.strip()).splitlines()[-_TAIL_LINES:]
    return ":\n  " + "\n  ".join(lines) if lines else ""
