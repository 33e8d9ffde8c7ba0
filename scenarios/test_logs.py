"""What has a log of ours writes it as JSON where that is asked for, and nothing else."""

from __future__ import annotations

import json

import pytest

from harness import throwaway
from harness.budgets import JOB_AFTER_OUTAGE
from harness.deployment import Deployment
from harness.experiment import Experiment
from harness.overlays import Variables
from harness.waiting import wait_until

pytestmark = pytest.mark.layouts("dev")


def test_every_line_of_the_logs_is_an_object_when_asked_for(experiment: Experiment) -> None:
    """With LOG_FORMAT=json the gateways and applications write JSON and nothing else, also when they are stopped."""
    deployment = experiment.deployment
    services = ("wireguard-services", "wireguard-web", "services", "celery", "web")
    overlay = Variables({service: {"LOG_FORMAT": "json"} for service in services})
    with experiment.disturbance("all that has a log of ours writes JSON") as undo:
        experiment.redeploy(undo, overlay, *services)
        experiment.prove_health("with JSON logs")
        # Something to tell: a broker that is away, and workers that are stopped and started.
        experiment.stop(undo, deployment.redis)
        wait_until(
            "the worker to tell of it", deployment.celery.logs, lambda log: "onnection" in log, within=JOB_AFTER_OUTAGE
        )
        for node in (deployment.celery, deployment.services):
            node.container.restart(timeout=5)
        for gateway in deployment.gateways:  # the undo creates them anew
            gateway.container.stop(timeout=5)
        objects = {service: [as_object(line) for line in lines(deployment, service)] for service in services}
    named = {"wireguard-services": "wireguard-gateway", "wireguard-web": "wireguard-gateway"}
    for service, found in objects.items():
        if service not in ("web", "services"):  # they have nothing to say while all is well
            assert found, f"{service} has said nothing"
        assert all({"time", "service", "level", "message"} <= entry.keys() for entry in found)
        assert {entry["service"] for entry in found} <= {named.get(service, service)}
    assert any("handshake with" in entry["message"] for entry in objects["wireguard-web"])
    for service in ("wireguard-services", "wireguard-web"):
        assert any("asked to stop" in entry["message"] for entry in objects[service])
    assert any("Warm shutdown" in entry["message"] for entry in objects["celery"])


def test_a_log_format_that_there_is_not_is_refused(deployment: Deployment) -> None:
    """The application says in one line what LOG_FORMAT may be, and does not start."""
    environment = deployment.web.environment() | {"LOG_FORMAT": "xml"}
    refused = throwaway.run(deployment, deployment.web, environment=environment)
    assert refused.exit_status == 78
    assert refused.stderr.strip() == "web: LOG_FORMAT is 'xml': set it to text or json"


def lines(deployment: Deployment, service: str) -> list[str]:
    """All that a node has written since it was created."""
    return deployment.node(service).logs(tail=10_000).splitlines()


def as_object(line: str) -> dict[str, str]:
    """A line as the object that it is; a line that is none fails the test."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        found = None
    assert isinstance(found, dict), f"no JSON object: {line!r}"
    return found
