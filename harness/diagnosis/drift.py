"""Drift: what two configurations of one deployment say differently, such as those of its dev and prod layouts. No I/O.

What is tested on one of them is a promise for the other only where both say the same. Addresses may differ, for each
layout has its own plan; to whom they belong may not. What differs on purpose is in `harness.diagnosis.deliberate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.diagnosis import deliberate
from harness.diagnosis.containers import Container
from harness.diagnosis.facts import Facts, Path
from harness.diagnosis.roles import Role, role_of
from harness.model import Finding, Hop, Severity

RULE = "configuration-drift"

_LEADS = frozenset(
    {
        *("WG_ADDRESS", "WG_FORWARD_PORTS", "WG_LISTEN_PORT", "WG_PEER_ALLOWED_IPS", "WG_PEER_ENDPOINT"),
        *("DATABASE_HOST", "DATABASE_PORT", "CELERY_BROKER_URL"),
    }
)
"""Settings without which something is not reached, or something else is."""

_SAME_VALUES = ("WG_ADDRESS", "WG_LISTEN_PORT", "WG_PEER_ALLOWED_IPS", "WG_MTU", "WG_PERSISTENT_KEEPALIVE")
"""Settings whose values belong to the tunnel, which has the same addresses in every layout."""

_HARDENING = (
    *("read_only", "cap_drop", "cap_add", "privileged", "security_opt", "user", "devices", "tmpfs"),
    *("mem_limit", "pids_limit", "restart", "init", "stop_grace_period", "logging"),
)
_TIMES = ("interval", "timeout", "retries", "start_period", "start_interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two configurations: its name for people, what compose makes of it, and the same as facts."""

    name: str
    configuration: Mapping[str, Any]
    facts: Facts

    def definition(self, service: str) -> Mapping[str, Any]:
        """A service as compose has it."""
        found: Mapping[str, Any] = self.configuration["services"][service]
        return found

    def container(self, service: str) -> Container:
        """A service as the doctor has it."""
        node = self.facts.node(service)
        assert node is not None  # noqa: S101 (only asked for services of this side)
        return node.container

    def owner(self, host: str | None) -> str | None:
        """Whose name or address something is; None where no service of this side has it."""
        for node in self.facts.nodes:
            if host is not None and host in (node.service, *map(str, node.container.addresses)):
                return node.service
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """`said` is what each side says, `leads` that it changes what is reached."""

    node: str
    what: str
    said: tuple[str, str]
    leads: bool = False


def findings(judged: Side, reference: Side) -> tuple[Finding, ...]:
    """Whatever one configuration has drifted from another in; an error where it changes what is reached."""
    sides = (judged, reference)
    services = [{node.service for node in side.facts.nodes} for side in sides]
    found = list(_services(sides))
    for service in sorted(services[0] & services[1]):
        for compare in (_settings, _values, _forwards, _ways, _network, _hardening, _health, _image, _secrets):
            found += compare(sides, service)
    return tuple(_finding(sides, difference) for difference in found)


Sides = tuple[Side, Side]


def _finding(sides: Sides, difference: _Difference) -> Finding:
    one, other = sides
    return Finding(
        rule=RULE,
        node=difference.node,
        severity=Severity.ERROR if difference.leads else Severity.WARNING,
        root=True,
        cause=f"{one.name} and {other.name} differ in {difference.what} of {difference.node}",
        remedy=(
            f"have {difference.node} say the same in both; what one layout alone needs is listed in "
            "harness/diagnosis/deliberate.py, with the reason"
        ),
        evidence=tuple(f"{side.name}: {said}" for side, said in zip(sides, difference.said, strict=True)),
        hop=Hop.SETTING,
    )


