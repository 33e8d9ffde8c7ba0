"""Whether anything of ours is left, on the engine and on this machine, when a session is over.

It is looked for by what it bears, and not by what a run remembers of having made: what was forgotten is found as
well. What belongs to somebody else, to another run that is alive, or to a deployment kept on purpose, is none.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import command, leases, lifecycle, orphans, places
from harness.engine import Engine
from harness.errors import CommandError, EngineUnavailableError, HarnessError
from harness.model import Budget
from harness.ownership import LABEL, Liveness, Owner, Run
from harness.waiting import wait_until_or_last

Say = Callable[[str], None]

_OURS = tuple(IPv4Network(text) for text in ("10.99.0.0/16", "10.100.0.0/24", "10.101.0.0/16", "172.20.0.0/14"))
"""Where the subnets of all address plans lie, those of the workbench, and what a fault puts on the tunnel's subnet."""
_SUBNET = 24  # the length of their prefixes: a network of whole /16 is somebody else's

_BRIDGE = re.compile(r"\bbr-[0-9a-f]{12}\b")
_ADDRESS = re.compile(r"(?:-[sd]|--to-destination) (\d+\.\d+\.\d+\.\d+(?:/\d+)?)")
_CAP_NET_ADMIN = 12  # its number (linux/capability.h)
_LOOK_TIMEOUT = 10.0  # seconds; both commands take milliseconds
_CREDENTIALS = struct.Struct("3i")  # process, user, group (unix(7), SO_PEERCRED)
_INIT = 1  # where systemd opens an engine's socket and hands it over, it counts as the listener
_PROC = Path("/proc")
_GONE = Budget(seconds=5, poll=0.2, reason="what is just being removed, by us or a run beside us, is gone in a moment")


def settle(*, elsewhere: bool = False, say: Say) -> list[str]:
    """At the end of a session: sweep, and then a sentence for each thing that `look` still finds.

    A worker that was killed is swept. What is on its way out is given a moment. What cannot be looked at is said, and
    counts as left; but for this machine's interfaces and rules, which it is said of only: a machine on which nobody
    can see them would fail each of its sessions. With deployments `elsewhere`, on other engines than this machine's,
    it need not have one.
    """
    unseen: dict[str, None] = {}  # each once, however often it is looked
    try:
        try:
            engine = Engine.connect()
        except EngineUnavailableError:
            if elsewhere:
                return []
            raise
        lifecycle.sweep(engine, say=say)
        found = wait_until_or_last(lambda: list(look(engine, unseen.setdefault)), lambda found: not found, within=_GONE)
    except (DockerException, RequestException, OSError, HarnessError) as error:
        return [f"whether anything is left cannot be told: {error}"]
    for line in unseen:
        say(line)
    return found


def look(engine: Engine, unseen: Callable[[str], object] = lambda _line: None) -> Iterator[str]:
    """A sentence for each thing of this process, or of a run that has ended, that is there at this very moment.

    `unseen` is told what of this machine cannot be looked at, and why. Raises what the engine's client does.
    """
    yield from _on_the_engine(engine)
    present = {run.id for run in lifecycle.runs(engine)}
    for folder in orphans.folders(places.STATE, engine.identity, present, own=True):
        yield f"folder {folder} holds the secrets of a run that is over: rm -r {folder}"
    for folder in orphans.scratch_folders(own=True):
        yield f"temporary folder {folder} is left: rm -r {folder}"
    for process in orphans.processes(own=True):
        yield f"process {process.pid} goes on ({process.command}): kill {process.pid}"
    if _is_here(engine):
        yield from _on_this_machine(engine, unseen)


def _on_the_engine(engine: Engine) -> Iterator[str]:
    me = Owner.current()
    kept: dict[str, bool] = {}
    for kind, name, labels in engine.labelled(LABEL):
        run = Run.from_labels(labels)
        remove = f"docker {kind} rm {'--force ' if kind == 'container' else ''}{name}"
        if run is None:
            yield f"{kind} {name} bears the harness's label, and none that says whose it is: {remove}"
            continue
        if run.id not in kept:
            kept[run.id] = leases.is_kept(engine, run)
        if not kept[run.id] and (run.owner == me or run.owner.liveness() is Liveness.DEAD):
            yield f"{kind} {name} of run {run.id} is left: {remove}"


