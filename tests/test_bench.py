from __future__ import annotations

from dataclasses import replace

import pytest

from bench import parts
from bench.figures import Figure, markdown, ratio, table
from bench.parts import bringup
from harness.timeline import Timeline

from .conftest import Render


def figure(value: float, target: float | None, *, at_least: bool = False) -> Figure:
    return Figure(part="part", name="figure", value=value, target=target, at_least=at_least)


@pytest.mark.parametrize(
    ("measured", "met"),
    [
        (figure(0.44, 0.45), True),
        (figure(0.46, 0.45), False),
        (figure(1.4, 1.3, at_least=True), True),
        (figure(1.2, 1.3, at_least=True), False),
        (figure(1.2, None), None),
    ],
)
def test_a_target_is_the_most_or_with_at_least_the_least(measured: Figure, *, met: bool | None) -> None:
    assert measured.met is met
    assert measured.document()["met"] is met


def test_a_ratio_is_of_medians_and_keeps_its_samples() -> None:
    found = ratio("part", "ours / theirs", [1.0, 9.0, 2.0], [4.0, 4.0, 40.0], 0.5)
    assert found.value == pytest.approx(0.5)
    assert found.note == "2.00 s over 4.00 s"
    assert found.document()["samples"] == {"ours": [1.0, 9.0, 2.0], "theirs": [4.0, 4.0, 40.0]}


def test_the_table_says_what_is_not_met() -> None:
    lines = table([figure(0.5, 0.45), figure(0.4, 0.45), figure(7, None)]).splitlines()
    assert [("NOT MET" in line, " met" in line) for line in lines[1:]] == [(True, False), (False, True), (False, False)]


def test_the_table_for_documents_says_the_same_and_a_bar_parts_no_cell() -> None:
    lines = markdown([figure(0.5, 0.45), replace(figure(7, None), note="a | b")]).splitlines()
    assert [line.count("|") for line in lines] == [7] * 4
    assert "NOT MET" in lines[2]
    assert "a / b" in lines[3]


def test_every_part_has_a_name_of_its_own_and_the_long_one_is_asked_for() -> None:
    found = parts.catalogue()
    assert {"bring-up", "faults", "suite"} <= set(found)
    assert [name for name, part in found.items() if not part.usual] == ["suite"]


def test_the_ordinary_way_waits_for_health_everywhere_and_begins_without_data(render: Render) -> None:
    text = bringup.ordinary(render())
    assert '"condition": "service_started"' not in text
    assert '"volumes": !reset []' in text
    assert "/var/lib/mysql:uid=999" in text


def test_a_phase_is_added_when_it_succeeds() -> None:
    timeline = Timeline()
    with timeline.phase("first"):
        pass
    with pytest.raises(ValueError, match="no"), timeline.phase("second"):
        raise ValueError("no")
    (phase,) = timeline.phases
    assert phase.name == "first"
    assert 0 <= phase.began <= phase.ended
    assert "first" in timeline.table()
