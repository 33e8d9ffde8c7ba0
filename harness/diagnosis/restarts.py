"""Containers that the engine starts again and again: a look that meets one between two of its ends finds it running."""

from __future__ import annotations

from datetime import datetime

from harness.diagnosis.facts import Facts
from harness.diagnosis.nodefacts import NodeFacts

_OFTEN = 3  # what is started too early may end once or twice before what it needs is there
_DELAY = 60  # seconds, as long as an engine waits at most before it starts a container again

_STARTING = 60.0  # seconds; where nothing else tells, whoever is older has started

STATE = "running for a moment only: it ends, and restarts again and again"
MEND = "mend what it ends by"


def is_restarting(facts: Facts, node: NodeFacts) -> bool:
    """Whether a container that runs ended often of late, and has not lived much longer since than it did between.

    Of one that passes its own check, as when what it ended by was mended, it is enough that it lived longer.
    """
    ends = _ends(node)
    if not node.container.running or len(ends) < _OFTEN:
        return False
    lived = (ends[-1] - ends[0]) / (len(ends) - 1)
    grace = 0.0 if _passes(node) else lived + _DELAY
    return facts.snapshot.taken_at.timestamp() - ends[-1] <= lived + grace


def is_new(facts: Facts, node: NodeFacts) -> bool:
    """Whether a container may not do yet what it is there for: by its check, or where it has none by its age."""
    if node.is_starting or not node.container.running:
        return True
    try:
        started = datetime.fromisoformat(node.container.started_at).timestamp()
    except ValueError:
        return False
    return node.container.health is None and facts.snapshot.taken_at.timestamp() - started < _STARTING


def last_words(node: NodeFacts) -> tuple[str, ...]:
    """How often it ended, and what its log said last that tells why."""
    told = f"{node.service}: {node.container.describe()}, ended {len(_ends(node))} times of late"
    return (told, *dict.fromkeys((*node.complaints[-1:], *node.log_lines("")[-2:])))


def _passes(node: NodeFacts) -> bool:
    """Whether its health check passes: as Docker last had it, or when it was asked for this look."""
    asked = node.evidence.has("health") and not node.evidence.text("health").strip()
    return asked or node.container.health == "healthy"


def _ends(node: NodeFacts) -> list[int]:
    """When it ended, as far as the engine remembers."""
    events = node.evidence.text("events").splitlines() if node.evidence.has("events") else []
    times = [line.partition(" ")[0] for line in events if line.endswith(" die")]
    return sorted(int(time) for time in times if time.isdecimal())
