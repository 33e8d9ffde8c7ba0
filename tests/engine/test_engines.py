"""Scenarios spread over Docker engines of other machines: simulated servers, reached over SSH and by nothing else."""

from __future__ import annotations

import os
import re
import shutil
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness import command, images, layouts, leases, lifecycle, servers
from harness.addresses import ProdPlan
from harness.engine import Engine
from harness.errors import EXIT_PREREQUISITE
from harness.model import Budget
from harness.ownership import LABEL, Run
from harness.places import ROOT
from harness.servers import SSH_PORT, Server, Specification
from harness.stage import Stage
from harness.waiting import wait_until

TIMEOUT = 400.0
"""Seconds: images handed on, a bring-up on each engine and a few scenarios, on a machine that is busy with others."""

# Minutes: two machines are made, and images shipped to them. What a command did not do in time says more than pytest.
pytestmark = [pytest.mark.full, pytest.mark.timeout(TIMEOUT + 60)]

TESTS = 10
"""How many there are in `GATED`."""
MOMENT = Budget(seconds=200, poll=0.1, reason="two deployments are brought up in half a minute; a busy machine is slow")
SCENARIOS = (
    "test_checklist.py::test_check_handshake",
    "test_checklist.py::test_check_application_health",
    "test_checklist.py::test_check_database_connection",
    "test_isolation.py::test_secret_files_are_for_their_owner_alone",
    "test_mariadb_access.py::test_the_server_greets_and_accepts_the_login",
    "test_redis_access.py::test_redis_answers_ping",
    "test_regressions.py::test_a_public_key_that_was_not_derived_lets_nothing_through",
    "test_regressions.py::test_a_lost_rule_cuts_only_its_own_port",
)
"""What is typed on the engine's machine, what is published there, what is mounted there, and faults with keys of their
own and without."""

