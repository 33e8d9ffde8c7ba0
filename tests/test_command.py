from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import command
from harness.errors import CommandError
from harness.model import Budget
from harness.waiting import wait_until

GONE = Budget(seconds=5, poll=0.01, reason="a killed process is reaped at once, on a busy machine a little later")


def runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def all_gone(file: Path) -> bool:
    """Whether every process that a script noted in a file has ended."""
    pids = [int(line) for line in file.read_text(encoding="ascii").split()]
    wait_until(f"processes {pids} to be gone", lambda: [pid for pid in pids if runs(pid)], lambda left: not left, GONE)
    return len(pids) == 3


@pytest.fixture
def family(tmp_path: Path) -> tuple[list[str], Path]:
    """A command whose child has a child, which would all run for long, and the file where they note their ids."""
    noted = tmp_path / "pids"
    inner = f"echo $$ >> {noted}; sleep 60 & echo $! >> {noted}; wait"
    return ["sh", "-c", f"trap '' TERM; echo $$ >> {noted}; sh -c '{inner}' & echo started; wait"], noted


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def noted_all(file: Path) -> None:
    wait_until(
        "three processes",
        lambda: file.read_text(encoding="ascii").count("\n") if file.exists() else 0,
        lambda lines: lines == 3,
        GONE,
    )


@pytest.fixture
def default_interrupt() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_result_tells_what_happened() -> None:
    """Both outputs are apart, the exit status and the argv are kept, and the duration is measured."""
    result = command.run(["sh", "-c", "echo out; echo err >&2"], timeout=10)
    assert (result.stdout, result.stderr, result.exit_status, result.ok) == ("out\n", "err\n", 0, True)
    assert result.argv == ("sh", "-c", "echo out; echo err >&2")
    assert 0 < result.duration < 10


def test_a_missing_program_is_named() -> None:
    """A program that is not there is a `CommandError` with its name and the reason."""
    with pytest.raises(CommandError, match=r"^cannot run no-such-program: No such file or directory$"):
        command.run(["no-such-program", "--help"], timeout=10)


def test_what_may_not_be_run_is_named(tmp_path: Path) -> None:
    """The same for a file that is no program."""
    with pytest.raises(CommandError, match="Permission denied"):
        command.run([str(tmp_path)], timeout=10)


def test_failure_is_an_error_with_the_last_words() -> None:
    """A non-zero exit raises, with the command, the status and what it said on standard error."""
    with pytest.raises(CommandError, match=r"(?s)^sh -c .* failed with exit status 3:\n  it broke$"):
        command.run(["sh", "-c", "echo fine; echo it broke >&2; exit 3"], timeout=10)


def test_a_long_failure_is_cut_to_its_end() -> None:
    """Of a long output the message holds the last lines only."""
    with pytest.raises(CommandError) as caught:
        command.run(["sh", "-c", "seq 1000 >&2; exit 1"], timeout=10)
    assert str(caught.value).endswith("  999\n  1000")
    assert len(str(caught.value).splitlines()) == 16


def test_failure_may_be_asked_for() -> None:
    """Unchecked, a failing command is a result like any other."""
    assert command.run(["sh", "-c", "exit 7"], timeout=10, check=False).exit_status == 7


def test_death_by_a_signal_is_no_success() -> None:
    """A command that a signal ended has failed, with the signal as its negative status."""
    result = command.run(["sh", "-c", "kill -9 $$"], timeout=10, check=False)
    assert result.exit_status == -9
    assert not result.ok


def test_the_environment_is_added_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`env` adds and replaces, the rest of this process's own stays; `cwd` is where the command runs."""
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("CHANGED", "before")
    result = command.run(
        ["sh", "-c", "echo $KEPT $CHANGED $ADDED; pwd"],
        timeout=10,
        env={"CHANGED": "after", "ADDED": "added"},
        cwd=tmp_path,
    )
    assert result.stdout == f"kept after added\n{tmp_path}\n"
    assert os.environ["CHANGED"] == "before"


