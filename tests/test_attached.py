"""Which containers are looked at."""

from __future__ import annotations

from typing import Any, cast

from harness import attached
from harness.nodes import Node


def node(service: str, name: str, role: str = "") -> Node:
    """A node of which nothing is asked."""
    return Node(cast("Any", None), service, name, role=role, foreign=True)


def test_two_of_one_service_are_told_apart() -> None:
    """Two compose projects may each have a `db`: both are looked at, by their containers' names, as what they are."""
    nodes = [node("db", "shop-db-1", "mariadb"), node("db", "depot-db-1", "redis"), node("web", "shop-web-1")]
    found = attached.told_apart(nodes)
    assert [(each.service, each.name, each.role, each.foreign) for each in found] == [
        ("shop-db-1", "shop-db-1", "mariadb", True),
        ("depot-db-1", "depot-db-1", "redis", True),
        ("web", "shop-web-1", "web", True),
    ]
