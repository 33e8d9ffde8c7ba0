"""Starting the containers that compose creates, side by side, each as soon as it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from docker.errors import APIError

from harness import jobs, readiness
from harness.engine import COMPOSE_SERVICE, Engine, Listed
from harness.errors import BringUpError
from harness.model import Budget
from harness.nodes import ContainerState, Node, container_state
from harness.redaction import without_unknown
from harness.timeline import Timeline
from harness.waiting import Deadline, pause

Say = Callable[[str], None]

BRING_UP = Budget(
    seconds=180,
    poll=0.05,
    reason="an official MariaDB image initialises its data directory at the first start, on a slow disk in a minute",
)
WAITS = "wireguard-harness.waits"
"""The label of an image that waits by itself for what it needs: it is started at once, whatever the file orders."""

_LOG_LINES = 25
_SAY_EVERY = 5.0  # seconds between two signs of life while nothing changes
_OFTEN = 10  # looks between two at the engine's own view of a container, when its check is made whatever it looks like
_SHARE = (
    0.05  # of the time waited so far: each look takes time from what it looks at, so what is slow is asked less often
)
_STARTED, _HEALTHY = "service_started", "service_healthy"


class _EndedError(Exception):
    """Another container has failed, so that this one need not be waited for."""


@dataclass(slots=True)
class _Way:
    """One container's way up."""

    service: str
    needs: Mapping[str, str]
    owner: str | None
    awaited_by: tuple[str, ...]
    """Who waits for its end, where it is a job."""
    whole: bool
    """Whether it is created in one step: older composes join further networks to a container that is there already."""
    port: int | None
    container: Listed | None = None
    said: str = "nothing yet"
    created: Event = field(default_factory=Event)
    running: Event = field(default_factory=Event)
    ready: Event = field(default_factory=Event)

    def reached(self, condition: str) -> Event:
        return self.running if condition == _STARTED else self.ready