def _services(sides: Sides) -> Iterator[_Difference]:
    own = [{node.service: role_of(node.documented, node.environment) for node in side.facts.nodes} for side in sides]
    for service in sorted(own[0].keys() ^ own[1].keys()):
        if service not in deliberate.SERVICES:
            role = {**own[0], **own[1]}[service]
            said = ["it is there" if service in each else "there is no such service" for each in own]
            yield _Difference(
                node=service, what="the existence", said=(said[0], said[1]), leads=role is not Role.BESIDE
            )


def _settings(sides: Sides, service: str) -> Iterator[_Difference]:
    """Names that one side alone has; an empty value is filled in at deployment."""
    names = [
        {deliberate.SAME_SETTING.get(name, name): name for name in side.container(service).environment}
        for side in sides
    ]
    for name in sorted(names[0].keys() ^ names[1].keys()):
        if name not in deliberate.SETTINGS:
            said = [f"{each[name]} is set" if name in each else f"{name} is not set" for each in names]
            yield _Difference(node=service, what=f"the setting {name}", said=(said[0], said[1]), leads=name in _LEADS)


def _values(sides: Sides, service: str) -> Iterator[_Difference]:
    """Values that no plan moves: the tunnel's, and where secrets are mounted."""
    ours, theirs = (side.container(service).environment for side in sides)
    for name in sorted(ours.keys() & theirs.keys()):
        if ours[name] != theirs[name] and (name in _SAME_VALUES or name.endswith("_FILE")):
            said = (f"{name}={ours[name]}", f"{name}={theirs[name]}")
            yield _Difference(node=service, what=f"the value of {name}", said=said, leads=name in _LEADS)


def _forwards(sides: Sides, service: str) -> Iterator[_Difference]:
    """Ports and protocols, and whom they lead to where both sides have that as a service."""
    texts = [side.container(service).environment.get("WG_FORWARD_PORTS", "") for side in sides]
    ours, theirs = (_entries(side, text) for side, text in zip(sides, texts, strict=True))
    elsewhere = [key for key in ours.keys() & theirs.keys() if None not in (ours[key], theirs[key])]
    if ours.keys() != theirs.keys() or any(ours[key] != theirs[key] for key in elsewhere):
        said = (f"WG_FORWARD_PORTS={texts[0]}", f"WG_FORWARD_PORTS={texts[1]}")
        yield _Difference(node=service, what="the forwards", said=said, leads=True)


def _entries(side: Side, setting: str) -> dict[tuple[str, str], str | None]:
    """Whom each port and protocol leads to. What is malformed is another rule's business."""
    parts = [(*entry.split(":"), "", "")[:3] for entry in setting.split()]
    return {(port, protocol): side.owner(host) for port, protocol, host in parts}


def _ways(sides: Sides, service: str) -> Iterator[_Difference]:
    """How an application comes to its backends: through the tunnel or not, to which port, to whom."""
    ours, theirs = ({path.kind: path for path in side.facts.paths if path.app.service == service} for side in sides)
    for kind in ("database", "broker"):
        if kind in ours and kind in theirs and not _is_one_way(sides, ours[kind], theirs[kind]):
            said = (_way(ours[kind]), _way(theirs[kind]))
            yield _Difference(node=service, what=f"the way to the {kind}", said=said, leads=True)


def _is_one_way(sides: Sides, one: Path, other: Path) -> bool:
    if (one.tunnelled, one.port, _which(one)) != (other.tunnelled, other.port, _which(other)):
        return False
    if one.tunnelled:
        return one.host == other.host
    owners = (sides[0].owner(one.host), sides[1].owner(other.host))
    return None in owners or owners[0] == owners[1]


def _which(path: Path) -> str:
    """The number of Redis's database; nothing for MariaDB's, whose name is deployed."""
    url = path.app.broker_url if path.kind == "broker" else None
    return url.path.strip("/") or "0" if url else ""


def _way(path: Path) -> str:
    by = "through the tunnel" if path.tunnelled else "directly"
    which = f", database {_which(path)}" if path.kind == "broker" else ""
    return f"{path.host}:{path.port}{which}, {by}"