def _is_here(engine: Engine) -> bool:
    """Whether the engine's interfaces and rules are those of this machine, and we may read them."""
    may = engine.is_local and platform.system() == "Linux" and os.geteuid() == 0 and _has_net_admin()
    return may and _listener(engine) in {_INIT, *_daemons()}


def _listener(engine: Engine) -> int:
    """Who listens on the engine's socket: not the engine itself where SSH, say, hands it on; 0 where it is not seen."""
    adapter = engine.client.api.get_adapter(engine.client.api.base_url)
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(_LOOK_TIMEOUT)
        asked.connect(getattr(adapter, "socket_path", ""))
        credentials = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[0])


def _daemons() -> list[int]:
    """The Docker engines whose interfaces and rules are in this process's network namespace."""
    own, found = _PROC / "self" / "ns" / "net", []
    for name in _PROC.glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if name.read_bytes().strip() == b"dockerd" and (name.parent / "ns" / "net").samefile(own):
                found.append(int(name.parent.name))
    return found


def _on_this_machine(engine: Engine, unseen: Callable[[str], object]) -> Iterator[str]:
    """What an engine has left of networks; nothing where it may be another engine's, whose deployments live."""
    if len(daemons := _daemons()) > 1:
        numbers = ", ".join(map(str, daemons))
        unseen(
            f"bridges and iptables rules were not looked at: of several Docker engines here ({numbers}) any has its own"
        )
        return
    subnets = [subnet for network in engine.networks() for subnet in network.subnets]
    for what, looked in (("bridges", _interfaces(engine, subnets)), ("iptables rules", _rules(subnets))):
        try:
            yield from looked
        except (HarnessError, ValueError, LookupError, TypeError, AttributeError) as error:
            unseen(f"whether {what} are left cannot be told: {error}")


def _has_net_admin() -> bool:
    """Whether this process has CAP_NET_ADMIN, which root in a container often lacks (proc(5), CapEff)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_NET_ADMIN & 1)


def _interfaces(engine: Engine, subnets: list[IPv4Network]) -> Iterator[str]:
    """Bridges with an address of ours that are no network of the engine, and what is plugged into them."""
    if shutil.which("ip") is None:
        return
    seen = _printed("ip", "-json", "-4", "address", "show", "type", "bridge")
    known = {f"br-{network.id[:12]}" for network in engine.networks()}
    for link in json.loads(seen or "[]"):
        name = link.get("ifname", "")
        own = [IPv4Interface(f"{each['local']}/{each['prefixlen']}").network for each in link.get("addr_info", ())]
        if _BRIDGE.fullmatch(name) and name not in known and any(_is_ours(subnet, subnets) for subnet in own):
            # Where the bridge has gone in this moment it fails, and nothing is plugged in.
            plugged = command.run(["ip", "-json", "link", "show", "master", name], timeout=_LOOK_TIMEOUT, check=False)
            for port in json.loads(plugged.stdout or "[]"):
                yield f"interface {port['ifname']} is left, plugged into {name}: ip link delete {port['ifname']}"
            yield f"bridge {name} ({', '.join(map(str, own))}) is no network any more: ip link delete {name}"


def _rules(subnets: list[IPv4Network]) -> Iterator[str]:
    """Rules by which an engine served a network of ours that is gone; rules that people made are none."""
    if shutil.which("iptables-save") is None:
        return
    table = ""
    for line in _printed("iptables-save").splitlines():
        if line.startswith("*"):
            table = line[1:]
        by_engine = _BRIDGE.search(line) and not line.startswith("-A DOCKER-USER ")
        if by_engine and any(_is_ours(IPv4Network(text, strict=False), subnets) for text in _ADDRESS.findall(line)):
            yield f"iptables rule `{line}` is left in table {table}: iptables -t {table} -D {line.removeprefix('-A ')}"


def _printed(*argv: str) -> str:
    """What a command prints; raises `CommandError` with the first line of what it complains of."""
    result = command.run(argv, timeout=_LOOK_TIMEOUT, check=False)
    if not result.ok:
        first, *_rest = result.stderr.strip().splitlines() or [f"exit status {result.exit_status}"]
        message = f"`{' '.join(argv)}` fails ({first})"
        raise CommandError(message)
    return result.stdout


def _is_ours(address: IPv4Network, taken: list[IPv4Network]) -> bool:
    """Whether an address or a subnet is one of ours, and of no network that there is."""
    ours = address.prefixlen >= _SUBNET and any(address.subnet_of(each) for each in _OURS)
    return ours and not any(address.overlaps(subnet) for subnet in taken)
