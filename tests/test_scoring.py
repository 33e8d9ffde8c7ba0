from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import cli
from harness.score import record as scoring
from harness.trials import Trial

Score = Callable[..., tuple[int, str, str]]


def trial(fault: str, expected: str = "", found: str | None = None, **more: object) -> Trial:
    """A trial; expected and found roots are words."""
    named = found if found is not None else expected
    values: dict[str, object] = {
        "fault": fault,
        "benign": not expected,
        "expected": frozenset(expected.split()),
        "tolerated": frozenset(),
        "found": frozenset(named.split()),
        "errors": frozenset(named.split()),
        "status": "faulty" if named else "healthy",
        "symptom": 1.0,
        "diagnosis": 2.0,
        "recovery": None,
    }
    return Trial(**(values | more))  # type: ignore[arg-type]


RIGHT = trial("a rule is lost", "forward-rule-missing", symptom=0.5, recovery=4.0)
WRONG = trial("a rule is lost again", "forward-rule-missing", "container-down", symptom=3.0)
PAIR = trial("two at once", "backend-down fail-open")
HEALTHY = trial("nothing")
ALARM = trial("harmless", "", "fail-open")
UNSEEN = trial("a look in vain", "", "", status="unknown")


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for records."""
    monkeypatch.setattr(scoring, "RECORD", tmp_path / "score")
    run = tmp_path / "score" / "1"
    run.mkdir(parents=True)
    return run


@pytest.fixture
def score(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Score:
    """Run `score`; exit status and both outputs."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)

    def ran(*options: str) -> tuple[int, str, str]:
        status = cli.main(["score", *options])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return ran


def _write(run: Path, *trials: Trial, name: str = "main") -> None:
    (run / f"{name}.jsonl").write_text("".join(f"{each.to_json()}\n" for each in trials), encoding="utf-8")


@pytest.mark.parametrize(
    ("judged", "right"),
    [
        (RIGHT, True),
        (WRONG, False),
        (PAIR, True),
        (trial("half", "backend-down fail-open", "fail-open"), False),
        (trial("more", "backend-down", "backend-down fail-open"), False),
        (trial("tolerated", "backend-down", "backend-down fail-open", tolerated=frozenset({"fail-open"})), True),
        (trial("tolerated alone", "backend-down", "fail-open", tolerated=frozenset({"fail-open"})), False),
        (HEALTHY, True),
        (ALARM, False),
        (trial("warned", "", "packet-loss", errors=frozenset(), tolerated=frozenset({"packet-loss"})), True),
        (UNSEEN, False),
        (trial("unknown though named", "backend-down", status="unknown"), False),
    ],
    ids=lambda each: each.fault if isinstance(each, Trial) else "",
)
def test_only_exactly_the_roots_are_right(judged: Trial, right: bool) -> None:  # noqa: FBT001 (what is expected)
    """All that was put in and nothing else; of a harmless change no error; what was not seen is never right."""
    assert judged.right is right
    assert Trial.from_json(judged.to_json()) == judged


def test_whom_nobody_asked_was_not_right() -> None:
    """A trial in which the doctor was not asked counts against it, and as nothing named."""
    unasked = Trial.from_json(json.dumps(json.loads(RIGHT.to_json()) | {"found": None}))
    assert not unasked.right
    assert scoring.confusion([unasked]) == {"forward-rule-missing": {"(the doctor was not asked)": 1}}
    assert "(the doctor was not asked)" in scoring.text([unasked])


def test_the_confusion_matrix_counts_sets_of_roots() -> None:
    """A row for what was put in, a column for what was named; tolerated roots that were named are part of the row."""
    tolerated = trial("t", "backend-down", "backend-down fail-open", tolerated=frozenset({"fail-open", "packet-loss"}))
    assert scoring.confusion([RIGHT, RIGHT, WRONG, PAIR, HEALTHY, ALARM, UNSEEN, tolerated]) == {
        "forward-rule-missing": {"forward-rule-missing": 2, "container-down": 1},
        "backend-down + fail-open": {"backend-down + fail-open": 2},
        "(healthy)": {"(healthy)": 1, "fail-open": 1, "(unknown)": 1},
    }


