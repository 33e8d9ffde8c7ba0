from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import cli
from harness.diagnosis import evidence
from harness.diagnosis.evidence import NetworkEvidence, NodeEvidence, Piece, Snapshot, UnseenError
from harness.errors import ParseError

from .evidence_samples import Sample

Doctor = Callable[..., tuple[int, str, str]]

HEALTHY: dict[str, Any] = json.loads(Sample().snapshot().to_json())


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Have the doctor judge a file; exit status and both outputs."""
    monkeypatch.setattr("harness.interrupts.as_keyboard_interrupt", lambda _say: None)

    def judged(path: Path, *options: str) -> tuple[int, str, str]:
        status = cli.main(["doctor", "--snapshot", str(path), *options])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return judged


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[[object], Path]:
    """Write something where a bundle is looked for."""

    def written(content: object) -> Path:
        path = tmp_path / "bundle.json"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return written


# --- what is there is read back


def test_a_bundle_round_trips(tmp_path: Path) -> None:
    """Everything that a snapshot holds is the same after it was written and read."""
    path = tmp_path / "bundle.json"
    sample = Sample()
    sample.lose("web", "backends", "timed out after 5 s")
    sample.problems.append("no traffic")
    for static in (False, True):
        snapshot = sample.snapshot(static=static)
        path.write_text(snapshot.to_json(), encoding="utf-8")
        assert evidence.load(path) == snapshot


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
pieces = st.dictionaries(texts, st.builds(Piece, text=texts) | st.builds(Piece, missing=texts), max_size=3)
subnets = st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(0, 32)) | st.just("fd00::/64")
numbers = st.integers(min_value=0, max_value=2**63)


@given(
    st.builds(
        Snapshot,
        layout=texts,
        project=texts,
        taken_at=st.datetimes(timezones=st.just(UTC)),
        nodes=st.lists(st.builds(NodeEvidence, service=texts, name=texts, pieces=pieces), max_size=2).map(tuple),
        networks=st.lists(
            st.builds(
                NetworkEvidence,
                name=texts,
                subnets=st.lists(subnets, max_size=2).map(tuple),
                project=st.none() | texts,
                ours=st.booleans(),
            ),
            max_size=2,
        ).map(tuple),
        traffic=st.dictionaries(texts, st.dictionaries(texts, st.tuples(numbers, numbers), max_size=2), max_size=2),
        static=st.booleans(),
        problems=st.lists(texts, max_size=2).map(tuple),
    )
)
def test_any_snapshot_round_trips(tmp_path_factory: pytest.TempPathFactory, snapshot: Snapshot) -> None:
    """Whatever text the pieces hold, and however they are called."""
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(snapshot.to_json(), encoding="utf-8")
    assert evidence.load(path) == snapshot


def test_a_piece_that_is_missing_says_why() -> None:
    """Whoever asks for what was not seen gets node, piece and reason, never an empty text."""
    node = NodeEvidence(service="web", name="plan1-web", pieces={"log": Piece(missing="gone"), "dump": Piece(text="{")})
    for piece, reason in (("log", "gone"), ("rules", "it was not collected")):
        assert not node.has(piece)
        with pytest.raises(UnseenError, match=f"{piece} of web could not be seen: {reason}"):
            node.text(piece)
    assert node.has("dump")
    with pytest.raises(UnseenError, match="dump of web could not be seen: it is not JSON"):
        node.json("dump")


def test_a_healthy_bundle_is_healthy(doctor: Doctor, bundle: Callable[[object], Path]) -> None:
    """The twin of all that follows: the same file undamaged gives 0."""
    status, out, err = doctor(bundle(HEALTHY))
    assert (status, err) == (0, "")
    assert out.startswith("healthy\n")


# --- what is no bundle


def _places(value: object, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a bundle; of entries that are alike (nodes, pieces) the first alone."""
    if place:
        yield place
    if isinstance(value, dict):
        alike = place[:1] == ("nodes",) and place[-1] == "pieces"
        for key in list(value)[: 1 if alike else None]:
            yield from _places(value[key], (*place, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 1 if place == ("nodes",) else 2)):
            yield from _places(value[index], (*place, index))


def _changed(place: tuple[Any, ...], change: Callable[[Any, Any], None]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json.dumps(HEALTHY))
    parent: Any = loaded
    for key in place[:-1]:
        parent = parent[key]
    change(parent, place[-1])
    return loaded


PLACES = list(_places(HEALTHY))
WRONG: tuple[object, ...] = (None, True, 7, 1.5, math.inf, "text", [], ["text"], {}, {"a": None})


def _put(parent: Any, key: Any, *, value: object) -> None:
    parent[key] = value


def _take(parent: Any, key: Any) -> None:
    del parent[key]


def _value(place: tuple[Any, ...]) -> object:
    value: Any = HEALTHY
    for key in place:
        value = value[key]
    return value


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_wrong_value_anywhere_is_one_sentence(
    doctor: Doctor, bundle: Callable[[object], Path], place: tuple[Any, ...]
) -> None:
    """Another type in any place of the file: exit 2 with one line that names the file, and no word of health."""
    tried = 0
    for wrong in WRONG:
        if type(wrong) is type(_value(place)) or (place[::2] == ("networks", "project") and wrong in (None, "text")):
            continue
        tried += 1
        status, out, err = doctor(bundle(_changed(place, partial(_put, value=wrong))))
        assert (status, out, err.count("\n")) == (2, "", 1), (place, wrong, out)
        assert re.match(r"unknown: \S+/bundle.json is (not a snapshot|a snapshot of format|a damaged snapshot)", err)
    assert tried


