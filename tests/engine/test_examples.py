"""The example in `examples/`, which is unlike this project's own deployment, is tested by configuration alone."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness import command, places
from harness.engine import COMPOSE_PROJECT, Engine
from harness.model import CommandResult

from .runs import ENVIRONMENT

EXAMPLE = places.ROOT / "examples" / "warehouse"
PROJECT = "warehouse-under-test"
RUN = 300.0
"""Seconds: images are built at the first time, which takes half a minute, and some 70 scenarios are run."""

FAULTS = (
    *("MariaDB's DNAT rule is deleted", "FORWARD drops MariaDB's packets", "ip_forward is 0", "MariaDB is stopped"),
    *("wrong endpoint address", "allowed IPs lack the peer, on services", "another rule shadows the DNAT"),
    *("tunnel address is a /32 without a route", "wg0 down with fail-open routing", "missing grant"),
)
"""Some of the many that `--allow-faults` puts in."""

SCENARIOS = (
    *("scenarios/test_tunnel.py", "scenarios/test_forwarding.py", "scenarios/test_isolation.py"),
    *("scenarios/test_checklist.py", "scenarios/test_roaming.py"),
    "scenarios/test_mariadb_access.py::test_both_routes_give_equal_results",
    "scenarios/test_redis_access.py::test_both_routes_end_at_the_same_redis",
    "scenarios/test_diagnosis.py::test_the_healthy_deployment_gives_no_alarm",
)
"""What tells most in least time, and some that is not for this deployment at all."""

NAMED = "scenarios/test_diagnosis.py::test_a_fault_is_named"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of a copy with secrets of its own, on a port that is free."""
    folder = tmp_path_factory.mktemp("warehouse")
    command.run([str(EXAMPLE / "make-secrets"), str(folder / "secrets")], timeout=30)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = folder / "deployment.env"
    file.write_text(f"SECRETS={folder / 'secrets'}\nSHOP_PORT={port}\n", encoding="utf-8")
    return file


def scenarios(environment: Path, chosen: Sequence[str], *arguments: str) -> CommandResult:
    """Scenarios on the example; its results go elsewhere than this run's."""
    folder = environment.parent
    mine = ["--compose", str(EXAMPLE / "compose.yml"), "--env-file", str(environment)]
    reports = ["--alluredir", str(folder / "results"), "--junitxml", str(folder / "junit.xml")]
    return command.run(
        [sys.executable, "-m", "pytest", *chosen, *mine, *reports, "-p", "no:cacheprovider", *arguments],
        timeout=RUN,
        cwd=places.ROOT,
        env=ENVIRONMENT,
        check=False,
    )


def outcomes(environment: Path) -> dict[str, str]:
    """What became of each scenario, by its name."""
    cases = ET.parse(environment.parent / "junit.xml").iter("testcase")  # noqa: S314 (pytest has just written it)
    return {
        str(case.get("name")): next((child.tag for child in case if child.tag != "properties"), "passed")
        for case in cases
    }


@pytest.mark.timeout(RUN + 60)  # seconds: what the run printed says more than that pytest's own time is up
def test_it_passes_and_its_faults_are_named(engine: Engine, environment: Path) -> None:
    """What any deployment of this kind promises holds, the doctor names what is put in, and nothing stays behind."""
    chosen = [*SCENARIOS, *(f"{NAMED}[{fault}]" for fault in FAULTS)]
    result = scenarios(environment, chosen, "--map", str(EXAMPLE / "harness.toml"), "--allow-faults")
    found = outcomes(environment)
    assert result.ok, result
    assert set(found.values()) <= {"passed", "skipped"}, found
    assert sum(outcome == "passed" for outcome in found.values()) > 60, result
    for fault in FAULTS:
        assert found[f"test_a_fault_is_named[{fault}]"] == "passed"
    assert re.search(r"\d+ left out: about this project's own layouts", result.stdout), result
    assert not left(engine)


def test_a_job_that_fails_is_named(engine: Engine, environment: Path) -> None:
    """Nothing that waits for its end is started; who waits, how it ended and what it said are told."""
    broken = environment.parent / "broken.yml"
    broken.write_text("services: {prepare: {command: [nonsense]}}\n", encoding="utf-8")
    one = "scenarios/test_tunnel.py::test_handshake_is_recent"
    result = scenarios(environment, [one], "--compose", str(broken), "--map", str(EXAMPLE / "harness.toml"))
    assert not result.ok
    assert "prepare, for whose end stock waits, failed: exited (exit 1)" in result.stdout, result
    assert "ValueError: invalid literal for int() with base 10: 'nonsense'" in result.stdout, result
    assert not left(engine)


def left(engine: Engine) -> list[str]:
    """What there is of the copy of the example."""
    mine = {"label": f"{COMPOSE_PROJECT}={PROJECT}"}
    client = engine.client
    found = (*engine.containers(mine["label"]), *client.networks.list(filters=mine), *client.volumes.list(filters=mine))
    return [str(each) for each in found]
