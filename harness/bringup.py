"""Starting the containers that compose created, side by side, each as soon as what it depends on is ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from docker.errors import APIError
from docker.models.containers import Container

from harness.engine import COMPOSE_SERVICE, Engine
from harness.errors import BringUpError
from harness.model import Budget
from harness.nodes import ContainerState, container_state
from harness.timeline import Timeline
from harness.waiting import Deadline, pause

Say = Callable[[str], None]

BRING_UP = Budget(
    seconds=180,
    poll=0.1,
    reason="an official MariaDB image initialises its data directory at the first start, on a slow disk in a minute",
)
_LOG_LINES = 25
_SAY_EVERY = 5.0  # seconds between two signs of life while nothing changes


class Starter:
    """Starts one project's containers; `run` returns when all are well."""

    def __init__(
        self,
        engine: Engine,
        containers: Iterable[Container],
        needs: Mapping[str, Mapping[str, str]],
        timeline: Timeline | None = None,
    ) -> None:
        self._engine = engine
        self._timeline = timeline or Timeline()
        self._ids = {container.labels[COMPOSE_SERVICE]: str(container.id) for container in containers}
        self._needs = needs
        self._starting: dict[str, Future[None]] = {}

    def run(self, say: Say) -> None:
        """Start everything; raises `BringUpError` with the log of the container that failed first."""
        deadline = Deadline(BRING_UP.seconds)
        began = self._timeline.now
        well: set[str] = set()
        said = 0.0
        with ThreadPoolExecutor(max_workers=len(self._ids), thread_name_prefix="start") as pool:
            while True:
                states = self._states()
                self._raise_failures(states)
                for service in sorted(name for name, state in states.items() if state.well and name not in well):
                    well.add(service)
                    said = deadline.elapsed
                    self._timeline.add(f"{service} ready", began)
                    say(f"{service}: up after {deadline.elapsed:.1f} s")
                if len(well) == len(self._ids):
                    return
                if deadline.passed:
                    raise BringUpError(self._overdue(states))
                for service in self._startable(states):
                    self._starting[service] = pool.submit(self._start, service)
                if deadline.elapsed - said > _SAY_EVERY:
                    said = deadline.elapsed
                    waiting = ", ".join(f"{name} {state}" for name, state in states.items() if name not in well)
                    say(f"waiting for {waiting}")
                pause(BRING_UP.poll)

    def _states(self) -> dict[str, ContainerState]:
        inspect = self._engine.client.api.inspect_container
        return {service: container_state(inspect(identity)) for service, identity in self._ids.items()}

    def _startable(self, states: Mapping[str, ContainerState]) -> list[str]:
        return [
            service
            for service in self._ids
            if service not in self._starting
            and all(_ready(states[need], condition) for need, condition in self._needs[service].items())
        ]

    def _start(self, service: str) -> None:
        self._engine.client.api.start(self._ids[service])

    def _raise_failures(self, states: Mapping[str, ContainerState]) -> None:
        for service, start in self._starting.items():
            if start.done() and (error := start.exception()) is not None:
                reason = error.explanation if isinstance(error, APIError) else error
                message = f"{service} could not be started: {reason}"
                raise BringUpError(message)
        for service, state in states.items():
            if service in self._starting and (state.status in ("exited", "restarting", "dead") or state.restarts):
                message = f"{service} does not stay up: {state}\n{self._log(service)}"
                raise BringUpError(message)
            if state.health == "unhealthy":
                message = f"{service} is unhealthy\n{self._health_log(service)}\n{self._log(service)}"
                raise BringUpError(message)

    def _overdue(self, states: Mapping[str, ContainerState]) -> str:
        unwell = {service: state for service, state in states.items() if not state.well}
        first = next(iter(unwell))
        listed = ", ".join(f"{service} {state}" for service, state in unwell.items())
        return (
            f"not all containers were healthy after {BRING_UP.seconds:g} s ({BRING_UP.reason}): {listed}\n"
            f"{self._health_log(first)}\n{self._log(first)}"
        )

    def _log(self, service: str) -> str:
        text: bytes = self._engine.client.api.logs(self._ids[service], tail=_LOG_LINES)
        lines = text.decode(errors="replace").splitlines() or ["(nothing)"]
        return f"the last lines of its log:\n  {chr(10).join(lines).replace(chr(10), chr(10) + '  ')}"

    def _health_log(self, service: str) -> str:
        health = self._engine.client.api.inspect_container(self._ids[service])["State"].get("Health") or {}
        checks = health.get("Log") or []
        said = checks[-1]["Output"].strip() if checks else "(no check has ended yet)"
        return f"its last health check said: {said}"


def needs_of(configuration: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What each service waits for, with the condition: its `depends_on`, and the owner of its network namespace."""
    found: dict[str, dict[str, str]] = {}
    for name, service in configuration["services"].items():
        needs = {need: entry["condition"] for need, entry in (service.get("depends_on") or {}).items()}
        mode, _, owner = (service.get("network_mode") or "").partition(":")
        if mode == "service":
            needs.setdefault(owner, "service_started")
        found[name] = needs
    return found


def _ready(state: ContainerState, condition: str) -> bool:
    match condition:
        case "service_healthy":
            return state.well
        case "service_completed_successfully":
            return state.status == "exited" and state.exit_code == 0
        case _:
            return state.status == "running"
