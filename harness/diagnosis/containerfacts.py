"""What the evidence says of any container, typed. Whatever was not seen raises `UnseenError` when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import NoReturn, TypeVar

from harness.diagnosis import settings
from harness.diagnosis.containers import CONFIGURED, Container
from harness.diagnosis.evidence import NodeEvidence, UnseenError
from harness.diagnosis.roles import Role, role_of

T = TypeVar("T")

_NETNS = re.compile(r"net:\[\d+\]")
_EPOCH, _DOOMSDAY = 1e9, 1e11  # between 2001 and 5138, seconds since 1970 are a clock's
_LISTEN = "0A"  # proc(5), /proc/net/tcp: the state LISTEN
_PEER_FIELDS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """A secret file by what may be known of it. `mode` is octal; `fault` is what is wrong with it as a key.

    `seal` is equal for equal contents; `public` is the public key that derives from a private key's file.
    """

    path: str
    mode: int
    owner: int
    empty: bool
    fault: str | None
    seal: str
    public: str | None
    content: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A TCP socket that listens; `address` is None where it is IPv6's (any address means all of IPv4 too)."""

    address: IPv4Address | None
    port: int

    def serves(self, address: IPv4Address) -> bool:
        """Whether a connection to that address reaches it."""
        return self.address is None or self.address in (IPv4Address(0), address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process; `state` is the letter of proc(5), such as `S` (sleeps) or `T` (was stopped by a signal)."""

    id: int
    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where a web server passes requests on to, which `directive` says in its own words.

    `address` is None where nobody knows the name; `said` is why a connection failed, empty where it did not, and None
    where none was tried.
    """

    directive: str
    host: str
    port: int
    address: IPv4Address | None
    said: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What others call a service of a configuration, by network, and its own; `known` are the names it was told.

    `elsewhere` says that it asks others than compose, who may know more names.
    """

    own: tuple[str, ...]
    on: Mapping[str, tuple[str, ...]]
    known: tuple[str, ...]
    elsewhere: bool

    def has(self, name: str) -> bool:
        """Whether it is called so anywhere."""
        return name.lower() in self.own or bool(self.networks_of(name))

    def networks_of(self, name: str) -> set[str]:
        """The networks on which it is called so."""
        return {network for network, names in self.on.items() if name.lower() in (*self.own, *names)}


_STAT = re.compile(r"(?P<id>\d+) \((?P<name>.*)\) (?P<state>[A-Za-z]) ")


class NodeFacts:
    """One container; `beside` says that it is no backend, though nothing else is known of what it is."""

    def __init__(self, evidence: NodeEvidence, *, beside: bool = False) -> None:
        self.evidence = evidence
        self.service = evidence.service
        self._beside = beside

    def __repr__(self) -> str:
        return f"<facts of {self.service}>"

    @cached_property
    def container(self) -> Container:
        """The container itself."""
        try:
            return Container.from_json(self.evidence.json("container"))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnseenError(self.service, "container", f"it is damaged ({type(error).__name__} {error})") from error

    @property
    def environment(self) -> Mapping[str, str]:
        """What it was told."""
        return self.container.environment

    @cached_property
    def words(self) -> Mapping[str, str]:
        """Where it is told what, by the documented names of the settings; empty where it has those, or is not known."""
        try:
            found = self.evidence.json("words")
        except UnseenError:
            return {}
        return {str(setting): str(called) for setting, called in found.items()} if isinstance(found, dict) else {}

    @cached_property
    def naming(self) -> Naming:
        """What it is called in a configuration: as its service and its container are, and by what else it says."""
        told = self.evidence.json("names") if self.evidence.has("names") else {}
        aliases = told.get("aliases", {})
        return Naming(
            own=_lower(self.service, self.evidence.name),
            on={each.network: _lower(*aliases.get(each.network, ())) for each in self.container.attachments},
            known=_lower(*told.get("known", ())),
            elsewhere=bool(told.get("elsewhere")),
        )

    @cached_property
    def unmounted(self) -> Mapping[str, str]:
        """The settings of a configuration that name a secret's file which nothing puts there, each with the file."""
        if not self.evidence.has("unmounted"):
            return {}
        return {str(setting): str(file) for setting, file in self.evidence.json("unmounted").items()}

    @property
    def compose(self) -> str:
        """How `docker compose` begins where it is to change this container; empty where that is not known."""
        return self.evidence.text("compose").strip() if self.evidence.has("compose") else ""

    @property
    def host(self) -> str:
        """The name of its engine; empty where the deployment has but one."""
        return self.evidence.host

    @property
    def documented(self) -> str:
        """The documented service whose part it plays: its own name, unless it was said to have another one."""
        return self.evidence.role or self.service

    @property
    def role(self) -> Role:
        """What it is in the deployment."""
        return Role.BESIDE if self._beside else role_of(self.documented, self.environment)

    @property
    def misnamed(self) -> Mapping[str, str]:
        """The names of its settings that nobody reads, with those that are meant.

        None where it has names of its own, of which nobody knows which are read.
        """
        return settings.misnamed(self.role, self.environment) if self.documented == self.service else {}

    @property
    def is_starting(self) -> bool:
        """Whether it has only just been started, so that what it does not do yet is no fault.

        Docker says so until its own next check; where the check was made for this very look and passed, it is over.
        """
        passes = self.evidence.has("health") and not self.evidence.text("health").strip()
        return self.container.health == "starting" and not passes

    @property
    def configured_only(self) -> bool:
        """Whether only a compose file knows of it."""
        return self.container.status == CONFIGURED

    @cached_property
    def netns(self) -> str:
        """The network namespace that its processes are in."""
        name = self.evidence.text("netns").strip()
        return name if _NETNS.fullmatch(name) else self._damaged("netns")

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """The TCP sockets that listen in its namespace."""
        text = self.evidence.text("sockets")
        found = []
        for line in text.splitlines():
            fields = line.split()
            if len(fields) > 3 and fields[3] == _LISTEN:  # noqa: PLR2004 (the state)
                address, _, port = fields[1].partition(":")
                try:
                    found.append(Listener(address=_kernel_address(address), port=int(port, 16)))
                except ValueError:
                    self._damaged("sockets")
        return tuple(found) if "local_address" in text else self._damaged("sockets")

    @cached_property
    def upstreams(self) -> tuple[Upstream, ...]:
        """Where it passes requests on to; none where it is no web server."""
        if "upstreams" not in self.evidence.pieces:
            return ()
        try:
            return tuple(
                Upstream(
                    directive=str(each["directive"]),
                    host=str(each["host"]),
                    port=int(each["port"]),
                    address=IPv4Address(each["address"]) if each["address"] else None,
                    said=each["said"],
                )
                for each in self.evidence.json("upstreams")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnseenError(self.service, "upstreams", f"it is damaged ({error})") from error

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """Its processes, as /proc/PID/stat has them."""
        lines = self.evidence.text("processes").splitlines()
        found = [match for line in lines if (match := _STAT.match(line))]
        return tuple(Process(id=int(each["id"]), name=each["name"], state=each["state"]) for each in found)

    @cached_property
    def kernel_routes(self) -> tuple[tuple[IPv4Network, IPv4Address], ...]:
        """Its routes as /proc/net/route has them (proc(5)): network and router, 0.0.0.0 where there is none."""
        found = []
        for line in self.evidence.text("kernel-routes").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 7:  # noqa: PLR2004 (the mask)
                try:
                    network, via, mask = (IPv4Address(bytes.fromhex(fields[number])[::-1]) for number in (1, 2, 7))
                    found.append((IPv4Network(f"{network}/{mask}"), via))
                except ValueError:
                    self._damaged("kernel-routes")
        return tuple(found)

    @cached_property
    def secret_files(self) -> tuple[SecretFile, ...]:
        """Every secret file that it was given."""
        try:
            return tuple(
                SecretFile(
                    path=each["path"],
                    mode=int(each["mode"], 8),
                    owner=each["owner"],
                    empty=each.get("empty", False),
                    fault=each.get("fault"),
                    seal=each.get("seal", ""),
                    public=each.get("public"),
                    content=each.get("content"),
                )
                for each in self.evidence.json("secret-files")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnseenError(self.service, "secret-files", f"it is damaged ({error})") from error

    def secret_file(self, setting: str) -> SecretFile | None:
        """The secret file that a setting names; None when there is no such setting or file."""
        path = self.environment.get(setting)
        return next((file for file in self.secret_files if file.path == path), None) if path else None

    def log_lines(self, *words: str) -> tuple[str, ...]:
        """The last lines of its log that contain one of the words, the newest last."""
        lines = self.evidence.text("log").splitlines() if self.evidence.has("log") else []
        return tuple(line.strip() for line in lines if any(word in line for word in words))

    @property
    def complaints(self) -> tuple[str, ...]:
        """The lines of its log that tell of something that went wrong, the newest last."""
        return self.log_lines("rror", "denied", "refuse", "annot", "fail")

    def _damaged(self, piece: str) -> NoReturn:
        raise UnseenError(self.service, piece, "it is damaged")


def _lower(*names: str) -> tuple[str, ...]:
    return tuple(str(name).lower() for name in names)


def _kernel_address(text: str) -> IPv4Address | None:
    """An address of /proc/net/tcp, in the machine's byte order; None for one of IPv6 that is any or no IPv4."""
    raw = bytes.fromhex(text)
    if len(raw) == 4:  # noqa: PLR2004 (bytes of an IPv4 address)
        return IPv4Address(raw[::-1])
    words = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    return None if not any(words) else IPv4Address(words[-4:])
