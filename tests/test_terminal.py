"""Where output goes, and in which letters, changes nothing of what a command ends with."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from harness import cli, command, consulting

from .conftest import ROOT
from .evidence_samples import Sample
from .test_rules_paths import a_dnat_rule_was_deleted

HEALTHY, FAULTY, UNSEEN, UNREAD = 0, 1, 2, 141


@pytest.fixture
def healthy(tmp_path: Path) -> str:
    """The words that have the doctor judge a healthy deployment."""
    return _saved(Sample(), tmp_path / "healthy.json")


@pytest.fixture
def faulty(tmp_path: Path) -> str:
    """The words that have it judge one that is not."""
    sample = Sample()
    a_dnat_rule_was_deleted(sample)
    return _saved(sample, tmp_path / "faulty.json")


def _saved(sample: Sample, path: Path) -> str:
    path.write_text(sample.snapshot().to_json(), encoding="utf-8")
    return f"doctor --snapshot {shlex.quote(str(path))}"


def typed(line: str, **environment: str) -> tuple[int, str, str]:
    """Exit status and both outputs of a line of a shell, in which HARNESS stands for the command."""
    harness = f"{shlex.quote(sys.executable)} -m harness"
    result = command.run(
        ["bash", "-c", line.replace("HARNESS", harness)], timeout=60, cwd=ROOT, env=environment, check=False
    )
    assert "Traceback" not in result.stderr
    return result.exit_status, result.stdout, result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "cp1252", "utf-8"])
def test_a_terminal_that_is_not_utf_8_is_told_the_same(healthy: str, faulty: str, encoding: str) -> None:
    """An arrow that it lacks is written otherwise; the exit status is the deployment's, and JSON stays JSON."""
    status, out, err = typed(f"HARNESS {healthy}", PYTHONIOENCODING=encoding)
    assert (status, out.splitlines()[0], err) == (HEALTHY, "healthy", "")
    assert ("web→database: ok" if encoding == "utf-8" else "web->database: ok") in out
    assert typed(f"HARNESS {faulty}", PYTHONIOENCODING=encoding)[0] == FAULTY
    status, out, _ = typed(f"HARNESS {healthy} --json", PYTHONIOENCODING=encoding)
    assert status == HEALTHY
    assert "web→database" in {hop["path"] for hop in json.loads(out)["hops"]}


def test_output_that_is_closed_changes_no_exit_status(healthy: str, faulty: str) -> None:
    """Who wants the code alone may close both."""
    assert typed(f"HARNESS {healthy} >&-") == (HEALTHY, "", "")
    assert typed(f"HARNESS {faulty} >&- 2>&-") == (FAULTY, "", "")
    assert typed("HARNESS doctor --snapshot /nowhere 2>&-") == (UNSEEN, "", "")


@pytest.mark.parametrize("options", ["", " --json"])
def test_a_diagnosis_that_cannot_be_written_is_not_a_fault_of_the_deployment(healthy: str, options: str) -> None:
    """A full disk: exit status 2 with a sentence, and where that cannot be written either, without one."""
    said = "unknown: the diagnosis cannot be written: No space left on device\n"
    assert typed(f"HARNESS {healthy}{options} >/dev/full") == (UNSEEN, "", said)
    assert typed(f"HARNESS {healthy}{options} >/dev/full 2>/dev/full") == (UNSEEN, "", "")
    assert typed("HARNESS doctor --snapshot /nowhere 2>/dev/full") == (UNSEEN, "", "")


def test_whoever_reads_no_further_is_told_nothing(healthy: str) -> None:
    """A pipe that closes early ends a command as the shell's own do: 141, and not a word."""
    closed = "{ sleep 0.01; HARNESS %s; echo $? >&2; } | true"
    # `true` ends at once; by the time that Python has started, nobody reads.
    assert typed(closed % healthy) == (0, "", f"{UNREAD}\n")
    assert typed(closed % "keys verify /nowhere") == (0, "", f"{UNREAD}\n")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_failure_of_the_doctor_itself_is_no_fault_of_the_deployment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    """Whatever it is: exit status 2, what it was, and whom to tell."""

    def fail(_options: object) -> None:
        raise KeyError("something")

    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)
    monkeypatch.setattr(consulting, "_diagnosed", fail)
    assert cli.main(["doctor", *options]) == UNSEEN
    said = capsys.readouterr()
    reason = json.loads(said.out)["unknown"][0] if options else said.err
    assert "the doctor itself failed, which is a fault of the harness (KeyError: 'something'): please report" in reason
