"""Simulated servers: containers that stand in for whole machines, each with a Docker engine of its own.

They meet on one network, the underlay, and are reached from here by another one, on which they do not see each
other: their engines' ports and a few entrances are published on this machine's loopback.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from docker.errors import DockerException
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool
from requests.exceptions import RequestException

from harness import images, keys, netfilter
from harness.addresses import ProdPlan
from harness.certificates import Authority
from harness.engine import Engine, client_at
from harness.errors import BringUpError, DeploymentError, HarnessError
from harness.model import Budget
from harness.namespaces import PROC, process_of
from harness.nodes import Node
from harness.ownership import Run
from harness.stock import INSIDE
from harness.waiting import wait_until

SITE = Path("/opt/site")
"""Where a server has what is deployed on it."""

SSH_PORT = 22
ENGINE_PORT = 2376  # Docker's own for its API with TLS
_BOOTED = Budget(seconds=60, poll=0.1, reason="an engine on an empty disk is there after 2 s, on a loaded machine 10 s")
_SHUT_DOWN = 30  # seconds; the engine gives each container 5 s to stop, all at once
_TLS = "/etc/docker/tls"
_PORTS, _PORTS_OF_A_PLAN = 20000, 40  # a deployment takes 14 or so; Linux gives away 32768 and up (ip(7))


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """What one server is like.

    `entrances` are ports of the server and where they lead inside it, `published` those of its own that are reached
    from here too. `addresses` are by the networks' roles.
    """

    role: str
    addresses: Mapping[str, str]
    entrances: Mapping[int, str]
    published: tuple[int, ...]
    environment: Mapping[str, str]
    images: tuple[str, ...]

    @property
    def inside(self) -> tuple[int, ...]:
        """The server's ports that are to be reached from here."""
        return (ENGINE_PORT, SSH_PORT, *self.entrances, *self.published)


class Server(Node):
    """One simulated server. `engine` is the one that runs it, `inner` its own."""

    def __init__(self, engine: Engine, name: str, role: str, files: Path) -> None:
        super().__init__(engine, role, name)
        self.files = files
        self._inner: Engine | None = None

    @property
    def site(self) -> Path:
        """The server's `SITE`, as seen from here."""
        return self.files / "site"

    @property
    def client_files(self) -> Path:
        """The certificates by which its engine lets us in, under the names that the docker command wants."""
        return self.files / "client"

    @property
    def engine_url(self) -> str:
        """Where its engine is reached from here."""
        return f"tcp://127.0.0.1:{self.port(ENGINE_PORT)}"

    @property
    def inner(self) -> Engine:
        """The server's own engine."""
        if self._inner is None:
            client = client_at(self.engine_url, self.client_files)
            self._inner = Engine(client, self._procfs, name=self.service, addresses=self._own_addresses)
        return self._inner

    def _own_addresses(self) -> tuple[str, ...]:
        """Its addresses on the networks that join it to others, and not those of its own containers' networks."""
        return netfilter.machine_addresses(self.addresses())

    def port(self, inside: int) -> int:
        """The port of this machine's loopback that leads to one of the server's, also while it is down."""
        bindings = self.inspect()["HostConfig"]["PortBindings"].get(f"{inside}/tcp") or []
        for binding in bindings:
            return int(binding["HostPort"])
        message = f"{self.name} has no entrance {inside}"
        raise DeploymentError(message)

    def silence(self) -> str:
        """Why the server's engine does not answer; empty where it does."""
        try:
            self.inner.client.ping()
        except (DockerException, RequestException, OSError) as error:
            return str(error)
        return ""

    def await_ready(self) -> None:
        """Wait until the server's engine answers; raises `WaitTimeoutError` that says why it does not."""
        wait_until(f"the engine of {self.name}", self.silence, lambda why: not why, within=_BOOTED)

    def reboot(self) -> None:
        """Shut the server down and start it again: its engine stops all containers, and starts what should run."""
        self.container.restart(timeout=_SHUT_DOWN)
        self.await_ready()

    def load(self, references: Sequence[str]) -> None:
        """Give the server's engine those of these images that it has not, all in one: they share their base."""
        if missing := [reference for reference in references if not self.inner.has_image(reference)]:
            with self.engine.saved_images(missing) as archive:
                self.inner.load_images(archive)

    def _procfs(self) -> Path:
        """The /proc of the server: its processes' numbers mean nothing outside it."""
        process = process_of(self.inspect(), self.engine.procfs)
        return process / "root" / "proc" if process else PROC / "nowhere"

    def ssh_variables(self) -> dict[str, Any]:
        """How Ansible reaches the server over SSH: its address, our key, and the server's, which it was asked for."""
        port, known = self.port(SSH_PORT), self.files / "ssh" / "known_hosts"
        host_key = " ".join(self.output("cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
        known.write_text(f"[127.0.0.1]:{port} {host_key}\n", encoding="ascii")
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_ssh_private_key_file": str(self.files / "ssh" / "key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known} -o ControlMaster=no",
        }

    def compose_environment(self) -> dict[str, str]:
        """The variables by which the docker command talks to the server's engine."""
        return {
            "DOCKER_HOST": self.engine_url,
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(self.client_files),
        }


def name_of(plan: ProdPlan, role: str) -> str:
    """The name of the container that stands in for a server."""
    return f"{plan.project}-{role}-server"


def files_of(run: Run, role: str) -> Path:
    """Where a server's files are on this machine."""
    return run.state / "servers" / role