@pytest.mark.parametrize(
    "piece",
    [
        {},
        {"text": 7},
        {"missing": None},
        {"text": "", "missing": ""},
        {"text": None},
        {"texts": ""},
        {"text": "", "a": 1},
    ],
    ids=str,
)
def test_a_piece_is_a_text_or_missing(doctor: Doctor, bundle: Callable[[object], Path], piece: object) -> None:
    """A piece that is neither, both or more is damaged: an empty text made of it could pass for evidence."""
    place = ("nodes", 0, "pieces", "rules", "text")
    status, out, err = doctor(bundle(_changed(place[:-1], partial(_put, value=piece))))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "damaged snapshot" in err


@pytest.mark.parametrize(
    "place",
    [place for place in PLACES if isinstance(place[-1], str) and place[0] != "traffic" and place[-2:-1] != ("pieces",)],
    ids=str,
)
def test_a_key_that_is_missing_is_one_sentence(
    doctor: Doctor, bundle: Callable[[object], Path], place: tuple[Any, ...]
) -> None:
    """Without any key of the format, the file is no bundle; which pieces a node has is not the format's business."""
    path = bundle(_changed(place, _take))
    status, out, err = doctor(path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err


def test_every_place_is_tried() -> None:
    """Top level, networks, traffic, nodes and pieces: the two tests above leave nothing of the format out."""
    assert {place[0] for place in PLACES} == set(HEALTHY)
    assert ("nodes", 0, "pieces", "rules-before", "text") in PLACES
    assert ("networks", 0, "subnets", 0) in PLACES
    assert ("traffic", "wireguard-web>wireguard-services", "small", 0) in PLACES


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe\x00binary", "it is not text"),
        (json.dumps(HEALTHY)[:-200].encode(), "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"kind": ' + b"9" * 5000 + b"}", "it is not JSON"),
        (b"null", "is not a snapshot"),
        (b"[]", "is not a snapshot"),
        (b"{}", "is not a snapshot"),
        (json.dumps(HEALTHY | {"kind": "a shopping list"}).encode(), "is not a snapshot"),
        (json.dumps(HEALTHY | {"format": 2}).encode(), "of format 2"),
        (json.dumps(HEALTHY | {"layout": "\ud800"}).encode(), "damaged"),
        (json.dumps(HEALTHY | {"taken_at": "yesterday"}).encode(), "damaged"),
        (json.dumps(HEALTHY | {"networks": {"a": 1}}).encode(), "damaged"),
        (json.dumps(HEALTHY).replace("10.7.0.0/24", "10.7.0.0/33").encode(), "damaged"),
        (json.dumps(HEALTHY | {"traffic": {"a>b": {"small": [1]}}}).encode(), "damaged"),
        (json.dumps(HEALTHY | {"traffic": {"a>b": {"small": [1, -2]}}}).encode(), "damaged"),
    ],
    ids=range(16),
)
def test_a_file_that_is_no_bundle_is_one_sentence(
    doctor: Doctor, bundle: Callable[[object], Path], content: bytes, said: str
) -> None:
    """Empty, binary, cut off, too deep, another file, another format: exit 2 and one line that says which."""
    path = bundle(content)
    status, out, err = doctor(path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err
    assert said in err
    with pytest.raises(ParseError, match=said):
        evidence.load(path)


def test_no_file_and_a_directory_are_one_sentence(doctor: Doctor, tmp_path: Path) -> None:
    """What cannot be read is unknown, with the system's reason."""
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        status, out, err = doctor(path)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert f"cannot read {path}: {reason}" in err


def test_a_bundle_that_cannot_be_read_is_json_when_asked(doctor: Doctor, tmp_path: Path) -> None:
    """`--json` has the documented shape also when nothing was seen."""
    status, out, err = doctor(tmp_path, "--json")
    assert (status, err) == (2, "")
    document = json.loads(out)
    assert (document["status"], document["findings"], document["hops"]) == ("unknown", [], [])
    assert "Is a directory" in document["unknown"][0]


@given(st.data())
def test_a_bundle_with_holes_is_never_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes cut out of a bundle, or put into it, anywhere: it is read, or a `ParseError` says what is wrong."""
    whole = json.dumps(HEALTHY).encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    path = tmp_path_factory.getbasetemp() / "holes.json"
    path.write_bytes(whole[:start] + data.draw(st.binary(max_size=8)) + whole[end:])
    try:
        loaded = evidence.load(path)
    except ParseError as error:
        assert "\n" not in str(error)  # noqa: PT017 (that there may be none is the point)
    else:
        assert isinstance(loaded.taken_at, datetime)


def test_what_a_container_says_may_be_no_text(doctor: Doctor, bundle: Callable[[object], Path]) -> None:
    """Half a surrogate pair in what a probe reported is shown escaped; it is no reason for a traceback."""
    sample = Sample()
    sample.fail("web", "database", "login", said="\ud800 denied", code=1045)
    for options in ((), ("--json",)):
        status, out, _ = doctor(bundle(sample.snapshot().to_json()), *options)
        assert status == 1
        assert "\\ud800 denied" in out
