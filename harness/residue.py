"""Whether anything of ours is left, on the engine and on this machine, when a session is over.

It is looked for by what it bears, and not by what a run remembers of having made: what was forgotten is found as
well. What belongs to somebody else, to another run that is alive, or to a deployment kept on purpose, is none.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness import command, leases, lifecycle, orphans, places
from harness.engine import Engine
from harness.errors import EngineUnavailableError, HarnessError
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
_GONE = Budget(seconds=5, poll=0.2, reason="what is just being removed, by us or a run beside us, is gone in a moment")


def settle(*, elsewhere: bool = False, say: Say) -> list[str]:
    """At the end of a session: sweep, and then a sentence for each thing that `look` still finds.

    A worker that was killed is swept. What is on its way out is given a moment. What cannot be looked at is said, and
    counts as left. With deployments `elsewhere`, on other engines than this machine's, it need not have one.
    """
    try:
        try:
            engine = Engine.connect()
        except EngineUnavailableError:
            if elsewhere:
                return []
            raise
        lifecycle.sweep(engine, say=say)
        return wait_until_or_last(lambda: list(look(engine)), lambda found: not found, within=_GONE)
    except (DockerException, RequestException, OSError, HarnessError) as error:
        return [f"whether anything is left cannot be told: {error}"]


def look(engine: Engine) -> Iterator[str]:
    """A sentence for each thing of this process, or of a run that has ended, that is there at this very moment.

    Raises what the engine's client does, and `CommandError`.
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
        subnets = [subnet for network in engine.networks() for subnet in network.subnets]
        yield from _interfaces(engine, subnets)
        yield from _rules(subnets)


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
    return engine.is_local and platform.system() == "Linux" and os.geteuid() == 0 and _has_net_admin()


def _has_net_admin() -> bool:
    """Whether this process has CAP_NET_ADMIN, which root in a container often lacks (proc(5), CapEff)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_NET_ADMIN & 1)


def _interfaces(engine: Engine, subnets: list[IPv4Network]) -> Iterator[str]:
    """Bridges with an address of ours that are no network of the engine, and what is plugged into them."""
    if shutil.which("ip") is None:
        return
    seen = command.run(["ip", "-json", "-4", "address", "show", "type", "bridge"], timeout=_LOOK_TIMEOUT)
    known = {f"br-{network.id[:12]}" for network in engine.networks()}
    for link in json.loads(seen.stdout or "[]"):
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
    for line in command.run(["iptables-save"], timeout=_LOOK_TIMEOUT).stdout.splitlines():
        if line.startswith("*"):
            table = line[1:]
        by_engine = _BRIDGE.search(line) and not line.startswith("-A DOCKER-USER ")
        if by_engine and any(_is_ours(IPv4Network(text, strict=False), subnets) for text in _ADDRESS.findall(line)):
            yield f"iptables rule `{line}` is left in table {table}: iptables -t {table} -D {line.removeprefix('-A ')}"


def _is_ours(address: IPv4Network, taken: list[IPv4Network]) -> bool:
    """Whether an address or a subnet is one of ours, and of no network that there is."""
    ours = address.prefixlen >= _SUBNET and any(address.subnet_of(each) for each in _OURS)
    return ours and not any(address.overlaps(subnet) for subnet in taken)
