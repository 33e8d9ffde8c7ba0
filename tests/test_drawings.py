"""Pictures say what the data says, in shapes and words and not in colour alone; whatever is in it, it is sound SVG."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from harness.chronicle import Chronicle, Mark, Moment, runs
from harness.drawings import timeline, topology
from harness.drawings.canvas import WIDTH
from harness.model import Observation, Outcome

from .evidence_samples import BACK, FRONT, REDIS, Sample
from .rule_cases.two_servers import each_side_is_on_a_server_of_its_own
from .test_rules_paths import a_dnat_rule_was_deleted

SVG = "{http://www.w3.org/2000/svg}"
START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NASTY = 'a <b> & "c" \x1b[31m\x00'


def observation(seconds: float, outcome: Outcome, probe: str = "Redis PING", detail: str = "") -> Observation:
    return Observation(
        probe=probe,
        source="web",
        destination="10.100.0.11:6379",
        outcome=outcome,
        detail=detail,
        observed_at=START + timedelta(seconds=seconds),
    )


def chronicle(*observations: Observation, marks: dict[Moment, float] | None = None, note: str = "") -> Chronicle:
    made = Chronicle()
    made.observations += observations
    for moment, seconds in (marks or {Moment.INJECTION: 0.0}).items():
        made.marks.append(Mark(moment=moment, at=START + timedelta(seconds=seconds), note=note))
    return made


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 (drawn here)


def with_class(drawn: ET.Element, *words: str) -> list[ET.Element]:
    return [each for each in drawn.iter() if set(words) <= set(each.get("class", "").split())]


def words_of(drawn: ET.Element) -> str:
    return "\n".join(each.text or "" for each in drawn.iter(f"{SVG}text"))


# --- the timeline


def test_every_probe_has_a_lane_with_its_outcomes() -> None:
    drawn = parsed(
        timeline.draw(
            chronicle(
                observation(-1, Outcome.CONNECTED),
                observation(0.5, Outcome.REFUSED),
                observation(2, Outcome.CONNECTED),
                observation(1, Outcome.TIMED_OUT, "MariaDB query"),
            )
        )
    )
    redis, mariadb = with_class(drawn, "lane-of-probe")
    assert [each.get("class") for each in with_class(redis, "outcome")] == [
        "outcome connected",
        "outcome refused",
        "outcome connected",
    ]
    assert [each.get("class") for each in with_class(mariadb, "outcome")] == ["outcome timed_out"]
    assert "Redis PING, web → 10.100.0.11:6379" in words_of(drawn)


def test_an_outcome_is_told_by_letter_and_pattern_too() -> None:
    assert len({look.letter for look in timeline.LOOKS.values()}) == len(Outcome)
    assert len({look.tile for look in timeline.LOOKS.values()}) == len(Outcome)
    for outcome in Outcome:
        drawn = parsed(timeline.draw(chronicle(observation(1, outcome))))
        assert timeline.LOOKS[outcome].letter in words_of(drawn).splitlines()
        assert outcome.value in words_of(drawn), "the legend lacks it"


def test_every_mark_has_a_number_a_time_and_words() -> None:
    moments = {Moment.INJECTION: 0.0, Moment.SYMPTOM: 0.25, Moment.RESTORE: 3.5, Moment.RECOVERY: 4.0}
    drawn = parsed(timeline.draw(chronicle(observation(0, Outcome.CONNECTED), marks=moments)))
    said = words_of(drawn)
    assert len(with_class(drawn, "mark")) == len(moments)
    for line in ("0.00 s injection", "0.25 s symptom", "3.50 s restore", "4.00 s recovery"):
        assert line in said


def test_marks_at_one_time_do_not_hide_each_other() -> None:
    crowd = {moment: 1.0 + 0.001 * number for number, moment in enumerate(Moment)}
    drawn = parsed(timeline.draw(chronicle(observation(0, Outcome.CONNECTED), marks=crowd)))
    top = min(float(each.get("cy", 0)) for each in with_class(drawn, "badge"))
    places = [float(each.get("cx", 0)) for each in with_class(drawn, "badge") if float(each.get("cy", 0)) == top]
    assert len(places) == len(crowd)
    assert all(after - before >= 18 for before, after in pairwise(places))
    assert max(places) <= WIDTH


def test_time_goes_to_the_right() -> None:
    outcomes = [Outcome.CONNECTED, Outcome.REFUSED, Outcome.CONNECTED]
    drawn = parsed(timeline.draw(chronicle(*(observation(n * 2, each) for n, each in enumerate(outcomes)))))
    places = [float(each.get("x", 0)) for each in with_class(drawn, "outcome")]
    assert places == sorted(places)
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=1)


def test_the_story_is_told_in_words_too() -> None:
    made = chronicle(
        observation(-0.5, Outcome.CONNECTED),
        observation(0.1, Outcome.REFUSED, detail="nobody listens"),
        observation(0.2, Outcome.REFUSED, detail="nobody listens"),
        note="Redis is stopped",
    )
    assert str(made).splitlines() == [
        "   -0.500 s  Redis PING, web → 10.100.0.11:6379: connected",
        "   +0.000 s  --- injection: Redis is stopped",
        "   +0.100 s  Redis PING, web → 10.100.0.11:6379: refused, 2 times until +0.200 s (nobody listens)",
    ]
    assert [run.count for run in runs(made.observations)] == [1, 2]


# --- the topology


def test_a_healthy_deployment_has_nothing_red() -> None:
    sample = Sample()
    drawn = parsed(topology.draw(sample.snapshot(), sample.diagnosis))
    assert not with_class(drawn, "broken")
    assert not with_class(drawn, "bad-badge")
    said = words_of(drawn)
    for word in (
        *sample.pieces,
        "172.20.0.0/24",
        "10.101.0.2 services-net",
        "wg0 10.100.0.10 ↔ 10.100.0.11",
        "3306/tcp",
    ):
        assert word in said
    assert len(with_class(drawn, "box")) == len(sample.pieces)
    assert len(with_class(drawn, "way")) == 3


def test_a_lost_rule_marks_its_own_way_and_gateway() -> None:
    sample = Sample()
    a_dnat_rule_was_deleted(sample)
    drawn = parsed(topology.draw(sample.snapshot(), sample.diagnosis))
    assert len(with_class(drawn, "way", "broken")) == 1
    assert not with_class(drawn, "tunnel", "broken")
    assert len(with_class(drawn, "box", "broken")) == 1
    assert "forward-rule-missing" in words_of(drawn)
    assert "✗" in words_of(drawn), "red alone is not seen by everybody"
    (failed,) = with_class(drawn, "hop", "fail")
    assert failed is not None


def test_a_dead_tunnel_is_broken_between_the_gateways() -> None:
    sample = Sample()
    sample.kill_tunnel()
    drawn = parsed(topology.draw(sample.snapshot(), sample.diagnosis))
    assert with_class(drawn, "tunnel", "broken")
    assert "no handshake yet" in words_of(drawn)


def test_what_is_down_says_so() -> None:
    sample = Sample()
    sample.stop(REDIS)
    drawn = parsed(topology.draw(sample.snapshot(), sample.diagnosis))
    assert "exited (exit status 1)" in words_of(drawn)


def test_what_was_not_seen_is_drawn_as_such() -> None:
    sample = Sample()
    sample.lose(REDIS, "container", "the engine is silent")
    drawn = parsed(topology.draw(sample.snapshot(), sample.diagnosis))
    assert len(with_class(drawn, "box", "unseen")) >= 1
    assert "not seen" in words_of(drawn)


def test_two_servers_are_two_zones_and_bare_metal_is_outside() -> None:
    sample = Sample()
    each_side_is_on_a_server_of_its_own(sample)
    drawn = parsed(topology.draw(sample.snapshot(), sample.diagnosis))
    said = words_of(drawn)
    assert "server web" in said
    assert "server services" in said
    assert "one Docker engine" not in said
    assert "not looked into" in said, "MariaDB is forwarded to, and is no container"


@pytest.mark.parametrize("gone", [(FRONT,), (BACK,), (FRONT, BACK)], ids=["front", "back", "both"])
def test_without_a_gateway_there_is_a_picture_too(gone: tuple[str, ...]) -> None:
    sample = Sample()
    for gateway in gone:
        sample.drop(gateway)
    drawn = parsed(topology.draw(sample.snapshot(), sample.diagnosis))
    assert not with_class(drawn, "tunnel")
    assert len(with_class(drawn, "box")) >= len(sample.pieces)


# --- both


def drawings_of(text: str) -> list[str]:
    sample = Sample()
    sample.rename(REDIS, text)
    story = chronicle(observation(1, Outcome.REFUSED, probe=text, detail=text), note=text)
    return [timeline.draw(story), topology.draw(sample.snapshot(), sample.diagnosis)]


def test_whatever_is_written_is_escaped() -> None:
    for svg in drawings_of(NASTY):
        drawn = parsed(svg)
        assert not list(drawn.iter(f"{SVG}b"))
        assert 'a <b> & "c"' in words_of(drawn)


def test_a_picture_fits_any_width_and_both_schemes() -> None:
    for svg in drawings_of("redis"):
        drawn = parsed(svg)
        assert "width" not in drawn.attrib
        assert drawn.get("viewBox", "").startswith(f"0 0 {WIDTH} ")
        assert "prefers-color-scheme: dark" in svg
        assert "http" not in svg.replace("http://www.w3.org/2000/svg", ""), "it would load something"


def test_nothing_reaches_over_the_edge() -> None:
    for svg in drawings_of("redis"):
        drawn = parsed(svg)
        height = float(drawn.get("viewBox", "").split()[3])
        for each in drawn.iter(f"{SVG}rect"):
            if each.get("x") is not None:
                assert 0 <= float(each.get("x", 0)) <= float(each.get("x", 0)) + float(each.get("width", 0)) <= WIDTH
                assert 0 <= float(each.get("y", 0)) <= height
        for text in drawn.iter(f"{SVG}text"):
            assert 0 < float(text.get("y", 0)) <= height
