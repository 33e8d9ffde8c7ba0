"""A container as Docker describes it, or as a compose file asks for it: the same facts in the same words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, ip_network
from typing import Any

from harness.addresses import subnets_of

ABSENT = "absent"
CONFIGURED = "configured"
"""The status of a container that only a compose file knows of."""

GONE = "gone"
UNSEEN = "a container that was not looked at"
"""Whose network namespace is shared, where it is none of the deployment's: no container's, or one's of which more is
not known."""

_JSON_TYPES: Mapping[str, Any] = {
    "str": str,
    "str | None": str | None,
    "int": int,
    "bool": bool,
    "Mapping[str, str]": dict,
    "tuple[str, ...]": list,
    "tuple[Attachment, ...]": list,
    "tuple[PublishedPort, ...]": list,
}
"""What JSON makes of the types of a container's fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A container on a network: the address it has, and the one it was told to have (None: any)."""

    network: str
    address: str | None
    prefix: int
    wanted: str | None

    @property
    def interface(self) -> IPv4Interface | None:
        """The address with its prefix length, where there is one."""
        try:
            return IPv4Interface(f"{self.address or self.wanted}/{self.prefix}")
        except (AddressValueError, ValueError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A port of a container that is published on the host; `host` is the address there, such as 127.0.0.1."""

    port: int
    protocol: str
    host: str
    host_port: str

    def __str__(self) -> str:
        return f"{self.host}:{self.host_port} -> {self.port}/{self.protocol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What is known of one container. `joined` is the service whose network namespace it shares.

    `restart` is the policy by which the engine starts it again, `no` where it does not, empty in older snapshots.
    `joined` is `GONE` where that container is no longer there, `UNSEEN` where it is and was not looked at, and None
    where it has a namespace of its own.
    """

    id: str
    image: str
    status: str
    health: str | None
    exit_code: int
    restarts: int
    oom_killed: bool
    error: str
    started_at: str
    environment: Mapping[str, str]
    command: tuple[str, ...]
    network_mode: str
    joined: str | None
    attachments: tuple[Attachment, ...]
    published: tuple[PublishedPort, ...]
    capabilities: tuple[str, ...]
    privileged: bool
    devices: tuple[str, ...]
    sysctls: Mapping[str, str]
    restart: str = ""

    @property
    def running(self) -> bool:
        """Whether its processes run now."""
        return self.status == "running"

    @property
    def ended_well(self) -> bool:
        """Whether it came to its end without an error, and nobody starts it again: nothing else tells a job."""
        return self.status == "exited" and self.exit_code == 0 and self.restart == "no"

    @property
    def addresses(self) -> tuple[IPv4Address, ...]:
        """Its addresses on Docker's networks."""
        return tuple(found.ip for each in self.attachments if (found := each.interface))

    def describe(self) -> str:
        """The state in a few words, for people."""
        exited = f" (exit status {self.exit_code})" if self.status in ("exited", "restarting", "dead") else ""
        killed = ", killed for want of memory" if self.oom_killed else ""
        restarts = f", restarted {self.restarts} times" if self.restarts else ""
        error = f": {self.error}" if self.error else ""
        return f"{self.status}{exited}{killed}{restarts}{error}"

    def to_json(self) -> str:
        """As a piece of evidence."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, loaded: Mapping[str, Any]) -> Container:
        """Read a piece of evidence; raises `KeyError`, `TypeError` or `ValueError` where it is none."""
        simple = {
            name: value
            for name, value in _typed(cls, {"restart": "", **loaded}).items()
            if name not in ("attachments", "published", "command", "capabilities", "devices", "environment", "sysctls")
        }
        return cls(
            **simple,
            environment={str(name): str(value) for name, value in loaded["environment"].items()},
            sysctls={str(name): str(value) for name, value in loaded["sysctls"].items()},
            command=tuple(map(str, loaded["command"])),
            capabilities=tuple(map(str, loaded["capabilities"])),
            devices=tuple(map(str, loaded["devices"])),
            attachments=tuple(Attachment(**_typed(Attachment, each)) for each in loaded["attachments"]),
            published=tuple(PublishedPort(**_typed(PublishedPort, each)) for each in loaded["published"]),
        )


def _typed(kind: type[Any], loaded: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass by their names; raises `KeyError` or `TypeError` for what does not fit."""
    for field in fields(kind):
        if not isinstance(loaded[field.name], _JSON_TYPES[str(field.type)]):
            raise TypeError(f"{field.name} is of type {type(loaded[field.name]).__name__}")
    return {field.name: loaded[field.name] for field in fields(kind)}


def absent() -> Container:
    """A container that the engine does not have."""
    return Container(
        id="",
        image="",
        status=ABSENT,
        health=None,
        exit_code=0,
        restarts=0,
        oom_killed=False,
        error="",
        started_at="",
        environment={},
        command=(),
        network_mode="",
        joined=None,
        attachments=(),
        published=(),
        capabilities=(),
        privileged=False,
        devices=(),
        sysctls={},
    )


def placed(network: str, host: str) -> str:
    """The name of a network of one of several engines: two of one name are two networks."""
    return f"{host}/{network}" if host else network


def inspected(attributes: Mapping[str, Any], project: str, services: Mapping[str, str], engine: str = "") -> Container:
    """A container by its `docker inspect`; `services` gives the service of each container id of the deployment.

    Of others that there are, whose namespaces are shared, it gives `UNSEEN`. `engine` is the name of the container's
    engine, where the deployment has several.
    """
    state, host, config = attributes["State"], attributes["HostConfig"], attributes["Config"]
    mode = str(host["NetworkMode"])
    pairs = (entry.partition("=") for entry in config["Env"] or [])
    return Container(
        id=str(attributes["Id"]),
        image=str(config["Image"]),
        status=str(state["Status"]),
        health=(state.get("Health") or {}).get("Status"),
        exit_code=int(state["ExitCode"]),
        restarts=int(attributes.get("RestartCount") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
        started_at=str(state.get("StartedAt") or ""),
        environment={name: value for name, _, value in pairs},
        command=tuple(map(str, config.get("Cmd") or [])),
        network_mode=mode,
        joined=services.get(mode.removeprefix("container:"), GONE) if mode.startswith("container:") else None,
        attachments=tuple(_attachments(attributes["NetworkSettings"]["Networks"] or {}, project, engine)),
        published=tuple(_bindings(host.get("PortBindings") or {})),
        capabilities=tuple(map(_capability, host.get("CapAdd") or [])),
        privileged=bool(host.get("Privileged")),
        devices=tuple(str(each["PathInContainer"]) for each in host.get("Devices") or []),
        sysctls=dict(host.get("Sysctls") or {}),
        restart=str((host.get("RestartPolicy") or {}).get("Name") or "no"),
    )


def configured(name: str, configuration: Mapping[str, Any], engines: Sequence[str] = ("",)) -> Container:
    """A service of a merged compose configuration (`docker compose config --format json`).

    `engines` names those that it is meant for, where the configuration is parted over several.
    """
    definition = configuration["services"][name]
    environment = {key: "" if value is None else str(value) for key, value in _environment(definition).items()}
    return Container(
        id=name,
        image=str(definition.get("image") or ""),
        status=CONFIGURED,
        health=None,
        exit_code=0,
        restarts=0,
        oom_killed=False,
        error="",
        started_at="",
        environment=environment,
        command=tuple(map(str, _words(definition.get("command")))),
        network_mode=str(definition.get("network_mode") or ""),
        joined=_owner(definition, configuration["services"]),
        attachments=tuple(each for engine in engines for each in _planned(definition, configuration, engine)),
        published=tuple(
            PublishedPort(
                port=int(each["target"]),
                protocol=str(each.get("protocol") or "tcp"),
                host=str(each.get("host_ip") or "0.0.0.0"),  # noqa: S104 (what compose means by leaving it out)
                host_port=str(each.get("published") or "any"),
            )
            for each in definition.get("ports") or []
        ),
        capabilities=tuple(map(_capability, definition.get("cap_add") or [])),
        privileged=bool(definition.get("privileged")),
        devices=tuple(
            str(each["target"]) if isinstance(each, dict) else str(each).split(":")[-1]
            for each in definition.get("devices") or []
        ),
        sysctls={key: str(value) for key, value in (definition.get("sysctls") or {}).items()},
        restart=str(definition.get("restart") or "no"),
    )


def _capability(name: object) -> str:
    """As the kernel has it, without CAP_: people may write it in small letters."""
    return str(name).upper().removeprefix("CAP_")


def _owner(definition: Mapping[str, Any], services: Mapping[str, Any]) -> str | None:
    """The service whose network namespace a service is to share, by its own name or by that of its container."""
    form, separated, name = str(definition.get("network_mode") or "").partition(":")
    if not separated or form not in ("service", "container"):
        return None
    called = {str(each.get("container_name")): service for service, each in services.items()}
    owner = called.get(name, name) if form == "container" else name
    return owner if owner in services else UNSEEN


def _attachments(networks: Mapping[str, Any], project: str, engine: str) -> Iterator[Attachment]:
    for name, each in networks.items():
        if name in ("none", "host"):
            continue
        yield Attachment(
            network=placed(name.removeprefix(f"{project}_"), engine),
            address=each.get("IPAddress") or None,
            prefix=int(each.get("IPPrefixLen") or 32),
            wanted=(each.get("IPAMConfig") or {}).get("IPv4Address") or None,
        )


def _bindings(bindings: Mapping[str, Any]) -> Iterator[PublishedPort]:
    for target, hosts in bindings.items():
        port, _, protocol = target.partition("/")
        for host in hosts or []:
            yield PublishedPort(
                port=int(port),
                protocol=protocol or "tcp",
                host=host.get("HostIp") or "0.0.0.0",  # noqa: S104 (what Docker means by leaving it out)
                host_port=host.get("HostPort") or "any",
            )


def _planned(definition: Mapping[str, Any], configuration: Mapping[str, Any], engine: str) -> Iterator[Attachment]:
    for name, each in (definition.get("networks") or {}).items():
        network = (configuration.get("networks") or {}).get(name) or {}
        wanted = (each or {}).get("ipv4_address")
        yield Attachment(
            network=placed(name, engine), address=None, prefix=_planned_prefix(network, wanted), wanted=wanted
        )


def _planned_prefix(network: Mapping[str, Any], wanted: str | None) -> int:
    """The length of the subnet that an IPv4 address is from, or would be: a network may have others of IPv6 as well."""
    found = (ip_network(subnet, strict=False) for subnet in subnets_of(network))
    subnets = [subnet for subnet in found if isinstance(subnet, IPv4Network)]
    holding = [subnet for subnet in subnets if wanted and _holds(subnet, wanted)]
    return next((subnet.prefixlen for subnet in (*holding, *subnets)), 32)


def _holds(subnet: IPv4Network, address: str) -> bool:
    try:
        return IPv4Address(address) in subnet
    except AddressValueError:
        return False


def _environment(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    found = definition.get("environment") or {}
    return found if isinstance(found, dict) else dict(entry.partition("=")[::2] for entry in found)


def _words(command: object) -> list[str]:
    match command:
        case str():
            return command.split()
        case list():
            return command
        case _:
            return []
