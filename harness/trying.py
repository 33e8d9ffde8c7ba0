"""Having an application try its backends from inside its container, as it does itself; see `looks/application.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.diagnosis.containers import Container
from harness.diagnosis.evidence import Piece
from harness.diagnosis.settings import backend_ports
from harness.errors import HarnessError
from harness.nodes import PYTHON, Node

_CONNECT_TIMEOUT = 1.3  # seconds; a first packet that is lost is sent again after one (RFC 6298)
_ANSWER_TIMEOUT = 1.5  # seconds; an answer takes milliseconds, and a snapshot has to be done within two seconds
_CODE = (Path(__file__).parent / "looks" / "application.py").read_text(encoding="utf-8")


def backends(
    node: Node, attributes: Mapping[str, Any], container: Container, gateways: Mapping[str, Container]
) -> Piece:
    """How far it came with each of them, as JSON; what could not be tried says why."""
    own = node.dialect.settings
    settings = {
        "PROBE_CONNECT_TIMEOUT": str(_CONNECT_TIMEOUT),
        "PROBE_ANSWER_TIMEOUT": str(_ANSWER_TIMEOUT),
        "PROBE_FORWARDS": " ".join(_forwards(container, gateways)),
        # resolv.conf(5): an unknown name is asked for once, not for 10 s where no name server answers.
        "RES_OPTIONS": "timeout:1 attempts:1",
        # The documented settings of a container that was told them by other names.
        **{name: container.environment[name] for name in own if name in container.environment},
    }
    python = ("sh", "-c", PYTHON, _CODE)
    argv = ["env", *(f"{name}={value}" for name, value in settings.items()), *python]
    try:
        result = node.peek(*argv, attributes=attributes)
    except HarnessError as error:
        return Piece(missing=str(error))
    fault = None if result.ok else f"exit status {result.exit_status}: {result.stderr.strip()[-300:]}"
    return Piece(text=result.stdout, missing=fault)


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
