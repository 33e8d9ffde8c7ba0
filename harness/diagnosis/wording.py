"""What a remedy's settings and commands are in the deployment itself, where that is not as the documents have it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.diagnosis.containerfacts import NodeFacts

_COMPOSE = "docker compose"


def own_words(nodes: Iterable[NodeFacts], node: str, text: str) -> tuple[str, ...]:
    """A line for each setting in a text about one node, of that node and of the others that the text names.

    Then one for each way in which `docker compose`, if the text has it, is told of its files there.
    """
    present = tuple(nodes)
    named = [each for each in present if each.service == node or _names(text, each.service)]
    settings = (
        f"{setting} of {each.service} is {called}"
        for each in named
        for setting, called in each.words.items()
        if _names(text, setting)
    )
    return *settings, *(_compose(present, named) if _COMPOSE in text else ())


def _compose(present: Sequence[NodeFacts], named: Sequence[NodeFacts]) -> Iterator[str]:
    ways: dict[str, list[str]] = {}
    for each in named:
        if command := each.compose or _neighbours_way(present, each):
            ways.setdefault(command, []).append(each.service)
    for command, services in ways.items():
        whose = f" of {' and '.join(services)}" if len(ways) > 1 else ""
        yield f"{_COMPOSE}{whose} is {command}"


def _neighbours_way(present: Sequence[NodeFacts], node: NodeFacts) -> str:
    """That of all others on the same engine: what is not there says nothing of itself."""
    ways = {each.compose for each in present if each.host == node.host and each.compose}
    return ways.pop() if len(ways) == 1 else ""


def _names(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None
