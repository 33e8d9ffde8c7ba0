from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import Any, cast

import pytest

from harness import jobs
from harness.addresses import AddressPlan
from harness.bringup import Starter, needs_of
from harness.compose import override
from harness.engine import Engine
from harness.nodes import ContainerState, container_state
from harness.timeline import Timeline

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


def test_what_is_not_there_is_not_waited_for(render: Render) -> None:
    """Compose leaves in what is not required and in a profile that is off; where it is there it is waited for."""
    configuration = render()
    wanted = {"condition": "service_completed_successfully", "required": False}
    configuration["services"]["web"]["depends_on"]["migrate"] = wanted
    assert needs_of(configuration)["web"] == {"wireguard-web": "service_healthy"}
    assert not jobs.declared(configuration["services"])
    configuration["services"]["migrate"] = {}
    assert needs_of(configuration)["web"]["migrate"] == "service_completed_successfully"
    assert jobs.declared(configuration["services"]) == {"migrate": ["web"]}


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


def test_a_ctrl_c_before_all_is_begun_ends_what_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever waits for a container already, when one more cannot be waited for, does not wait for ever."""
    begun: list[object] = []

    def submit(pool: ThreadPoolExecutor, task: Any, *values: Any) -> Future[Any]:
        if begun:
            raise KeyboardInterrupt
        begun.append(task)
        return original(pool, task, *values)

    original = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    starter = Starter(cast("Engine", None), {"mariadb": {}, "redis": {}}, "label", {}, Timeline())
    interrupted: list[bool] = []

    def run() -> None:
        try:
            starter.run(lambda: None, lambda _line: None)
        except KeyboardInterrupt:
            interrupted.append(True)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=10)
    starter._stop.set()  # lets it end where it would not
    assert interrupted == [True]
