"""Many machines' results as one, on real files in their real forms."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from harness import cli
from harness.errors import ConfigurationError, ParseError
from harness.nights import commands, history, legs, merging
from harness.nights.history import Flaky, Night, Outcome
from harness.nights.legs import Ends, Leg, Part
from harness.nights.page import page

from .conftest import ROOT

IT, OTHER = "scenarios/test_one.py::test_it", "scenarios/test_one.py::test_other[a b]"
CASE = {
    "passed": "",
    "skipped": '<skipped message="no"/>',
    "failed": '<properties><property name="root cause" value="path-mtu"/></properties><failure message="x"/>',
    "error": '<error message="x"/>',
}

Left = Callable[..., Path]


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `reports/` of its own, and no trace of a CI that this may run in."""
    folder = tmp_path / "reports"
    folder.mkdir()
    for name, value in (("LEGS", "legs"), ("RESULTS", "results"), ("NIGHT", "night.json")):
        monkeypatch.setattr(commands, name, folder / value)
    monkeypatch.setattr(commands, "HISTORY", folder / "history" / "nights.jsonl")
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setattr(commands, "MINIMUM_TESTS", {"dev": 1, "prod": 1})
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef")
    return folder


@pytest.fixture
def left(reports: Path) -> Left:
    """Leave what a machine would: JUnit's record, and Allure's results."""

    def leave(leg: str, attempt: int = 1, shard: str = "1of1", **ends: str) -> Path:
        folder = reports / "legs" / leg / str(attempt) / shard
        (folder / "results").mkdir(parents=True)
        cases = "".join(
            f'<testcase classname="scenarios.test_one" name={quoteattr(f"test_{name}")}>{CASE[end]}</testcase>'
            for name, end in ends.items()
        )
        (folder / "junit.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", encoding="utf-8")
        for name in ends:
            document = {
                "uuid": f"{leg}-{attempt}-{shard}-{name}",
                "name": f"test_{name}",
                "fullName": f"scenarios.test_one#test_{name}",
                "historyId": f"history of {name}",
                "testCaseId": f"case of {name}",
                "labels": [{"name": "epic", "value": "dev layout"}, {"name": "layout", "value": "dev"}],
                "parameters": [{"name": "case", "value": "1"}],
            }
            (folder / "results" / f"{document['uuid']}-result.json").write_text(json.dumps(document), encoding="utf-8")
        (folder / "results" / "picture.svg").write_text(leg, encoding="utf-8")
        return folder

    return leave


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """A matrix of two legs, one of them in two shards."""
    file = tmp_path / "nightly.yml"
    entries = [
        {"leg": "dev-kernel", "layout": "dev", "shard": "1/2"},
        {"leg": "dev-kernel", "layout": "dev", "shard": "2/2"},
        {"leg": "prod-valkey", "layout": "prod"},
    ]
    file.write_text(
        json.dumps({"jobs": {"scenarios": {"strategy": {"matrix": {"include": entries}}}}}), encoding="utf-8"
    )
    return file


def night(number: int, commit: str = "c", **failed: str | None) -> Night:
    """A night in which tests of the one leg `leg` failed."""
    named = {test: cause or "" for test, cause in failed.items()}
    return Night(
        run=str(number), date=f"2026-11-{number:02}", commit=commit, legs={"leg": Outcome(tests=9, failed=named)}
    )


def part(folder: Path) -> Part:
    return Part(leg="leg", attempt=1, shard="1of1", folder=folder)


def test_how_tests_ended_is_read_from_junit(left: Left) -> None:
    """By name, with the root cause of what failed; an error is a failure."""
    found = legs.ends(part(left("leg", it="passed", other="failed", third="error", fourth="skipped")))
    assert found.passed == {IT}
    assert found.skipped == {"scenarios/test_one.py::test_fourth"}
    assert found.failed == {
        "scenarios/test_one.py::test_other": "path-mtu",
        "scenarios/test_one.py::test_third": "",
    }
    assert found.total == 4


def test_a_test_that_fails_and_fails_again_after_it_is_one_failure(tmp_path: Path) -> None:
    """Its cause is the first one's, whichever entry comes first."""
    name = 'classname="scenarios.test_one" name="test_it"'
    for entries in ([CASE["failed"], CASE["error"]], [CASE["failed"], CASE["passed"]]):
        cases = "".join(f"<testcase {name}>{entry}</testcase>" for entry in entries)
        (tmp_path / "junit.xml").write_text(f"<testsuite>{cases}</testsuite>", encoding="utf-8")
        assert legs.ends(part(tmp_path)) == Ends(failed={IT: "path-mtu"})


