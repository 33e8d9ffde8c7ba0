"""Deployments side by side on one engine: each takes a plan that nobody else has, and fights over none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from harness import command, leases, lifecycle, places, preflight
from harness.addresses import AddressPlan
from harness.engine import Engine
from harness.errors import EXIT_PREREQUISITE, PrerequisiteError
from harness.model import Outcome
from harness.ownership import Run
from harness.probes.mariadb import MariaDBQuery
from harness.stage import Stage

from .bystanders import foreign_network

PLANS = 3
TIMEOUT = 30.0  # seconds, for commands that take milliseconds


@pytest.fixture
def plans(stage: Stage) -> list[AddressPlan]:
    """Plans that no worker's own deployment uses."""
    return [AddressPlan(index=stage.plan.index + 8 + number) for number in range(PLANS)]


@pytest.fixture
def foreign(engine: Engine, plans: list[AddressPlan]) -> Iterator[str]:
    """The name of somebody else's network, on a subnet of the first plan."""
    name = f"somebody-elses-{plans[0].index}"
    network = foreign_network(engine, name, str(plans[0].tunnel_net))
    yield name
    network.remove()


@pytest.fixture
def held(engine: Engine, plans: list[AddressPlan]) -> Iterator[Run]:
    """A living run that holds the second plan."""
    run = Run.start(plans[1].index)
    leases.take(engine, run)
    yield run
    lifecycle.remove(engine, run, say=lambda _line: None, graceful=False)


def test_a_taken_plan_is_passed_over(engine: Engine, plans: list[AddressPlan], foreign: str, held: Run) -> None:
    """The first plan's subnet is a foreign network's, the second is leased: it comes up on the third, and says why."""
    said: list[str] = []
    stage = Stage(plans=plans, keep=False, reuse=False, say=said.append)
    try:
        deployment = stage.deployment()
        assert deployment.plan == stage.plan == plans[2]
        assert MariaDBQuery("web").observe(deployment).outcome is Outcome.CONNECTED
        assert [network.name for network in engine.networks() if plans[0].tunnel_net in network.subnets] == [foreign]
        holder = leases.holder(engine, plans[1].index)
        assert holder == held
    finally:
        stage.close()
    passed_over = [line for line in said if "passed over" in line]
    assert len(passed_over) == 2, said
    assert f"address plan {plans[0].index} is passed over for {plans[1].index}" in passed_over[0]
    assert foreign in passed_over[0]
    assert f"address plan {plans[1].index} is passed over for {plans[2].index}" in passed_over[1]
    assert f"held by run {held.id}, process {os.getpid()}" in passed_over[1]


def test_a_named_plan_is_never_exchanged(plans: list[AddressPlan], held: Run) -> None:
    """Who may have one plan only is told who holds it, before anything is started."""
    stage = Stage(plans=plans[1:2], keep=False, reuse=False, say=lambda _line: None)
    with pytest.raises(PrerequisiteError, match=f"held by run {held.id}"):
        stage.prepare()
    with pytest.raises(PrerequisiteError, match=f"held by run {held.id}"):
        stage.deployment()


def test_down_takes_nothing_away_from_who_is_at_work(engine: Engine, plans: list[AddressPlan], held: Run) -> None:
    """`down` is for what was left up: of a run that is alive it says whose it is, and exits with 10."""
    argv = [sys.executable, "-m", "harness", "down", "--plan", str(plans[1].index)]
    told = command.run(argv, timeout=60, cwd=places.ROOT, check=False)
    assert told.exit_status == EXIT_PREREQUISITE, told
    assert f"held by run {held.id}" in told.stderr
    assert leases.holder(engine, plans[1].index) == held


def test_without_any_free_plan_nothing_is_started(plans: list[AddressPlan], foreign: str, held: Run) -> None:
    """When all are taken, the first one's reason is given, and that there is no other."""
    stage = Stage(plans=plans[:2], keep=False, reuse=False, say=lambda _line: None)
    with pytest.raises(PrerequisiteError) as caught:
        stage.prepare()
    assert [foreign in caught.value.lines[0], caught.value.lines[1]] == [True, "and no other address plan is free"]
    assert held.id not in str(caught.value)


def test_a_route_of_this_machine_is_not_cut_off(engine: Engine, plans: list[AddressPlan]) -> None:
    """Where the machine itself reaches a subnet of the plan by an interface of its own, the plan is not free."""
    plan, ends = plans[2], (f"vpn{plans[2].index}a", f"vpn{plans[2].index}b")
    add = ["ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1]]
    if not command.run(add, timeout=TIMEOUT, check=False).ok:
        pytest.skip("interfaces can be made only by root, on the engine's own machine")
    try:
        assert preflight.in_the_way(engine, plan) == []
        command.run(["ip", "address", "add", f"{plan.services_net[9]}/24", "dev", ends[0]], timeout=TIMEOUT)
        for end in ends:
            command.run(["ip", "link", "set", end, "up"], timeout=TIMEOUT)
        (line,) = preflight.in_the_way(engine, plan)
        assert f"subnet {plan.services_net} (services-net)" in line
        assert f"by {ends[0]}" in line
    finally:
        command.run(["ip", "link", "delete", ends[0]], timeout=TIMEOUT)