class Starter:
    """Starts one project's containers; `run` returns when all are ready by their own health checks."""

    def __init__(
        self,
        engine: Engine,
        definitions: Mapping[str, Mapping[str, Any]],
        label: str,
        pages: Mapping[str, int],
        timeline: Timeline,
    ) -> None:
        """`definitions` are compose's of the services, and `label` is what all their containers bear.

        `pages` are the ports of this host's loopback with a service's health page.
        """
        self._engine = engine
        self._label = label
        self._timeline = timeline
        self._stop = Event()
        self._deadline = Deadline(BRING_UP.seconds)
        awaited = jobs.declared(definitions)
        self._ways = {
            service: _Way(
                service=service,
                needs=needs,
                owner=_owner(definitions[service]),
                awaited_by=tuple(awaited.get(service, ())),
                whole=len(definitions[service].get("networks") or ()) <= 1,
                port=pages.get(service),
            )
            for service, needs in _in_order(needs_of({"services": definitions}))
        }

    def run(self, create: Callable[[], None], say: Say) -> None:
        """Start everything while `create` makes the containers, each when it is there.

        Raises `BringUpError` with the log of the container that failed first, or what `create` raises.
        """
        self._deadline = Deadline(BRING_UP.seconds)
        began = self._timeline.now
        with ThreadPoolExecutor(max_workers=len(self._ways) + 1, thread_name_prefix="start") as pool:
            try:
                futures = {pool.submit(self._bring, way, began, say) for way in self._ways.values()}
                futures.add(pool.submit(self._create, create, began, say))
                self._await(futures, say)
            finally:
                # Also where a Ctrl-C comes before all have been submitted: those that have would wait for ever.
                self._stop.set()

    def _await(self, futures: set[Future[None]], say: Say) -> None:
        while futures:
            done, futures = wait(futures, timeout=_SAY_EVERY, return_when=FIRST_EXCEPTION)
            for each in done:
                if (error := each.exception()) is not None:
                    self._raise_first_failure()
                    raise error
            if futures and self._deadline.passed:
                raise BringUpError(self._overdue())
            if futures and not done:
                say(f"waiting for {self._unready()}")

    def _create(self, create: Callable[[], None], began: float, say: Say) -> None:
        """Have the containers created, and tell of each that can be started; of all when there is no more to come."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="create") as pool:
            creating = pool.submit(create)
            while not wait([creating], timeout=BRING_UP.poll).done:
                self._tell(whole_only=True)
            creating.result()
        say(f"containers created ({self._timeline.add('create', began).took:.1f} s)")
        self._tell(whole_only=False)
        if missing := [way.service for way in self._ways.values() if not way.created.is_set()]:
            message = f"compose created no container for {', '.join(missing)}"
            raise BringUpError(message)

    def _tell(self, *, whole_only: bool) -> None:
        for container in self._engine.listed(self._label):
            way = self._ways.get(container.labels.get(COMPOSE_SERVICE, ""))
            if way is not None and (way.whole or not whole_only):
                way.container = container
                way.created.set()

    def _bring(self, way: _Way, began: float, say: Say) -> None:
        self._wait_for(way.created)
        assert way.container is not None  # noqa: S101 (set with the event)
        needs = way.needs
        if way.container.labels.get(WAITS) == "true":
            needs = {way.owner: _STARTED} if way.owner else {}
        for need, condition in needs.items():
            self._wait_for(self._ways[need].reached(condition))
        try:
            self._engine.client.api.start(way.container.id)
        except APIError as error:
            message = f"{way.service} could not be started: {error.explanation}"
            raise BringUpError(message) from error
        way.running.set()
        node = Node(self._engine, way.service, way.container.name)
        if way.awaited_by:
            self._watch_job(way, node)
        else:
            self._watch(way, node)
        way.ready.set()
        phase = self._timeline.add(f"{way.service} ready", began)
        say(f"{way.service}: up after {phase.took:.1f} s")

    def _watch(self, way: _Way, node: Node) -> None:
        """Look at a container that was started until its own check passes."""
        looks, started = 0, Deadline(0)
        attributes = node.inspect()
        process = node.process(attributes)
        while True:
            looks += 1
            thorough = looks % _OFTEN == 0
            if thorough:
                attributes = node.inspect()
                self._raise_failure(way, container_state(attributes))
                if container_state(attributes).well:
                    return
            if thorough or readiness.is_promising(way.service, process):
                # The page costs no process. Where it cannot be reached from here the check itself decides.
                if way.port is not None and not thorough:
                    said = readiness.page_complaint(way.port)
                else:
                    said = readiness.complaint(node, attributes)
                if said is None:
                    return
                way.said = said
            self._pause(max(BRING_UP.poll, started.elapsed * _SHARE))

    def _watch_job(self, way: _Way, node: Node) -> None:
        """Look at a container that was started until it has come to a good end."""
        started = Deadline(0)
        while (state := node.state()).status != "exited":
            way.said = f"it is {state}"
            self._pause(max(BRING_UP.poll, started.elapsed * _SHARE))
        self._raise_failure(way, state)

    def _wait_for(self, event: Event) -> None:
        while not event.wait(BRING_UP.poll):
            if self._stop.is_set():
                raise _EndedError

    def _pause(self, seconds: float) -> None:
        if self._stop.is_set():
            raise _EndedError
        pause(seconds)

    def _raise_first_failure(self) -> None:
        """Raise for the container on which most depends, where several have failed: the others may only follow it."""
        for way in self._ways.values():
            if way.running.is_set() and way.container is not None:
                node = Node(self._engine, way.service, way.container.name)
                self._raise_failure(way, node.state())

    def _raise_failure(self, way: _Way, state: ContainerState) -> None:
        service = way.service
        if way.awaited_by:
            if state.status == "exited" and state.exit_code:
                message = f"{service}, for whose end {way.awaited_by[0]} waits, failed: {state}\n{self._log(way)}"
                raise BringUpError(message)
            return
        if state.status in ("exited", "restarting", "dead") or state.restarts:
            message = f"{service} does not stay up: {state}\n{self._log(way)}"
            raise BringUpError(message)
        if state.health == "unhealthy":
            message = f"{service} is unhealthy\n{_last(way)}\n{self._log(way)}"
            raise BringUpError(message)

    def _unready(self) -> str:
        return ", ".join(name for name, way in self._ways.items() if not way.ready.is_set())

    def _overdue(self) -> str:
        first = next(way for way in self._ways.values() if not way.ready.is_set())
        return (
            f"not all containers were ready after {BRING_UP.seconds:g} s ({BRING_UP.reason}): {self._unready()}\n"
            f"{first.service}: {_last(first)}\n{self._log(first)}"
        )

    def _log(self, way: _Way) -> str:
        if way.container is None:
            return "it was not created"
        node = Node(self._engine, way.service, way.container.name)
        lines = without_unknown(node.logs(tail=_LOG_LINES)).splitlines() or ["(nothing)"]
        return "\n  ".join(["the last lines of its log:", *lines])


def needs_of(configuration: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What each service waits for, with the condition: its `depends_on`, and the owner of its network namespace.

    What is not there is not waited for: `required: false` lets it be in a profile that is off.
    """
    services = configuration["services"]
    found: dict[str, dict[str, str]] = {}
    for name, service in services.items():
        wanted = service.get("depends_on") or {}
        needs = {need: entry["condition"] for need, entry in wanted.items() if need in services}
        if owner := _owner(service):
            needs.setdefault(owner, _STARTED)
        found[name] = needs
    return found


def _owner(service: Mapping[str, Any]) -> str | None:
    """The service in whose network namespace one is, if it has none of its own."""
    mode, _, owner = (service.get("network_mode") or "").partition(":")
    return owner if mode == "service" else None


def _in_order(needs: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[str, Mapping[str, str]]]:
    """The services with their needs, those first that the longest chain of others waits for."""

    def length(service: str) -> int:
        return 1 + max((length(other) for other, wanted in needs.items() if service in wanted), default=0)

    return sorted(needs.items(), key=lambda item: length(item[0]), reverse=True)


def _last(way: _Way) -> str:
    return f"its last health check said: {way.said}"
