"""What the doctor was not shown, such as by `--attach`, is unknown: never a cause, and never health."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from harness.diagnosis.containers import CONFIGURED, GONE, UNSEEN
from harness.diagnosis.judgement import FAULTY, HEALTHY, UNDIAGNOSED, UNKNOWN, Diagnosis, judge
from harness.engine import Engine
from harness.errors import DeploymentError
from harness.nodes import Node
from harness.snapshot import Collector

from . import test_rules_tunnel
from .evidence_samples import APPS, BACK, BACKENDS, FRONT, GATEWAYS, MARIADB, REDIS, SERVICES, WEB, Sample
from .rule_cases import cases, keys, tunnel
from .sample_cases import Case
from .test_containers import INSPECTED

EVERYBODY = (*GATEWAYS, *APPS, *BACKENDS)
OTHER_NAMES = ((FRONT, "gw-a"), (BACK, "gw-b"), (MARIADB, "db-1"), (REDIS, "redis-cache"), (WEB, "frontend"))


def hide(sample: Sample, *services: str) -> None:
    """Have nobody look at some containers, which are there."""
    for service in services:
        sample.drop(service)
        for container in sample.containers.values():
            if container["joined"] == service:
                container["joined"] = UNSEEN
    if set(services) & set(GATEWAYS):
        sample.traffic.clear()
        sample.problems.append("the tunnel's traffic was not measured: it has two ends")


@pytest.mark.parametrize("hidden", [each for n in range(7) for each in itertools.combinations(EVERYBODY, n)], ids=str)
def test_whatever_is_hidden_no_cause_is_made_up(hidden: tuple[str, ...]) -> None:
    """Of a deployment that is well nothing is found; of one whose tunnel is cut no more than that a path fails."""
    for well, renamed in itertools.product((True, False), repeat=2):
        sample = Sample()
        if not well:
            sample.fail_tunnel()
        hide(sample, *hidden)
        for old, new in OTHER_NAMES if renamed else ():
            if old in sample.pieces:
                sample.rename(old, new)
        diagnosis = sample.diagnosis
        if well or WEB in hidden:
            assert diagnosis.findings == ()
            unseen = set(hidden) & set(GATEWAYS) or set(APPS) <= set(hidden)
            assert diagnosis.status == (UNKNOWN if unseen else HEALTHY)
        else:
            assert (diagnosis.status, diagnosis.roots) == (FAULTY, frozenset({UNDIAGNOSED}))


def test_a_gateway_that_was_not_named_is_asked_for() -> None:
    """Web's namespace is somebody's whom nobody looked at: that is said, beside that both ends are needed."""
    sample = Sample()
    hide(sample, FRONT)
    told = "\n".join(sample.diagnosis.unknown)
    assert "the gateway of web could not be seen: container:b3e3a4bec2db... was not looked at" in told
    assert f"only {BACK} was looked at" in told
    alone = Sample()
    hide(alone, *GATEWAYS, *APPS)
    assert alone.diagnosis.unknown == (
        "the tunnel has two ends, and neither was looked at",
        "no application was looked at, so no way to a backend was tried",
    )


def _planned(services: tuple[str, ...]) -> Diagnosis:
    sample = Sample()
    for service in set(EVERYBODY) - set(services):
        sample.drop(service)
    for container in sample.containers.values():
        container["status"] = CONFIGURED
    return judge(sample.snapshot(static=True))


@pytest.mark.parametrize("services", [(FRONT, WEB), (BACK, *BACKENDS, SERVICES)], ids=str)
def test_a_configuration_may_be_one_servers(services: tuple[str, ...]) -> None:
    """Nothing of it was to be looked at elsewhere: a compose file says all that it says."""
    assert _planned(services).status == HEALTHY


@pytest.mark.parametrize(
    ("services", "lacking"),
    [(BACKENDS, "no gateway and no application"), ((FRONT,), "no application"), ((WEB, *BACKENDS), "no gateway")],
    ids=str,
)
def test_a_configuration_without_a_part_is_unknown(services: tuple[str, ...], lacking: str) -> None:
    """More likely than that there is none is that it was not recognised, of which nothing can be well."""
    diagnosis = _planned(services)
    (said,) = diagnosis.unknown
    assert said.startswith(f"{lacking} was recognised among the services (")
    assert diagnosis.status == UNKNOWN


OF_GATEWAYS = [
    *test_rules_tunnel.cases.broken,
    *(case for case in cases.broken if case.change.__module__ in (tunnel.__name__, keys.__name__)),
]


@pytest.mark.parametrize("case", OF_GATEWAYS, ids=str)
def test_two_gateways_alone_have_the_tunnel_in_common(case: Case) -> None:
    """Without an application that uses it, what is wrong at one end explains the other end all the same."""
    sample = Sample()
    case.change(sample)
    hide(sample, WEB)
    findings = sample.diagnosis.findings
    assert {finding.rule for finding in findings if finding.root} <= case.roots | {UNDIAGNOSED}


class _Engine:
    """An engine that has some containers, each by its name and by its id."""

    name = ""

    def __init__(self, containers: Mapping[str, Mapping[str, Any]]) -> None:
        self._containers = containers

    def container(self, name: str) -> object:
        for own, attributes in self._containers.items():
            if name in (own, attributes["Id"]):
                return type("Container", (), {"id": attributes["Id"], "attrs": attributes})
        raise DeploymentError(name)


@pytest.mark.parametrize(
    ("owner", "looked_at", "joined"),
    [
        ("id-of-gw", ("web", "gw"), "gw"),
        ("gw", ("web", "gw"), "gw"),
        ("id-of-gw", ("web",), UNSEEN),
        ("gw", ("web",), UNSEEN),
        ("id-of-one-before", ("web", "gw"), GONE),
        ("id-of-one-before", ("web",), GONE),
    ],
)
def test_whoever_owns_a_namespace_is_asked_for_before_it_is_called_gone(
    owner: str, looked_at: tuple[str, ...], joined: str
) -> None:
    """Looked at, there and not looked at, or not there any more: by id, or by name where an engine keeps that."""

    def container(identity: str, mode: str) -> dict[str, Any]:
        return INSPECTED | {"Id": identity, "HostConfig": INSPECTED["HostConfig"] | {"NetworkMode": mode}}

    engine = _Engine({"gw": container("id-of-gw", "p_net"), "web": container("id-of-web", f"container:{owner}")})
    nodes = [Node(cast("Engine", engine), name, name) for name in looked_at]
    collector = Collector(nodes, layout="dev", project="p")
    with ThreadPoolExecutor() as pool:
        collector._inspect_all(pool)
    assert collector._containers["web"].joined == joined
