"""What is laid over the compose files of a deployment for one change of it.

A change of variables or of a secret's file alone is the same for every container: the engine can do it by itself, in a
fraction of the time that compose takes. All else is compose's.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import compose, mounts
from harness.originals import Original


class Change(ABC):
    """An overlay so small that the engine can do it; its text is the same for compose, in YAML."""

    @abstractmethod
    def __str__(self) -> str:
        """The compose file."""

    @abstractmethod
    def laid_over(self, original: Original, definition: Mapping[str, Any]) -> Original | None:
        """A container as it would be with it; `definition` is compose's of its service. None where only compose can."""


@dataclass(frozen=True, slots=True)
class Variables(Change):
    """Other variables, by service and name; None takes one away."""

    changes: Mapping[str, Mapping[str, str | None]]

    def __str__(self) -> str:
        """The compose file."""
        services = (f"{service}: {{environment: {{{self._in_yaml(service)}}}}}" for service in self.changes)
        return f"services: {{{', '.join(services)}}}\n"

    def _in_yaml(self, service: str) -> str:
        # YAML's own form of a string is JSON's. `!reset` is what JSON has no word for; `null` would ask the shell,
        # and a single `$` too.
        return ", ".join(
            f"{name}: {'!reset null' if value is None else json.dumps(value.replace('$', '$$'))}"
            for name, value in self.changes[service].items()
        )

    def laid_over(self, original: Original, definition: Mapping[str, Any]) -> Original:  # noqa: ARG002 (it is in the body)
        """With these variables."""
        changes = self.changes.get(original.service)
        return original.with_variables(changes) if changes else original


@dataclass(frozen=True, slots=True)
class SecretFile(Change):
    """Another file for a secret, in all services that are made anew with it."""

    secret: str
    file: str

    def __str__(self) -> str:
        """The compose file."""
        return f"secrets: {json.dumps({self.secret: {'file': self.file.replace('$', '$$')}})}\n"

    def laid_over(self, original: Original, definition: Mapping[str, Any]) -> Original | None:
        """With that file where the secret is mounted."""
        found: Original | None = original
        for entry in definition.get("secrets") or ():
            if found and entry["source"] == self.secret:
                found = found.with_mounted(str(mounts.secret_target(entry)), self.file)
        return found


Overlay = Mapping[str, Any] | str | Change


def write(overlay: Overlay, folder: Path) -> Path:
    """Write an overlay for compose, beside those that a folder has already, and return where."""
    number = len(list(folder.glob("overlay-*")))
    if isinstance(overlay, Mapping):
        file = folder / f"overlay-{number}.json"
        compose.write_override(file, overlay)
    else:
        file = folder / f"overlay-{number}.yml"
        file.write_text(str(overlay), encoding="utf-8")
    return file
