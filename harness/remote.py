"""Engines of machines that the harness did not bring up, each by its address, such as `ssh://root@web`.

SSH is the user's own client, with all that is configured for it: it hands the engine's socket on to a socket here,
by one connection, and goes when the look is over.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import command, netfilter, orphans
from harness.engine import Engine, client_at
from harness.errors import ConfigurationError, EngineUnavailableError, HarnessError, WaitTimeoutError
from harness.model import Budget
from harness.namespaces import PROC
from harness.waiting import wait_until

_SOCKET = "/var/run/docker.sock"
_SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ExitOnForwardFailure=yes")
_FORWARDED = Budget(seconds=20, poll=0.05, reason="SSH gives up to connect after 10 s, and logs in within seconds")
_LOOK_TIMEOUT = 20.0  # seconds; `ip` answers at once, and SSH as above


@contextlib.contextmanager
def engines(urls: Sequence[str]) -> Iterator[tuple[Engine, ...]]:
    """Engines by their addresses while the block runs, each named by its machine.

    Whether they answer shows when they are asked. Raises `ConfigurationError` for what is no address, and
    `EngineUnavailableError` where SSH or TLS cannot even be set up.
    """
    names = [_name_of(url) for url in urls]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        message = f"--engine names {twice[0]} twice: give each engine once"
        raise ConfigurationError(message)
    with ExitStack() as stack:
        folder = stack.enter_context(orphans.scratch())
        yield tuple(
            _engine(url, name, folder / str(number), stack)
            for number, (url, name) in enumerate(zip(urls, names, strict=True))
        )


def _name_of(url: str) -> str:
    parts = _parsed(url)
    return parts.netloc.rpartition("@")[2] or "this machine"


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("ssh", "tcp", "unix") and (parts.port or True)
    except ValueError:
        parts, known = urlsplit(""), False
    if not known or not (parts.path if parts.scheme == "unix" else parts.hostname):
        message = f"--engine {url} is no engine's address: they are ssh://USER@HOST, tcp://HOST:PORT and unix:///PATH"
        raise ConfigurationError(message)
    return parts


def _engine(url: str, name: str, place: Path, stack: ExitStack) -> Engine:
    parts = _parsed(url)
    if parts.scheme == "ssh":
        socket = Path(f"{place}.sock")
        _forward(parts, name, socket, Path(f"{place}.log"), stack)
        client = client_at(f"unix://{socket}")
    else:
        client = _direct(url, name, tls=parts.scheme == "tcp")
    stack.callback(client.close)
    # The numbers of that machine's processes mean nothing here.
    return Engine(
        client,
        None if parts.scheme == "unix" else lambda: PROC / "nowhere",
        name=name,
        addresses=(lambda: _addresses(parts)) if parts.scheme == "ssh" else None,
    )


def _direct(url: str, name: str, *, tls: bool) -> docker.DockerClient:
    """With TLS where DOCKER_TLS_VERIFY asks for it, by the files in DOCKER_CERT_PATH, as the docker command does."""
    own = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    wanted = tls and bool(os.environ.get("DOCKER_TLS_VERIFY"))
    try:
        return client_at(url, own if wanted else None)
    except (DockerException, RequestException, OSError) as error:
        message = f"the Docker engine of {name} does not answer at {url}: {error}"
        raise EngineUnavailableError(message) from error


def _ssh(parts: SplitResult) -> list[str]:
    user = ["-l", parts.username] if parts.username else []
    port = ["-p", str(parts.port)] if parts.port else []
    return [*_SSH, *user, *port]


def _forward(parts: SplitResult, name: str, socket: Path, log: Path, stack: ExitStack) -> None:
    """Have SSH hand the engine's socket on to one here."""
    remote = parts.path or _SOCKET
    argv = [*_ssh(parts), "-nNT", "-L", f"{socket}:{remote}", "--", str(parts.hostname)]
    ssh = stack.enter_context(command.background(argv, log=log))
    with contextlib.suppress(WaitTimeoutError):
        wait_until(f"SSH to {name}", lambda: socket.exists() or not ssh.running, bool, within=_FORWARDED)
    if not socket.exists():
        said = ssh.output.strip().splitlines()
        why = said[-1] if said else "it said nothing"
        message = f"SSH to {name} fails: {why}; try: ssh ssh://{parts.netloc} docker ps"
        raise EngineUnavailableError(message)


def _addresses(parts: SplitResult) -> tuple[str, ...]:
    result = command.run([*_ssh(parts), "--", str(parts.hostname), *netfilter.ADDRESSES], timeout=_LOOK_TIMEOUT)
    try:
        found = netfilter.parse_addresses(result.stdout)
    except (HarnessError, ValueError):
        return ()  # a machine without iproute2's JSON: then nobody can tell
    return netfilter.machine_addresses(found)
