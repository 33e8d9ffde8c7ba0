"""Packets on the underlay and in the tunnel, captured by tcpdump in the namespace of web's gateway."""

from __future__ import annotations

import base64
import contextlib
import re
import secrets
from collections.abc import Iterator
from ipaddress import IPv4Address

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness.deployment import Deployment
from harness.errors import DeploymentError, HarnessError
from harness.model import Budget, CommandResult
from harness.nodes import Node
from harness.waiting import wait_until
from harness.wireguard import INTERFACE

_LISTENING = Budget(seconds=10, reason="tcpdump says that it listens within a second")
_DRAINED = Budget(seconds=10, reason="tcpdump writes a packet at once; a loaded machine needs more")
_ENDED = Budget(seconds=10, reason="tcpdump writes what it has and ends on SIGINT")

_BUFFER = "-s 65535 -B 32768"
"""The largest packet in bytes, and the kernel's buffer in KiB: room for some 500 packets that tcpdump has not read yet.

In immediate mode each packet takes a slot of the largest size (libpcap's TPACKET_V2 ring), however short it is: with
tcpdump's own 262144 bytes and 2 MiB there are nine slots, and a login and a query, sent while tcpdump waits for its
turn on a busy machine, already leave gaps.
"""
_NONE_DROPPED = re.compile(r"^0 packets dropped by kernel$", re.MULTILINE)

_LAST_PORT = 9  # discard: nothing else sends from it
_LAST = f"udp src port {_LAST_PORT}"


_taken: list[Capture] = []


def taken() -> tuple[Capture, ...]:
    """The captures since `forget`, for whoever has to explain a failure; their files stay where they were written."""
    return tuple(_taken)


def forget() -> None:
    """A new test begins: captures of the one before it explain nothing about it."""
    _taken.clear()


class Capture:
    """A running or ended capture; read it after the `with` block has ended."""

    def __init__(self, node: Node, file: str, what: str) -> None:
        self._node = node
        self._file = file
        self.what = what
        """What was captured, for people."""

    def lines(self, expression: str = "") -> list[str]:
        """One line per packet that matches `expression` (pcap-filter(7))."""
        return self._read(f"({expression}) and not ({_LAST})" if expression else f"not ({_LAST})")

    def has_last(self) -> bool:
        """Whether the packet that ends the capture has been written."""
        return bool(self._run(_LAST).stdout)  # while it is being written its end may be half a packet

    def raw(self) -> bytes:
        """The whole capture file: what anybody on the wire could read."""
        return base64.b64decode(_read(self._node.run("base64", "--wrap=0", self._file, user="0")))

    def _read(self, expression: str) -> list[str]:
        return _read(self._run(expression)).splitlines()

    def _run(self, expression: str) -> CommandResult:
        return self._node.run("tcpdump", "-Z", "root", "-n", "-r", self._file, expression, user="0")


def _read(result: CommandResult) -> str:
    if not result.ok:
        message = f"the capture cannot be read: {result}"
        raise DeploymentError(message)
    return result.stdout


@contextlib.contextmanager
def underlay(deployment: Deployment, expression: str = "") -> Iterator[Capture]:
    """Capture what passes web's gateway's underlay interface while the block runs.

    The capture has begun when the block starts, and holds all that passed until the block ended. Raises
    `WaitTimeoutError` when tcpdump does not start, or does not come to the end, and `DeploymentError` when the kernel
    had to drop packets.
    """
    interface = interface_of(deployment.probe_web, deployment.plan.outward_web)
    beyond = f"{deployment.plan.underlay_services}:{deployment.plan.wireguard_port}"
    with _captured(deployment.probe_web, interface, beyond, expression) as found:
        yield found


@contextlib.contextmanager
def tunnel(deployment: Deployment, expression: str = "") -> Iterator[Capture]:
    """Capture what passes web's gateway's wg0, in the clear, while the block runs; else as `underlay`."""
    beyond = f"{deployment.plan.tunnel_services.ip}:{deployment.plan.wireguard_port}"
    with _captured(deployment.probe_web, INTERFACE, beyond, expression) as found:
        yield found


@contextlib.contextmanager
def _captured(node: Node, interface: str, beyond: str, expression: str) -> Iterator[Capture]:
    file = f"/tmp/capture-{secrets.token_hex(8)}.pcap"  # noqa: S108 (inside the container)
    options = f"-Z root -n -p -U {_BUFFER} --immediate-mode -i {interface} -w {file}"
    start = f'echo $$ > {file}.pid; exec tcpdump {options} "$@" 2> {file}.log'
    wanted = [f"({expression}) or ({_LAST})"] if expression else []
    api = node.engine.client.api
    created = api.exec_create(node.name, ["sh", "-c", start, "sh", *wanted], user="0")
    api.exec_start(created["Id"], detach=True)
    captured = Capture(node, file, f"{interface} of {node.service}{f': {expression}' if expression else ''}")
    _taken.append(captured)
    try:
        wait_until(
            "tcpdump to listen",
            lambda: node.run("cat", f"{file}.log", user="0").stdout,
            lambda log: "listening on" in log,
            within=_LISTENING,
        )
        yield captured
        _drain(node, captured, interface, beyond)
    except BaseException:
        with contextlib.suppress(HarnessError):  # where container or engine has gone, that is not what the test says
            _end(node, file, created["Id"])
        raise
    _end(node, file, created["Id"])
    _assert_complete(node, f"{file}.log")


def _end(node: Node, file: str, identity: str) -> None:
    api = node.engine.client.api
    try:
        node.run("sh", "-c", f"kill -INT $(cat {file}.pid)", user="0")
        wait_until("tcpdump to end", lambda: api.exec_inspect(identity)["Running"], _is_false, within=_ENDED)
    except (DockerException, RequestException) as error:
        message = f"whether the capture in {node.name} has ended cannot be told: {error}"
        raise DeploymentError(message) from error


def _assert_complete(node: Node, log: str) -> None:
    # Where the kernel dropped packets, "nothing of the kind passed" is not known.
    said = node.run("cat", log, user="0").stdout
    if not _NONE_DROPPED.search(said):
        lost = "; ".join(said.splitlines())
        message = f"the capture has gaps, so it shows neither what passed nor what did not; tcpdump says: {lost}"
        raise DeploymentError(message)


def _drain(node: Node, captured: Capture, interface: str, beyond: str) -> None:
    # When tcpdump is told to end it drops what it has not read yet. It reads in order: once it has written a packet
    # that is sent now, it has written all that came before. WireGuard's port never answers what is not WireGuard.
    target = f"UDP4-SENDTO:{beyond},sourceport={_LAST_PORT},so-bindtodevice={interface}"
    sent = node.run("sh", "-c", f"echo last | socat -u - {target}", user="0")
    if not sent.ok:
        message = f"the capture's last packet cannot be sent: {sent}"
        raise DeploymentError(message)
    wait_until("the capture's last packet", captured.has_last, lambda seen: seen, within=_DRAINED)


def interface_of(node: Node, address: IPv4Address) -> str:
    """The interface that bears an address; raises `DeploymentError` when none does."""
    for found in node.addresses():
        if found.address.ip == address:
            return found.interface
    message = f"no interface of {node.name} has the address {address}"
    raise DeploymentError(message)


def _is_false(running: object) -> bool:
    return running is False