def test_standard_input_is_empty() -> None:
    """A command that asks gets no answer, whatever this process's own input holds."""
    own, (reader, writer) = os.dup(0), os.pipe()
    os.write(writer, b"an answer")
    os.close(writer)
    os.dup2(reader, 0)
    try:
        assert command.run(["cat"], timeout=10).stdout == ""
    finally:
        os.dup2(own, 0)
        os.close(own)
        os.close(reader)


def test_garbage_is_decoded_somehow() -> None:
    """Bytes that are no text become replacement characters, and the rest stays readable."""
    assert command.run(["printf", r"before \377\376 after"], timeout=10).stdout == "before \ufffd\ufffd after"


def test_no_shell_is_between() -> None:
    """Arguments arrive as they are: nothing is expanded or split."""
    assert command.run(["printf", "%s|", "$HOME", "a b", "; exit 1", "*"], timeout=10).stdout == "$HOME|a b|; exit 1|*|"


def test_much_output_on_both_sides_does_not_block() -> None:
    """More than a pipe holds, on both outputs, is read to the end."""
    script = "yes out | head -c 300000; yes err | head -c 300000 >&2"
    result = command.run(["sh", "-c", script], timeout=10)
    assert (len(result.stdout), len(result.stderr)) == (300000, 300000)


def test_time_running_out_ends_the_whole_family(family: tuple[list[str], Path]) -> None:
    """When time is up, the command, its child and its child's child are gone; the message shows the last output."""
    argv, noted = family
    with pytest.raises(CommandError, match=r"(?s)did not finish within 0.5 s:\n  started$"):
        command.run(argv, timeout=0.5)
    assert all_gone(noted)


@pytest.mark.usefixtures("default_interrupt")
def test_ctrl_c_ends_the_whole_family(family: tuple[list[str], Path]) -> None:
    """Ctrl-C while a command runs comes through, and leaves none of the command's processes behind."""
    argv, noted = family

    def press() -> None:
        noted_all(noted)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        command.run(argv, timeout=30)
    presser.join()
    assert all_gone(noted)


def test_a_failing_reader_ends_the_whole_family(family: tuple[list[str], Path]) -> None:
    """When what follows the lines fails, its error comes through and the command does not outlive it."""
    argv, noted = family

    def fail(_line: str) -> None:
        noted_all(noted)
        raise RuntimeError("reader broke")

    with pytest.raises(RuntimeError, match="reader broke"):
        command.stream(argv, timeout=30, on_line=fail)
    assert all_gone(noted)


def test_lines_arrive_while_the_command_runs() -> None:
    """Each line is handed over when it is printed, not at the end; both outputs are one."""
    seen: list[tuple[str, float]] = []
    result = command.stream(
        ["sh", "-c", "echo first; sleep 0.4; echo second >&2"],
        timeout=10,
        on_line=lambda line: seen.append((line, time.monotonic())),
    )
    assert [line for line, _ in seen] == ["first", "second"]
    assert seen[1][1] - seen[0][1] > 0.2
    assert (result.stdout, result.stderr) == ("first\nsecond\n", "")


def test_streaming_fails_as_running_does() -> None:
    """A streamed command that fails or takes too long raises the same errors."""
    with pytest.raises(CommandError, match=r"(?s)exit status 4:\n  oh no$"):
        command.stream(["sh", "-c", "echo oh no; exit 4"], timeout=10, on_line=lambda _: None)
    with pytest.raises(CommandError, match=r"did not finish within 0\.2 s"):
        command.stream(["sleep", "30"], timeout=0.2, on_line=lambda _: None)


def test_a_descendant_that_has_left_holds_nobody_up(tmp_path: Path) -> None:
    """A daemon keeps the outputs that it was given: time runs out all the same, and what was said is told."""
    noted = tmp_path / "pid"
    argv = ["sh", "-c", f"setsid sh -c 'echo $$ > {noted}; exec sleep 60' & echo said; wait"]
    began = time.monotonic()
    try:
        with pytest.raises(CommandError, match=r"(?s)did not finish within 0.3 s:\n  said$"):
            command.run(argv, timeout=0.3)
        assert time.monotonic() - began < 5
    finally:
        os.kill(int(noted.read_text(encoding="ascii")), signal.SIGKILL)


