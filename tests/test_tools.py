"""The scripts behind `make`: what they do where a clone, a word or a folder is not the usual one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from harness import command
from harness.errors import EXIT_PREREQUISITE
from harness.model import CommandResult

from .conftest import ROOT

TIMEOUT = 30  # seconds, for scripts that end at once


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The linters' script with what it is made of, as a tarball has it: without git's folder."""
    shutil.copytree(ROOT / "tools" / "lib", tmp_path / "tools" / "lib")
    shutil.copy(ROOT / "tools" / "lint.sh", tmp_path / "tools")
    return tmp_path


def lint(folder: Path, *arguments: str) -> CommandResult:
    environment = {
        "GIT_CEILING_DIRECTORIES": str(folder.parent),  # the temporary folder may be in somebody's clone
        "LC_ALL": "C",  # git speaks the user's language
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
    }
    argv = [str(folder / "tools" / "lint.sh"), *arguments]
    return command.run(argv, timeout=TIMEOUT, cwd=folder, env=environment, check=False)


@pytest.mark.parametrize("arguments", [[], ["--fix"]], ids=["check", "fix"])
def test_where_git_lists_no_files_nothing_is_linted(unpacked: Path, arguments: list[str]) -> None:
    """One sentence says why, and no linter is run on a part of the files."""
    result = lint(unpacked, *arguments)
    assert (result.exit_status, result.stdout) == (1, ""), result
    assert result.stderr == (
        f"lint: git does not list the files of {unpacked} (fatal: not a git repository (or any of the parent "
        "directories): .git): run it in a clone that is yours\n"
    )


def test_a_linter_without_files_complains(unpacked: Path) -> None:
    """A clone in which all scripts are ignored: there are some, so that none to lint is a mistake."""
    command.run(["git", "init", "--quiet", str(unpacked)], timeout=TIMEOUT)
    (unpacked / ".gitignore").write_text("tools/\n", encoding="utf-8")
    result = lint(unpacked, "--fix")
    assert result.exit_status == 1, result
    assert "lint: shfmt: no file to lint\n" in result.stdout
    assert result.stderr.endswith("lint: complaints from shfmt\n")


@pytest.mark.parametrize("folder", [".", "tools", "docs"])
@pytest.mark.parametrize("words", [["true"], ["make_ready"], []], ids=["a command", "an inner step", "nothing"])
def test_a_word_that_is_no_target_runs_nothing(folder: str, words: list[str]) -> None:
    """Wherever it is typed, the usage is printed, and the exit code is 64."""
    script = {".": "tools/run.sh", "tools": "./run.sh", "docs": "../tools/run.sh"}[folder]
    result = command.run([script, *words], timeout=TIMEOUT, cwd=ROOT / folder, check=False)
    assert (result.exit_status, result.stdout) == (64, ""), result
    assert result.stderr.startswith("What `make` calls: run.sh scenarios|test|up|down")
    assert result.stderr.endswith('prints the code: "Error 10".)\n')


NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def called(*words: str) -> CommandResult:
    """`tools/run.sh` on a machine on which no engine answers."""
    argv = [str(ROOT / "tools" / "run.sh"), *words]
    return command.run(argv, timeout=TIMEOUT, cwd=ROOT, env=NO_ENGINE, check=False)


def test_what_only_reads_wants_no_engine() -> None:
    """Linters, unit tests and the nights' tables work without one; set-up says which Python there is."""
    result = called("flaky")
    assert result.exit_status == 0, result
    assert "set-up: complete: Python 3." in result.stdout


@pytest.mark.parametrize("word", ["up", "scenarios"])
def test_what_deploys_says_that_none_is_there(word: str) -> None:
    """Exit status 10 and what to do, before anything is started."""
    result = called(word)
    assert result.exit_status == EXIT_PREREQUISITE, result
    assert "missing: a Docker engine that answers: start the engine that DOCKER_HOST" in result.stdout + result.stderr


@pytest.fixture
def without_builder(tmp_path: Path) -> Path:
    """A clone with its Python environment, and results, and nothing yet to build a report with."""
    for folder in ("tools", "reports"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("node_modules", "results"))
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    results = tmp_path / "reports" / "results"
    results.mkdir()
    (results / "1-result.json").write_text("{}", encoding="utf-8")
    return tmp_path


def without_registry(clone: Path, script: str, **environment: str) -> CommandResult:
    """A script where npm reaches nothing, has nothing in store and is not patient."""
    npm = {"registry": "http://127.0.0.1:9", "cache": str(clone / "npm"), "fetch_retries": "0"}
    environment |= {f"npm_config_{name}": value for name, value in npm.items()} | {"LAYOUT": "dev"}
    return command.run([str(clone / "tools" / script)], timeout=TIMEOUT, cwd=clone, env=environment, check=False)


def test_set_up_goes_on_where_the_report_cannot_be_built(without_builder: Path) -> None:
    """Deployments and scenarios need no report, so they are not kept from whom a registry of npm is not open to."""
    result = without_registry(without_builder, "setup.sh", WITHOUT_ENGINE="yes")
    assert result.exit_status == 0, result
    assert "npm-ci failed" in result.stderr
    assert "going on without it" in result.stdout
    assert "set-up: complete" in result.stdout


def test_set_up_for_the_reports_own_tests_needs_it(without_builder: Path) -> None:
    """`make test` ends there and then, instead of a quarter of an hour later."""
    if shutil.which("chromium") is None:
        pytest.skip("set-up might install a browser on this machine first")
    result = without_registry(without_builder, "setup.sh", WITHOUT_ENGINE="yes", WITH_BROWSER="yes")
    assert result.exit_status == EXIT_PREREQUISITE, result
    assert "set-up: complete" not in result.stdout


def test_a_report_that_cannot_be_built_loses_no_results(without_builder: Path) -> None:
    """Exit status 10, where the results are, and what builds it later."""
    result = without_registry(without_builder, "report.sh")
    assert result.exit_status == EXIT_PREREQUISITE, result
    results = without_builder / "reports" / "results"
    assert f"the results stay in {results}, and `make report` builds it later" in result.stderr
    assert list(results.iterdir()) == [results / "1-result.json"]


@pytest.mark.parametrize("target", ["doctor", "status", "down", "sweep", "score"])
def test_what_looks_or_tidies_up_sets_up_where_nothing_is(tmp_path: Path, target: str) -> None:
    """In a fresh clone too; where there is an environment it is used as it is, also one that is older than its lock."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    python = tmp_path / ".venv" / "bin" / "python"
    set_up = tmp_path / "tools" / "setup.sh"
    made = f'mkdir -p {python.parent} && printf "%s\\n" "#!/bin/sh" "echo asked" >{python} && chmod +x {python}'
    set_up.write_text(f"#!/bin/sh\necho set up $WITHOUT_ENGINE\n{made}\n", encoding="utf-8")
    said = [
        command.run([str(tmp_path / "tools" / "run.sh"), target], timeout=TIMEOUT, cwd=tmp_path, env={"LAYOUT": "dev"})
        for _ in range(2)
    ]
    assert [each.stdout for each in said] == ["set up yes\nasked\n", "asked\n"]