def network_name(plan: ProdPlan, role: str) -> str:
    """The name of one of the networks that join the servers."""
    return f"{plan.project}-{role}"


def make_networks(engine: Engine, plan: ProdPlan, run: Run) -> None:
    """Make what joins the servers."""
    for role, subnet in plan.networks.items():
        engine.client.networks.create(
            network_name(plan, role),
            driver="bridge",
            # Nothing leaves the site. A network that publishes ports cannot be internal; on it nobody sees anybody.
            internal=role != "management",
            options={"com.docker.network.bridge.enable_icc": "false"} if role == "management" else {},
            labels=run.labels(),
            ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]),
        )


def boot(
    engine: Engine, plan: ProdPlan, run: Run, specifications: Iterable[Specification], *, stock: str | None
) -> list[Server]:
    """Make servers and start them, side by side; returns when their engines answer and hold their images.

    `stock` is the volume that has these images, if there is one; otherwise each is given them. Raises `BringUpError`
    with the log of one that does not come up.
    """
    wanted = list(specifications)
    authority = Authority()
    free = iter(free_ports(plan, sum(len(each.inside) for each in wanted)))
    ports = [{f"{port}/tcp": ("127.0.0.1", next(free)) for port in each.inside} for each in wanted]
    with ThreadPoolExecutor(max_workers=len(wanted), thread_name_prefix="boot") as pool:
        return list(pool.map(lambda each, own: _boot(engine, plan, run, authority, each, own, stock), wanted, ports))


def _boot(  # noqa: PLR0913, PLR0917 (what a server is made of)
    engine: Engine,
    plan: ProdPlan,
    run: Run,
    authority: Authority,
    wanted: Specification,
    ports: Mapping[str, tuple[str, int]],
    stock: str | None,
) -> Server:
    state = files_of(run, wanted.role)
    _write_certificates(state, authority)
    _write_ssh_key(state)
    (state / "site").mkdir(mode=0o755)
    name = name_of(plan, wanted.role)
    server = Server(engine, name, wanted.role, state)
    container = engine.client.containers.create(
        images.local("server"),
        name=name,
        hostname=wanted.role,
        privileged=True,  # a Docker engine in a container needs it
        labels=run.labels(),
        network=network_name(plan, "management"),
        ports=dict(ports),
        volumes={
            str(state / "tls"): {"bind": _TLS, "mode": "ro"},
            str(state / "site"): {"bind": str(SITE), "mode": "rw"},
            str(state / "ssh" / "authorized_keys"): {"bind": "/root/.ssh/authorized_keys", "mode": "ro"},
            **({stock: {"bind": INSIDE, "mode": "ro"}} if stock else {}),
        },
        environment={
            "MANAGEMENT": str(plan.management_net),
            "ENTRANCES": " ".join(f"{port}:{target}" for port, target in wanted.entrances.items()),
            **wanted.environment,
        },
    )
    try:
        for role, address in wanted.addresses.items():
            engine.client.networks.get(network_name(plan, role)).connect(container, ipv4_address=address)
        container.start()
        server.await_ready()
        server.load(wanted.images)
    except (HarnessError, DockerException, RequestException) as error:
        message = f"the simulated server {name} does not come up: {error}\n{_last_words(container)}"
        raise BringUpError(message) from error
    return server


def _last_words(container: Container) -> str:
    try:
        log = container.logs(tail=25).decode(errors="replace")
    except (DockerException, RequestException) as error:
        return f"its log cannot be had: {error}"
    return f"the last lines of its log:\n{log}"


def _write_certificates(state: Path, authority: Authority) -> None:
    """The server's in `tls`, ours in `client`, under the names that the docker command wants."""
    issued = {"tls": authority.issue("127.0.0.1", "localhost"), "client": authority.issue("wireguard-harness")}
    for folder, own in issued.items():
        (state / folder).mkdir(mode=0o700, parents=True)
        files = {"ca.pem": authority.certificate, "cert.pem": own.certificate, "key.pem": own.key}
        for name, text in files.items():
            keys.write_file(state / folder / name, text.rstrip("\n"), mode=0o600)


def _write_ssh_key(state: Path) -> None:
    """A key by which root is let in, for who deploys over SSH."""
    own = ed25519.Ed25519PrivateKey.generate()
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = own.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    (state / "ssh").mkdir(mode=0o700)
    keys.write_file(state / "ssh" / "key", private.decode().rstrip("\n"), mode=0o600)
    keys.write_file(state / "ssh" / "authorized_keys", public.decode(), mode=0o600)


def free_ports(plan: ProdPlan, count: int) -> list[int]:
    """Ports of the loopback that nobody holds, of those that are this plan's alone.

    They are chosen here and not by the engine, which would choose others whenever a server is started again; and of no
    range from which anybody is given one unasked, since some time passes until they are taken. Raises `BringUpError`.
    """
    first = _PORTS + _PORTS_OF_A_PLAN * plan.index
    free = [port for port in range(first, first + _PORTS_OF_A_PLAN) if _is_free(port)]
    if len(free) < count:
        message = (
            f"{plan.project} needs {count} ports of 127.0.0.1 from {first} to {first + _PORTS_OF_A_PLAN - 1}, of which "
            f"{len(free)} are free: `ss -ltnp` shows who has the others, and --plan N takes another range"
        )
        raise BringUpError(message)
    return free[:count]


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