def test_the_score_for_people(record: Path, score: Score) -> None:
    """Totals, a line a trial with its times, medians over those that were measured, and the confusions; exit 1."""
    _write(record, RIGHT, WRONG)
    _write(record, PAIR, HEALTHY, ALARM, name="gw1")
    status, out, err = score()
    assert (status, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "2 of 3 faults named exactly, 1 false alarms in 2 benign changes and healthy looks"
    marks = {line[2:].split("  ")[0]: line for line in lines if " s " in line and not line.startswith("medians")}
    assert marks["a rule is lost"].startswith("  ")
    assert marks["a rule is lost"].endswith("0.50 s   2.00 s    4.00 s  forward-rule-missing")
    assert marks["a rule is lost again"].startswith("X ")
    assert marks["harmless"].startswith("X ")
    assert "medians: symptom 1.00 s, diagnosis 2.00 s, recovery 4.00 s" in lines
    assert "  forward-rule-missing -> container-down (1)" in lines


def test_the_score_as_json(record: Path, score: Score) -> None:
    """The same as a document."""
    _write(record, RIGHT, HEALTHY)
    status, out, _ = score("--json")
    document = json.loads(out)
    assert status == 0
    assert [document[key] for key in ("faults", "right", "benign", "false_alarms")] == [1, 1, 1, 0]
    assert [each["right"] for each in document["trials"]] == [True, True]
    assert document["confusion"] == {
        "forward-rule-missing": {"forward-rule-missing": 1},
        "(healthy)": {"(healthy)": 1},
    }


def test_a_session_reads_its_own_record(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another session of the same clone may have begun after it, and be in the middle of a line."""
    monkeypatch.setenv(scoring._RUN, "0")
    scoring.record(RIGHT, "main")
    (record / "main.jsonl").write_text(WRONG.to_json()[:-9], encoding="utf-8")
    assert scoring.recorded_now() == [RIGHT]
    monkeypatch.setenv(scoring._RUN, "2")
    assert scoring.recorded_now() == []


def test_the_newest_records_are_kept(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that begins lets go of those before the last ten."""
    monkeypatch.setenv(scoring._RUN, "")  # what `begin` sets is undone
    for number in range(1, 15):
        (record.parent / f"{number:02}").mkdir()
    record.rmdir()
    scoring.begin()
    assert [run.name for run in sorted(record.parent.iterdir())] == [f"{number:02}" for number in range(5, 15)]


def test_no_record_is_no_score(record: Path, score: Score) -> None:
    """Without trials there is nothing to be proud of: exit 2 and one line."""
    for empty in (False, True):
        if empty:
            _write(record)
        status, out, err = score()
        assert (status, out, err.count("\n")) == (2, "", 1)


GOOD = json.loads(RIGHT.to_json())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not json",
        "[]",
        "7",
        "{}",
        json.dumps({name: value for name, value in GOOD.items() if name != "status"}),
        json.dumps(GOOD | {"colour": "red"}),
        json.dumps(GOOD | {"expected": 7}),
        json.dumps(GOOD | {"symptom": "soon"}),
        RIGHT.to_json()[:-9],
    ],
)
def test_a_broken_record_is_one_sentence(record: Path, score: Score, line: str) -> None:
    """File and line are named, and no score is made of the rest."""
    (record / "main.jsonl").write_text(f"{RIGHT.to_json()}\n{line}\n", encoding="utf-8")
    status, out, err = score()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{record / 'main.jsonl'} line 2 is no trial" in err


def test_a_record_that_is_no_text_is_one_sentence(record: Path, score: Score) -> None:
    """Binary files are no record either, and it is said which one it is."""
    (record / "main.jsonl").write_bytes(b"\xff\xfe\x00")
    status, out, err = score()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{record / 'main.jsonl'} line 1 is no trial: it is no UTF-8 text" in err
