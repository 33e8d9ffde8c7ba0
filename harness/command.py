"""Running a command: the only place that starts processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Timer

from harness import witness
from harness.errors import CommandError
from harness.model import CommandResult

_TAIL_LINES = 15


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
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        message = f"cannot run {argv[0]}: {error.strerror}"
        raise CommandError(message) from error
    timed_out = False

    def end() -> None:
        nonlocal timed_out
        timed_out = True
        _end_group(process)

    timer = Timer(timeout, end)
    timer.start()
    try:
        if on_line is None:
            stdout, stderr = process.communicate()
        else:
            stdout, stderr = _follow(process, on_line)
    except BaseException:  # Ctrl-C included: nothing that we started outlives us
        _end_group(process)
        process.wait()
        raise
    finally:
        timer.cancel()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
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
        if process.poll() is None:
            _end_group(process)
        process.wait()


def _follow(process: subprocess.Popen[str], on_line: Callable[[str], None]) -> tuple[str, str]:
    assert process.stdout is not None  # noqa: S101 (opened as a pipe above)
    lines = []
    for line in process.stdout:
        lines.append(line)
        on_line(line.rstrip("\n"))
    process.wait()
    return "".join(lines), ""


def _end_group(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _short(argv: Sequence[str]) -> str:
    return " ".join(argv)


def _tail(result: CommandResult) -> str:
    lines = (result.stderr.strip() or result.stdout.strip()).splitlines()[-_TAIL_LINES:]
    return ":\n  " + "\n  ".join(lines) if lines else ""
