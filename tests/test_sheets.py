"""The pages of figures say right and wrong in words and marks, escape what they show, and load nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness import performance
from harness.drawings.sheet import document, fragment, sparkline
from harness.score.page import page
from harness.trials import Trial

NASTY = "<img src=x onerror=1>"


def trial(fault: str, expected: str, found: str | None) -> Trial:
    return Trial(
        fault=fault,
        benign=False,
        expected=frozenset({expected}),
        tolerated=frozenset(),
        found=None if found is None else frozenset({found}),
        errors=frozenset(),
        status="faulty",
        symptom=0.25,
        diagnosis=1.5,
        recovery=None,
    )


def figure(name: str, value: float, **more: Any) -> dict[str, Any]:
    return {"part": "up", "name": name, "value": value, "unit": "s", "target": 2.0, "met": value <= 2.0} | more


def run(day: int, *figures: dict[str, Any]) -> dict[str, Any]:
    return {"date": f"2026-11-{day:02}T12:00:00+00:00", "machine": {"commit": f"c0{day}"}, "figures": list(figures)}


def rows(body: str) -> list[str]:
    return re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)


def test_right_and_wrong_are_words_and_marks() -> None:
    body = page([trial("one", "route-missing", "route-missing"), trial("two", "backend-down", "route-missing")])
    assert "<b>1 of 2</b>" in body
    assert "✓ right" in body
    assert "✗ WRONG" in body
    assert "1✗" in body, "the matrix tells by colour alone"


def test_the_doctor_who_was_not_asked_is_not_right() -> None:
    assert "the doctor was not asked" in page([trial("one", "route-missing", None)])


def test_times_are_summed_up() -> None:
    body = page([trial("one", "route-missing", "route-missing")] * 3)
    assert re.search(r"to its symptom</th><td class='number'>3</td><td class='number'>0\.25", body)
    assert "scope='row'>to recovery" not in body, "nobody measured it"


def test_what_is_shown_is_escaped() -> None:
    body = page([trial(NASTY, "route-missing", "route-missing")])
    body += performance.page([run(1, figure(NASTY, 1.0, note=NASTY))])
    assert "<img" not in body


def test_a_figure_shows_its_newest_value_its_target_and_its_way_there() -> None:
    runs = [run(day, figure("bring-up", float(day))) for day in (3, 2, 1)]
    body = performance.page(runs)
    (row,) = [each for each in rows(body) if "bring-up" in each]
    assert "1.00 s" in row
    assert "≤ 2.00 s" in row
    assert "✓ met" in row
    assert "from 3 to 1 over 3 runs" in row
    assert "c01" in row
    assert "<b>1 of 1</b>" in body


def test_a_missed_target_and_none_are_said() -> None:
    body = performance.page([run(1, figure("slow", 9.0), figure("stated", 5.0, target=None, met=None))])
    assert "✗ NOT MET" in next(each for each in rows(body) if "slow" in each)
    assert "stated only" in next(each for each in rows(body) if "stated" in each)


def test_figures_that_a_run_left_out_stay() -> None:
    body = performance.page([run(1, figure("whole", 1.0)), run(2, figure("part", 1.0))])
    assert any("whole" in each and "c01" in each for each in rows(body))
    assert any(">part<" in each and "c02" in each for each in rows(body))


def test_documents_come_in_the_order_of_time(tmp_path: Path) -> None:
    for name, day in (("b", 1), ("a", 2)):
        (tmp_path / f"{name}.json").write_text(json.dumps(run(day, figure("x", 1.0))), encoding="utf-8")
    assert [each["date"][8:10] for each in performance.documents(tmp_path)] == ["01", "02"]
    assert performance.documents(tmp_path / "none") == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"date": "x", "figures": [{"part": 1}]}'])
def test_what_is_no_document_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.json is no document of the bench"):
        performance.documents(tmp_path)


def test_a_line_needs_two_ends() -> None:
    assert sparkline([1.0]) == ""
    assert "<polyline" in sparkline([1.0, 1.0])


def test_a_page_loads_nothing() -> None:
    whole = document("Title", page([trial("one", "route-missing", "route-missing")]))
    assert not re.search(r"(?:src|href)=|https?:|url\(", whole)
    assert "width=device-width" in whole
    assert fragment("x").startswith("<div class='sheet'>")
