"""Engines of machines that the harness did not bring up, each by its address, such as `ssh://root@web`.

SSH is the user's own client, with all that is configured for it: by one connection it hands the engine's socket on to
a socket here, and ports of that machine's loopback to ports of ours, and goes when the engine is no longer needed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import command, netfilter, orphans
from harness.command import Background
from harness.engine import Engine, client_at
from harness.errors import CommandError, EngineUnavailableError, HarnessError, UsageError, WaitTimeoutError
from harness.machine import Machine
from harness.model import Budget, CommandResult
from harness.namespaces import PROC
from harness.waiting import wait_until

_SOCKET = "/var/run/docker.sock"
_SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ExitOnForwardFailure=yes")
# A machine that has gone without a word, as one without power does, is noticed after 15 s.
_ALIVE = ("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")
_FORWARDED = Budget(seconds=20, poll=0.05, reason="SSH gives up to connect after 10 s, and logs in within seconds")
_LOOK_TIMEOUT = 20.0  # seconds; `ip` answers at once, and SSH as above
_ASKED_TIMEOUT = 10.0  # seconds; SSH's own process here, which is asked for one more port, answers in milliseconds


class OtherMachine(Machine):
    """A machine of which nothing is reached but its engine."""

    here = False

    def __init__(self, name: str) -> None:
        self.name = name

    def port(self, published: int) -> int:
        """None can be reached; raises `EngineUnavailableError`."""
        message = f"port {published} is on the loopback of {self.name}, which only SSH reaches: give ssh://USER@HOST"
        raise EngineUnavailableError(message)

    def shell(self, line: str, *, timeout: float) -> CommandResult:  # noqa: ARG002 (as of any machine)
        """There is none; raises `CommandError`."""
        message = f"{line!r} cannot be run on {self.name}, which only SSH reaches: give ssh://USER@HOST"
        raise CommandError(message)


class SshMachine(OtherMachine):
    """A machine that is reached over SSH, by a connection that is open already."""

    def __init__(self, parts: SplitResult, name: str, control: Path, ssh: Background) -> None:
        super().__init__(name)
        self._host = str(parts.hostname)
        self._socket = parts.path
        self._ssh = ssh
        self._argv = ["ssh", "-o", "BatchMode=yes", "-S", str(control)]
        self._ports: dict[int, int] = {}
        self._lock = threading.Lock()

    def port(self, published: int) -> int:
        """A port of our loopback that SSH hands on to that one of the machine's; the same each time."""
        with self._lock:
            if published not in self._ports:
                self._ports[published] = self._forwarded(published)
            return self._ports[published]

    def _forwarded(self, published: int) -> int:
        with contextlib.closing(socket.socket()) as chosen:
            chosen.bind(("127.0.0.1", 0))
            free = int(chosen.getsockname()[1])
        way = f"127.0.0.1:{free}:127.0.0.1:{published}"
        try:
            command.run([*self._argv, "-O", "forward", "-L", way, "--", self._host], timeout=_ASKED_TIMEOUT)
        except CommandError as error:
            message = f"port {published} of {self.name} cannot be reached over SSH: {self.gone() or error}"
            raise EngineUnavailableError(message) from error
        return free

    def shell(self, line: str, *, timeout: float) -> CommandResult:
        """As on this machine, by SSH."""
        own = f"env DOCKER_HOST=unix://{shlex.quote(self._socket)} " if self._socket else ""
        argv = [*self._argv, "--", self._host, f"{own}sh -c {shlex.quote(line)}"]
        return command.run(argv, timeout=timeout, check=False)

    def gone(self) -> str | None:
        """Why the connection has ended, by SSH's last words."""
        return None if self._ssh.running else f"SSH to {self.name} has ended: {_last_words(self._ssh)}"


