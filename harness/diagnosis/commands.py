"""How what people are told to type begins and goes on: in which container, or on which machine; pure."""

from __future__ import annotations

from harness.diagnosis.facts import Path


def inside(path: Path) -> str:
    """How a command for a path's backend begins: in its container, or on the machine of one that nobody looked into."""
    return f"docker exec {path.backend.evidence.name}" if path.backend else "on its own machine:"
