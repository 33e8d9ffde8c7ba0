from __future__ import annotations

import re
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


def test_workers_can_be_done_without(clone: Path) -> None:
    """Debuggers start pytest without xdist, so that the test is in their own process."""
    result = pytest_in(clone, "-p", "no:xdist", "tests/")
    assert result.ok, result
    assert "1 passed" in result.stdout


@pytest.mark.parametrize(("name", "package"), [("allure_pytest", "allure-pytest"), ("timeout", "pytest-timeout")])
def test_the_report_and_times_can_not_be_done_without(clone: Path, name: str, package: str) -> None:
    """What is missing is said before anything is run."""
    result = pytest_in(clone, "-p", f"no:{name}", "tests/")
    assert result.exit_status == pytest.ExitCode.USAGE_ERROR, result
    assert f"Missing required plugins: {package}" in result.stderr


def test_scenarios_can_be_listed_without_an_engine(clone: Path) -> None:
    """`--collect-only` starts nothing and asks nobody."""
    result = pytest_in(clone, "scenarios/", "--collect-only")
    assert result.ok, result
    assert "test_promise.py::test_a_promise" in result.stdout


def test_half_a_line_in_the_doctors_record_is_said(clone: Path) -> None:
    """A worker that was killed leaves one: the session ends as it would have, and says which file it is."""
    text = (
        "import os\nfrom harness.score import record\n"
        "def pytest_sessionstart(session):\n"
        "    folder = record.RECORD / os.environ[record._RUN]\n"
        "    folder.mkdir(parents=True)\n"
        "    (folder / 'gw0.jsonl').write_text('{')\n"
    )
    (clone / "scenarios" / "conftest.py").write_text(text, encoding="utf-8")
    result = pytest_in(clone, "scenarios/")
    assert result.exit_status == 10, result  # there is no engine
    assert "the report has no page of the doctor's score: " in result.stderr
    assert "gw0.jsonl line 1 is no trial" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_a_plan_that_is_none_is_wrong_usage(clone: Path) -> None:
    """`--plan 100` is refused by its number before anything is started."""
    result = pytest_in(clone, "scenarios/", "--plan", "100")
    assert result.exit_status == pytest.ExitCode.USAGE_ERROR
    assert "there is no address plan 100" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--map", "web=shop"], "--map is about your own deployment, which --compose FILE names"),
        (["--allow-faults"], "--allow-faults is about your own deployment"),
        (["--compose", "none.yml"], "there is no file none.yml"),
        (
            ["--compose", "compose/docker-compose.yml", "--layout", "prod"],
            "--layout is about this project's own layouts",
        ),
        (["--compose", "compose/docker-compose.yml", "--plan", "3"], "--plan is about this project's own layouts"),
        (["--compose", "compose/docker-compose.yml", "-n", "2"], "there can be only one worker: leave -n out"),
        (["--compose", "compose/docker-compose.yml", "--map", "front=x"], "'front' is no part of the deployment"),
    ],
)
def test_what_cannot_be_asked_of_your_own_deployment_is_wrong_usage(
    clone: Path, arguments: list[str], said: str
) -> None:
    """One sentence says why, before anything is started."""
    result = pytest_in(clone, "scenarios/", *arguments)
    assert result.exit_status == pytest.ExitCode.USAGE_ERROR, result
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_shards_part_the_scenarios(clone: Path) -> None:
    """Each scenario is collected by one of two machines, with workers or without."""
    (clone / "scenarios" / "test_more.py").write_text(
        "import pytest\n@pytest.mark.parametrize('n', range(8))\ndef test_more(n): ...\n", encoding="utf-8"
    )
    listed = re.compile(r"^scenarios/\S+::\S+$", re.MULTILINE)
    whole = listed.findall(pytest_in(clone, "scenarios/", "--collect-only").stdout)
    shards = [
        listed.findall(pytest_in(clone, "scenarios/", "--collect-only", "--shard", f"{number}/2").stdout)
        for number in (1, 2)
    ]
    assert len(whole) == 9
    assert sorted([*shards[0], *shards[1]]) == sorted(whole)
    assert all(shards)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shard", "3/2"], "'3/2' is no shard: write which of how many, such as 1/2"),
        (["--layout", "staging"], "there is no layout 'staging': layouts are dev, prod"),
        (["--with-fault", "none"], "there is no fault 'none'; there are: "),
        (["--with-fault", "nginx is stopped"], "cannot be had on the dev layout: give --layout prod"),
        (["--plan", "x"], "argument --plan: invalid int value: 'x'"),
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_understood_is_wrong_usage(clone: Path, arguments: list[str], words: str) -> None:
    """One sentence, no traceback, and nothing is started."""
    result = pytest_in(clone, "scenarios/", *arguments)
    assert result.exit_status == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_a_marker_that_is_none_is_an_error(clone: Path) -> None:
    """A misspelt marker would select nothing, and nobody would notice."""
    file = clone / "scenarios" / "test_promise.py"
    file.write_text(f"import pytest\n@pytest.mark.layuots('dev')\n{SCENARIO}", encoding="utf-8")
    result = pytest_in(clone, "scenarios/", "--collect-only")
    assert not result.ok
    assert "'layuots' not found in `markers`" in result.stdout


def test_help_shows_the_options_in_a_group_of_their_own(clone: Path) -> None:
    """Each with what it does."""
    result = pytest_in(clone, "scenarios/", "--help")
    assert result.ok, result
    _, _, after = result.stdout.partition("\nthe deployment under test:\n")
    group, _, _ = after.partition("\n\n")
    shown = re.findall(r"^  (--[a-z-]+)\S*\s+\S", group, re.MULTILINE)
    assert {"--layout", "--plan", "--shard", "--with-fault", "--thorough", "--keep", "--reuse"} <= {*shown}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-k", "two words", "-n", "2"), "wrong expression passed to -k: two words: at column 5"),
        (("-m", "not", "-n", "2"), "wrong expression passed to -m: not: at column 4"),
        (("--engines", ""), "names no engine"),
        (("--engines", "web"), "web is neither an engine's address nor a docker context"),
        (("--engines", "http://web"), "http://web is no engine's address"),
        (("--engines", "ssh://root@web,ssh://admin@web"), "names web twice"),
        (("--engines", "tcp://web:2376"), "only SSH reaches; give it as ssh://USER@HOST"),
        (("--engines", "ssh://root@web", "--keep"), "--keep does not go with --engines"),
        (("--engines", "ssh://root@web", "--layout", "dev,prod"), "--engines does not go with the prod layout"),
        (("--layout", "dev,prod", "--keep"), "--keep is about one deployment"),
        (("--layout", "dev,prod", "--plan", "0"), "--plan is about one deployment"),
    ],
    ids=[
        *("two words", "half a mark", "none", "no context", "unknown scheme", "twice", "no SSH", "kept", "prod"),
        *("two layouts kept", "one plan"),
    ],
)
def test_what_cannot_be_had_is_wrong_usage(clone: Path, words: tuple[str, ...], said: str) -> None:
    """Words that say nothing, engines that cannot be used, options that contradict each other: one sentence each."""
    result = pytest_in(clone, "scenarios/", *words)
    assert result.exit_status == pytest.ExitCode.USAGE_ERROR, result
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_an_engine_that_does_not_answer_stops_at_once(clone: Path) -> None:
    """Of those named on the command line each has to be there: exit status 10, and which one is not."""
    result = pytest_in(clone, "scenarios/", "--engines", "unix:///nonexistent/docker.sock")
    assert result.exit_status == 10, result
    assert "the Docker engine of this machine does not answer" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