@pytest.mark.parametrize("text", [None, "", "<testsuite><testcase"])
def test_a_record_that_is_not_there_or_cut_short_is_of_no_test(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "junit.xml").write_text(text, encoding="utf-8")
    assert legs.ends(part(tmp_path)).total == 0


def test_a_leg_with_a_shard_that_left_nothing_is_missing(left: Left, reports: Path, workflow: Path) -> None:
    """A machine that died takes its tests with it, and no number of passes elsewhere makes up for them."""
    wanted = legs.of_workflow(workflow)
    assert wanted == [
        Leg(name="dev-kernel", layout="dev", shards=frozenset({"1of2", "2of2"})),
        Leg(name="prod-valkey", layout="prod", shards=frozenset({"1of1"})),
    ]
    assert merging.missing(wanted, [])["dev-kernel"] == "shards 1of2, 2of2 have left no results"
    left("dev-kernel", shard="1of2", it="passed")
    left("dev-kernel", shard="2of2")
    assert merging.missing(wanted, legs.parts(reports / "legs")) == {
        "dev-kernel": "shard 2of2 has left no results",
        "prod-valkey": "it has left no results",
    }
    left("dev-kernel", attempt=2, shard="2of2", other="passed")
    left("prod-valkey", it="passed")
    assert merging.missing(wanted, legs.parts(reports / "legs")) == {}


def test_a_test_on_two_legs_is_two_tests_and_a_retry_is_none(left: Left, reports: Path) -> None:
    """Allure takes what has one history for one test that was tried twice."""
    left("one", it="failed")
    left("one", attempt=2, it="passed")
    left("two", it="passed")
    (reports / "results").mkdir()
    (reports / "results" / "old-result.json").write_text("{}", encoding="utf-8")
    assert merging.merge(legs.parts(reports / "legs"), reports / "results") == 3
    found = [json.loads(file.read_text(encoding="utf-8")) for file in (reports / "results").glob("*-result.json")]
    assert len(found) == 3
    assert len({each["historyId"] for each in found}) == len({each["testCaseId"] for each in found}) == 2
    for each in found:
        labels = {label["name"]: label["value"] for label in each["labels"]}
        leg = each["uuid"].partition("-")[0]
        assert labels == {"epic": leg, "leg": leg, "layout": "dev"}
        assert [value["value"] for value in each["parameters"]] == ["1", leg]
    assert (reports / "results" / "picture.svg").read_text(encoding="utf-8") == "one"


def test_pages_of_two_shards_are_two() -> None:
    """A page about one machine's tests is not a retry of the other machine's."""
    document = {"name": "The score", "fullName": "The score", "historyId": "The score"}
    shards = [Part(leg="leg", attempt=1, shard=shard, folder=Path()) for shard in ("1of2", "2of2")]
    assert len({merging.placed(document, each)["historyId"] for each in shards}) == 2
    test = {"name": "test_it", "fullName": "m#test_it", "historyId": "h"}
    assert len({merging.placed(test, each)["historyId"] for each in shards}) == 1


def test_what_passed_on_retry_is_no_failure_and_is_not_forgotten(left: Left, reports: Path) -> None:
    """A job that is run again runs its shard alone: the other one's end stays."""
    left("leg", shard="1of2", it="failed")
    left("leg", shard="2of2", **{"other[a b]": "passed", "third": "failed"})
    left("leg", attempt=2, shard="1of2", it="passed")
    assert merging.outcomes(legs.parts(reports / "legs")) == {
        "leg": Outcome(tests=3, failed={"scenarios/test_one.py::test_third": "path-mtu"}, retried={IT: "path-mtu"})
    }


def test_a_skip_takes_the_place_of_no_end_that_was_seen(left: Left, reports: Path) -> None:
    """It tells nothing about the test: a failure stays one, and a pass after a failure stays a retry."""
    left("leg", it="failed", other="failed", third="skipped")
    left("leg", attempt=2, it="skipped", other="passed", third="skipped")
    left("leg", attempt=3, it="skipped", other="skipped", third="passed")
    (found,) = merging.outcomes(legs.parts(reports / "legs")).values()
    other = "scenarios/test_one.py::test_other"
    assert found == Outcome(tests=3, failed={IT: "path-mtu"}, retried={other: "path-mtu"})


def test_a_night_is_kept_once_for_each_run_and_the_oldest_go(tmp_path: Path) -> None:
    """Merging again takes the place of the merge before."""
    file = tmp_path / "history" / "nights.jsonl"
    for number in range(history.KEPT + 5):
        history.add(
            file, night(number % 28 + 1) if number > 100 else Night(run=str(number), date="d", commit="c", legs={})
        )
    assert [each.run for each in history.read(file)] == [str(number) for number in range(5, history.KEPT + 5)]
    last = Night(run=str(history.KEPT + 4), date="d", commit="again", legs={"leg": Outcome(tests=1, failed={"t": "c"})})
    assert history.add(file, last) == history.read(file)
    assert [history.read(file)[-1], len(history.read(file))] == [last, history.KEPT]