def test_what_a_command_leaves_behind_does_not_hold_it_up(tmp_path: Path) -> None:
    """It has ended when it has ended: a child that keeps its outputs is no reason to call it late, and is ended."""
    noted = tmp_path / "pid"
    began = time.monotonic()
    result = command.run(["sh", "-c", f"sleep 60 & echo $! > {noted}; echo done"], timeout=30)
    assert result.ok
    assert result.stdout == "done\n"
    assert time.monotonic() - began < 15
    left = int(noted.read_text(encoding="ascii"))
    wait_until("the child to be gone", lambda: runs(left), lambda there: not there, GONE)


def test_what_is_said_after_the_end_is_heard() -> None:
    """A child that has a last word to say, and then ends, is heard."""
    result = command.run(["sh", "-c", "(sleep 0.3; echo last) & echo first"], timeout=30)
    assert result.stdout == "first\nlast\n"


def test_what_a_process_beside_us_leaves_is_ended(tmp_path: Path) -> None:
    """A session that was killed leaves its workers, which nobody else would end."""
    noted = tmp_path / "pid"
    with command.background(["sh", "-c", f"sleep 60 & echo $! > {noted}"], log=tmp_path / "log") as process:
        process.wait(timeout=10)
    left = int(noted.read_text(encoding="ascii"))
    wait_until("the child to be gone", lambda: runs(left), lambda there: not there, GONE)


def test_a_number_that_another_process_has_by_now_is_let_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a process that has ended, and whose group is empty, the number may be given to somebody else."""
    ended: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _number: ended.append(pid))
    monkeypatch.setattr(command, "is_there", lambda _pid: True)
    with command.background(["true"], log=tmp_path / "log") as process:
        process.wait(timeout=10)
    assert ended == []


def test_a_command_that_closes_its_outputs_is_waited_for() -> None:
    """It has ended when it has ended, not when it has no more to say; and in time."""
    assert command.run(["sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 7"], timeout=10, check=False).exit_status == 7
    with pytest.raises(CommandError, match=r"did not finish within 0\.2 s"):
        command.run(["sh", "-c", "exec >&- 2>&-; sleep 30"], timeout=0.2)


def test_a_command_that_never_stops_talking_is_ended() -> None:
    """There is always more to read, and its time is up all the same."""
    with pytest.raises(CommandError, match=r"did not finish within 0\.3 s"):
        command.run(["yes"], timeout=0.3)


def test_lines_are_whole_whatever_comes_at_once() -> None:
    """Half a line, half a character, an end of a line of another system, and a last line without one."""
    said: list[str] = []
    script = r"printf 'a\nb'; sleep 0.1; printf 'c\r\n\303'; sleep 0.1; printf '\251\n\n\fend'"
    result = command.stream(["sh", "-c", script], timeout=10, on_line=said.append)
    assert said == ["a", "bc", "é", "", "\fend"]
    assert result.stdout == "a\nbc\né\n\n\fend"


@pytest.mark.parametrize("ending", ["well", "late", "broken"])
def test_no_pipe_is_left_open(ending: str) -> None:
    """However a command ends, no descriptor of this process stays open."""
    gc.collect()
    before = descriptors()

    def fail(_line: str) -> None:
        raise RuntimeError

    for _ in range(3):
        if ending == "well":
            command.stream(["echo"], timeout=10, on_line=lambda _: None)
        elif ending == "late":
            with pytest.raises(CommandError):
                command.run(["sleep", "30"], timeout=0.05)
        else:
            with pytest.raises(RuntimeError):
                command.stream(["sh", "-c", "echo; sleep 30"], timeout=10, on_line=fail)
    assert descriptors() == before