@contextlib.contextmanager
def engines(urls: Sequence[str], *, option: str = "--engine") -> Iterator[tuple[Engine, ...]]:
    """Engines by their addresses while the block runs, each named by its machine; they were given by an `option`.

    Whether they answer shows when they are asked. Raises `UsageError` for what is no address, and
    `EngineUnavailableError` where SSH or TLS cannot even be set up.
    """
    names = names_of(urls, option=option)
    with ExitStack() as stack:
        folder = stack.enter_context(orphans.scratch())
        yield tuple(
            _engine(url, name, folder / str(number), stack)
            for number, (url, name) in enumerate(zip(urls, names, strict=True))
        )


def names_of(urls: Sequence[str], *, option: str = "--engine") -> list[str]:
    """The name of each engine's machine; raises `UsageError` for what is no address, or is named twice."""
    names = [_parsed(url, option).netloc.rpartition("@")[2] or "this machine" for url in urls]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        message = f"{option} names {twice[0]} twice: give each engine once"
        raise UsageError(message)
    return names


def _parsed(url: str, option: str = "--engine") -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("ssh", "tcp", "unix") and (parts.port or True)
    except ValueError:
        parts, known = urlsplit(""), False
    if not known or not (parts.path if parts.scheme == "unix" else parts.hostname):
        message = f"{option} {url} is no engine's address: they are ssh://USER@HOST, tcp://HOST:PORT and unix:///PATH"
        raise UsageError(message)
    return parts


def _engine(url: str, name: str, place: Path, stack: ExitStack) -> Engine:
    parts = _parsed(url)
    machine: Machine = Machine() if parts.scheme == "unix" else OtherMachine(name)
    if parts.scheme == "ssh":
        machine = _connect(parts, name, place, stack)
        url = f"unix://{_socket(place)}"
        client = client_at(url)
    else:
        client = _direct(url, name, tls=parts.scheme == "tcp")
    stack.callback(client.close)
    # The numbers of that machine's processes mean nothing here.
    return Engine(
        client,
        None if parts.scheme == "unix" else lambda: PROC / "nowhere",
        name=name,
        addresses=(lambda: _addresses(parts)) if parts.scheme == "ssh" else None,
        machine=machine,
        environment={"DOCKER_HOST": url},
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


def _socket(place: Path) -> Path:
    return Path(f"{place}.sock")


def _connect(parts: SplitResult, name: str, place: Path, stack: ExitStack) -> SshMachine:
    """Have SSH hand the engine's socket on to one here; what else is wanted goes by the same connection."""
    remote, here, control = parts.path or _SOCKET, _socket(place), Path(f"{place}.ctl")
    shared = ["-o", "ControlMaster=yes", "-o", f"ControlPath={control}", "-o", "ControlPersist=no"]
    argv = [*_ssh(parts), *_ALIVE, *shared, "-nNT", "-L", f"{here}:{remote}", "--", str(parts.hostname)]
    ssh = stack.enter_context(command.background(argv, log=Path(f"{place}.log")))
    ready = (here, control)
    with contextlib.suppress(WaitTimeoutError):
        wait_until(
            f"SSH to {name}",
            lambda: all(each.exists() for each in ready) or not ssh.running,
            bool,
            within=_FORWARDED,
        )
    if not all(each.exists() for each in ready):
        message = f"SSH to {name} fails: {_last_words(ssh)}; try: ssh ssh://{parts.netloc} docker ps"
        raise EngineUnavailableError(message)
    return SshMachine(parts, name, control, ssh)


def _last_words(ssh: Background) -> str:
    said = ssh.output.strip().splitlines()
    return said[-1] if said else "it said nothing"


def _addresses(parts: SplitResult) -> tuple[str, ...]:
    result = command.run([*_ssh(parts), "--", str(parts.hostname), *netfilter.ADDRESSES], timeout=_LOOK_TIMEOUT)
    try:
        found = netfilter.parse_addresses(result.stdout)
    except (HarnessError, ValueError):
        return ()  # a machine without iproute2's JSON: then nobody can tell
    return netfilter.machine_addresses(found)
