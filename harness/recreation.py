"""Creating containers anew with a compose overlay, and bringing them back as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import compose
from harness.budgets import HANDSHAKE
from harness.compose import ComposeProject
from harness.deployment import Deployment
from harness.errors import CommandError, HarnessError
from harness.nodes import Gateway
from harness.waiting import wait_until

Overlay = Mapping[str, Any] | str

_KEEP_DATA = {"mariadb", "redis"}  # and write it when they end


def redeploy(deployment: Deployment, undo: ExitStack, overlay: Overlay, *services: str, alone: bool = False) -> None:
    """Create services anew with a compose overlay laid over the files; the undo creates them as they were.

    Whatever shares a namespace with them moves along, unless `alone`; the undo always brings it back together. A
    gateway's other end forgets its session with the one that is replaced, so that neither waits to find out.
    An overlay given as text is YAML, for what JSON has no words for, such as compose's `!reset`. What the overlay
    makes of the services is not judged: a container that cannot start may be just what is wanted.
    """
    file = _write(deployment, overlay)
    undo.callback(file.unlink, missing_ok=True)
    at_once = not _KEEP_DATA & {deployment.node(service).role for service in services}
    undo.callback(recreate, deployment, services, at_once=at_once)
    if alone:
        for project, own in _by_project(deployment, services):
            project.with_overlay(file).recreate(*own, at_once=at_once)
    else:
        _replace(deployment, services, file, whole=False, at_once=at_once)


def recreate(deployment: Deployment, services: Sequence[str], *, at_once: bool = False) -> None:
    """Create services anew as the deployment's own files say, those in their namespaces too.

    `at_once`: those that they replace have nothing to lose, and are given no time to end by themselves. Raises
    `CommandError` or `WaitTimeoutError` when the new ones do not start.
    """
    _replace(deployment, services, None, whole=True, at_once=at_once)


def _by_project(deployment: Deployment, services: Sequence[str]) -> Iterator[tuple[ComposeProject, list[str]]]:
    """The services by the host on which they are, in the order in which they are named."""
    hosts = list(dict.fromkeys(deployment.host(service).name for service in services))
    for host in hosts:
        own = [service for service in services if deployment.host(service).name == host]
        yield deployment.project(own[0]), own


def _replace(
    deployment: Deployment, services: Sequence[str], overlay: Path | None, *, whole: bool, at_once: bool
) -> None:
    initiator, responder = deployment.gateways
    if initiator.service in services and responder.service not in services:
        _forget_session(responder)
    for project, own in _by_project(deployment, services):
        _recreate(
            project.with_overlay(overlay) if overlay else project, project.joined, own, whole=whole, at_once=at_once
        )
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


def _recreate(
    project: ComposeProject, owners_of: Mapping[str, str], services: Sequence[str], *, whole: bool, at_once: bool
) -> None:
    """Create services anew, and then whatever lives in their network namespaces.

    Not in one go: compose would start the second only when the first is healthy, which one that is broken on
    purpose never is. Nor can anything join the namespace of one that has ended.
    """
    project.recreate(*(name for name in services if owners_of.get(name) not in services), at_once=at_once)
    if joined := [name for name, owner in owners_of.items() if owner in services]:
        with contextlib.nullcontext() if whole else contextlib.suppress(CommandError):
            project.recreate(*joined, at_once=at_once)


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


def _write(deployment: Deployment, overlay: Overlay) -> Path:
    state = deployment.run.state
    number = len(list(state.glob("overlay-*")))
    file = Path(state, f"overlay-{number}.{'yml' if isinstance(overlay, str) else 'json'}")
    if isinstance(overlay, str):
        file.write_text(overlay, encoding="utf-8")
    else:
        compose.write_override(file, overlay)
    return file
