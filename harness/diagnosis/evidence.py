"""Evidence: what was seen of a deployment at one moment, as text, without secrets; a bundle that can be judged later.

Each node has pieces, such as its `rules` or its `log`. A piece that could not be seen says why, and whoever asks for
it gets an `UnseenError`: missing evidence is never taken for good evidence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Interface, IPv4Network, ip_network
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import HarnessError, ParseError

T = TypeVar("T")

_FORMAT = 1
_KIND = "wireguard-harness snapshot"


class UnseenError(HarnessError):
    """A piece of evidence that is not there; `node` and `piece` say which, the message says why."""

    def __init__(self, node: str, piece: str, reason: str) -> None:
        super().__init__(f"{piece} of {node} could not be seen: {reason}")
        self.node = node
        self.piece = piece
        self.reason = reason


class UnreadError(UnseenError):
    """What a deployment was told and nobody here can read or judge: it is unknown of a mere configuration, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of evidence: its text, or why there is none."""

    text: str = ""
    missing: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvidence:
    """What was seen of one container. `service` is its name in the deployment, `name` the container's own.

    `host` names its engine, where the deployment has several; `role` is the documented service whose part it plays,
    where that has another name.
    """

    service: str
    name: str
    pieces: Mapping[str, Piece]
    host: str = ""
    role: str = ""

    def text(self, piece: str) -> str:
        """A piece's text; raises `UnseenError` when it could not be seen."""
        found = self.pieces.get(piece)
        if found is None:
            raise UnseenError(self.service, piece, "it was not collected")
        if found.missing is not None:
            raise UnseenError(self.service, piece, found.missing)
        return found.text

    def json(self, piece: str) -> Any:  # noqa: ANN401 (whatever the tool printed)
        """A piece that is JSON, loaded; raises `UnseenError` also when it is none."""
        try:
            return json.loads(self.text(piece))
        except (ValueError, RecursionError) as error:
            raise UnseenError(self.service, piece, f"it is not JSON ({error})") from error

    def has(self, piece: str) -> bool:
        """Whether a piece was seen."""
        found = self.pieces.get(piece)
        return found is not None and found.missing is None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEvidence:
    """A Docker network; `ours` says whether the deployment's containers are on it.

    `host` names the engine, where the deployment has several: networks of two engines never meet.
    """

    name: str
    subnets: tuple[str, ...]
    project: str | None
    ours: bool
    host: str = ""

    @property
    def ipv4(self) -> tuple[IPv4Network, ...]:
        """Its IPv4 subnets; raises `ValueError` for one that is none."""
        found = (ip_network(subnet, strict=False) for subnet in self.subnets)
        return tuple(subnet for subnet in found if isinstance(subnet, IPv4Network))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEvidence:
    """What was seen of the machine of one engine, where the deployment has several.

    `addresses` are its own, each with its prefix length, none where they could not be seen; `services` are the
    project's that run on it; `silent` is why its engine does not answer, None where it does.
    """

    name: str
    addresses: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    silent: str | None = None

    @property
    def interfaces(self) -> tuple[IPv4Interface, ...]:
        """Its IPv4 addresses; raises `ValueError` for one that is none."""
        return tuple(map(IPv4Interface, self.addresses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was seen of all nodes. `layout` and `project` say of which deployment.

    `traffic` holds, for each direction such as `wireguard-web>wireguard-services` and size of packet (`small`,
    `large`), how many bytes were sent into the tunnel and how many arrived, by WireGuard's own counters.
    `static` says that this is a configuration, of which nothing runs yet.
    """

    layout: str
    project: str
    taken_at: datetime
    nodes: tuple[NodeEvidence, ...]
    networks: tuple[NetworkEvidence, ...] = ()
    traffic: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    static: bool = False
    problems: tuple[str, ...] = ()
    hosts: tuple[HostEvidence, ...] = ()

    def to_json(self) -> str:
        """The snapshot as a bundle."""
        bundle = {
            "kind": _KIND,
            "format": _FORMAT,
            "layout": self.layout,
            "project": self.project,
            "taken_at": self.taken_at.isoformat(),
            "static": self.static,
            "problems": list(self.problems),
            "networks": [
                {
                    "name": each.name,
                    "subnets": list(each.subnets),
                    "project": each.project,
                    "ours": each.ours,
                    "host": each.host,
                }
                for each in self.networks
            ],
            "traffic": {way: dict(sizes) for way, sizes in self.traffic.items()},
            "hosts": [
                {
                    "name": each.name,
                    "addresses": list(each.addresses),
                    "services": list(each.services),
                    "silent": each.silent,
                }
                for each in self.hosts
            ],
            "nodes": [
                {
                    "service": node.service,
                    "name": node.name,
                    "host": node.host,
                    **({"role": node.role} if node.role else {}),
                    "pieces": {
                        name: {"text": piece.text} if piece.missing is None else {"missing": piece.missing}
                        for name, piece in node.pieces.items()
                    },
                }
                for node in self.nodes
            ],
        }
        return json.dumps(bundle, indent=1)


def load(path: Path) -> Snapshot:
    """Read a bundle; raises `ParseError` with what is wrong with the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not text'}"
        raise ParseError(message) from error
    try:
        bundle = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"{path} is not a snapshot: it is not JSON ({error}); `python -m harness snapshot -o FILE` makes one"
        raise ParseError(message) from error
    if not isinstance(bundle, dict) or bundle.get("kind") != _KIND:
        message = f"{path} is not a snapshot; `python -m harness snapshot -o FILE` makes one"
        raise ParseError(message)
    if repr(bundle.get("format")) != repr(_FORMAT):  # True is equal to 1
        message = f"{path} is a snapshot of format {bundle.get('format')!r}, and this harness reads format {_FORMAT}"
        raise ParseError(message)
    try:
        return _snapshot(bundle)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{path} is a damaged snapshot: {type(error).__name__} {error}"
        raise ParseError(message) from error


def _snapshot(bundle: dict[str, Any]) -> Snapshot:
    return Snapshot(
        layout=_is(str, bundle["layout"]),
        project=_is(str, bundle["project"]),
        taken_at=datetime.fromisoformat(bundle["taken_at"]),
        static=_is(bool, bundle["static"]),
        problems=_texts(bundle["problems"]),
        networks=tuple(map(_network, _is(list, bundle["networks"]))),
        traffic={
            _is(str, way): {_is(str, size): (_bytes(sent), _bytes(arrived)) for size, (sent, arrived) in sizes.items()}
            for way, sizes in _is(dict, bundle["traffic"]).items()
        },
        hosts=tuple(map(_host, _is(list, bundle["hosts"]))),
        nodes=tuple(
            NodeEvidence(
                service=_is(str, node["service"]),
                name=_is(str, node["name"]),
                host=_is(str, node["host"]),
                role=_is(str, node.get("role", "")),
                pieces={_is(str, name): _piece(piece) for name, piece in _is(dict, node["pieces"]).items()},
            )
            for node in _is(list, bundle["nodes"])
        ),
    )


def _network(loaded: Mapping[str, Any]) -> NetworkEvidence:
    network = NetworkEvidence(
        name=_is(str, loaded["name"]),
        subnets=_texts(loaded["subnets"]),
        project=None if loaded["project"] is None else _is(str, loaded["project"]),
        ours=_is(bool, loaded["ours"]),
        host=_is(str, loaded["host"]),
    )
    _ = network.ipv4  # each subnet has to be one
    return network


def _host(loaded: Mapping[str, Any]) -> HostEvidence:
    host = HostEvidence(
        name=_is(str, loaded["name"]),
        addresses=_texts(loaded["addresses"]),
        services=_texts(loaded["services"]),
        silent=None if loaded["silent"] is None else _is(str, loaded["silent"]),
    )
    _ = host.interfaces  # each address has to be one
    return host


def _piece(loaded: object) -> Piece:
    match loaded:
        case {"text": text, **others} if not others:
            return Piece(text=_is(str, text))
        case {"missing": reason, **others} if not others:
            return Piece(missing=_is(str, reason))
    raise TypeError("a piece is neither a text nor missing")


def _texts(loaded: object) -> tuple[str, ...]:
    return tuple(_is(str, each) for each in _is(list, loaded))


def _bytes(loaded: object) -> int:
    number = _is(int, loaded)
    if number < 0:
        raise ValueError("a number of bytes is negative")
    return number


def _is(kind: type[T], loaded: object) -> T:
    """What was loaded, if it is of that type."""
    if type(loaded) is not kind:  # True would pass for a number
        raise TypeError(f"{type(loaded).__name__} stands where {kind.__name__} has to")
    if isinstance(loaded, str):
        loaded.encode()  # half a surrogate pair is JSON, and no text
    return loaded
