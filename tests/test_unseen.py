"""Missing evidence is never health."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.diagnosis.evidence import NodeEvidence, Piece, Snapshot, load
from harness.diagnosis.facts import Facts
from harness.diagnosis.judgement import HEALTHY, UNKNOWN, judge
from harness.diagnosis.rules import rules

from .conftest import ROOT
from .evidence_samples import APPS, BACK, BACKENDS, CELERY, FRONT, GATEWAYS, MARIADB, REDIS, SERVICES, WEB, Sample
from .rule_cases import exposure, fronts, two_servers

# What rules need of a node that runs. `log` only says more about what other pieces show.
_OF_ALL = ("container", "secret-files")
_OF_GATEWAYS = ("clock", "addresses", "links", "routes", "routing-policy", "sysctls", "dump")
NEEDED = [
    *((node, piece) for node in (*GATEWAYS, *BACKENDS, *APPS) for piece in _OF_ALL),
    *((gateway, piece) for gateway in GATEWAYS for piece in _OF_GATEWAYS),
    *((app, "backends") for app in APPS),
    *((node, "sockets") for node in (MARIADB, REDIS, SERVICES)),
    (FRONT, "netns"),  # of those that share a namespace
    (WEB, "netns"),
    (BACK, "rules"),
]
NOT_NEEDED = sorted({(node, piece) for node, pieces in Sample().pieces.items() for piece in pieces} - set(NEEDED))
# No judgement can hang on these. The rest of NOT_NEEDED explains what others show: the log, WEB's gateway's rules (who
# drops WireGuard's packets), a backend's routes (that it needs no masquerade), sockets and namespaces where needed.
NEVER_READ = ("dump-before", "udp", "neighbours", "implementation", "interfaces")
# Rules do judge by these where they were seen, and by less where they were not.
READ_WHERE_SEEN = ("rules-before",)

# None of these is what any of the tools prints, with what an empty text or list can be told from.
GARBAGE = {
    "binary": "\x00\x07\ufffd\ufffd",
    "a sentence": "cat: read error: Input/output error",
    "null": "null",
    "a number": "7",
    "a negative number": "-1",
    "a string": '"text"',
    "an object": '{"a": {"b": null}}',
    "a list of lists": "[[]]",
    "a list of null": "[null]",
    "cut off": '[{"ifname": "wg0", "fla',
    "deep": "[" * 50_000,
    "long number": "9" * 5000,
}


def _with(node: str, piece: str, value: Piece | None) -> Snapshot:
    """The healthy snapshot with another piece, or without."""

    def changed(evidence: NodeEvidence) -> NodeEvidence:
        if evidence.service != node:
            return evidence
        pieces = {name: kept for name, kept in evidence.pieces.items() if name != piece}
        return replace(evidence, pieces=pieces | ({} if value is None else {piece: value}))

    healthy = Sample().snapshot()
    return replace(healthy, nodes=tuple(map(changed, healthy.nodes)))


def test_the_sample_is_healthy() -> None:
    """What all the other tests break is healthy before, and its way is passed at every hop."""
    diagnosis = Sample().diagnosis
    assert (diagnosis.status, diagnosis.exit_code) == (HEALTHY, 0)
    assert (diagnosis.findings, diagnosis.unknown) == ((), ())
    assert {hop.status for hop in diagnosis.hops} == {"pass"}
    assert {hop.path for hop in diagnosis.hops} == {
        *(f"{app}→{kind}" for app in APPS for kind in ("database", "broker")),
        "web→8001",
    }


@pytest.mark.parametrize(("node", "piece"), NEEDED)
def test_a_piece_that_was_not_seen_is_not_health(node: str, piece: str) -> None:
    """Missing with a reason, or not collected at all: the doctor says that it could not be seen, and exits with 2."""
    for value, said in ((Piece(missing="timed out after 5 s"), "timed out after 5 s"), (None, "was not collected")):
        diagnosis = judge(_with(node, piece, value))
        assert (diagnosis.status, diagnosis.exit_code) == (UNKNOWN, 2)
        assert any(line.startswith(f"{piece} of {node}") and said in line for line in diagnosis.unknown)
        assert not diagnosis.findings


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize(("node", "piece"), NEEDED)
def test_a_garbled_piece_is_not_health(node: str, piece: str, garbage: str) -> None:
    """Whatever a tool printed instead of what it should: unknown, neither health nor a fault, and no exception."""
    diagnosis = judge(_with(node, piece, Piece(text=garbage)))
    assert diagnosis.status == UNKNOWN
    assert not diagnosis.findings
    assert diagnosis.unknown


@pytest.mark.parametrize(("node", "piece"), [each for each in NEEDED if each[1] != "secret-files"])
def test_an_empty_piece_is_not_health(node: str, piece: str) -> None:
    """Nothing printed and no error: a fault at most (no rules, no WireGuard interface), never health.

    Secret files are another matter: a node may well have none, and then the collector says `[]`.
    """
    for empty in ("", "\n", "[]", "{}"):
        assert judge(_with(node, piece, Piece(text=empty))).status != HEALTHY


@pytest.mark.parametrize(("node", "piece"), NOT_NEEDED)
def test_a_piece_that_no_rule_needs_changes_nothing(node: str, piece: str) -> None:
    """The list of what is needed is complete: a deployment without one of the other pieces is healthy all the same."""
    assert judge(_with(node, piece, Piece(missing="timed out"))).status == HEALTHY


def test_the_pieces_that_are_never_read_are_known() -> None:
    """They are collected for people; whoever writes a rule on one takes it off this list."""
    read = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "harness" / "diagnosis").glob("*facts.py"))
    for piece in (*NEVER_READ, *READ_WHERE_SEEN):
        assert piece in {name for _node, name in NOT_NEEDED}
        assert (f'"{piece}"' in read) is (piece in READ_WHERE_SEEN)


@pytest.mark.parametrize("way", Sample().traffic)
def test_traffic_that_was_not_measured_is_not_health(way: str) -> None:
    """Neither direction goes without; the reason is the problem that the collector noted."""
    sample = Sample()
    del sample.traffic[way]
    sample.problems.append("the tunnel's traffic was not measured: exit status 137")
    diagnosis = sample.diagnosis
    assert diagnosis.status == UNKNOWN
    assert any("exit status 137" in line for line in diagnosis.unknown)


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("key", ["database", "broker"])
def test_a_backend_that_was_not_tried_is_not_health(app: str, key: str) -> None:
    """An application whose probe says nothing of a backend, or something that is no result, is unknown."""
    damaged: list[object] = [None, {}, {"reached": []}, {"reached": ["connect"], "failed": 7}, {"reached": 5}]
    for entry in damaged:
        sample = Sample()
        with sample.edited(app, "backends") as reaches:
            reaches[key] = entry
        assert sample.diagnosis.status == UNKNOWN
    sample = Sample()
    with sample.edited(app, "backends") as reaches:
        del reaches[key]
    assert sample.diagnosis.status == UNKNOWN


def test_nothing_at_all_is_not_health() -> None:
    """A snapshot without nodes, one in which no node can be read, and one of another deployment's nodes alone."""
    healthy = Sample().snapshot()
    assert judge(replace(healthy, nodes=())).status == UNKNOWN
    assert judge(replace(healthy, nodes=(), static=True)).status == UNKNOWN
    blind = tuple(replace(node, pieces={}) for node in healthy.nodes)
    for static in (False, True):
        assert judge(replace(healthy, nodes=blind, static=static)).status == UNKNOWN


