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


def allow_without_engine(clone: Path) -> None:
    """Let sessions go on without an engine, as long as no scenario wants the deployment."""
    text = "from harness.stage import Stage\nStage.prepare = lambda self: None\n"
    (clone / "scenarios" / "conftest.py").write_text(text, encoding="utf-8")


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


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--collect-only"], ["--collect-only", "-n", "2"], ["--setup-plan"], ["--fixtures"], ["--fixtures-per-test"]),
        *(["--markers"], ["--help"], ["-VV"], ["-k", "nothing"], ["-k", "nothing", "-n", "2"]),
    ],
    ids=" ".join,
)
def test_what_runs_no_scenario_leaves_the_results_alone(clone: Path, arguments: list[str]) -> None:
    """An editor collects whenever a file is saved: the results of the last run stay as they are."""
    allow_without_engine(clone)
    result = pytest_in(clone, "scenarios/", *arguments)
    assert "Traceback (most" not in result.stdout + result.stderr
    assert "INTERNALERROR" not in result.stdout + result.stderr
    assert (clone / "reports" / "results" / "old-result.json").exists(), result


def test_a_file_that_cannot_be_imported_leaves_the_results_alone(clone: Path) -> None:
    """No scenario was run, so the last results are still those of the last run."""
    allow_without_engine(clone)
    (clone / "scenarios" / "test_broken.py").write_text("import no_such_module\n", encoding="utf-8")
    result = pytest_in(clone, "scenarios/")
    assert result.exit_status == pytest.ExitCode.INTERRUPTED, result
    assert (clone / "reports" / "results" / "old-result.json").exists()


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "two workers"])
def test_results_of_a_run_take_the_place_of_the_last_ones(clone: Path, workers: list[str]) -> None:
    """Two runs in one report would count what one of them no longer has."""
    allow_without_engine(clone)
    (clone / "scenarios" / "test_promise.py").write_text("def test_one(): ...\ndef test_two(): ...\n", encoding="utf-8")
    result = pytest_in(clone, "scenarios/", *workers)
    assert "2 passed" in result.stdout, result
    results = clone / "reports" / "results"
    assert not (results / "old-result.json").exists()
    assert len([*results.glob("*-result.json")]) == 2
    assert 'tests="2"' in (clone / "reports" / "junit.xml").read_text(encoding="utf-8")


def test_an_engine_that_goes_away_while_a_session_prepares_is_one_sentence(clone: Path) -> None:
    """It has answered once, and no more: exit status 10 as where there is none, before anything is started."""
    text = (
        "from requests.exceptions import ConnectionError\nfrom harness.stage import Stage\n"
        "def prepare(stage):\n    raise ConnectionError('connection aborted')\n"
        "Stage.prepare = prepare\n"
    )
    (clone / "scenarios" / "conftest.py").write_text(text, encoding="utf-8")
    result = pytest_in(clone, "scenarios/")
    assert result.exit_status == 10, result
    assert "the Docker engine stopped answering or refused: connection aborted" in result.stdout + result.stderr
    assert "Traceback (most" not in result.stdout + result.stderr


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


FAILING = """\
from harness import lifecycle, residue
from harness.engines import Engines
from harness.errors import BringUpError
from harness.stage import Stage


def fail(*_arguments, **_options):
    raise BringUpError("web does not stay up: it was told of-the-token\\nthe last lines of its log: of-the-token")


lifecycle.deployed = fail
residue.settle = lambda **_options: []
Engines.current = lambda _self: None
Stage.prepare = lambda _self: None
"""


@pytest.mark.usefixtures("compose_cli")
def test_your_own_deployment_that_does_not_come_up_shows_no_secret(clone: Path) -> None:
    """Neither in the terminal nor in JUnit nor in the report; what went wrong is told in full once, then in a line."""
    (clone / "scenarios" / "conftest.py").write_text(FAILING, encoding="utf-8")
    (clone / "scenarios" / "test_promise.py").write_text(f"{SCENARIO}\n\n{SCENARIO.replace('_a_', '_b_')}")
    (clone / "more.yml").write_text("services: {web: {environment: {API_TOKEN: of-the-token}}}\n", encoding="utf-8")
    result = pytest_in(clone, "scenarios/", "--compose", "compose/docker-compose.yml", "--compose", "more.yml")
    assert result.exit_status == pytest.ExitCode.TESTS_FAILED, result
    assert "the last lines of its log: [removed]" in result.stdout, result
    assert "no deployment could be brought up: web does not stay up: it was told [removed]" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    written = [file for file in (clone / "reports").rglob("*") if file.is_file()]
    assert {"junit.xml", "results"} <= {file.name for file in (clone / "reports").iterdir()}
    assert len(written) > 2, "JUnit's record and those of both tests"
    assert not [file for file in written if b"of-the-token" in file.read_bytes()]
    assert "of-the-token" not in result.stdout + result.stderr


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
        (["--examine"], "--examine is for --with-fault NAME, which is not given"),
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


def test_a_list_of_cases_that_is_empty_is_an_error(clone: Path) -> None:
    """Many lists of cases are found, not written: one that comes to nothing would be skipped without a word."""
    text = "import pytest\n@pytest.mark.parametrize('page', [])\ndef test_a_page(page): ...\n"
    (clone / "tests" / "test_pages.py").write_text(text, encoding="utf-8")
    result = pytest_in(clone, "tests/")
    assert result.exit_status == pytest.ExitCode.INTERRUPTED, result
    assert "Empty parameter set in 'test_a_page'" in result.stdout


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
    assert "the Docker engine of this machine cannot be used: No such file" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
