"""Virtual servers: each a machine in QEMU that shares nothing with this one but a port of 127.0.0.1, for SSH.

The two see each other on an underlay of their own. With software alone, where the processor's help cannot be had, they
are some ten times slower than this machine.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import command
from harness.command import Background
from harness.errors import CommandError
from harness.model import Budget, CommandResult
from harness.waiting import wait_until

UNDERLAY = {"web": "192.0.2.10", "services": "192.0.2.11"}
"""The servers' addresses on the wire between them (RFC 5737); nothing else is on it."""

_CARDS = {"web": "52:54:00:00:02:10", "services": "52:54:00:00:02:11"}
_MEMORY = "2G"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def accelerated() -> bool:
    """Whether the processor helps, which takes more than that there is a /dev/kvm."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    return bool({"vmx", "svm"}.intersection(flags)) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def budget(seconds: float, reason: str) -> Budget:
    """What a state may take on a virtual machine: `seconds` with the processor's help, ten times that without."""
    return Budget(seconds=seconds if accelerated() else 10 * seconds, poll=1, reason=reason)


BOOT = budget(60, "a Debian server is up in 5 s on its own hardware")


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualServer:
    """One of the two. `settings` is the file of settings by which SSH knows it by its name."""

    name: str
    settings: Path
    machine: Background

    def run(self, script: str, *, timeout: float = 300.0, check: bool = True) -> CommandResult:
        """Run a shell script there as root; raises `CommandError` when it fails, unless `check` is False."""
        return command.run(["ssh", "-F", str(self.settings), self.name, script], timeout=timeout, check=check)

    def wait_for_boot(self, *, other_than: str = "") -> None:
        """Wait until it answers, after a boot other than that one."""
        wait_until(f"a boot of {self.name}", self.boot, lambda found: found not in ("", other_than), BOOT)

    def boot(self) -> str:
        """The kernel's own name for the present boot; empty while nobody answers.

        Raises `CommandError` when the machine itself has ended, as QEMU does when it cannot begin.
        """
        if not self.machine.running:
            message = f"the virtual server {self.name} has ended: {self.machine.output.strip()}"
            raise CommandError(message)
        found = self.run(f"cat {_BOOT_ID}", check=False)
        return found.stdout.strip() if found.ok else ""

    def reboot(self) -> str:
        """Have it reboot as people do; gives the boot that ends."""
        ending = self.boot()
        self.run("systemctl reboot", check=False)
        return ending


@contextmanager
def booted(disk: Path, folder: Path) -> Iterator[Mapping[str, VirtualServer]]:
    """Both servers, from copies of one disk, until the block ends; `folder` takes the copies, keys and consoles."""
    command.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], timeout=60)
    ports = dict(zip((*UNDERLAY, "underlay"), _free_ports(len(UNDERLAY) + 1), strict=True))
    settings = folder / "ssh_config"
    settings.write_text("".join(_settings(name, ports[name], folder) for name in UNDERLAY), encoding="utf-8")
    # The first listens, the other connects: their one wire.
    wires = {"web": f"listen=127.0.0.1:{ports['underlay']}", "services": f"connect=127.0.0.1:{ports['underlay']}"}
    with ExitStack() as stack:
        servers = {}
        for name, wire in wires.items():
            image = folder / f"{name}.img"
            command.run(["cp", "--sparse=always", str(disk / "disk.img"), str(image)], timeout=300)
            stack.callback(image.unlink)
            argv = _qemu(name, disk, image, ports[name], wire, folder)
            machine = stack.enter_context(command.background(argv, log=folder / f"{name}.qemu"))
            servers[name] = VirtualServer(name=name, settings=settings, machine=machine)
        for server in servers.values():
            server.wait_for_boot()
        yield servers


def _qemu(name: str, disk: Path, image: Path, port: int, wire: str, folder: Path) -> list[str]:  # noqa: PLR0913, PLR0917
    key = (folder / "key.pub").read_text(encoding="ascii").strip()
    accelerator, processor = ("kvm", "host") if accelerated() else ("tcg,thread=multi,tb-size=512", "max")
    kernel = f"root=/dev/vda rw console=ttyS0 net.ifnames=0 systemd.hostname={name}"
    return [
        *("qemu-system-x86_64", "-accel", accelerator, "-cpu", processor, "-smp", "2", "-m", _MEMORY),
        *("-kernel", str(disk / "vmlinuz"), "-initrd", str(disk / "initrd"), "-append", kernel),
        *("-drive", f"file={image},format=raw,if=virtio,cache=unsafe", "-device", "virtio-rng-pci"),
        # `restrict`: nothing leaves the machine on this side, which is there for SSH alone.
        *("-netdev", f"user,id=host,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=host"),
        *("-netdev", f"socket,id=underlay,{wire}", "-device", f"virtio-net-pci,netdev=underlay,mac={_CARDS[name]}"),
        # systemd.system-credentials(7): the key that may log in as root.
        *("-smbios", f"type=11,value=io.systemd.credential:ssh.authorized_keys.root={key}"),
        *("-display", "none", "-serial", f"file:{folder / f'{name}.console'}"),
    ]


def environment(server: VirtualServer, folder: Path) -> dict[str, str]:
    """What makes every program's `ssh` know the servers by their names, Docker's too."""
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {server.settings} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def _settings(name: str, port: int, folder: Path) -> str:
    return f"""
Host {name}
  HostName 127.0.0.1
  Port {port}
  User root
  IdentityFile {folder / "key"}
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  ConnectTimeout 20
  LogLevel ERROR
"""


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
