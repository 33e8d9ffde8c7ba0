"""Into a container's namespaces without `docker exec`, where its processes can be seen from here and we are root.

An exec costs the engine some 80 ms of a core, entering a namespace 2 ms, and opening a socket in one less than that.
Where it cannot be done (a remote engine, Docker Desktop, another user) callers use exec, with the same result.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import DeploymentError

T = TypeVar("T")

PROC = Path("/proc")
"""Where this machine's processes are."""

_ENTERED = {"mount": "mnt", "pid": "pid", "net": "net"}  # nsenter(1)'s options, and the files under /proc/PID/ns
_CLONE_NEWNET = 0x40000000  # setns(2), linux/sched.h
# What Docker gives a container whose image says nothing.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What this machine's dynamic loader would go by, too, while it loads nsenter (ld.so(8)).
_LOADERS = ("LD_", "GLIBC_TUNABLES")
_libc = ctypes.CDLL(None, use_errno=True)


def process_of(attributes: Mapping[str, Any], procfs: Path = PROC) -> Path | None:
    """The main process of a container, by its `docker inspect`: its directory under /proc (proc(5)).

    None when its namespaces cannot be entered. `procfs` is the engine's own /proc as it is seen from here. A
    process's number means something only there, so the container's id has to stand in the process's control group.
    """
    pid = int(attributes["State"].get("Pid") or 0)
    if not pid or os.geteuid() != 0 or shutil.which("nsenter") is None:
        return None
    process = procfs / str(pid)
    try:
        groups = (process / "cgroup").read_text(encoding="utf-8")
    except OSError:
        return None
    return process if str(attributes["Id"]) in groups else None


def entering(process: Path, environment: Mapping[str, str], user: str = "") -> tuple[list[str], dict[str, str]]:
    """What stands before a command to run it in the mount, PID and network namespaces of a process (nsenter(1)).

    With it come the variables that the command is to have, and no others. They are not on its line, which everybody
    on this machine can read, while an environment is its owner's alone (proc(5)).

    The PID namespace too, because /proc/self is empty to whoever is not in the one of that /proc, and with it
    /proc/net, where iptables-legacy-save looks for its tables. `user` is as Docker has it: `UID` or `UID:GID` is
    taken on, so that what a container's user may not read is not read; a name is known inside alone (`by_number`).
    """
    variables = {"PATH": _PATH, **environment}
    loaders = [name for name in variables if name.startswith(_LOADERS)]
    told = ["env", *(f"{name}={variables.pop(name)}" for name in loaders)] if loaders else []
    uid, _, gid = user.partition(":")
    taken_on = ["--setuid", uid, "--setgid", gid or uid] if user and by_number(user) else []
    namespaces = [f"--{option}={process}/ns/{name}" for option, name in _ENTERED.items()]
    program = shutil.which("nsenter") or "nsenter"  # here, whatever PATH is there
    return [program, *namespaces, f"--wd={process}/root", *taken_on, *told], variables


def by_number(user: str) -> bool:
    """Whether a container's user, as Docker has it, is one that can be taken on from here: a number, or root."""
    return all(part.isdecimal() for part in user.split(":")) if user else True


def within(process: Path, action: Callable[[], T]) -> T:
    """Do something in the network namespace of a process; a socket that is opened there stays in it.

    It belongs to the process's owner, so that a firewall's rule about owners holds for it. Raises `DeploymentError`
    when the namespace is gone, and what `action` raises.
    """

    def inside() -> T:
        # setns and setfsuid change the calling thread alone (setns(2), setfsuid(2)); this one ends with it.
        try:
            _enter_network(process)
            _become_owner(process)
        except OSError as error:
            message = f"the network of process {process.name} cannot be entered: {error}"
            raise DeploymentError(message) from error
        return action()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="namespace") as pool:
        return pool.submit(inside).result()


def dial(process: Path, address: str, port: int, timeout: float) -> socket.socket:
    """A connection from `within` the network namespace of a process; `timeout` is in seconds.

    Raises `DeploymentError` when the namespace is gone, and `OSError` as connect(2) does, with ETIMEDOUT where nobody
    answers in time.
    """
    return within(process, lambda: _connected(address, port, timeout))


def _connected(address: str, port: int, timeout: float) -> socket.socket:
    with contextlib.ExitStack() as unless_connected:
        client = unless_connected.enter_context(socket.socket())
        client.settimeout(timeout)
        try:
            client.connect((address, port))
        except TimeoutError:  # Python's own, which has no number
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
        unless_connected.pop_all()
        return client


def _enter_network(process: Path) -> None:
    descriptor = os.open(process / "ns" / "net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno() or errno.EINVAL
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def _become_owner(process: Path) -> None:
    """Have what this thread makes belong to whom a process's own files belong to (proc(5), setfsuid(2))."""
    status = (process / "status").read_text(encoding="utf-8")
    owners = dict(line.split(":\t", 1) for line in status.splitlines() if line.startswith(("Uid:", "Gid:")))
    _libc.setfsgid(int(owners["Gid"].split()[-1]))
    _libc.setfsuid(int(owners["Uid"].split()[-1]))
