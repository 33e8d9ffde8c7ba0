"""Backends that nobody looked into, such as MariaDB on bare metal: what the applications say of them is all; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from errno import ECONNREFUSED
from ipaddress import IPv4Address

from harness.addresses import is_address
from harness.diagnosis.facts import Facts, Path

_KINDS = ("database", "broker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A backend that is none of the containers that were looked at.

    `direct` are the paths to it of the applications on its side of the tunnel, `paths` the ids of all that need it,
    `reached` says that some application made a connection.
    """

    kind: str
    host: str
    port: int
    direct: tuple[Path, ...]
    paths: frozenset[str]
    reached: bool

    @property
    def node(self) -> str:
        """Its name in findings."""
        return _name(self.kind, self.host, self.port)

    @property
    def evidence(self) -> tuple[str, ...]:
        """How far each application came that needs no tunnel."""
        return tuple(f"{path.id}: {path.reach}" for path in self.direct)

    @property
    def is_silent(self) -> bool:
        """Whether all failed to connect that tried without the tunnel, and none was refused."""
        return not self.reached and all(
            path.reach.failed == "connect" and path.reach.errno != ECONNREFUSED for path in self.direct
        )

    @property
    def refuses(self) -> bool:
        """Whether all that tried without the tunnel were refused."""
        return not self.reached and all(
            path.reach.failed == "connect" and path.reach.errno == ECONNREFUSED for path in self.direct
        )


def outsiders(facts: Facts) -> Iterator[Outside]:
    """Each backend outside that applications look for at an address without the tunnel."""
    if facts.snapshot.static:
        return
    missing = [path for path in facts.paths if path.backend is None and path.kind in _KINDS]
    direct = [path for path in missing if not path.tunnelled and is_address(path.host) and path.app.container.running]
    for kind, host, port in sorted({(path.kind, str(path.host), path.port) for path in direct}):
        if found_at(facts, kind) not in ((), (host,)):
            continue  # it is the setting that is wrong
        own = tuple(path for path in direct if (path.kind, path.host, path.port) == (kind, host, port))
        forwarded = [path for path in missing if path.kind == kind and path.tunnelled and leads_to(facts, path) == host]
        concerned = (*own, *forwarded)
        yield Outside(
            kind=kind,
            host=host,
            port=port,
            direct=own,
            paths=frozenset(path.id for path in concerned),
            reached=any(_connected(path) for path in concerned),
        )


def found_at(facts: Facts, kind: str) -> tuple[str, ...]:
    """Where the gateway forwards to a backend that nobody looked into, when an application reaches it so."""
    through = [path for path in facts.paths if path.kind == kind and path.tunnelled and path.backend is None]
    return tuple(sorted({place for path in through if _connected(path) and (place := leads_to(facts, path))}))


def name_of(facts: Facts, path: Path) -> str:
    """The name in findings of a path's backend: its service's, or where it is when nobody looked into it."""
    if path.backend is not None:
        return path.backend.service
    return _name(path.kind, (leads_to(facts, path) if path.tunnelled else None) or path.host, path.port)


def leads_to(facts: Facts, path: Path) -> str | None:
    """Where the gateway was told to forward a path."""
    destination = facts.forwarded_to(path.port)
    return str(destination) if destination else None


def places(facts: Facts, path: Path) -> tuple[IPv4Address, ...]:
    """Where a path's backend is that was not looked into: where an application reaches it without the tunnel."""
    if path.backend is not None:
        return ()
    hosts = {
        str(each.host)
        for each in facts.paths
        if each.kind == path.kind and not each.tunnelled and is_address(each.host) and _connected(each)
    }
    return tuple(map(IPv4Address, sorted(hosts)))


def _name(kind: str, host: str | None, port: int) -> str:
    return f"the {kind} at {host}:{port}"


def _connected(path: Path) -> bool:
    return path.app.container.running and path.reach.connected