def _network(sides: Sides, service: str) -> Iterator[_Difference]:
    ours, theirs = (side.container(service) for side in sides)
    if ours.joined != theirs.joined:
        said = (_namespace(ours), _namespace(theirs))
        yield _Difference(node=service, what="the network namespace", said=said, leads=True)
    if ours.sysctls != theirs.sysctls:
        said = (f"sysctls {_text(ours.sysctls)}", f"sysctls {_text(theirs.sysctls)}")
        yield _Difference(node=service, what="the sysctls", said=said, leads=True)


def _namespace(container: Container) -> str:
    return f"it shares that of {container.joined}" if container.joined else "it has one of its own"


def _hardening(sides: Sides, service: str) -> Iterator[_Difference]:
    ours, theirs = (side.definition(service) for side in sides)
    for key in _HARDENING:
        if _text(ours.get(key)) != _text(theirs.get(key)):
            said = (f"{key}: {_text(ours.get(key))}", f"{key}: {_text(theirs.get(key))}")
            yield _Difference(node=service, what=key, said=said)


def _health(sides: Sides, service: str) -> Iterator[_Difference]:
    ours, theirs = (side.definition(service).get("healthcheck") or {} for side in sides)
    if _is_checked(ours) != _is_checked(theirs):
        said = ["it is checked" if _is_checked(each) else "it is not checked" for each in (ours, theirs)]
        yield _Difference(node=service, what="the health check", said=(said[0], said[1]))
        return
    for key in _TIMES if service in deliberate.HEALTH_CHECKS else ("test", *_TIMES):
        if ours.get(key) != theirs.get(key):
            said = [f"{key}: {_text(each.get(key))}" for each in (ours, theirs)]
            yield _Difference(node=service, what=f"the health check's {key}", said=(said[0], said[1]))


def _is_checked(check: Mapping[str, Any]) -> bool:
    return bool(check.get("test")) and not check.get("disable") and check["test"] != ["NONE"]


def _image(sides: Sides, service: str) -> Iterator[_Difference]:
    """What an image is for, by its name; where it is from, and its version, are each deployment's own."""
    ours, theirs = (side.container(service).image for side in sides)
    if _role(ours) != _role(theirs):
        yield _Difference(node=service, what="the image", said=(f"image: {ours}", f"image: {theirs}"))


def _role(image: str) -> str:
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def _secrets(sides: Sides, service: str) -> Iterator[_Difference]:
    """The files that secrets are made of: the playbooks and `python -m harness keys` both know them by name."""
    ours, theirs = (_mounted(side, service) for side in sides)
    for target in sorted(ours.keys() | theirs.keys()):
        is_meant = target in deliberate.SECRETS and not (target in ours and target in theirs)
        if ours.get(target) != theirs.get(target) and not is_meant:
            said = [f"{target} is {each[target]}" if target in each else f"no {target}" for each in (ours, theirs)]
            is_key = sides[0].facts.node(service) in sides[0].facts.gateways
            yield _Difference(node=service, what=f"the secret {target}", said=(said[0], said[1]), leads=is_key)


def _mounted(side: Side, service: str) -> dict[str, str]:
    """The file of each secret, by its name inside the container."""
    found = {}
    for entry in side.definition(service).get("secrets") or []:
        source = (side.configuration.get("secrets") or {}).get(entry["source"]) or {}
        name = str(entry.get("target") or entry["source"])
        found[name.rpartition("/")[2]] = str(source.get("file") or entry["source"]).rpartition("/")[2]
    return found


def _text(value: object) -> str:
    """A value of a compose file in one line, whatever order its parts are in; nothing and `false` are one."""
    if not value:
        return "none"
    match value:
        case Mapping():
            return " ".join(f"{key}={_text(value[key])}" for key in sorted(value))
        case list():
            return " ".join(sorted(map(_text, value)))
        case _:
            return str(value)
