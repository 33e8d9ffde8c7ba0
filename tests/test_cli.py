from __future__ import annotations

import gc
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from docker.errors import APIError
from requests.exceptions import ConnectionError as RequestsConnectionError

from harness import cli, command, keys
from harness.errors import EXIT_INTERRUPTED, EXIT_PREREQUISITE, WaitTimeoutError

from .conftest import ROOT

ENGINE_COMMANDS = (["check"], ["prepare"], ["up"], ["down"], ["status"], ["sweep"])

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; return its exit status and both outputs."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)

    def ran(*arguments: str) -> tuple[int, str, str]:
        # The docker SDK leaves a socket that could not be connected to the garbage collector, which remarks on it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            try:
                status: object = cli.main(arguments)
            except SystemExit as end:
                status = end.code
            gc.collect()
        captured = capsys.readouterr()
        assert isinstance(status, int)
        return status, captured.out, captured.err

    return ran


def test_generated_keys_verify(run: Run, tmp_path: Path) -> None:
    """`keys generate` makes what `keys verify` finds sound; both say what they did and exit with 0."""
    directory = tmp_path / "new" / "keys"
    status, out, err = run("keys", "generate", str(directory))
    assert (status, err) == (0, "")
    assert out == f"keys made in {directory}: {', '.join(keys.FILES)}\n"
    assert run("keys", "verify", str(directory)) == (0, f"{directory}: all keys are sound\n", "")


def test_generating_twice_replaces_nothing(run: Run, key_directory: Path) -> None:
    """A second `keys generate` fails with one line that names --force; with it, the keys are new."""
    before = keys.read(key_directory)
    status, out, err = run("keys", "generate", str(key_directory))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "--force" in err
    assert keys.read(key_directory) == before
    assert run("keys", "generate", str(key_directory), "--force")[0] == 0
    assert keys.read(key_directory) != before


def test_verify_has_a_line_for_each_fault(run: Run, key_directory: Path) -> None:
    """Two faults are two lines on standard output and exit status 1, and neither shows a key that is secret."""
    secrets = keys.read(key_directory).secrets()
    (key_directory / keys.WEB_PRIVATE).chmod(0o644)
    (key_directory / keys.SERVICES_PUBLIC).unlink()
    status, out, err = run("keys", "verify", str(key_directory))
    assert (status, err, out.count("\n")) == (1, "", 2)
    assert not [secret for secret in secrets if secret in out]


def test_verify_of_nothing_names_every_file(run: Run, tmp_path: Path) -> None:
    """A directory that is not there is no pass."""
    status, out, _ = run("keys", "verify", str(tmp_path / "none"))
    assert status == 1
    assert [name for name in keys.FILES if name in out] == list(keys.FILES)


@pytest.mark.parametrize("arguments", ENGINE_COMMANDS, ids=" ".join)
def test_without_an_engine_each_command_says_so(run: Run, arguments: list[str]) -> None:
    """No engine: exit 10, nothing on standard output, one line that says how to get one."""
    status, out, err = run(*arguments)
    assert status == EXIT_PREREQUISITE == 10
    assert out == ""
    assert re.fullmatch(r"no Docker engine answers \(No such file or directory\): start it, .*\n", err)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["up", "--plan", "100"],
        ["up", "--plan", "-1"],
        ["down", "--plan", "x"],
        ["up", "--layout", "staging"],
        ["keys"],
        ["keys", "generate"],
        ["keys", "verify", "one", "two"],
        ["sweep", "--all"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(run: Run, arguments: list[str]) -> None:
    """What cannot be understood is refused with the usage, before anything is done."""
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("usage: python -m harness")


def test_a_plan_that_is_none_is_named(run: Run) -> None:
    """The refusal of a plan says which ones there are."""
    assert "there is no address plan 100: plans are 0 to 99" in run("up", "--plan", "100")[2]


@pytest.mark.parametrize("arguments", [[], *ENGINE_COMMANDS, ["keys"], ["keys", "generate"], ["keys", "verify"]])
def test_every_command_explains_itself(run: Run, arguments: list[str]) -> None:
    """`--help` exits with 0, needs no engine, and says more than the usage."""
    status, out, err = run(*arguments, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: {' '.join(['python -m harness', *arguments])}")
    assert len(out.splitlines()) > 3


def test_the_front_page_lists_every_command(run: Run) -> None:
    """Nothing that can be done is hidden."""
    listed = re.findall(r"^ {4}(\w+)\s", run("--help")[1], re.MULTILINE)
    assert {*listed} >= {"check", "up", "down", "status", "prepare", "sweep", "keys"}


def test_it_runs_as_a_module() -> None:
    """`python -m harness` ends with the command's exit status and without a traceback."""
    result = command.run([sys.executable, "-m", "harness", "status"], timeout=30, cwd=ROOT, check=False)
    assert result.exit_status == 10
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["doctor", "--attach", ""], "--attach names nothing"),
        (["doctor", "--compose", "FOLDER"], "is a folder: name a file in it"),
        (["doctor", "--compose", "NOTHING"], "there is no file"),
        (["keys", "generate", ""], "it is empty: name a folder"),
        (["keys", "verify", " "], "it is empty: name a folder"),
        (["keys", "generate", "FILE"], "it is a file; name a folder"),
        (["score", "--fault", "x"], "--fault chooses faults for --mutation, which is not given"),
        (["score", "--jobs", "3"], "--jobs is for --mutation, which is not given"),
        (["score", "--mutation", "--jobs", "0"], "'0' is no number of deployments: give 1 or more"),
        (["score", "--mutation", "--fault", "nope"], "there is no fault 'nope'; there are: "),
        (["merge", "--workflow", "NOTHING"], "cannot be read: No such file or directory"),
        (["sweep", "--engine", "nope"], "--engine nope is no engine's address"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_word_is_answered_with_what_is_wrong(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    """One line says it, whichever exit status it is; nothing is made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "FILE").write_text("text", encoding="utf-8")
    monkeypatch.setattr("harness.engine.Engine.connect", object)
    status, _, err = run(*arguments)
    assert status == (1 if arguments == ["keys", "generate", "FILE"] else 2)
    assert words in err.splitlines()[-1]
    assert "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} == {"FOLDER", "FILE"}


def test_a_docker_context_that_is_none_is_not_passed_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would take the default engine, and compose none: two halves of a run on two engines."""
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "no-such-context")
    status, out, err = run("status")
    assert (status, out) == (10, "")
    assert "there is no docker context 'no-such-context'" in err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "interrupted; nothing of this command is left running\n"),
        (
            WaitTimeoutError("run x could not be removed within 60 s"),
            "run x could not be removed within 60 s; `make sw",
        ),
        (APIError("the engine is shutting down"), "the engine is shutting down; `make sweep` removes it"),
        (RequestsConnectionError("connection aborted"), "connection aborted; `make sweep` removes it"),
    ],
    ids=["removed", "not in time", "refused", "engine gone"],
)
def test_an_interrupted_command_says_what_became_of_its_deployment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception | None, said: str
) -> None:
    """That nothing is left is said only where it is so; else what is in the way, and what removes it."""

    def interrupted() -> int:
        raise KeyboardInterrupt

    def removing(_engine: object, *, say: object) -> None:
        assert say
        if error:
            raise error

    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)
    monkeypatch.setattr("harness.engine.Engine.connect", lambda: None)
    monkeypatch.setattr("harness.lifecycle.remove_own", removing)
    assert cli.guarded(interrupted) == EXIT_INTERRUPTED
    shown = capsys.readouterr().err
    assert said in shown
    assert ("nothing of this command is left" in shown) is (error is None)
