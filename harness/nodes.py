"""The containers of a deployment: what one is asked, and what a gateway tells besides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from harness import command, namespaces, netfilter, orphans, wireguard, witness
from harness.dialects import DOCUMENTED, Dialect
from harness.engine import Engine
from harness.errors import CommandError, DeploymentError
from harness.model import Address, CommandResult, Forward, NetfilterRule, Peer, Route, WireGuardInterface


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """A container's state: `status` is Docker's word, `health` is None where there is no health check."""

    status: str
    health: str | None
    exit_code: int
    restarts: int

    @property
    def well(self) -> bool:
        """Running, and healthy where that is checked."""
        return self.status == "running" and self.health in (None, "healthy")

    def __str__(self) -> str:
        health = f", {self.health}" if self.health else ""
        ended = f" (exit {self.exit_code})" if self.status in ("exited", "restarting") else ""
        restarts = f" after {self.restarts} restarts" if self.restarts else ""
        return f"{self.status}{health}{ended}{restarts}"


_RENEW_PEER = """
set -euo pipefail
configured=$(wg showconf wg0)
peers=${configured#*"[Peer]"}
wg set wg0 peer "$1" remove
wg addconf wg0 <(printf '[Peer]%s\n' "$peers")
"""

PYTHON = 'exec "$(command -v python || command -v python3 || echo python)" -c "$0"'
"""How a shell runs the Python code that is its first argument; Debian's own Python has the second name alone."""

ASKED_ONCE = {"RES_OPTIONS": "timeout:1 attempts:1"}
"""With it an unknown name is asked for once, not for 10 s where no name server answers (resolv.conf(5))."""

_NO_SUCH_NAME = 2  # getent(1)
_LOOK_TIMEOUT = 30.0  # seconds; what only looks answers in milliseconds

# A process may end while it is being looked at.
_PROCESSES = 'for each in /proc/[0-9]*/cmdline; do { tr "\\0" " " <"$each"; echo; } 2>/dev/null; done'


class Node:
    """One container, by the name of its service in the compose file.

    `role` is the name of the documented service whose part it plays, and `dialect` how it is told its settings, where
    a deployment has names of its own. Of one that is `foreign`, whose image nobody here has built, nothing is run with
    more rights than the engine gives it.
    """

    def __init__(  # noqa: PLR0913 (what a node is known by)
        self,
        engine: Engine,
        service: str,
        name: str,
        *,
        role: str = "",
        dialect: Dialect = DOCUMENTED,
        foreign: bool = False,
    ) -> None:
        self.engine = engine
        self.service = service
        self.name = name
        self.role = role or service
        self.dialect = dialect
        self.foreign = foreign

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def called(self, service: str) -> Node:
        """The same node under another service's name; it plays the part that it played."""
        return Node(self.engine, service, self.name, role=self.role, dialect=self.dialect, foreign=self.foreign)

    @property
    def container(self) -> Container:
        """The container as it is now."""
        return self.engine.container(self.name)

    def run(self, *argv: str, user: str = "", environment: Mapping[str, str] | None = None) -> CommandResult:
        """Run a command in the container, whatever its exit status; raises `CommandError` if it cannot be run."""
        return self.engine.execute(self.name, argv, user=user, environment=environment)

    def output(self, *argv: str) -> str:
        """What a command in the container prints; raises `CommandError` when it fails."""
        return self._printed(self.run(*argv))

    def look(self, *argv: str) -> str:
        """What a command that only looks prints, as `peek`; raises `CommandError` when it fails."""
        return self._printed(self.peek(*argv))

    def act(self, *argv: str) -> str:
        """What a command prints that changes something in the node's namespaces, as `peek` runs it.

        The container's own limits, such as its capabilities, may not hold for it. Raises `CommandError` when it fails.
        """
        return self._printed(self.peek(*argv))

    def peek(
        self,
        *argv: str,
        attributes: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run a command in the node's namespaces, by the cheapest way there is.

        `attributes` are the node's `docker inspect`, for whoever has it already. `environment` is on no command line.
        """
        attributes = attributes or self.inspect()
        process = self.process(attributes)
        user = str(attributes["Config"].get("User") or "")
        if (
            self.foreign
            or process is None
            or attributes["State"]["Status"] != "running"
            or not namespaces.by_number(user)
        ):
            return self.run(*argv, environment=environment)
        variables = self.variables(attributes) | dict(environment or {})
        inside, variables = namespaces.entering(process, variables, user)
        variables |= orphans.mark()
        with witness.listening(None):
            result = command.run([*inside, *argv], timeout=_LOOK_TIMEOUT, env=variables, inherit=False, check=False)
        # Told as the command that anybody can type who wants to see the same.
        witness.tell(f"{self.name}: {' '.join(argv)}", replace(result, argv=("docker", "exec", self.name, *argv)))
        return result

    def resolve(self, host: str, *, attributes: Mapping[str, Any] | None = None) -> str | None:
        """The IPv4 address that a name has inside, by the container's own getent(1); None where nobody knows it.

        Raises `CommandError` where that cannot be told.
        """
        result = self.peek("getent", "ahostsv4", host, attributes=attributes, environment=ASKED_ONCE)
        if result.exit_status == _NO_SUCH_NAME:
            return None
        found = result.stdout.split()
        if not result.ok or not found:
            message = f"getent: exit status {result.exit_status}"
            raise CommandError(message)
        return found[0]

    def process(self, attributes: Mapping[str, Any] | None = None) -> Path | None:
        """The container's main process, or None when its namespaces cannot be entered from here."""
        return namespaces.process_of(attributes or self.inspect(), self.engine.procfs)

    def _printed(self, result: CommandResult) -> str:
        if not result.ok:
            message = f"in {self.name}: {result}"
            raise CommandError(message)
        return result.stdout

    def python(self, code: str, *, environment: Mapping[str, str] | None = None) -> CommandResult:
        """Run a piece of Python in the container."""
        return self.run("sh", "-c", PYTHON, code, environment=environment)

    def inspect(self) -> dict[str, Any]:
        """All that Docker says of the container."""
        attributes: dict[str, Any] = self.container.attrs
        return attributes

    def state(self) -> ContainerState:
        """The container's state now."""
        return container_state(self.inspect())

    def ailment(self) -> str | None:
        """What is wrong with the node now, or None when it is running and its health check passes.

        Docker repeats a health check only every 25 s, so one whose last verdict was bad is run here once more. A
        container that is not there is an ailment too.
        """
        try:
            attributes = self.inspect()
        except DeploymentError as error:
            return str(error)
        state = container_state(attributes)
        if state.well:
            return None
        if state.status != "running":
            return str(state)
        try:
            result = self.peek(*health_command(attributes), attributes=attributes)
        except CommandError as error:
            return str(error)
        return None if result.ok else f"{state}: {result}"

    def logs(self, *, tail: int = 100) -> str:
        """The last lines of the container's log."""
        text: bytes = self.container.logs(tail=tail)
        return text.decode(errors="replace")

    def variables(self, attributes: Mapping[str, Any] | None = None) -> dict[str, str]:
        """The variables that the container was created with."""
        # Of an image without any, as `docker import` makes them, an engine says null.
        pairs = (entry.partition("=") for entry in (attributes or self.inspect())["Config"]["Env"] or ())
        return {name: value for name, _, value in pairs}

    def environment(self, attributes: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Its variables, and the settings that they amount to where it differs."""
        return self.dialect.translate(self.variables(attributes), self.file)

    def file(self, path: str) -> str:
        """A small file of the container, which need not run; raises `HarnessError` where the engine hands out none."""
        return self.engine.file(self.name, path).content.decode(errors="replace")

    def processes(self) -> tuple[str, ...]:
        """The command line of every process in the container."""
        return tuple(line.strip() for line in self.output("sh", "-c", _PROCESSES).splitlines() if line.strip())

    def addresses(self) -> tuple[Address, ...]:
        """Every IPv4 address in the node's network namespace."""
        return netfilter.parse_addresses(self.look(*netfilter.ADDRESSES))

    def routes(self) -> tuple[Route, ...]:
        """The main routing table of the node's network namespace."""
        return netfilter.parse_routes(self.look(*netfilter.ROUTES))

    def routes_to(self, address: IPv4Address) -> tuple[Route, ...]:
        """Those of them that lead to an address: first the one that is taken, then what lies under it."""
        leading = [route for route in self.routes() if address in route.network]
        return tuple(sorted(leading, key=lambda route: route.preference, reverse=True))


class Gateway(Node):
    """A WireGuard gateway."""

    def interface(self) -> WireGuardInterface:
        """wg0 as WireGuard reports it; raises `DeploymentError` when it is not there."""
        found = wireguard.parse_dump(self.look(*wireguard.DUMP))
        for interface in found:
            if interface.name == wireguard.INTERFACE:
                return interface
        message = f"{self.name} has no interface {wireguard.INTERFACE}"
        raise DeploymentError(message)

    def peer(self) -> Peer:
        """The one peer of wg0; raises `DeploymentError` when there are none or several."""
        peers = self.interface().peers
        if len(peers) != 1:
            message = f"{self.name} has {len(peers)} peers where it must have one"
            raise DeploymentError(message)
        return peers[0]

    def renew_peer(self) -> None:
        """Take the peer away and add it again as it was: sessions, counters and back-off begin anew.

        An end that knows its peer's endpoint then shakes hands at once, instead of after WireGuard's own 15 s. The
        keys stay inside the container. Raises `CommandError` when wg0 has no such peer.
        """
        self.act("bash", "-c", _RENEW_PEER, "bash", self.peer().public_key)

    def rules(self, table: str | None = None, chain: str | None = None) -> tuple[NetfilterRule, ...]:
        """The netfilter rules with their counters, all or those of one table or chain."""
        rules = netfilter.parse_save(self.look(*netfilter.SAVE))
        return tuple(rule for rule in rules if table in (None, rule.table) and chain in (None, rule.chain))

    def policies(self) -> dict[tuple[str, str], str]:
        """The policy of each built-in chain."""
        return netfilter.parse_policies(self.look(*netfilter.SAVE))

    def unmatched(self, table: str, chain: str) -> int:
        """How many packets no rule of a built-in chain decided, so that they met its policy."""
        return netfilter.parse_policy_packets(self.look(*netfilter.SAVE))[table, chain]

    def forwards(self) -> tuple[Forward, ...]:
        """What the gateway was told to forward to the same port."""
        setting = self.environment().get("WG_FORWARD_PORTS", "")
        told = Forward.parse_all(setting, keeping=self.dialect.configuration is None)
        return tuple(forward for forward in told if forward.changed is None)

    def dnat(self, port: int) -> NetfilterRule:
        """The DNAT rule of a port; raises `DeploymentError` when there is none."""
        for forward in self.forwards():
            for rule in self.rules("nat", "PREROUTING"):
                if forward.port == port and netfilter.is_dnat_of(forward, rule):
                    return rule
        message = f"{self.name} has no DNAT rule for port {port}"
        raise DeploymentError(message)

    def implementation(self) -> str:
        """`kernel` or `wireguard-go`, as the gateway itself reports; where it does not, as the kind of wg0 says."""
        reported = self.peek("cat", "/run/gateway/implementation")
        if reported.ok:
            return reported.stdout.strip()
        (link,) = json.loads(self.look("ip", "-d", "-j", "link", "show", wireguard.INTERFACE))
        return "kernel" if link["linkinfo"]["info_kind"] == "wireguard" else "wireguard-go"


def container_state(attributes: Mapping[str, Any]) -> ContainerState:
    """Read a container's state out of `docker inspect`."""
    state = attributes["State"]
    health = state.get("Health")
    return ContainerState(
        status=state["Status"],
        health=health["Status"] if health else None,
        exit_code=state["ExitCode"],
        restarts=attributes["RestartCount"],
    )


def health_command(attributes: Mapping[str, Any]) -> list[str]:
    """The command of a container's health check, as `exec` takes it (Docker's `CMD` and `CMD-SHELL` forms)."""
    form, *words = attributes["Config"]["Healthcheck"]["Test"]
    return ["/bin/sh", "-c", *words] if form == "CMD-SHELL" else list(words)