def test_a_line_that_is_no_night_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nights.jsonl"
    for line in ("[]", "{}", "not JSON", '{"run": 1, "legs": {"leg": {}}}'):
        file.write_text(f"{night(1).to_json()}\n{line}\n", encoding="utf-8")
        with pytest.raises(ParseError, match=r"nights.jsonl line 2 is no night .*: remove the line"):
            history.read(file)
    assert history.read(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("nights", "flaky"),
    [
        ([night(1), night(2, it="x"), night(3)], True),
        ([night(1, "a"), night(2, "b", it="x"), night(3, "c"), night(4, "c", it="x")], True),
        ([night(1), night(2, it="x")], True),  # one commit, two ends
        ([night(1, "a"), night(2, "b", it="x")], False),  # it may have begun with b
        ([night(1, "a", it="x"), night(2, "b")], False),  # it may have been mended by b
        ([night(1, "a"), night(2, "b", it="x"), night(3, "b", it="x"), night(4, "c")], False),
        ([night(1, it="x"), night(2, it="x")], False),
        ([night(1), night(2)], False),
    ],
)
def test_a_test_is_flaky_when_its_end_does_not_hang_on_the_commit(nights: list[Night], *, flaky: bool) -> None:
    """What broke once and was mended once has a reason; what comes and goes has none that is known."""
    assert [each.test for each in history.flaky(nights)] == (["it"] if flaky else [])


def test_what_passed_on_retry_is_flaky_at_once() -> None:
    """One night is enough, and the table says what the doctor had found."""
    once = Night(
        run="1", date="2026-11-01", commit="c" * 40, legs={"leg": Outcome(tests=2, retried={"it": "path-mtu"})}
    )
    (found,) = history.flaky([once, night(2, "d")])
    assert found == Flaky(
        test="it", leg="leg", nights=2, failed=0, retried=1, last="2026-11-01 cccccccccc", cause="path-mtu"
    )
    assert "last 2026-11-01 cccccccccc: path-mtu" in history.text([found], 2)
    assert history.text([], 2) == "no flaky test in 2 nights\n"


def test_the_worst_come_first() -> None:
    """By how often they failed; the cause is that of the last time."""
    nights = [night(1, a="", b="old"), night(2, b="new"), night(3), night(4, a="", b="")]
    assert [(each.test, each.failed, each.cause) for each in history.flaky(nights)] == [("b", 3, ""), ("a", 2, "")]


def test_the_page_shows_all_and_takes_nothing_for_html() -> None:
    """Names and causes come from tests and containers."""
    nights = [night(1), night(2, **{"<b>it</b>": "<script>"})]
    shown = page(history.flaky(nights), nights)
    HTMLParser().feed(shown)
    assert "&lt;b&gt;it&lt;/b&gt;" in shown
    assert "<script" not in shown
    assert not re.search(r"(src|href)=", shown)
    assert "1 FAILED of 9" in shown
    assert "<b>None.</b>" in page([], nights)