GATED = '''
"""Tests of which two wait for each other to have begun, each on an engine of its own, and for leave to go on."""
from pathlib import Path
import pytest
from harness.faults import catalogue
from harness.model import Budget, Outcome
from harness.probes.mariadb import MariaDBQuery
from harness.waiting import wait_until

FAULTS = ("private key readable by all", "key file changed but not reloaded")
PLACE = Path({place!r})
LEAVE = Budget(seconds=200, poll=0.05, reason="the other one is brought up meanwhile")

@pytest.fixture(scope="module")
def run(stage):
    """Something that lasts from test to test, and is taken back where it was made."""
    deployment = stage.deployment()
    yield deployment.run.id
    assert deployment.redis.inspect()

@pytest.mark.parametrize("number", range(8))
def test_a_query_is_answered(deployment, run, number, worker_id):
    (PLACE / f"begun-{{worker_id}}").touch()
    wait_until("leave to go on", (PLACE / "go").exists, bool, within=LEAVE)
    assert run == deployment.run.id
    seen = MariaDBQuery("web").observe(deployment)
    assert seen.outcome is Outcome.CONNECTED, str(seen)

@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_with_files_comes_and_goes(experiment, name):
    (fault,) = (fault for fault in catalogue() if fault.name == name)
    with experiment.inject(fault):
        experiment.show_symptom()
        assert experiment.diagnose().roots == fault.roots
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """Two machines with an engine each, by the names by which SSH knows them."""

    servers: Mapping[str, Server]
    addresses: Mapping[str, str]
    environment: Mapping[str, str]
    """Where programs are found, `ssh` with the way to these machines among them."""
    plan: int
    """The address plan of the first worker there."""


@pytest.fixture(scope="module")
def machines(engine: Engine, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Two simulated servers on an address plan that no worker's own deployment uses."""
    layouts.prepare(engine, "dev", say=lambda _line: None)
    images.ensure_these(engine, {}, ("server",), lambda _line: None)
    plan = ProdPlan(index=stage.plan.index + 8)
    run = Run.start(plan.index)
    try:
        run.state.mkdir(mode=0o700, parents=True)
        leases.take(engine, run)
        servers.make_networks(engine, plan, run)
        booted = servers.boot(engine, plan, run, [_specification("a"), _specification("b")], stock=None)
        by_name = {server.service: server for server in booted}
        yield Machines(
            servers=by_name,
            addresses={name: f"ssh://root@{name}" for name in by_name},
            environment={"PATH": _path(by_name, tmp_path_factory.mktemp("ssh"))},
            plan=plan.index,
        )
    finally:
        lifecycle.remove(engine, run, say=lambda _line: None, graceful=False)


def _specification(name: str) -> Specification:
    return Specification(role=name, addresses={}, entrances={}, published=(), environment={}, images=())


def _path(by_name: Mapping[str, Server], folder: Path) -> str:
    """A folder before all others in which `ssh` is what it is, with one more file of settings."""
    settings = folder / "config"
    settings.write_text("".join(map(_settings, by_name.values())), encoding="utf-8")
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {settings} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def _settings(server: Server) -> str:
    variables = server.ssh_variables()
    return f"""
Host {server.service}
  HostName 127.0.0.1
  Port {server.port(SSH_PORT)}
  IdentityFile {variables["ansible_ssh_private_key_file"]}
  UserKnownHostsFile {server.files / "ssh" / "known_hosts"}
"""


def test_scenarios_are_spread_over_engines(machines: Machines, tmp_path: Path) -> None:
    """Reading and breaking, each engine has its share; nothing of it stays on either, nor here."""
    results = tmp_path / "junit.xml"
    nodes = [f"scenarios/{each}" for each in SCENARIOS]
    ended = command.run(argv(machines, tmp_path, *nodes), timeout=TIMEOUT, cwd=ROOT, env=machines.environment)
    found = outcomes(results)
    assert len(found) >= len(SCENARIOS)
    assert set(found.values()) == {"passed"}, ended
    shares = shares_of(ended.stdout)
    assert set(shares) == set(machines.servers), ended
    assert sum(shares.values()) == len(found)
    assert left(machines) == []


def test_what_a_lost_engine_leaves_undone_is_done_on_another(machines: Machines, tmp_path: Path) -> None:
    """Its power cut, the test at hand fails for that reason, and once; all others pass on the one that is left."""
    file = tmp_path / "test_gated.py"
    file.write_text(GATED.format(place=str(tmp_path)), encoding="utf-8")
    # As a file of its own it is no scenario of the last run, and in no score.
    arguments = [str(file), "-p", "no:cacheprovider", "-c", str(ROOT / "pytest.ini"), "--rootdir", str(ROOT)]
    lost, kept = machines.servers["b"], machines.servers["a"]
    environment = {**machines.environment, "PYTEST_ADDOPTS": "", "PYTHONPATH": str(ROOT)}
    with command.background(
        argv(machines, tmp_path, *arguments, "-p", "conftest"), log=tmp_path / "log", cwd=ROOT, env=environment
    ) as run:
        wait_until(
            "a test to have begun on each engine",
            lambda: not run.running or len(list(tmp_path.glob("begun-*"))) > 1,
            bool,
            within=MOMENT,
        )
        assert run.running, run.output
        lost.container.kill()
        (tmp_path / "go").touch()
        ended = run.wait(timeout=TIMEOUT)
    found = outcomes(tmp_path / "junit.xml")
    assert len(found) == TESTS, ended
    assert sorted(found.values()) == ["failed", *["passed"] * (TESTS - 1)], ended
    assert ended.exit_status == pytest.ExitCode.TESTS_FAILED
    assert "the Docker engine of b was lost during this test" in ended.stdout
    assert "going on on a" in ended.stdout
    assert "removed by the next run" in ended.stdout

    lost.container.start()
    lost.await_ready()
    assert left(machines), "what was on the lost engine is there still"
    sweep = [sys.executable, "-m", "harness", "sweep", "--engine", machines.addresses["b"]]
    swept = command.run(sweep, timeout=TIMEOUT, cwd=ROOT, env=machines.environment)
    assert "swept: 1 runs removed" in swept.stderr
    assert left(machines) == []
    assert not kept.silence()


def test_an_engine_that_does_not_answer_is_missed_before_anything_starts(machines: Machines, tmp_path: Path) -> None:
    """Exit status 10 and one line, though the other one would do."""
    addresses = {"a": machines.addresses["a"], "nobody": "ssh://root@nobody.invalid"}
    alone = replace(machines, addresses=addresses)
    ended = command.run(
        argv(alone, tmp_path, f"scenarios/{SCENARIOS[0]}"),
        timeout=TIMEOUT,
        cwd=ROOT,
        env=machines.environment,
        check=False,
    )
    assert ended.exit_status == EXIT_PREREQUISITE, ended
    assert "SSH to nobody.invalid fails" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert left(machines) == []


def argv(machines: Machines, results: Path, *arguments: str) -> list[str]:
    """How pytest is started on both machines, with two workers, and with results that are in nobody's way."""
    options = ["--engines", ",".join(machines.addresses.values()), "-n", "2", "--plan", str(machines.plan), "-q"]
    options += [f"--alluredir={results / 'allure'}", f"--junitxml={results / 'junit.xml'}"]
    return [sys.executable, "-m", "pytest", *arguments, *options]


def outcomes(results: Path) -> dict[str, str]:
    """What became of each test, by its name."""
    found: dict[str, str] = {}
    for case in ET.parse(results).getroot().iter("testcase"):  # noqa: S314 (pytest has written it)
        name = f"{case.get('classname')}::{case.get('name')}"
        assert name not in found, f"{name} was run twice"
        bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        found[name] = "failed" if bad else "passed"
    return found


def shares_of(said: str) -> dict[str, int]:
    """How many tests each engine had, as the summary says."""
    return {name: int(number) for name, number in re.findall(r"(\S+): (\d+) tests$", said, re.MULTILINE)}


def left(machines: Machines) -> list[str]:
    """What is on the machines' engines of any run."""
    return [
        str(each.id)
        for server in machines.servers.values()
        for each in (
            *server.inner.containers(LABEL),
            *server.inner.client.networks.list(filters={"label": LABEL}),
            *server.inner.client.volumes.list(filters={"label": LABEL}),
        )
    ]
