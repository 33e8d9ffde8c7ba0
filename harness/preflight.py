"""What must hold before anything is started; every line says what is missing and how to get it."""

from __future__ import annotations

import itertools
import os
import platform
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path
from typing import Any

from harness import command, images, leases, throwaway
from harness.addresses import TUNNEL_WEB, AddressPlan, subnets_of
from harness.engine import COMPOSE_NETWORK, COMPOSE_NUMBER, COMPOSE_PROJECT, Engine, PublishedPort
from harness.errors import CommandError, ConfigurationError, PrerequisiteError
from harness.foreign.plan import ForeignPlan
from harness.ownership import LABEL, Run

_MINIMUM_ENGINE = (25, 0)  # the first with `start_interval` for health checks
_MINIMUM_COMPOSE = (2, 20)  # likewise
_MINIMUM_DISK = 2 * 1024**3  # bytes; the images take about 1.5 GiB while they are built
_COMPOSE_TIMEOUT = 20  # seconds; `docker compose version` only prints
_LOOK_TIMEOUT = 20  # seconds; what is asked of another machine answers at once, and SSH within seconds
_ON_LOOPBACK = ("", "0.0.0.0", "127.0.0.1")  # noqa: S104 (what others bind, not we)
_TUN = Path("/dev/net/tun")
_ROUTES = Path("/proc/net/route")


def require(engine: Engine, *plans: AddressPlan) -> None:
    """Check the machine and the engine, and that one of the plans is free.

    Raises `PrerequisiteError` with a line for each thing that is missing.
    """
    checks = (_compose_lines, partial(user_lines, plans), partial(lacking, engine), partial(_plan_lines, engine, plans))
    with ThreadPoolExecutor(max_workers=len(checks), thread_name_prefix="preflight") as pool:
        lines = [line for found in pool.map(lambda check: check(), checks) for line in found]
    if lines:
        raise PrerequisiteError(*lines)


def lacking(engine: Engine) -> list[str]:
    """A line for each thing that an engine or its machine lacks."""
    return [*_engine_lines(engine), *_tun_lines(engine), *_disk_lines(engine)]


def require_free(engine: Engine, plan: AddressPlan) -> None:
    """Check that nobody else holds the plan's subnets, ports and names; raises `PrerequisiteError`."""
    if lines := taken(engine, plan):
        raise PrerequisiteError(*lines)


def taken(engine: Engine, plan: AddressPlan) -> list[str]:
    """A line for each subnet, port or container name of the plan that is in use, naming by whom."""
    if leases.holder(engine, plan.index):
        return [leases.describe_holder(engine, plan.index)]
    return in_the_way(engine, plan)


def in_the_way(engine: Engine, plan: AddressPlan) -> list[str]:
    """A line for each thing of the plan that something not of the harness has, be it a subnet, a port or a name."""
    return [
        *_subnet_lines(engine, plan),
        *_route_lines(engine, plan),
        *_port_lines(engine, plan),
        *_name_lines(engine, plan),
        *_ghost_lines(engine, plan),
    ]


def require_wireguard(engine: Engine, run: Run) -> None:
    """Where `WG_IMPLEMENTATION` asks for the kernel's WireGuard, see that the engine's kernel has it.

    What is tried is what a gateway does, in a container of `run` that is gone afterwards; the probe's image has to be
    there. Raises `PrerequisiteError`, and `CommandError` where it cannot be tried.
    """
    if os.environ.get("WG_IMPLEMENTATION") != "kernel":
        return
    result = throwaway.once(
        engine,
        images.PROBE,
        ["ip", "link", "add", "wg-tried", "type", "wireguard"],
        labels=run.labels(),
        user="0",
        cap_drop=["ALL"],
        cap_add=["NET_ADMIN"],
        network_mode="none",
    )
    if not result.ok:
        message = (
            "WG_IMPLEMENTATION is kernel, and the kernel of the Docker engine has no WireGuard "
            f"({result.stderr.strip()}): load its module there (modprobe wireguard), or write userspace or auto"
        )
        raise PrerequisiteError(message)


