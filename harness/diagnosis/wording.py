"""What a deployment itself calls the settings that a remedy names, where it has names of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.diagnosis.containerfacts import NodeFacts


def own_words(nodes: Iterable[NodeFacts], node: str, text: str) -> tuple[str, ...]:
    """A line for each setting in a text about one node, of that node and of the others that the text names."""
    return tuple(
        f"{setting} of {each.service} is {called}"
        for each in nodes
        if each.service == node or _names(text, each.service)
        for setting, called in each.words.items()
        if _names(text, setting)
    )


def _names(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None
