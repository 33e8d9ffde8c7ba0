"""Placeholder."""

from typing import Any


def write_inventory(deployment: Any) -> None:
    """X."""


def play(deployment: Any, playbook: str, say: Any) -> None:
    """X."""