def require_sound(configuration: Mapping[str, Any]) -> None:
    """Check a compose configuration for subnets that overlap each other or the tunnel.

    Raises `ConfigurationError` that names both sides.
    """
    subnets = {f"the tunnel ({TUNNEL_WEB.network})": TUNNEL_WEB.network} | {
        f"network {name} ({subnet})": network
        for name, definition in configuration.get("networks", {}).items()
        for subnet in subnets_of(definition)
        if isinstance(network := ip_network(subnet, strict=False), IPv4Network)
    }
    for (first, one), (second, other) in itertools.combinations(subnets.items(), 2):
        if one.overlaps(other):
            message = (
                f"{second} overlaps {first}: packets for one would go to the other; "
                "give the Docker network a subnet of its own (services-net is 10.101.0.0/24)"
            )
            raise ConfigurationError(message)


def user_lines(plans: Sequence[AddressPlan]) -> list[str]:
    """A line where this user may not do what a plan needs.

    Elsewhere than on Linux what a container writes into a folder of this machine belongs to whose folder it is.
    """
    if platform.system() != "Linux" or os.geteuid() == 0 or not any(plan.layout == "prod" for plan in plans):
        return []
    return ["the prod layout's servers have files of root's on this machine: be root for it (sudo make scenarios)"]


def _plan_lines(engine: Engine, plans: Sequence[AddressPlan]) -> list[str]:
    """What is in the way of the first plan, where none of them is free."""
    first: list[str] = []
    for plan in plans:
        lines = taken(engine, plan)
        if not lines:
            return []
        first = first or lines
    others = "and no other address plan is free" if len(plans) > 1 else ""
    return [*first, others] if others else first


def _engine_lines(engine: Engine) -> list[str]:
    version = engine.version()
    if version >= _MINIMUM_ENGINE:
        return []
    return [f"Docker Engine {_dotted(version)} is too old: version {_dotted(_MINIMUM_ENGINE)} or newer is needed"]


def _compose_lines() -> list[str]:
    install = "install the Compose v2 plugin (Debian: docker-compose from Debian 13; others: docker-compose-plugin)"
    if shutil.which("docker") is None:
        return [f"the docker command is missing: {install}"]
    try:
        result = command.run(["docker", "compose", "version", "--short"], timeout=_COMPOSE_TIMEOUT)
    except CommandError:
        return [f"`docker compose` does not work, only Compose v1 or none is here: {install}"]
    text = result.stdout.strip().lstrip("v")
    version = tuple(int(part) for part in text.split("-")[0].split(".")[:2] if part.isdecimal())
    if version < _MINIMUM_COMPOSE:
        return [f"Docker Compose {text} is too old: {_dotted(_MINIMUM_COMPOSE)} or newer is needed; {install}"]
    return []


def _tun_lines(engine: Engine) -> list[str]:
    if not engine.machine.here:
        present = engine.machine.shell(f"test -c {_TUN}", timeout=_LOOK_TIMEOUT).ok
    else:
        # Elsewhere (Docker Desktop) the engine runs in a machine of its own, whose devices cannot be seen from here.
        present = platform.system() != "Linux" or _TUN.is_char_device()
    if present:
        return []
    return [f"{_TUN} is missing, which the gateways need: modprobe tun (in a container: --device {_TUN})"]


def _disk_lines(engine: Engine) -> list[str]:
    root = Path(str(engine.client.info().get("DockerRootDir", "")))
    if engine.machine.here:
        free = {path: shutil.disk_usage(path).free for path in {root, Path.cwd()} if path.is_dir()}
    else:
        free = _free_elsewhere(engine, root)
    return [
        f"only {left / 1024**3:.1f} GiB are free at {path}, and 2 GiB are needed: "
        "make room (docker system df shows what Docker holds, docker image prune frees what nothing uses)"
        for path, left in free.items()
        if left < _MINIMUM_DISK
    ]


def _free_elsewhere(engine: Engine, root: Path) -> dict[Path, int]:
    """Bytes that are free where an engine on another machine keeps its data; nothing where df does not say."""
    said = engine.machine.shell(f"df -Pk {shlex.quote(str(root))}", timeout=_LOOK_TIMEOUT)
    fields = said.stdout.splitlines()[-1].split() if said.ok and said.stdout else []
    return {root: int(fields[3]) * 1024} if len(fields) > 3 and fields[3].isdecimal() else {}  # noqa: PLR2004 (df -P)


