"""Packets on the underlay and in the tunnel, captured by tcpdump in the namespace of web's gateway."""

from __future__ import annotations

import base64
import contextlib
import itertools
from collections.abc import Iterator
from ipaddress import IPv4Address

from harness.deployment import Deployment, Node
from harness.errors import DeploymentError
from harness.model import Budget
from harness.waiting import wait_until
from harness.wireguard import INTERFACE

_LISTENING = Budget(seconds=10, reason="tcpdump says that it listens within a second")
_ENDED = Budget(seconds=10, reason="tcpdump writes what it has and ends on SIGINT")
_numbers = itertools.count(1)


class Capture:
    """A running or ended capture; read it after the `with` block has ended."""

    def __init__(self, node: Node, file: str) -> None:
        self._node = node
        self._file = file

    def lines(self, expression: str = "") -> list[str]:
        """One line per packet that matches `expression` (pcap-filter(7))."""
        argv = ["tcpdump", "-Z", "root", "-n", "-r", self._file, *expression.split()]
        result = self._node.run(*argv, user="0")
        if not result.ok:
            message = f"the capture cannot be read: {result}"
            raise DeploymentError(message)
        return result.stdout.splitlines()

    def raw(self) -> bytes:
        """The whole capture file: what anybody on the wire could read."""
        result = self._node.run("base64", self._file, user="0")
        return base64.b64decode(result.stdout)


@contextlib.contextmanager
def underlay(deployment: Deployment, expression: str = "") -> Iterator[Capture]:
    """Capture what passes web's gateway's underlay interface while the block runs.

    The capture has begun when the block starts. Raises `WaitTimeoutError` when tcpdump does not start.
    """
    node = deployment.probe_web
    with _captured(deployment, interface_of(node, deployment.plan.underlay_web), expression) as found:
        yield found


@contextlib.contextmanager
def tunnel(deployment: Deployment, expression: str = "") -> Iterator[Capture]:
    """Capture what passes web's gateway's wg0, in the clear, while the block runs; else as `underlay`."""
    with _captured(deployment, INTERFACE, expression) as found:
        yield found


@contextlib.contextmanager
def _captured(deployment: Deployment, interface: str, expression: str) -> Iterator[Capture]:
    node = deployment.probe_web
    file = f"/tmp/capture-{next(_numbers)}.pcap"  # noqa: S108 (inside the container)
    start = f'echo $$ > {file}.pid; exec tcpdump -Z root -n -p -U -s 0 -i {interface} -w {file} "$@" 2> {file}.log'
    api = deployment.engine.client.api
    created = api.exec_create(node.name, ["sh", "-c", start, "sh", *expression.split()], user="0")
    api.exec_start(created["Id"], detach=True)
    wait_until(
        "tcpdump to listen", lambda: node.run("cat", f"{file}.log", user="0").stdout, _is_listening, within=_LISTENING
    )
    try:
        yield Capture(node, file)
    finally:
        node.run("sh", "-c", f"kill -INT $(cat {file}.pid)", user="0")
        wait_until("tcpdump to end", lambda: api.exec_inspect(created["Id"])["Running"], _is_false, within=_ENDED)


def interface_of(node: Node, address: IPv4Address) -> str:
    """The interface that bears an address; raises `DeploymentError` when none does."""
    for found in node.addresses():
        if found.address.ip == address:
            return found.interface
    message = f"no interface of {node.name} has the address {address}"
    raise DeploymentError(message)


def _is_listening(log: str) -> bool:
    return "listening on" in log


def _is_false(running: object) -> bool:
    return running is False
