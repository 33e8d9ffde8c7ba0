"""Which container is the database, or the broker, at the end of a way, and which is neither; pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from harness.addresses import is_address
from harness.diagnosis.nodefacts import NodeFacts
from harness.diagnosis.roles import is_documented

_DOCUMENTED = {"database": "mariadb", "broker": "redis"}
_NAMES = {"database": ("mariadb", "mysql", "database", "db"), "broker": ("redis", "valkey", "broker")}
_ASKS_ONE = "exporter"  # which is called after what it asks, such as redis_exporter


def backend_at(nodes: Sequence[NodeFacts], kind: str, place: str | None, *, works: bool) -> NodeFacts | None:
    """The one of some backends that is of a kind: the documented one, else whoever is at `place`, else any.

    `place` is where the way ends, an address or a name, None where nobody knows. Whose way `works` has somebody at its
    end: where nobody of them has that address, it is none of them.
    """
    alike = [node for node in nodes if _is_kind(node, kind)]
    there = [node for node in alike if is_at(node, place)]
    if works and is_address(place):
        alike = there
    documented = [node for node in alike if node.documented == _DOCUMENTED[kind]]
    return next(iter([*documented, *there, *alike]), None)


def serves(node: NodeFacts, places: Collection[str]) -> bool:
    """Whether a container is a backend at all: a database or a broker, or at one of the `places` where ways end.

    What else stands there, such as somebody's web server, is for nobody here to use.
    """
    return any(_is_kind(node, kind) for kind in _NAMES) or any(is_at(node, place) for place in places)


def is_over(node: NodeFacts, places: Collection[str]) -> bool:
    """Whether a container was to run once and has done so, such as a migration of the database.

    Who is at one of the `places` where ways end, is open to others or is asked for its health was to stay. So was a
    database: one that is stopped ends as well as any job.
    """
    container = node.container
    stays = is_documented(node.documented) or container.published or container.health or _is_image(node)
    return container.ended_well and not stays and not any(is_at(node, place) for place in places)


def _is_image(node: NodeFacts) -> bool:
    """Whether a container is of a database's or a broker's image, however it is called."""
    image = _image(node)
    return any(image.startswith(name) for names in _NAMES.values() for name in names)


def _image(node: NodeFacts) -> str:
    return node.container.image.lower().rpartition("/")[2]


def _is_kind(node: NodeFacts, kind: str) -> bool:
    words = (node.documented.lower(), _image(node))
    return any(word.startswith(name) and _ASKS_ONE not in word for word in words for name in _NAMES[kind])


def is_at(node: NodeFacts, place: str | None) -> bool:
    """Whether a place, an address or a name, is a container's."""
    return place in (node.service, node.evidence.name, *map(str, node.container.addresses))
