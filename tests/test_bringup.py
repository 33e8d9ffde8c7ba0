from __future__ import annotations

from typing import Any

import pytest

from harness.addresses import AddressPlan
from harness.bringup import needs_of
from harness.compose import override
from harness.nodes import ContainerState, container_state

from .conftest import Render


def test_each_service_waits_for_what_the_file_says(render: Render) -> None:
    """Starting order is read from the file: the responder before the initiator, backends before applications."""
    assert needs_of(render()) == {
        "wireguard-services": {},
        "wireguard-web": {"wireguard-services": "service_started"},
        "mariadb": {},
        "redis": {},
        "services": {"mariadb": "service_healthy", "redis": "service_healthy"},
        "celery": {"services": "service_healthy"},
        "web": {"wireguard-web": "service_healthy"},
    }


def test_a_probe_waits_for_the_owner_of_its_namespace(render: Render, plan: AddressPlan) -> None:
    """A container in another's namespace cannot start before that one, although no dependency is written."""
    needs = needs_of(override(render(), plan, {}))
    assert needs["probe-web"] == {"wireguard-web": "service_started"}
    assert needs["probe-services"] == {"services": "service_started"}


def test_no_service_waits_for_itself_or_for_nobody(render: Render) -> None:
    """Every need is a service of the file, and following needs never comes back to where it began."""
    needs = needs_of(render())
    assert {need for wanted in needs.values() for need in wanted} <= set(needs)
    ready: set[str] = set()
    while startable := {name for name, wanted in needs.items() if name not in ready and set(wanted) <= ready}:
        ready |= startable
    assert ready == set(needs)


def inspected(status: str, health: str | None = None, exit_code: int = 0, restarts: int = 0) -> dict[str, Any]:
    state: dict[str, Any] = {"Status": status, "ExitCode": exit_code}
    if health:
        state["Health"] = {"Status": health}
    return {"State": state, "RestartCount": restarts}


@pytest.mark.parametrize(
    ("attributes", "well", "shown"),
    [
        (inspected("running", "healthy"), True, "running, healthy"),
        (inspected("running"), True, "running"),
        (inspected("running", "starting"), False, "running, starting"),
        (inspected("running", "unhealthy"), False, "running, unhealthy"),
        (inspected("exited", "healthy", 137), False, "exited, healthy (exit 137)"),
        (inspected("paused", "healthy"), False, "paused, healthy"),
        (inspected("restarting", None, 78, 2), False, "restarting (exit 78) after 2 restarts"),
        (inspected("created"), False, "created"),
    ],
)
def test_a_container_is_well_when_it_runs_and_its_check_says_so(
    attributes: dict[str, Any], *, well: bool, shown: str
) -> None:
    """Only running and, where checked, healthy is well; the state reads as a short phrase."""
    state: ContainerState = container_state(attributes)
    assert state.well is well
    assert str(state) == shown