def test_from_legs_to_the_gate(left: Left, reports: Path, workflow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`merge`, `gate` and `flaky` as the nightly run calls them: a failure, a lost leg, then all well."""
    left("dev-kernel", shard="1of2", it="failed")
    left("dev-kernel", shard="2of2", other="passed")
    assert cli.main(["merge", "--workflow", str(workflow)]) == 0
    assert "leg prod-valkey: it has left no results" in capsys.readouterr().out
    assert cli.main(["gate"]) == 1
    said = capsys.readouterr().out
    assert "leg prod-valkey: it has left no results\n" in said
    assert f"leg dev-kernel: {IT} failed: path-mtu\n" in said
    left("dev-kernel", attempt=2, shard="1of2", it="passed")
    left("prod-valkey", it="passed")
    assert cli.main(["merge", "--workflow", str(workflow)]) == 0
    assert cli.main(["gate"]) == 0
    assert f"2 tests, 0 failed, 1 passed on retry: {IT}" in capsys.readouterr().out
    assert cli.main(["gate", "--layouts"]) == 0
    assert capsys.readouterr().out == "dev,prod\n"
    assert cli.main(["flaky"]) == 0
    assert f"{IT} [dev-kernel]" in capsys.readouterr().out
    assert len(history.read(reports / "history" / "nights.jsonl")) == 1
    pages = [file.read_text(encoding="utf-8") for file in (reports / "results").glob("*.html")]
    assert len(pages) == 1
    assert IT in pages[0]


def test_the_gate_counts_each_leg(left: Left, workflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leg on which most tests never ran does not pass for the others' sake."""
    left("dev-kernel", shard="1of2", it="passed")
    left("dev-kernel", shard="2of2", other="passed")
    left("prod-valkey", it="passed")
    assert cli.main(["merge", "--workflow", str(workflow)]) == 0
    monkeypatch.setattr(commands, "MINIMUM_TESTS", {"dev": 3, "prod": 1})
    assert cli.main(["gate"]) == 1
    monkeypatch.setattr(commands, "MINIMUM_TESTS", {"dev": 2, "prod": 1})
    assert cli.main(["gate"]) == 0


def test_a_leg_that_skipped_its_tests_does_not_pass(
    left: Left, workflow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was skipped has shown nothing, however many there are of it."""
    left("dev-kernel", shard="1of2", it="skipped", **{f"more[{number}]": "passed" for number in range(8)})
    left("dev-kernel", shard="2of2", other="skipped")
    left("prod-valkey", it="skipped", **{f"more[{number}]": "passed" for number in range(9)})
    left("mine", it="skipped", other="passed")
    left("mine-too", it="skipped", other="skipped")
    assert cli.main(["merge", "--workflow", str(workflow)]) == 0
    capsys.readouterr()
    assert cli.main(["gate"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "were skipped" in line] == [
        "leg dev-kernel: 2 of 10 tests were skipped: the report has each one's reason",
        "leg mine-too: 2 of 2 tests were skipped: the report has each one's reason",
    ]
    assert "leg prod-valkey: 9 tests, 0 failed, 1 skipped" in said


def test_a_leg_of_ones_own_that_left_no_test_is_told(
    left: Left, workflow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The matrix does not know it, as with `make scenarios LEG=mine`: then one test is expected at least."""
    for leg, shard in (("dev-kernel", "1of2"), ("dev-kernel", "2of2"), ("prod-valkey", "1of1")):
        left(leg, shard=shard, it="passed")
    left("mine")
    assert cli.main(["merge", "--workflow", str(workflow)]) == 0
    capsys.readouterr()
    assert cli.main(["gate"]) == 1
    assert "leg mine: only 0 tests have ended, and 1 are expected at least\n" in capsys.readouterr().out
    left("mine", attempt=2, it="passed")
    assert cli.main(["merge", "--workflow", str(workflow)]) == 0
    assert cli.main(["gate"]) == 0


@pytest.mark.parametrize("arguments", [["merge"], ["gate"]])
def test_without_results_it_is_said_what_to_do(
    reports: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert reports.is_dir()
    assert cli.main(arguments) == 1
    assert re.fullmatch(r".*: (run )?`make (scenarios LEG=NAME|merge)`.*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    "text",
    [
        "jobs: {}",
        "[",
        "",
        "jobs: {scenarios: {strategy: {matrix: {include: [{leg: a}]}}}}",
        'jobs: {scenarios: {strategy: {matrix: {include: [{leg: a, layout: dev, shard: "1/2"}]}}}}',
        "jobs: {scenarios: {strategy: {matrix: {include: [{leg: a, layout: staging}]}}}}",
    ],
)
def test_a_workflow_without_whole_legs_is_refused(tmp_path: Path, text: str) -> None:
    """A shard that nobody runs, a layout that does not exist, no matrix at all."""
    file = tmp_path / "workflow.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"workflow\.yml lists no legs at jobs\.scenarios"):
        legs.of_workflow(file)
    with pytest.raises(ConfigurationError, match="none cannot be read: No such file"):
        legs.of_workflow(tmp_path / "none")


def test_both_gates_count_alike() -> None:
    """The report's own gate and that of the legs have the same minimum."""
    text = (ROOT / "reports" / "allurerc.mjs").read_text(encoding="utf-8")
    found = re.search(r"MINIMUM_TESTS = \{ dev: (\d+), prod: (\d+) \}", text)
    assert found
    assert {"dev": int(found[1]), "prod": int(found[2])} == commands.MINIMUM_TESTS


def test_what_was_cut_short_is_named_and_no_traceback(
    left: Left, reports: Path, workflow: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A result or a merged night of which the end is missing: which file, and what to do."""
    folder = left("dev-kernel", shard="1of2", it="passed")
    (folder / "results" / "half-result.json").write_text('{"name": ', encoding="utf-8")
    assert cli.main(["merge", "--workflow", str(workflow)]) == 1
    assert re.search(r"half-result\.json is no test's result .*; remove it\n$", capsys.readouterr().err)
    (reports / "night.json").write_text('{"night": ', encoding="utf-8")
    assert cli.main(["gate"]) == 1
    assert re.search(r"night\.json is no merged night .*: `make merge` makes it anew\n$", capsys.readouterr().err)
