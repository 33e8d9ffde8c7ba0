from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from harness import command
from harness.model import CommandResult

from .conftest import ROOT

SCENARIO = '''\
def test_a_promise(deployment):
    """It holds."""
'''


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project's pytest wiring and library, with one scenario and one test of the harness's own."""
    shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        ROOT / "compose", tmp_path / "compose", ignore=shutil.ignore_patterns("secrets", "__pycache__", "app")
    )
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy(ROOT / name, tmp_path)
    for folder, name, text in (
        ("scenarios", "test_promise.py", SCENARIO),
        ("tests", "test_own.py", "def test_nothing():\n    assert True\n"),
        ("reports/results", "old-result.json", "{}"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_text(text, encoding="utf-8")
    return tmp_path


def pytest_in(clone: Path, *arguments: str) -> CommandResult:
    program = Path(sys.executable).with_name("pytest")  # as people call it: `python -m` would add a path of its own
    argv = [str(program), "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments]
    return command.run(argv, timeout=60, cwd=clone, check=False, env={"PYTHONDONTWRITEBYTECODE": "1"})


@pytest.mark.parametrize("arguments", [["scenarios/test_promise.py::test_a_promise"], []], ids=["one scenario", "all"])
def test_scenarios_without_an_engine_stop_at_once(clone: Path, arguments: list[str]) -> None:
    """Exit status 10 with the one line that says what is missing, before any test is run."""
    result = pytest_in(clone, *arguments)
    assert result.exit_status == 10, result
    assert "no Docker engine answers" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "1 passed" not in result.stdout


def test_the_harnesss_own_tests_need_no_engine(clone: Path) -> None:
    """`pytest tests/` runs without one, and leaves the scenarios' last results alone."""
    result = pytest_in(clone, "tests/")
    assert result.ok, result
    assert "1 passed" in result.stdout
    assert (clone / "reports" / "results" / "old-result.json").exists()


def test_scenarios_can_be_listed_without_an_engine(clone: Path) -> None:
    """`--collect-only` starts nothing and asks nobody."""
    result = pytest_in(clone, "scenarios/", "--collect-only")
    assert result.ok, result
    assert "test_promise.py::test_a_promise" in result.stdout


def test_a_plan_that_is_none_is_wrong_usage(clone: Path) -> None:
    """`--plan 100` is refused by its number before anything is started."""
    result = pytest_in(clone, "scenarios/", "--plan", "100")
    assert result.exit_status == pytest.ExitCode.USAGE_ERROR
    assert "there is no address plan 100" in result.stderr
