"""Having an application try its backends as it does itself, with its settings, files, names and network.

Where its namespaces can be entered the steps are taken from here, whatever its image has (a connection is opened in
its network namespace, a password read and a name resolved by its own container's tools); else by Python inside. See
`harness.looks.application`.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import namespaces
from harness.addresses import is_address
from harness.diagnosis.containers import Container
from harness.diagnosis.evidence import Piece
from harness.diagnosis.settings import backend_ports
from harness.dialects import parts_of_url
from harness.errors import HarnessError
from harness.looks import application
from harness.model import CommandResult
from harness.nodes import ASKED_ONCE, PYTHON, Node
from harness.vocabulary import DATABASE_URL

_CONNECT_TIMEOUT = 0.75  # seconds, in which three attempts are made; one takes milliseconds (budgets.CONNECT_TIMEOUT)
_ANSWER_TIMEOUT = 1.5  # seconds; an answer takes milliseconds, and a snapshot has to be done within two seconds
_CODE = Path(application.__file__).read_text(encoding="utf-8")


def backends(
    node: Node, attributes: Mapping[str, Any], container: Container, gateways: Mapping[str, Container]
) -> Piece:
    """How far it came with each of them, as JSON; what could not be tried says why."""
    own = (*node.dialect.settings, *parts_of_url(container.environment.get(DATABASE_URL, "")))
    settings = {
        "PROBE_CONNECT_TIMEOUT": str(_CONNECT_TIMEOUT),
        "PROBE_ANSWER_TIMEOUT": str(_ANSWER_TIMEOUT),
        "PROBE_FORWARDS": " ".join(_forwards(container, gateways)),
        # The documented settings of a container that was told them by other names.
        **{name: container.environment[name] for name in own if name in container.environment},
    }
    process = node.process(attributes)
    if process is not None:
        entered = _Entered(node, attributes, process, {**node.variables(attributes), **settings})
        tried = application.tried(entered)
        if not entered.unable:
            return Piece(text=json.dumps(tried))
    return _inside(node, attributes, {**settings, **ASKED_ONCE})


def _inside(node: Node, attributes: Mapping[str, Any], settings: Mapping[str, str]) -> Piece:
    try:
        result = node.peek("sh", "-c", PYTHON, _CODE, attributes=attributes, environment=settings)
    except HarnessError as error:
        return Piece(missing=str(error))
    fault = None if result.ok else f"exit status {result.exit_status}: {result.stderr.strip()[-300:]}"
    return Piece(text=result.stdout, missing=fault)


class _Entered(application.Place):
    """An application's container, from outside. It is `unable` once something could not be done as it is done there."""

    def __init__(
        self, node: Node, attributes: Mapping[str, Any], process: Path, environment: Mapping[str, str]
    ) -> None:
        super().__init__(environment)
        self._node = node
        self._attributes = attributes
        self._process = process
        self.unable = False

    def read(self, path: str) -> str:
        """By the container's own cat, with the rights of the application's user."""
        result = self._peek("cat", path)
        if not result.ok:
            raise _as_told(path, result.stderr.strip())
        return result.stdout

    def address(self, host: str) -> str:
        """By the container's own getent(1), as its hosts and name servers have it."""
        if is_address(host):
            return host
        try:
            found = self._node.resolve(host, attributes=self._attributes)
        except HarnessError as error:
            raise self._incapable(str(error)) from error
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    def connect(self, address: str, port: int) -> socket.socket:
        """From the network namespace of the application's main process."""
        try:
            return namespaces.within(self._process, lambda: super(_Entered, self).connect(address, port))
        except HarnessError as error:
            raise self._incapable(str(error)) from error

    def trust(self, authorities: str | None) -> ssl.SSLContext:
        """Whom its image believes, only its image can tell."""
        raise self._incapable(f"{authorities or 'what is believed'} in {self._node.name} can only be read there")

    def _peek(self, *argv: str) -> CommandResult:
        try:
            return self._node.peek(*argv, attributes=self._attributes)
        except HarnessError as error:
            raise self._incapable(str(error)) from error

    def _incapable(self, reason: str) -> HarnessError:
        self.unable = True
        return HarnessError(reason)


def _as_told(path: str, said: str) -> OSError:
    """The error that a program has printed in the system's words (strerror(3))."""
    for number in errno.errorcode:
        if said.endswith(os.strerror(number)):
            return OSError(number, os.strerror(number), path)
    return OSError(said)


def _forwards(container: Container, gateways: Mapping[str, Container]) -> list[str]:
    """What an application behind a gateway may dial at the other end, as ADDRESS:PORT; its settings name the rest."""
    if container.joined is None:
        return []
    own = {str(port) for port in backend_ports(container.environment).values()}
    return [
        f"{gateway.environment.get('WG_ADDRESS', '').partition('/')[0]}:{entry.partition(':')[0]}"
        for name, gateway in gateways.items()
        if name != container.joined
        for entry in gateway.environment.get("WG_FORWARD_PORTS", "").split()
        if ":tcp:" in entry and entry.partition(":")[0] not in own
    ]
