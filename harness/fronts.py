"""Where a web server passes requests on to, by nginx's own account: what it prints of all that it is configured with.

Of that only the addresses are kept, for the rest may hold secrets. Those on the web server's own networks are dialled
from there; what is beyond them is nobody's business here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from typing import Any

from harness import namespaces
from harness.addresses import is_address
from harness.budgets import CONNECT_TIMEOUT
from harness.diagnosis.containers import Container
from harness.diagnosis.evidence import Piece
from harness.errors import HarnessError
from harness.looks import application
from harness.model import CommandResult
from harness.nodes import Node

_PROGRAM = "nginx"
# It opens its logs anew, which are often its own output: that has to be a pipe of its user's, and not of ours.
_DUMP = '"$@" -T 2>&1 | cat'
_BEGINS = "# configuration file "  # what nginx itself puts before each file that it dumps
# What nginx's own documentation calls a token: quoted, a sign of its own, or anything up to the next of them; a comment
# goes to the end of its line.
_TOKEN = re.compile(r""" \#[^\n]* | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | [{};] | [^\s{};"'][^\s{};]* """, re.VERBOSE)
_PASS = {"proxy_pass", "fastcgi_pass", "grpc_pass", "scgi_pass", "uwsgi_pass"}
_HTTP, _TLS = 80, {"https": 443, "grpcs": 443}  # where no port is said (ngx_http_proxy_module)
_HIGHEST_PORT = 65535
# What images have that have anything: bash, or busybox's nc.
_CONNECT = """
export LC_ALL=C
command -v timeout >/dev/null || exit 127
if command -v bash >/dev/null; then timeout 1 bash -c '>"/dev/tcp/$0/$1"' "$1" "$2"
else command -v nc >/dev/null || exit 127; timeout 1 nc -z "$1" "$2"; fi
"""
_NOTHING_TO_DIAL_WITH = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests are passed on to: `directive` says so, in nginx's own words."""

    directive: str
    host: str
    port: int


def upstreams(node: Node, attributes: Mapping[str, Any], container: Container) -> Piece | None:
    """Each address that requests are passed on to, as JSON, with what became of a connection; None of no web server."""
    command = _command(attributes)
    if not command:
        return None
    try:
        said = node.peek("sh", "-c", _DUMP, "sh", *command, attributes=attributes).stdout
        remarks, begins, dumped = said.partition(_BEGINS)
        if not begins:
            return Piece(missing=f"nginx -T: {remarks.strip()[-300:] or 'it said nothing'}")
        found = [_seen(target, node, attributes, container) for target in targets(f"{begins}{dumped}")]
    except HarnessError as error:
        return Piece(missing=str(error))
    return Piece(text=json.dumps(found))


def _command(attributes: Mapping[str, Any]) -> list[str]:
    """How the container runs nginx, be that by a script before it; empty where it does not."""
    words = [str(attributes.get("Path") or ""), *map(str, attributes.get("Args") or ())]
    starts = (number for number, word in enumerate(words) if PurePosixPath(word).name == _PROGRAM)
    return words[next(starts, len(words)) :]


def targets(configuration: str) -> tuple[Target, ...]:
    """Read where requests go; what only a request decides, and sockets that are files, are left out."""
    statements = tuple(_statements(configuration))
    groups: dict[str, list[str]] = {}
    for block, words in statements:
        if block[:1] == ("upstream",) and words[0] == "server" and len(words) > 1 and "down" not in words:
            groups.setdefault(block[1], []).append(words[1])
    found: dict[Target, None] = {}
    for _block, words in statements:
        if words[0] in _PASS and len(words) > 1:
            scheme, _, rest = words[1].rpartition("://")
            place = rest.partition("/")[0] if scheme else rest
            for server in groups.get(place, [place]):
                if target := _target(" ".join(words), server, _TLS.get(scheme, _HTTP)):
                    found[target] = None
    return tuple(found)


def _statements(configuration: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Each directive that ends with a semicolon, with the words of the block that it is in."""
    blocks: list[tuple[str, ...]] = []
    words: list[str] = []
    for token in _TOKEN.findall(configuration):
        match token:
            case "{":
                blocks.append(tuple(words))
                words = []
            case "}":
                words = []
                if blocks:
                    blocks.pop()
            case ";":
                if words:
                    yield blocks[-1] if blocks else (), tuple(words)
                words = []
            case _ if not token.startswith("#"):
                words.append(token.strip("\"'"))


def _target(directive: str, server: str, port: int) -> Target | None:
    host, _, said = server.partition(":")
    if "$" in server or host == "unix" or not host or host.startswith("["):
        return None
    if said:
        port = int(said) if said.isdecimal() else 0
    return Target(directive=directive, host=host, port=port) if 0 < port <= _HIGHEST_PORT else None


def _seen(target: Target, node: Node, attributes: Mapping[str, Any], container: Container) -> dict[str, Any]:
    """The target with its `address`, none where nobody knows its name, and what was `said` to a connection."""
    address = target.host if is_address(target.host) else node.resolve(target.host, attributes=attributes)
    said = None
    if address is not None and _is_near(IPv4Address(address), container):
        said = _dialled(node, attributes, address, target.port)
    return asdict(target) | {"address": address, "said": said}


def _is_near(address: IPv4Address, container: Container) -> bool:
    own = (attachment.interface for attachment in container.attachments)
    return address.is_loopback or any(address in each.network for each in own if each)


def _dialled(node: Node, attributes: Mapping[str, Any], address: str, port: int) -> str | None:
    """Why a connection fails, nothing where it does not; None where none can be tried."""
    process = node.process(attributes)
    if process is None:
        return _dialled_inside(node.peek("sh", "-c", _CONNECT, "sh", address, str(port), attributes=attributes))
    try:
        namespaces.within(process, partial(application.connection, address, port, CONNECT_TIMEOUT)).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _dialled_inside(result: CommandResult) -> str | None:
    if result.ok:
        return ""
    if result.exit_status == _NOTHING_TO_DIAL_WITH:
        return None
    return result.stderr.strip().rpartition(": ")[2] or "timed out"
