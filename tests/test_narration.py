"""What a test asked of the deployment is told to the report: once each, shortened, and never from other threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from harness import command, witness
from harness.narration import Narrator


def told(*questions: tuple[str, str]) -> list[tuple[str, str]]:
    """What a narrator makes of questions and answers."""
    written: list[tuple[str, str]] = []
    narrator = Narrator(lambda asked, answered: written.append((asked, answered)))
    for asked, answered in questions:
        narrator.hear(asked, answered)
    narrator.flush()
    narrator.flush()
    return written


def test_each_question_is_told_in_order() -> None:
    assert told(("first", "1"), ("second", "2")) == [("first", "1"), ("second", "2")]


def test_a_poll_is_told_once_with_its_last_answer() -> None:
    polls = [(asked, str(n)) for n in range(50) for asked in ("is it up", "does it answer")]
    assert told(*polls) == [("is it up (50 times)", "49"), ("does it answer (50 times)", "49")]


def test_a_question_is_its_first_line() -> None:
    (written,) = told(("sh -c 'one\ntwo'", ""))
    assert written[0] == "sh -c 'one"


def test_questions_that_differ_where_they_are_cut_are_two() -> None:
    long = "docker compose" + " --file x" * 20
    first, second = told((f"{long} up", "1"), (f"{long} down", "2"))
    assert first[0] == second[0]
    assert "times" not in first[0]
    assert (first[1], second[1]) == ("1", "2")


def test_a_long_answer_keeps_both_ends() -> None:
    ((_, answer),) = told(("log", "begin" + "." * 100_000 + "end"))
    assert answer.startswith("begin")
    assert answer.endswith("end")
    assert len(answer) < 5000
    assert "characters left out" in answer


def test_a_talkative_test_does_not_fill_the_report() -> None:
    written = told(*((f"question {n}", "") for n in range(500)))
    assert len(written) == 61
    assert "440 more" in written[-1][0]


def test_a_command_is_told_with_what_it_printed() -> None:
    heard: list[tuple[str, str]] = []
    with witness.listening(lambda asked, answered: heard.append((asked, answered))):
        command.run(["sh", "-c", "echo said; exit 3"], timeout=10, check=False)
    command.run(["true"], timeout=10)
    ((asked, answered),) = heard
    assert "echo said" in asked
    assert "exit 3" in answered
    assert "said" in answered


def test_what_a_pool_does_is_not_told() -> None:
    heard: list[str] = []
    with witness.listening(lambda asked, _answered: heard.append(asked)), ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(witness.tell, "elsewhere", "").result()
        witness.tell("here", "")
    assert heard == ["here"]


def test_nothing_is_told_where_nobody_is_to_listen() -> None:
    heard: list[str] = []
    with witness.listening(lambda asked, _answered: heard.append(asked)):
        with witness.listening(None):
            witness.tell("private", "")
        witness.tell("public", "")
    assert heard == ["public"]