def _subnet_lines(engine: Engine, plan: AddressPlan) -> list[str]:
    wanted = plan.networks if isinstance(plan, ForeignPlan) else {**plan.networks, "the tunnel": TUNNEL_WEB.network}
    return [
        f"subnet {subnet} ({name}) is in use by docker network {network.name} ({other}): "
        f"{_remedy(network.labels, f'stop what uses it and docker network rm {network.name}')}"
        for network in engine.networks()
        if LABEL not in network.labels
        for other in network.subnets
        for name, subnet in wanted.items()
        if subnet.overlaps(other)
    ]


def _route_lines(engine: Engine, plan: AddressPlan) -> list[str]:
    """Where this machine goes another way to a subnet of the plan, such as by a VPN: Docker would cut that off."""
    if not engine.is_local or not _ROUTES.exists():
        return []
    by_engine = {subnet for network in engine.networks() for subnet in network.subnets}
    return [
        f"subnet {subnet} ({name}) is where this machine reaches {target} by {interface}: "
        f"ip route show {target} tells more; a Docker network there would cut it off"
        for interface, target in routes(_ROUTES.read_text(encoding="ascii"))
        if target not in by_engine
        for name, subnet in plan.networks.items()
        if subnet.overlaps(target)
    ]


def routes(table: str) -> list[tuple[str, IPv4Network]]:
    """Interface and destination of each route of the kernel's main table (proc(5), /proc/net/route), no default."""
    found = []
    for line in table.splitlines()[1:]:
        interface, target, *_others, mask, _mtu, _window, _irtt = line.split()
        length = int(mask, 16).bit_count()
        if length:
            address = IPv4Address(int(target, 16).to_bytes(4, sys.byteorder))
            found.append((interface, IPv4Network((address, length))))
    return found


def _port_lines(engine: Engine, plan: AddressPlan) -> list[str]:
    lines = []
    published = engine.published_ports()
    for port in plan.host_ports:
        holders = [held.container for held in published if held.port == port and _is_wanted(held, plan)]
        if holders:
            lines.append(f"port {port} is published by container {holders[0]}: docker stop {holders[0]}")
        elif engine.machine.here and not _bindable(port):  # of another machine its engine tells when it comes to that
            lines.append(f"port {port} of 127.0.0.1 is in use by a process of this host: ss -ltnp 'sport = :{port}'")
    return lines


def _is_wanted(held: PublishedPort, plan: AddressPlan) -> bool:
    """Whether a port that somebody holds is one of those on which a plan publishes: TCP's, on 127.0.0.1.

    Of a deployment with files of its own only the ports' numbers are known: its WireGuard may be published, too.
    """
    return isinstance(plan, ForeignPlan) or (held.protocol == "tcp" and held.address in _ON_LOOPBACK)


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _name_lines(engine: Engine, plan: AddressPlan) -> list[str]:
    names = set(plan.host_names)
    remedies: dict[str, list[str]] = {}
    for container in engine.listed():
        if container.name in names and LABEL not in container.labels:
            remedies.setdefault(_remedy(container.labels, "docker rename or remove it"), []).append(container.name)
    return [
        f"the name {', '.join(sorted(taken))} is taken by a container that is not the harness's: {remedy}"
        for remedy, taken in remedies.items()
    ]


def _ghost_lines(engine: Engine, plan: AddressPlan) -> list[str]:
    return [
        f"the engine lists a container of the compose project {plan.project} that it does not have ({identity[:12]}), "
        "over which compose stumbles: it forgets it when it is started anew itself (systemctl restart docker)"
        for identity in engine.ghosts(plan.project)
    ]


def _remedy(labels: Mapping[str, str], otherwise: str) -> str:
    """What frees a thing: taking down the compose project that made it, where one did.

    An image that compose built hands its project's label on to every container, so that label alone says nothing.
    """
    made_by_compose = labels.keys() & {COMPOSE_NUMBER, COMPOSE_NETWORK}
    return f"docker compose -p {labels[COMPOSE_PROJECT]} down" if made_by_compose else otherwise


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
