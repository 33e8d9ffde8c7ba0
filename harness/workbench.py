"""Gateways by themselves: what the image does when it is not, or not rightly, part of a deployment.

Their containers and networks bear the labels of the deployment's run, so they go when it goes, whatever happens.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network
from typing import Any

from docker.errors import NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool

from harness import images
from harness.deployment import Deployment
from harness.engine import Engine
from harness.model import Budget
from harness.nodes import Gateway
from harness.waiting import wait_until

KEYS = "/keys"
"""Where the files that a gateway is given lie inside its container."""

CAPABILITIES = ("NET_ADMIN",)
"""What a gateway needs."""

_ENDED = Budget(seconds=15, reason="a container that ends by itself does so within seconds of its start")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a container ended. `seconds` is how long it ran, by the engine's own clock."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float


class Workbench:
    """Makes single gateways and small networks, and takes them away again."""

    def __init__(self, deployment: Deployment, engine: Engine | None = None) -> None:
        self._engine = engine or deployment.engine
        self._labels = deployment.run.labels()
        self._prefix = f"wireguard-harness-workbench-{deployment.plan.index}"
        self.subnet = IPv4Network(f"10.99.{deployment.plan.index}.0/24")
        """A subnet that is free: no deployment uses it."""

    @contextlib.contextmanager
    def network(self) -> Iterator[str]:
        """A Docker network that leads nowhere, by its name, while the block runs."""
        created = self._engine.client.networks.create(
            f"{self._prefix}-network-{next(_numbers)}",
            driver="bridge",
            internal=True,
            labels=self._labels,
            ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(self.subnet))]),
        )
        try:
            yield str(created.name)
        finally:
            with contextlib.suppress(NotFound):
                created.remove()

    @contextlib.contextmanager
    def gateway(  # noqa: PLR0913 (what a container can be given or denied)
        self,
        settings: Mapping[str, str],
        files: Mapping[str, str],
        *,
        network: str = "none",
        capabilities: Sequence[str] = CAPABILITIES,
        tun: bool = True,
        forwarding: bool = True,
    ) -> Iterator[Gateway]:
        """A gateway that has just been started, confined as the deployment's are; gone after the block.

        `files` are put under `KEYS`, 0600 and root's. `network` may be `container:NAME`.
        """
        container = self._create(
            "gateway", network, capabilities, environment=dict(settings), tun=tun, forward=forwarding
        )
        try:
            put(container, files)
            container.start()
            yield Gateway(self._engine, "gateway", str(container.name))
        finally:
            _remove(container)

    @contextlib.contextmanager
    def namespace(self, network: str = "none", *, capabilities: Sequence[str] = CAPABILITIES) -> Iterator[Gateway]:
        """A container of the gateway's image, in which no gateway is at work; its network namespace can be shared."""
        container = self._create("namespace", network, capabilities, entrypoint=["sleep", "infinity"])
        try:
            container.start()
            yield Gateway(self._engine, "namespace", str(container.name))
        finally:
            _remove(container)

    def _create(
        self,
        role: str,
        network: str,
        capabilities: Sequence[str],
        *,
        tun: bool = True,
        forward: bool = True,
        **options: Any,
    ) -> Container:
        sysctls = {"net.ipv4.ip_forward": str(int(forward))}
        created: Container = self._engine.client.containers.create(
            images.chosen()["WIREGUARD_IMAGE"],
            name=f"{self._prefix}-{role}-{next(_numbers)}",
            labels=self._labels,
            network=network,
            cap_drop=["ALL"],
            cap_add=list(capabilities),
            security_opt=["no-new-privileges:true"],
            devices=["/dev/net/tun:/dev/net/tun:rwm"] if tun else [],
            sysctls=None if network.startswith("container:") else sysctls,
            tmpfs={"/run": ""},
            mem_limit="128m",
            init=True,
            **options,
        )
        return created


def put(container: Container, files: Mapping[str, str]) -> None:
    """Write files under `KEYS` in a container, 0600 and root's."""
    container.put_archive("/", _archive(files))


def refuse(namespace: Gateway, settings: Mapping[str, str], files: Mapping[str, str]) -> Ending:
    """Run the gateway in a `Workbench.namespace`, expecting that it ends by itself: quicker than a container each.

    One that starts after all is ended after a while, with exit status 124.
    """
    put(namespace.container, files)
    entrypoint = namespace.engine.client.images.get(images.chosen()["WIREGUARD_IMAGE"]).attrs["Config"]["Entrypoint"]
    result = namespace.run("timeout", "--kill-after=5", f"{_ENDED.seconds:g}", *entrypoint, environment=settings)
    return Ending(exit_code=result.exit_status, stdout=result.stdout, stderr=result.stderr, seconds=result.duration)


def ending(gateway: Gateway) -> Ending:
    """Wait until a gateway has ended and tell how; raises `WaitTimeoutError` when it stays up."""
    state = wait_until(
        f"{gateway.name} to end",
        lambda: gateway.inspect()["State"],
        lambda seen: seen["Status"] == "exited",
        within=_ENDED,
    )
    container = gateway.container
    return Ending(
        exit_code=state["ExitCode"],
        stdout=container.logs(stdout=True, stderr=False).decode(errors="replace"),
        stderr=container.logs(stdout=False, stderr=True).decode(errors="replace"),
        seconds=(_moment(state["FinishedAt"]) - _moment(state["StartedAt"])).total_seconds(),
    )


def _remove(container: Container) -> None:
    with contextlib.suppress(NotFound):
        container.remove(force=True, v=True)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _archive(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        folder = tarfile.TarInfo(KEYS.lstrip("/"))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(f"{KEYS.lstrip('/')}/{name}")
            entry.mode, entry.size = 0o600, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
