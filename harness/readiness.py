"""Whether a container that was started can do its work yet.

Asked by ourselves, because the engine repeats a health check at best every few tenths of a second, and each costs it
more than the check itself. What is asked is the very check that the compose file has, run in the container's
namespaces, and of an application its health page.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import pages
from harness.addresses import MARIADB_PORT, REDIS_PORT, SERVICES_PORT, WEB_PORT
from harness.compose import RELAYED_REDIS
from harness.errors import HarnessError
from harness.nodes import Node, health_command
from harness.wireguard import INTERFACE

_OK = 200

# Signs, each without which a check cannot pass: a socket by its state and its own or its other end's port, as
# /proc/PID/net/tcp has them (proc(5)), or a network interface.
_LISTENING, _ESTABLISHED = "0A", "01"
_PORTS = {
    "mariadb": (_LISTENING, MARIADB_PORT),
    "redis": (_LISTENING, REDIS_PORT),
    "web": (_LISTENING, WEB_PORT),
    "services": (_LISTENING, SERVICES_PORT),
    "celery": (_ESTABLISHED, REDIS_PORT),
    "probe-web": (_LISTENING, RELAYED_REDIS),
    "probe-services": (_LISTENING, RELAYED_REDIS),
}
_GATEWAYS = ("wireguard-web", "wireguard-services")


def is_promising(service: str, process: Path | None) -> bool:
    """Whether a check may pass by now: a look at files, which costs next to nothing; True where nothing can be seen.

    `process` is the container's main process, its directory under /proc.
    """
    if process is None:
        return True
    try:
        if service in _GATEWAYS:
            return f"{INTERFACE}:" in (process / "net" / "dev").read_text(encoding="ascii")
        if service in _PORTS:
            state, port = _PORTS[service]
            return any(_has_socket(process / "net" / name, state, port) for name in ("tcp", "tcp6"))
    except OSError:  # it has ended, or there is no IPv6
        return False
    return True


def _has_socket(table: Path, state: str, port: int) -> bool:
    wanted = f":{port:04X}"
    fields = (line.split() for line in table.read_text(encoding="ascii").splitlines()[1:])
    return any(each[3] == state and wanted in (each[1][-5:], each[2][-5:]) for each in fields)


def complaint(node: Node, attributes: Mapping[str, Any]) -> str | None:
    """What a running container's own health check says against it, by the cheapest way; None when it passes.

    `attributes` are the container's `docker inspect` since it was started. One without a check is ready at once.
    """
    check = attributes["Config"].get("Healthcheck") or {}
    if check.get("Test", ["NONE"]) == ["NONE"]:
        return None
    try:
        result = node.peek(*health_command(attributes), attributes=attributes)
    except HarnessError as error:
        return str(error)
    said = (result.stdout + result.stderr).strip()
    return None if result.ok else said or f"exit status {result.exit_status}"


def page_complaint(port: int) -> str | None:
    """What a health page on this host's loopback says against its application; None when all is well."""
    page = pages.get(f"http://127.0.0.1:{port}/health/")
    return None if page.status == _OK else str(page)
