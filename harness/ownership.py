"""Whose a deployment is: labels on everything that the harness creates, and whether the run behind them still lives.

Only what bears these labels is ever removed, and only when its run is dead, or its owner says so.
"""

from __future__ import annotations

import enum
import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from harness import command, places

LABEL = "wireguard-harness.run"
OWNER = "wireguard-harness.owner"
STATE = "wireguard-harness.state"
SINCE = "wireguard-harness.since"
PLAN = "wireguard-harness.plan"
LAYOUT = "wireguard-harness.layout"


class Liveness(enum.Enum):
    """Whether a process still runs. UNKNOWN when it belongs to another machine or PID namespace, or is hidden."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process, told apart from every other one, also after its number is used again.

    `boot` is the kernel's boot id, `namespace` the PID namespace's inode, `started` the process's start in clock
    ticks since boot (proc(5), /proc/PID/stat field 22). Where there is no /proc they are empty, and so is `machine`
    where there is no machine-id(5).
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str
    machine: str = ""

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        return cls(
            host=platform.node(),
            boot=_read(Path("/proc/sys/kernel/random/boot_id")),
            namespace=_namespace(),
            pid=os.getpid(),
            started=_started(os.getpid()) or "",
            machine=_read(Path("/etc/machine-id")),
        )

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The owner that a label names, or None when it is not one of ours."""
        try:
            owner = cls(**json.loads(text))
        except (ValueError, TypeError):
            return None
        return owner if str(owner.pid).isdecimal() else None

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    def describe(self) -> str:
        """For people."""
        return f"process {self.pid} on {self.host}"

    def liveness(self) -> Liveness:
        """Whether that process still runs."""
        here = Owner.current()
        if self == here:
            return Liveness.ALIVE
        same_machine = bool(self.machine) and self.machine == here.machine
        if self.host != here.host:
            return Liveness.UNKNOWN
        if self.boot != here.boot:  # it has been rebooted since, or it is another one of the same name
            return Liveness.DEAD if same_machine else Liveness.UNKNOWN
        if self.namespace != here.namespace or not (self.boot or same_machine):  # nothing tells that it is this one
            return Liveness.UNKNOWN
        started = _started(self.pid)
        if started is None:
            return Liveness.UNKNOWN if command.is_there(self.pid) else Liveness.DEAD
        return Liveness.ALIVE if started == self.started else Liveness.DEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the harness, and the labels of all that it creates."""

    id: str
    owner: Owner
    since: str
    plan: int
    state: Path
    layout: str = "dev"

    @classmethod
    def start(cls, plan: int, root: Path = places.STATE, *, layout: str = "dev") -> Run:
        """A run that begins now in this process, its state in a directory of its own under `root`."""
        owner = Owner.current()
        now = datetime.now(tz=UTC)
        # In containers of their own two runs of one second may have one number, and what is removed is found by the id.
        identity = f"{now:%Y%m%d-%H%M%S}-{owner.pid}-{plan}-{token_hex(4)}"
        return cls(
            id=identity,
            owner=owner,
            since=now.isoformat(timespec="seconds"),
            plan=plan,
            state=root / identity,
            layout=layout,
        )

    def labels(self) -> dict[str, str]:
        """What every container, network and volume of the run bears."""
        return {
            LABEL: self.id,
            OWNER: str(self.owner),
            SINCE: self.since,
            PLAN: str(self.plan),
            LAYOUT: self.layout,
            STATE: str(self.state),
        }

    @classmethod
    def from_labels(cls, labels: dict[str, str]) -> Run | None:
        """The run that a labelled thing belongs to, or None when the labels are not the harness's."""
        owner = Owner.parse(labels.get(OWNER, ""))
        if LABEL not in labels or owner is None or not labels.get(PLAN, "").isdecimal():
            return None
        return cls(
            id=labels[LABEL],
            owner=owner,
            since=labels.get(SINCE, ""),
            plan=int(labels[PLAN]),
            state=Path(labels.get(STATE, "")),
            layout=labels.get(LAYOUT, "dev"),
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()  # a process may be called anything
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process was started, empty where it has ended; None where that cannot be read.

    There is no such process then, or no /proc, or one that hides what is somebody else's (proc(5), hidepid).
    """
    # The command name, field 2, is in parentheses and may hold spaces: count from its end.
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if len(fields) <= 19:  # noqa: PLR2004 (field 22 of proc(5))
        return None
    return "" if fields[0] in "ZX" else fields[19]