def test_an_unhealthy_container_that_was_not_asked_is_not_health() -> None:
    """Docker's own check fails, and the collector could not repeat it: that is not passed over."""
    for missing in (True, False):
        sample = Sample()
        sample.containers[CELERY]["health"] = "unhealthy"
        if missing:
            sample.pieces[CELERY]["health"] = ""
            sample.lose(CELERY, "health", "no answer within 5 s")
        diagnosis = sample.diagnosis
        assert diagnosis.status == UNKNOWN
        assert "health of celery" in diagnosis.unknown[0]


def test_a_rule_that_fails_is_not_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of a rule's own is unknown, with its name; the other rules are applied all the same."""

    def broken(_facts: Facts) -> Iterator[object]:
        raise RuntimeError("a bug")

    real = rules()
    monkeypatch.setattr("harness.diagnosis.judgement.rules", lambda: (replace(real[0], over=broken), *real[1:]))
    for static in (False, True):
        diagnosis = judge(Sample().snapshot(static=static))
        assert diagnosis.status == UNKNOWN
        assert real[0].id in diagnosis.unknown[0]
        assert "a bug" in diagnosis.unknown[0]
    sample = Sample()
    sample.change(BACK, "sysctls", "ip_forward:1", "ip_forward:0")
    assert sample.diagnosis.roots == {"forwarding-disabled"}


