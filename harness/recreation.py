"""Creating containers anew with a compose overlay, and bringing them back as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness import compose, originals, overlays
from harness.budgets import HANDSHAKE
from harness.compose import ComposeProject
from harness.deployment import Deployment
from harness.engine import Engine
from harness.errors import CommandError, DeploymentError, HarnessError
from harness.nodes import Gateway
from harness.originals import Original
from harness.overlays import Change, Overlay
from harness.waiting import wait_until

_KEEP_DATA = {"mariadb", "redis"}  # and write it when they end


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    """Services to be made anew that are on one engine, and those that live in their network namespaces."""

    name: str
    engine: Engine
    project: ComposeProject
    named: tuple[str, ...]

    @property
    def joined(self) -> tuple[str, ...]:
        return tuple(service for service, owner in self.project.joined.items() if owner in self.named)

    @property
    def owners(self) -> tuple[str, ...]:
        return tuple(service for service in self.named if service not in self.joined)

    def originals(self) -> dict[str, Original] | None:
        """What they are now, by service; None where one is not there, or has more in it than the engine tells."""
        services = {*self.owners, *self.joined}
        if not self.project.repeatable(services):
            return None
        found = originals.read(self.engine, self.project.project, services)
        return found if found.keys() == services else None


def redeploy(deployment: Deployment, undo: ExitStack, overlay: Overlay, *services: str, alone: bool = False) -> None:
    """Create services anew with a compose overlay laid over the files; the undo makes them what they were.

    Whatever shares a namespace with them moves along, unless `alone`; the undo always brings it back together. A
    gateway's other end forgets its session with the one that is replaced, so that neither waits to find out.
    An overlay given as text is YAML, for what JSON has no words for, such as compose's `!reset`. What the overlay
    makes of the services is not judged: a container that cannot start may be just what is wanted.
    """
    at_once = not _KEEP_DATA & {deployment.node(service).role for service in services}
    were = {host.name: host.originals() for host in _hosts(deployment, services)}

    def change(host: _Host) -> None:
        known = were[host.name]
        if varied := _varied(host, known, overlay):
            _vary(host, varied, alone=alone, at_once=at_once)
        else:
            file = overlays.write(overlay, deployment.run.state)
            undo.callback(file.unlink, missing_ok=True)
            _with_file(host, file, known, alone=alone, at_once=at_once)

    def restore(host: _Host) -> None:
        if known := were[host.name]:
            originals.remove(host.engine, host.project.project, known, at_once=at_once)
            _make(host, host.owners, known)
            _make(host, host.joined, known)
        else:
            _by_compose(host, at_once=at_once)

    undo.callback(_replace, deployment, services, restore)
    if alone:
        for host in _hosts(deployment, services):
            change(host)
    else:
        _replace(deployment, services, change, whole=False)


def recreate(deployment: Deployment, services: Sequence[str]) -> None:
    """Create services anew as the deployment's own files say, those in their namespaces too.

    Raises `CommandError` or `WaitTimeoutError` when the new ones do not start.
    """
    _replace(deployment, services, _by_compose)


def _hosts(deployment: Deployment, services: Sequence[str]) -> Iterator[_Host]:
    """The services by the host on which they are, in the order in which they are named."""
    for name in dict.fromkeys(deployment.host(service).name for service in services):
        own = tuple(service for service in services if deployment.host(service).name == name)
        engine, project = deployment.host(own[0]).engine, deployment.project(own[0])
        yield _Host(name=name, engine=engine, project=project, named=own)


def _replace(
    deployment: Deployment, services: Sequence[str], make: Callable[[_Host], None], *, whole: bool = True
) -> None:
    """Make services anew; `whole`: what is made works."""
    initiator, responder = deployment.gateways
    if initiator.service in services and responder.service not in services:
        _forget_session(responder)
    for host in _hosts(deployment, services):
        make(host)
    if responder.service in services and initiator.service not in services:
        # A handshake that finds nobody is repeated only after 5 s: first the one who is to answer it.
        wait_until(
            f"{responder.name} to have its peer",
            lambda: _readiness(responder),
            lambda seen: seen == "ready" or not (whole or seen == "starting"),
            within=HANDSHAKE,
        )
        if _readiness(initiator) == "ready":
            shake_hands_after_absence(deployment)


def shake_hands_after_absence(deployment: Deployment) -> None:
    """Have web begin a handshake with an end that was away for a while, and is there now.

    While it was away web's kernel asked in vain for its link address. A handshake that waits for the last of those
    three questions is thrown away unsent, and the next one comes 5 s later; so the kernel is to ask anew.
    """
    web = deployment.wireguard_web
    web.act("ip", "neighbour", "flush", "to", str(deployment.plan.next_hop_web))
    web.renew_peer()


def _by_compose(host: _Host, *, at_once: bool = False) -> None:
    """As the files say.

    Not in one go: compose would start the second only when the first is healthy, which one that is broken on
    purpose never is.
    """
    for group in filter(None, (host.owners, host.joined)):
        host.project.recreate(*group, at_once=at_once)


def _varied(host: _Host, were: Mapping[str, Original] | None, overlay: Overlay) -> dict[str, Original] | None:
    """What the overlay makes of them, where the engine can do it without compose."""
    if not were or not isinstance(overlay, Change):
        return None
    definitions = host.project.base["services"]
    varied = {service: overlay.laid_over(original, definitions[service]) for service, original in were.items()}
    return {service: each for service, each in varied.items() if each} if all(varied.values()) else None


def _vary(host: _Host, varied: Mapping[str, Original], *, alone: bool, at_once: bool) -> None:
    """As the engine does it."""
    joined = tuple(service for service in host.joined if not alone or service in host.named)
    originals.remove(host.engine, host.project.project, (*host.owners, *joined), at_once=at_once)
    _make(host, host.owners, varied)
    with contextlib.suppress(DeploymentError):  # nothing can join the namespace of one that has ended
        _make(host, joined, varied)


def _with_file(host: _Host, overlay: Path, were: dict[str, Original] | None, *, alone: bool, at_once: bool) -> None:
    """As the files and the overlay say; what that leaves alone is repeated in the namespaces of what it changes."""
    changed = host.project.with_overlay(overlay)
    if alone or not host.joined:
        _one_by_one(changed, host.named, at_once=at_once)
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="overlay") as pool:
        said = pool.submit(changed.configuration)
        _one_by_one(changed, host.owners, at_once=at_once)
    with contextlib.suppress(CommandError, DeploymentError):  # nothing can join the namespace of one that has ended
        if were and all(compose.is_same(service, host.project.base, said.result()) for service in host.joined):
            originals.remove(host.engine, host.project.project, host.joined, at_once=at_once)
            _make(host, host.joined, were)
        else:
            _one_by_one(changed, host.joined, at_once=at_once)


def _one_by_one(changed: ComposeProject, services: Sequence[str], *, at_once: bool) -> None:
    """Of several compose would have one wait for another to be healthy, which what is broken on purpose never is."""
    for service in services:
        changed.recreate(service, at_once=at_once)


def _make(host: _Host, services: Sequence[str], were: Mapping[str, Original]) -> None:
    """Make services, each in the namespace of its owner as that is now."""
    owner_of = {service: host.project.joined[service] for service in services if service in host.project.joined}
    now = originals.read(host.engine, host.project.project, set(owner_of.values()))
    moved = {were[service].joins: now[owner].id for service, owner in owner_of.items() if owner in now}
    originals.make(host.engine, [were[service] for service in services], moved)


def _forget_session(gateway: Gateway) -> None:
    """Begin anew with the peer, where there is one: after another fault there may be none."""
    if _readiness(gateway) == "ready":
        gateway.renew_peer()


def _readiness(gateway: Gateway) -> str:
    """`ready` with a peer, `starting` while it runs without one, else the container's state."""
    try:
        gateway.peer()
    except HarnessError:
        try:
            state = gateway.state()
        except HarnessError as error:
            return str(error)
        return "starting" if state.status == "running" and not state.restarts else str(state)
    return "ready"
