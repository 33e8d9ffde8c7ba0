"""Rules on deployments and faults of other shapes, and on all faults under other names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.diagnosis.judgement import judge

from . import test_rules_paths, test_rules_tunnel
from .evidence_samples import BACK, FRONT, MARIADB, REDIS, WEB, Sample
from .rule_cases import backends, cases, exposure, forwarding, fronts, keys, publications, tunnel, two_servers, working
from .sample_cases import Case, Change

MODULES = (backends, exposure, forwarding, fronts, keys, publications, tunnel, two_servers, working)
EVERY = [*cases.broken, *test_rules_paths.cases.broken, *test_rules_tunnel.cases.broken]


@pytest.mark.parametrize("case", cases.broken, ids=str)
def test_a_fault_is_the_only_root(case: Case) -> None:
    """What was done is named, and nothing that follows from it."""
    case.check()


@pytest.mark.parametrize("case", cases.well, ids=str)
def test_what_is_no_fault_is_healthy(case: Case) -> None:
    """The neighbours of faults, and deployments of another shape: nothing is found and nothing is unknown."""
    case.check()


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_names_do_not_matter(case: Case) -> None:
    """Gateways, backends and the web application under other names give the same roots: settings tell who is what."""
    sample = Sample()
    case.change(sample)
    for old, new in ((FRONT, "gw-a"), (BACK, "gw-b"), (MARIADB, "db-1"), (REDIS, "redis-cache"), (WEB, "frontend")):
        if old in sample.pieces:
            sample.rename(old, new)
    assert sample.diagnosis.roots == case.roots, sample.diagnosis.findings


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_the_order_of_nodes_does_not_matter(case: Case) -> None:
    """Judging only reads: again, and with the nodes turned round, the roots are the same."""
    sample = Sample()
    case.change(sample)
    snapshot = sample.snapshot()
    turned = replace(snapshot, nodes=snapshot.nodes[::-1])
    assert judge(snapshot) == judge(snapshot)
    assert judge(turned).roots == case.roots


def test_every_module_of_cases_has_some() -> None:
    """None is imported in vain."""
    for module in MODULES:
        names = {case.change.__module__ for case in (*cases.broken, *cases.well)}
        assert module.__name__ in names


BOTH_ENDS: list[tuple[Change, Change]] = [
    (tunnel.another_peer_took_over_the_address, tunnel.services_runs_without_wg0),
    (tunnel.another_peer_took_over_the_address, tunnel.services_has_no_route_back_into_the_tunnel),
    (test_rules_tunnel.the_other_end_is_not_allowed, tunnel.services_runs_without_wg0),
    (tunnel.a_narrower_route_leads_past_the_tunnel, tunnel.services_has_no_route_back_into_the_tunnel),
    (tunnel.a_narrower_route_leads_past_the_tunnel, tunnel.services_runs_without_wg0),
    (tunnel.a_narrower_route_leads_past_the_tunnel, tunnel.wg0_is_there_and_is_no_wireguard_interface),
]


@pytest.mark.parametrize(("web", "services"), BOTH_ENDS)
def test_one_gateways_fault_does_not_hide_the_others(web: Change, services: Change) -> None:
    """What is wrong inside one gateway is a root, whatever is wrong inside the other."""
    found: list[set[tuple[str, str]]] = []
    for changes in ((web,), (services,), (web, services)):
        sample = Sample()
        for change in changes:
            change(sample)
        found.append({(finding.rule, finding.node) for finding in sample.diagnosis.findings if finding.root})
    assert found[2] == found[0] | found[1]
    assert {node for _rule, node in found[2]} == {FRONT, BACK}