LEAVES = [
    (node, piece)
    for node, pieces in Sample().pieces.items()
    for piece in ("container", "secret-files", "addresses", "links", "routes", "backends")
    if piece == "container" or piece in pieces
]
strange = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70000) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["dst", "a"]), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(LEAVES), st.data(), strange)
def test_no_piece_is_too_strange(place: tuple[str, str], data: st.DataObject, value: object) -> None:
    """Anything in any place of any piece that is JSON: a judgement comes of it, never an exception."""
    node, piece = place
    sample = Sample()
    loaded = sample.containers[node] if piece == "container" else json.loads(sample.pieces[node][piece])
    parents = [each for each in _containers_of(loaded) if each]
    parent = data.draw(st.sampled_from(parents)) if parents else None
    if isinstance(parent, dict):
        parent[data.draw(st.sampled_from(sorted(parent)))] = value
    elif isinstance(parent, list):
        parent[data.draw(st.integers(0, len(parent) - 1))] = value
    diagnosis = judge(_with(node, piece, Piece(text=json.dumps(loaded))))
    assert diagnosis.to_json()


def _containers_of(loaded: object) -> list[dict[str, object] | list[object]]:
    if isinstance(loaded, dict):
        return [loaded, *(found for each in loaded.values() for found in _containers_of(each))]
    return [loaded, *(found for each in loaded for found in _containers_of(each))] if isinstance(loaded, list) else []


def test_a_server_whose_engine_is_silent_is_unknown_with_the_reason() -> None:
    """Of two servers one was not seen: what fails may be its doing, so nothing is called well, ill or undiagnosed."""
    sample = Sample()
    two_servers.unseen_services_server(sample)
    diagnosis = sample.diagnosis
    assert (diagnosis.status, diagnosis.exit_code, diagnosis.findings) == (UNKNOWN, 2, ())
    assert any("engine of services does not answer (Connection refused)" in line for line in diagnosis.unknown)
    assert any(line.startswith("web→database") for line in diagnosis.unknown)


def test_an_application_that_is_unwell_for_want_of_an_unseen_server_is_not_undiagnosed() -> None:
    """Docker may have found web unhealthy by then: that, too, may be the unseen server's doing."""
    sample = Sample()
    two_servers.unseen_services_server(sample)
    sample.containers[WEB]["health"] = "unhealthy"
    sample.pieces[WEB]["health"] = "failing"
    assert (sample.diagnosis.status, sample.diagnosis.findings) == (UNKNOWN, ())


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        (
            "nginx -T: permission denied",
            lambda sample: sample.lose(fronts.NGINX, "upstreams", "nginx -T: permission denied"),
        ),
        ("it is not JSON", lambda sample: sample.pieces[fronts.NGINX].update(upstreams="[")),
        ("it is damaged", lambda sample: sample.pieces[fronts.NGINX].update(upstreams='[{"host": 7}]')),
        (
            "no container that was looked at has 172.20.0.99, and it could not be dialled",
            lambda sample: fronts.place(sample, ("172.20.0.99", 8000)),
        ),
    ],
)
def test_where_a_web_server_passes_requests_on_to_has_to_be_seen(reason: str, spoil: Callable[[Sample], None]) -> None:
    """Nobody knows then whether the public is served, so nothing is called well."""
    sample = Sample()
    fronts.place(sample, fronts.RIGHT)
    spoil(sample)
    diagnosis = sample.diagnosis
    assert (diagnosis.status, diagnosis.findings) == (UNKNOWN, ())
    assert [line for line in diagnosis.unknown if line.startswith(f"upstreams of {fronts.NGINX}") and reason in line]


def test_a_remedy_names_the_server_on_which_it_is_typed() -> None:
    """Where there are two servers, and nowhere else."""
    sample = Sample()
    two_servers.wireguards_port_is_not_published(sample)
    (finding,) = [each for each in sample.diagnosis.findings if each.root]
    assert finding.remedy.startswith("on the server services: ")
    alone = Sample()
    exposure.services_is_published_for_everybody_as_in_production(alone)
    assert "on the server" not in alone.diagnosis.findings[0].remedy


def test_a_bundle_of_two_servers_says_the_same_when_it_is_loaded(tmp_path: Path) -> None:
    """Machines, and on which of them each container is, are part of the evidence."""
    sample = Sample()
    two_servers.the_endpoint_is_an_address_that_no_server_has(sample)
    path = tmp_path / "bundle.json"
    path.write_text(sample.snapshot().to_json(), encoding="utf-8")
    assert judge(load(path)) == sample.diagnosis
